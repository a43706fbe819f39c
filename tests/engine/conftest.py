"""Kernels in Triton's interpreter."""

from __future__ import annotations

import pytest

from fdi.engine.cuda import fused


@pytest.fixture
def few_programs(monkeypatch) -> None:
    """Large blocks: Triton's interpreter takes its time for a program, whatever that does."""
    if fused.lacking() is None:
        from fdi.engine.cuda.kernels import launch, launch_sparse

        for name, value in dict(BLOCK=256, CHUNK=256, PROGRAMS=1, HELD=16).items():
            monkeypatch.setattr(launch, name, value)
        for name, value in dict(ROWS=64, TARGETS=32, SOURCES=32, SAMPLES=4).items():
            monkeypatch.setattr(launch_sparse, name, value)
