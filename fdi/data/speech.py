"""Spiking Heidelberg Digits and Spiking Speech Commands (Cramer et al. 2022), downloaded when
missing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from fdi.config.parts import Count, Duration, Share, TimeStep
from fdi.data.dataset import Dataset
from fdi.data.download import ensure
from fdi.data.hdf5 import hdf5

CHANNELS = 700


def shd(
    *,
    root: str | Path,
    duration: Duration,
    dt: TimeStep,
    binning: Literal["binary", "counts"],
    valid: Share,
    max_train: Count | None = None,
    max_test: Count | None = None,
    drop: Share = 0.0,
    seed: int = 0,
) -> Dataset:
    """SHD: 20 spoken digits, 700 channels; arguments as in `hdf5`."""
    options = {name: value for name, value in locals().items() if name != "root"}
    return hdf5(
        **options,
        name="shd",
        root=ensure("shd", root),
        train_file="shd_train.h5",
        test_file="shd_test.h5",
        channels=CHANNELS,
        nu_paper=15.8,
    )


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
    options = {name: value for name, value in locals().items() if name != "root"}
    return hdf5(
        **options,
        name="ssc",
        root=ensure("ssc", root),
        train_file="ssc_train.h5",
        valid_file="ssc_valid.h5",
        test_file="ssc_test.h5",
        channels=CHANNELS,
    )
