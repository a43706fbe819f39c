"""Any pair (or triple) of files in the HDF5 layout of SHD, as events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

import h5py
import numpy as np

from fdi.config.parts import Count, Duration, Positive, Share, TimeStep
from fdi.data import tables
from fdi.data.dataset import Dataset, Split, dropout, fits, keep, stream, subset, train_valid
from fdi.data.inputs import (
    Chosen,
    DataError,
    Events,
    binned_blocks,
    class_labels,
    intact,
    join,
    seconds,
    steps_in,
    whole,
    within,
)

FIELDS = ("spikes/times", "spikes/units", "labels")
CLASSES = "extra/keys"


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """The file, open: it has all fields. Whatever h5py cannot read in it meanwhile is one line."""
    with intact(path, "empty, damaged or not HDF5"), h5py.File(path, "r") as file:
        if missing := [name for name in FIELDS if file.get(name) is None]:
            names = ", ".join(file) or "nothing"
            raise DataError(
                f"{path}: no {', '.join(missing)}; not in the layout of SHD (found: {names})"
            )
        yield file


Samples = Sequence[int] | np.ndarray
BLOCK = 256  # samples that are read at once, six times as fast as one by one


def lists(data: h5py.Dataset, samples: Samples) -> Iterator[np.ndarray]:
    """The list of each of the samples, which are in ascending order."""
    for start in range(0, len(samples), BLOCK):
        block = samples[start : start + BLOCK]
        first, end = int(block[0]), int(block[-1]) + 1
        if end - first > 4 * len(block):  # most would be read in vain
            yield from (np.asarray(data[int(i)]) for i in block)
        else:
            rows = data[first:end]
            yield from (np.asarray(rows[i - first]) for i in block)


MOST_UNITS = 1_000_000
WITHIN = 0.01  # at least this share of the spikes lies within the trial, or the unit is wrong


@keep
def read_header(path: Path) -> tuple[np.ndarray, int]:
    """Labels (int64 [n]), and number of classes: that of `extra/keys`, or else the largest label
    + 1.

    Raises DataError if the file is empty, truncated, of another layout, or its labels are out of
    range.
    """
    with opened(path) as file:
        lengths = {field: len(file[field]) for field in FIELDS}
        if len(set(lengths.values())) > 1:
            raise DataError(
                f"{path}: "
                + ", ".join(f"{n} {field}" for field, n in lengths.items())
                + "; they must be equally many"
            )
        classes = len(file[CLASSES]) if CLASSES in file else None
        labels = class_labels(f"{path}: labels", file["labels"][()], classes)
    return labels, int(labels.max()) + 1 if classes is None else classes


@keep
def largest_unit(path: Path) -> int:
    """The largest unit that spikes anywhere in the file, -1 if none does."""
    with opened(path) as file:
        units = file["spikes/units"]
        found = (
            int(numbers.max())
            for i, u in enumerate(lists(units, range(len(units))))
            if len(numbers := whole(f"{path}: unit of sample {i}", u))
        )
        largest = max(found, default=-1)
    if largest >= MOST_UNITS:
        raise DataError(f"{path}: a spike of unit {largest:,}; at most {MOST_UNITS:,} units")
    return largest


View = tuple[int, int, float, str]


@keep
def read_events(path: Path, samples: np.ndarray | None, view: View) -> Events:
    """The events of `samples` (sorted indices; None: all) of the file, as `parts` has them."""
    return join(list(parts(path, samples, view)))


def parts(path: Path, samples: np.ndarray | None, view: View) -> Iterator[Events]:
    """The events of `samples`, one part after the other. `view`: channels, steps, their length in
    seconds, and the binning; spikes after the last step are cut off.

    Raises DataError for units outside 0..channels-1, and for times that are negative or not finite.
    """
    channels, steps, dt, binning = view
    seen = np.zeros(2)  # spikes within the trial, and all

    def counted() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        chosen = range(len(file["labels"])) if samples is None else samples
        for times, units in _recordings(path, file, chosen, channels):
            seen[0] += np.count_nonzero(times < steps * dt)
            seen[1] += len(times)
            yield times, units

    with opened(path) as file:
        yield from binned_blocks(counted(), steps, dt, (channels,), binning)
    if seen[0] < WITHIN * seen[1]:
        raise DataError(
            f"{path}: {seen[0]:,.0f} of {seen[1]:,.0f} spikes lie within the duration of "
            f"{steps * dt:g} s; times must be in seconds (are these milliseconds?)"
        )


def _recordings(
    path: Path, file: h5py.File, samples: Samples, channels: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    of_times, of_units = (lists(file[f"spikes/{of}"], samples) for of in ("times", "units"))
    for i, times, units in zip(samples, of_times, of_units):
        sample = f"{path}: sample {i}"
        what, hint = f"{sample}: unit", "; is dataset.channels right?"
        units = within(what, whole(what, units), channels, hint)
        if len(times) != len(units):
            raise DataError(f"{sample} has {len(times)} times but {len(units)} units")
        yield seconds(f"{sample}: time", times), units


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
    if channels < 1:
        raise DataError(f"{root}: no spikes in its files")
    if channels > MOST_UNITS:
        raise DataError(f"channels = {channels:,}; at most {MOST_UNITS:,}")
    train, held = train_valid(labels, 0.0 if valid_file else valid, seed, max_train=max_train)
    valid_labels = labels
    if valid_file:
        valid_labels, _ = read_header(valid_path)
        held = np.arange(len(valid_labels))
    tested = subset(test_labels, max_test, stream(0, "test"))

    view = channels, steps, dt, binning

    def split(path: Path, labels: np.ndarray, samples: np.ndarray, most: int | None) -> Split:
        table: Events | None = None
        if most is None:
            table = tables.table(path, view, lambda: parts(path, None, view))
            if table is None and fits(path):
                table = read_events(path, None, view)
        events = Chosen(table, samples) if table is not None else read_events(path, samples, view)
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
