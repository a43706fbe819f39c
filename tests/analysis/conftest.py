"""Folders of runs with known numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import making
import pytest

from fdi.study.circumstances import STANDARD
from fdi.study.evidence import JOINT, KAIMING

SETTINGS = {
    **STANDARD,
    **JOINT,
    "optimizer.eps": 1e-16,
    "trainer.batch_size": 250,
    "homeostasis.upper.strength": 0.1,
    "homeostasis.upper.rate": 20.0,
    "homeostasis.lower.strength": 100.0,
}
FLUCT = {"init.sigma_u": 1.0, "init.alpha": 0.9, "init.nu": "auto"}


@pytest.fixture
def write_run(tmp_path: Path) -> Callable[..., Path]:
    """`making.write_run` below tmp_path."""
    return partial(making.write_run, tmp_path)


@pytest.fixture
def authors_run(write_run) -> Callable[..., Path]:
    """The same with the settings of the authors, and others in `config`."""

    def write(
        init: str, seed: int, accuracy: float, config: Mapping[str, Any] = {}, **more: Any
    ) -> Path:
        own = {"fluct": FLUCT, "kaiming": KAIMING, "gain": KAIMING}.get(init, {})
        given = {"rates": {"h1": 8.0}} | more
        return write_run(init, seed, accuracy, config={**SETTINGS, **own, **config}, **given)

    return write
