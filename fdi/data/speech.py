"""Spiking Heidelberg Digits and Spiking Speech Commands (Cramer et al. 2022), downloaded when
missing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from fdi.config.parts import Count, Duration, Share, TimeStep
from fdi.data.dataset import Dataset
from fdi.data.download import ensure
from fdi.data.hdf5 import Division, hdf5


def shd(
    *,
    root: str | Path,
    duration: Duration,
    dt: TimeStep,
    binning: Literal["binary", "counts"],
    valid: Share,
    split: Division = "samples",
    max_train: Count | None = None,
    max_test: Count | None = None,
    drop: Share = 0.0,
    seed: int = 0,
) -> Dataset:
    """SHD: 20 spoken digits, 700 channels; arguments as in `hdf5`."""
    return _hdf5("shd", **locals(), nu_paper=15.8)


def ssc(
    *,
    root: str | Path,
    duration: Duration,
    dt: TimeStep,
    binning: Literal["binary", "counts"],
    max_train: Count | None = None,
    max_test: Count | None = None,
    drop: Share = 0.0,
    seed: int = 0,
) -> Dataset:
    """SSC: 35 spoken commands, 700 channels, with a validation split of its own; arguments as in
    `hdf5`.
    """
    return _hdf5("ssc", **locals(), valid_file="ssc_valid.h5")


def _hdf5(name: str, root: str | Path, **options: Any) -> Dataset:
    root, train, test = ensure(name, root), f"{name}_train.h5", f"{name}_test.h5"
    return hdf5(name=name, root=root, train_file=train, test_file=test, channels=700, **options)
