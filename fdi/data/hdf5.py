"""Any pair (or triple) of files in the HDF5 layout of SHD, as events."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from fdi.config.ranges import Count, Duration, Positive, Share, TimeStep
from fdi.data.augment import dropout
from fdi.data.binning import steps_in
from fdi.data.dataset import Dataset, Split
from fdi.data.errors import DataError
from fdi.data.kept import fits
from fdi.data.seeding import stream
from fdi.data.shd_file import MOST_UNITS, largest_unit, read_events, read_header
from fdi.data.splits import subset, train_valid


def hdf5(
    *,
    root: str | Path,
    train_file: str,
    test_file: str,
    duration: Duration,
    dt: TimeStep,
    valid_file: str | None = None,
    channels: Count | None = None,
    binning: Literal["binary", "counts"] = "binary",
    valid: Share = 0.1,
    max_train: Count | None = None,
    max_test: Count | None = None,
    drop: Share = 0.0,
    nu_paper: Positive | None = None,
    name: str = "hdf5",
    seed: int = 0,
) -> Dataset:
    """The first `duration` seconds of every recording in bins of `dt`; `*_file` are names or
    patterns such as "*train*.h5" within `root`.

    `channels`: None means the largest unit of the files + 1. Without a `valid_file`, the share
    `valid` of the training file validates, stratified. `drop`: share of the spikes left out, drawn
    for each batch of training.
    """
    root = Path(root).expanduser()
    train_path, test_path = find(root, train_file), find(root, test_file)
    valid_path = train_path if valid_file is None else find(root, valid_file)
    steps = steps_in(duration, dt)
    labels, classes = read_header(train_path)
    test_labels, _ = read_header(test_path)
    if channels is None:
        channels = 1 + max(largest_unit(path) for path in {train_path, valid_path, test_path})
    if not 1 <= channels <= MOST_UNITS:
        raise DataError(
            f"{root}: no spikes in its files"
            if channels < 1
            else f"channels = {channels:,}; at most {MOST_UNITS:,}"
        )

    train, held = train_valid(labels, 0.0 if valid_file else valid, seed, max_train=max_train)
    valid_labels = labels
    if valid_file:
        valid_labels, _ = read_header(valid_path)
        held = np.arange(len(valid_labels))
    tested = subset(test_labels, max_test, stream(0, "test"))

    def split(path: Path, labels: np.ndarray, samples: np.ndarray, most: int | None) -> Split:
        view = channels, steps, dt, binning
        if most is None and fits(path):
            events = read_events(path, None, *view).take(samples)
        else:
            events = read_events(path, samples, *view)
        return Split(events, labels[samples])

    return Dataset(
        name,
        replace(split(train_path, labels, train, max_train), transform=dropout(drop)),
        split(valid_path, valid_labels, held, None if valid_file else max_train),
        split(test_path, test_labels, tested, max_test),
        classes=classes,
        shape=(channels,),
        steps=steps,
        dt=dt,
        nu_paper=nu_paper,
    )


def find(root: Path, pattern: str) -> Path:
    """The one file of `root` that `pattern` fits."""
    if not root.is_dir():
        raise DataError(f"no folder {root}; set dataset.root= to the folder of the .h5 files")
    if not pattern or Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise DataError(
            f"{pattern!r} is no file within {root}; set dataset.root= to the folder that all files "
            f"lie in"
        )
    fitting = sorted(root.glob(pattern))
    if len(fitting) != 1:
        names = (
            ", ".join(path.name for path in fitting)
            or ", ".join(sorted(p.name for p in root.iterdir())[:8])
            or "nothing"
        )
        raise DataError(
            f"{root}: {len(fitting)} files fit {pattern}, expected one (there: {names})"
        )
    return fitting[0]
