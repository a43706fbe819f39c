"""Reading the HDF5 layout of SHD: `spikes/times` (s), `spikes/units`, `labels`, and optionally
`extra/keys`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import h5py
import numpy as np

from fdi.data.binning import bin_recordings
from fdi.data.errors import DataError
from fdi.data.inputs import Events
from fdi.data.kept import keep

FIELDS = ("spikes/times", "spikes/units", "labels")
CLASSES = "extra/keys"
REFERENCE = 16  # bytes of a reference to a list of numbers
MOST_UNITS = 1_000_000
WITHIN = 0.01  # at least this share of the spikes lies within the trial, or the unit is wrong


@keep
def read_header(path: Path) -> tuple[np.ndarray, int]:
    """Labels (int64 [n]), and number of classes: that of `extra/keys`, or else the largest label
    + 1.

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
        labels = _whole(path, "labels", _read(path, file["labels"]))
        named = CLASSES in file
        classes = len(_field(path, file, CLASSES)) if named else int(labels.max()) + 1
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
    with _opened(path) as file:
        units = file["spikes/units"]
        largest = max(
            (
                int(_whole(path, f"unit of sample {i}", u).max())
                for i in range(len(units))
                if len(u := _read(path, units, i))
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

    with _opened(path) as file:
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
        times = _read(path, file["spikes/times"], i).astype(np.float64)
        units = _whole(path, f"unit of sample {i}", _read(path, file["spikes/units"], i))
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
    """The file, open; all fields known to be there, of a shape and size that it can hold."""
    if not path.is_file():
        raise DataError(f"{path}: not a file")
    size = path.stat().st_size
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise DataError(
            f"{path}: empty, truncated or not HDF5 ({size:,} bytes); delete it and get it again"
        ) from error
    try:
        missing = [field for field in FIELDS if field not in file]
        if missing:
            names = ", ".join(file) or "nothing"
            raise DataError(
                f"{path}: no {', '.join(missing)}; not in the layout of SHD (found: {names})"
            )
        for field in FIELDS:
            _field(path, file, field)
    except (KeyError, OSError, RuntimeError, zlib.error) as error:
        file.close()
        raise _damaged(path, "its table of contents") from error
    except DataError:
        file.close()
        raise
    return file


def _field(path: Path, file: h5py.File, field: str) -> h5py.Dataset:
    """A data set of the file whose description is possible, before any of it is read."""
    data, size = file[field], path.stat().st_size
    if not isinstance(data, h5py.Dataset):
        raise DataError(f"{path}: {field} is no data set")
    if data.file.filename != file.filename or data.is_virtual or data.external:
        raise DataError(
            f"{path}: {field} lies in another file; copy it into this one, or a change there would "
            f"go unseen"
        )
    spikes = field.startswith("spikes/")
    element = h5py.check_vlen_dtype(data.dtype) if spikes else data.dtype
    if spikes and (element is None or data.ndim != 1):
        raise DataError(
            f"{path}: {field} must have one list of numbers a sample (variable length), it has "
            f"{data.dtype} of shape {data.shape}"
        )
    if element.kind not in "iuf" and field != "extra/keys":
        raise DataError(f"{path}: {field} must be numbers, they are {element}")
    if data.ndim != 1:
        raise DataError(f"{path}: {field} must be a list, its shape is {data.shape}")
    said = len(data)
    if spikes and said <= size:
        said = max(said, _numbers(path, data))
    if said > size:
        raise DataError(
            f"{path}: says it has {said:,} {field} in {size:,} bytes; delete it and get it again"
        )
    return data


def _numbers(path: Path, data: h5py.Dataset) -> int:
    """How many numbers the lists of `data` say they have. HDF5 allocates what they say before it
    looks, so their references are read here: a length (uint32), an address and an index each.
    """
    filters = data.id.get_create_plist()
    packed = [filters.get_filter(i)[0] for i in range(filters.get_nfilters())]
    compact = filters.get_layout() == h5py.h5d.COMPACT
    if packed not in ([], [h5py.h5z.FILTER_DEFLATE]) or compact:
        raise DataError(f"{path}: {data.name} must be stored plain or with gzip, in this file")
    if data.chunks:
        blocks = (data.id.get_chunk_info(i) for i in range(data.id.get_num_chunks()))
        places = [(block.byte_offset, block.size) for block in blocks]
        most = REFERENCE * data.chunks[0]
    else:
        places = [(data.id.get_offset(), REFERENCE * len(data))] if data.id.get_offset() else []
        most = REFERENCE * len(data)
    total = 0
    with path.open("rb") as file:
        for offset, length in places:
            file.seek(offset)
            raw = file.read(length)
            raw = zlib.decompressobj().decompress(raw, most) if packed else raw
            lengths = np.frombuffer(raw[: len(raw) - len(raw) % REFERENCE], dtype="<u4")
            total += int(lengths[:: REFERENCE // 4].sum(dtype=np.int64))
    return total


def _whole(path: Path, what: str, values: np.ndarray) -> np.ndarray:
    """The values as int64; refuses fractions."""
    if values.dtype.kind == "f" and not (values == np.rint(values)).all():
        bad = values[values != np.rint(values)][0]
        raise DataError(f"{path}: {what} = {bad} must be a whole number")
    return values.astype(np.int64)


def _damaged(path: Path, what: str) -> DataError:
    return DataError(
        f"{path}: {what} cannot be read, the file is damaged; delete it and get it again"
    )


def _read(path: Path, data: h5py.Dataset, index: int | tuple[()] = ()) -> np.ndarray:
    try:
        return np.asarray(data[index])
    except (OSError, RuntimeError, ValueError, MemoryError) as error:
        raise _damaged(path, data.name) from error
