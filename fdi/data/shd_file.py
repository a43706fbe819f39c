"""Reading the HDF5 layout of SHD: `spikes/times` (s), `spikes/units`, `labels`, and optionally
`extra/keys` and `extra/speaker`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from fdi.data.binning import bin_recordings
from fdi.data.errors import DataError
from fdi.inputs import Events

FIELDS = ("spikes/times", "spikes/units", "labels")


def read_header(path: Path) -> tuple[np.ndarray, int, np.ndarray | None]:
    """Labels (int64 [n]), number of classes (that of `extra/keys`, or else the largest label + 1)
    and speaker of each sample, or None.

    Raises DataError if the file is empty, truncated, of another layout, or its labels are out of
    range.
    """
    with _opened(path) as file:
        lengths = {field: len(file[field]) for field in FIELDS}
        if len(set(lengths.values())) > 1:
            raise DataError(
                f"{path}: "
                + ", ".join(f"{n} {field}" for field, n in lengths.items())
                + "; they must be equally many"
            )
        if not lengths["labels"]:
            raise DataError(f"{path}: no samples")
        labels = _read(path, file["labels"]).astype(np.int64)
        classes = len(file["extra/keys"]) if "extra/keys" in file else int(labels.max()) + 1
        speakers = _read(path, file["extra/speaker"]) if "extra/speaker" in file else None
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        raise DataError(
            f"{path}: label {labels[wrong[0]]} of sample {wrong[0]} is outside 0..{classes - 1} "
            f"({classes} classes)"
        )
    return labels, classes, speakers


def largest_unit(path: Path) -> int:
    """The largest unit that spikes anywhere in the file, -1 if none does."""
    with _opened(path) as file:
        units = file["spikes/units"]
        return max(
            (int(u.max()) for i in range(len(units)) if len(u := _read(path, units, i))), default=-1
        )


def read_events(
    path: Path, samples: np.ndarray, channels: int, steps: int, dt: float, binning: str
) -> Events:
    """The events of `samples` (sorted indices) of the file, in time steps of `dt` seconds; spikes
    after `steps` of them are cut off.

    Raises DataError for units outside 0..channels-1, and for times that are negative or not finite.
    """
    with _opened(path) as file:
        return bin_recordings(
            _recordings(path, file, samples, channels), steps, dt, (channels,), binning
        )


def _recordings(
    path: Path, file: h5py.File, samples: np.ndarray, channels: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for i in samples:
        times = _read(path, file["spikes/times"], i).astype(np.float64)
        units = _read(path, file["spikes/units"], i).astype(np.int64)
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


def _opened(path: Path) -> h5py.File:
    """The file, open; all fields known to be there."""
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        size = path.stat().st_size if path.exists() else 0
        raise DataError(
            f"{path}: empty, truncated or not HDF5 ({size:,} bytes); delete it and get it again"
        ) from error
    missing = [field for field in FIELDS if field not in file]
    if missing:
        found = ", ".join(file) or "nothing"
        file.close()
        raise DataError(
            f"{path}: no {', '.join(missing)}; not in the layout of SHD (found: {found})"
        )
    return file


def _read(path: Path, data: h5py.Dataset, index=()) -> np.ndarray:
    try:
        return np.asarray(data[index])
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"{path}: {data.name} cannot be read, the file is damaged; delete it and get it again"
        ) from error
