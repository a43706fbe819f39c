"""Folders of runs with known numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import making
import pytest


@pytest.fixture
def write_run(tmp_path: Path) -> Callable[..., Path]:
    """`making.write_run` below tmp_path."""
    return partial(making.write_run, tmp_path)
