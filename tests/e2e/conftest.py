"""Calls of the console commands."""

from __future__ import annotations

import pytest
from commands import Command


@pytest.fixture
def fdi_run(monkeypatch, capsys, tmp_path) -> Command:
    monkeypatch.chdir(tmp_path)
    return Command(monkeypatch, capsys)
