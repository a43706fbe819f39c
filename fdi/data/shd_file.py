"""Labels and events of files in the layout of SHD."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import h5py
import numpy as np

from fdi.data.binning import bin_recordings
from fdi.data.errors import DataError
from fdi.data.inputs import Events
from fdi.data.kept import keep
from fdi.data.shd_layout import CLASSES, FIELDS, field, opened, read

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
        if not lengths["labels"]:
            raise DataError(f"{path}: no samples")
        labels = _whole(path, "labels", read(path, file["labels"]))
        named = CLASSES in file
        classes = len(field(path, file, CLASSES)) if named else int(labels.max()) + 1
    if classes > len(labels):
        raise DataError(
            f"{path}: {classes:,} classes (largest label {labels.max()}) but {len(labels):,} "
            f"samples; labels count from 0, and each class needs samples"
        )
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        raise DataError(
            f"{path}: label {labels[wrong[0]]} of sample {wrong[0]} is outside 0..{classes - 1} "
            f"({classes} classes)"
        )
    return labels, classes


@keep
def largest_unit(path: Path) -> int:
    """The largest unit that spikes anywhere in the file, -1 if none does."""
    with opened(path) as file:
        units = file["spikes/units"]
        largest = max(
            (
                int(_whole(path, f"unit of sample {i}", u).max())
                for i in range(len(units))
                if len(u := read(path, units, i))
            ),
            default=-1,
        )
    if largest >= MOST_UNITS:
        raise DataError(f"{path}: a spike of unit {largest:,}; at most {MOST_UNITS:,} units")
    return largest


@keep
def read_events(
    path: Path, samples: np.ndarray | None, channels: int, steps: int, dt: float, binning: str
) -> Events:
    """The events of `samples` (sorted indices; None: all) of the file, in time steps of `dt`
    seconds; spikes after `steps` of them are cut off.

    Raises DataError for units outside 0..channels-1, and for times that are negative or not finite.
    """
    seen = np.zeros(2)  # spikes within the trial, and all

    def counted() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        chosen = range(len(file["labels"])) if samples is None else samples
        for times, units in _recordings(path, file, chosen, channels):
            seen[0] += np.count_nonzero(times < steps * dt)
            seen[1] += len(times)
            yield times, units

    with opened(path) as file:
        events = bin_recordings(counted(), steps, dt, (channels,), binning)
    if seen[0] < WITHIN * seen[1]:
        raise DataError(
            f"{path}: {seen[0]:,.0f} of {seen[1]:,.0f} spikes lie within the duration of "
            f"{steps * dt:g} s; times must be in seconds (are these milliseconds?)"
        )
    return events


def _recordings(
    path: Path, file: h5py.File, samples: Iterable[int], channels: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for i in samples:
        times = read(path, file["spikes/times"], i).astype(np.float64)
        units = _whole(path, f"unit of sample {i}", read(path, file["spikes/units"], i))
        if len(times) != len(units):
            raise DataError(f"{path}: sample {i} has {len(times)} times but {len(units)} units")
        if len(times):
            if not np.isfinite(times).all() or times.min() < 0:
                bad = times[~np.isfinite(times) | (times < 0)][0]
                raise DataError(
                    f"{path}: sample {i} has a spike at {bad} s; times must be finite and not "
                    f"negative"
                )
            if units.min() < 0 or units.max() >= channels:
                bad = units.max() if units.max() >= channels else units.min()
                raise DataError(
                    f"{path}: sample {i} has a spike of unit {bad}, outside 0..{channels - 1}; is "
                    f"dataset.channels right?"
                )
        yield times, units


def _whole(path: Path, what: str, values: np.ndarray) -> np.ndarray:
    """The values as int64; refuses fractions."""
    if values.dtype.kind == "f" and not (values == np.rint(values)).all():
        bad = values[values != np.rint(values)][0]
        raise DataError(f"{path}: {what} = {bad} must be a whole number")
    return values.astype(np.int64)
