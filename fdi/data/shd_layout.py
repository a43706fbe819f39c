"""The HDF5 layout of SHD: `spikes/times` (s), `spikes/units`, `labels`, and optionally
`extra/keys`. A file is checked before it is read, so that a damaged or hostile one is an error and
fills no memory.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import h5py
import numpy as np

from fdi.data.errors import DataError

FIELDS = ("spikes/times", "spikes/units", "labels")
CLASSES = "extra/keys"
REFERENCE = 16  # bytes of a reference to a list of numbers


def opened(path: Path) -> h5py.File:
    """The file, open: it has all fields, of a shape and size that it can hold."""
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
        missing = [name for name in FIELDS if name not in file]
        if missing:
            names = ", ".join(file) or "nothing"
            raise DataError(
                f"{path}: no {', '.join(missing)}; not in the layout of SHD (found: {names})"
            )
        for name in FIELDS:
            field(path, file, name)
    except (KeyError, OSError, RuntimeError, zlib.error) as error:
        file.close()
        raise _damaged(path, "its table of contents") from error
    except DataError:
        file.close()
        raise
    return file


def field(path: Path, file: h5py.File, name: str) -> h5py.Dataset:
    """A data set of the file, described as it must be; none of it is read."""
    data, size = file[name], path.stat().st_size
    if not isinstance(data, h5py.Dataset):
        raise DataError(f"{path}: {name} is no data set")
    if data.file.filename != file.filename or data.is_virtual or data.external:
        raise DataError(
            f"{path}: {name} lies in another file; copy it into this one, or a change there would "
            f"go unseen"
        )
    spikes = name.startswith("spikes/")
    element = h5py.check_vlen_dtype(data.dtype) if spikes else data.dtype
    if spikes and (element is None or data.ndim != 1):
        raise DataError(
            f"{path}: {name} must have one list of numbers a sample (variable length), it has "
            f"{data.dtype} of shape {data.shape}"
        )
    if element.kind not in "iuf" and name != CLASSES:
        raise DataError(f"{path}: {name} must be numbers, they are {element}")
    if data.ndim != 1:
        raise DataError(f"{path}: {name} must be a list, its shape is {data.shape}")
    length = len(data)
    if spikes and length <= size:
        length = max(length, _numbers(path, data))
    if length > size:
        raise DataError(
            f"{path}: says it has {length:,} {name} in {size:,} bytes; delete it and get it again"
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


def _damaged(path: Path, what: str) -> DataError:
    return DataError(
        f"{path}: {what} cannot be read, the file is damaged; delete it and get it again"
    )


def read(path: Path, data: h5py.Dataset, index: int | tuple[()] = ()) -> np.ndarray:
    """The numbers of a sample, or all of them."""
    try:
        return np.asarray(data[index])
    except (OSError, RuntimeError, ValueError, MemoryError) as error:
        raise _damaged(path, data.name) from error
