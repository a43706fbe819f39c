"""Spikes as a table on disk, which is written in parts and which runs map into memory: of a file
.npz neither needs as much memory as there are data.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, cast
from zlib import crc32

import numpy as np

from fdi.config.cache import alone
from fdi.data import arrays
from fdi.data.arrays import LISTS, PARTS, Held
from fdi.data.dataset import Dataset
from fdi.data.hdf5 import DTYPES, save_table
from fdi.data.inputs import (
    ABOUT,
    BLOCK,
    PROGRESS,
    SPIKES,
    DataError,
    Events,
    Frames,
    intact,
    integers,
    reading_data,
    seconds,
    sparse,
    within,
)

BYTES = 2**23  # of an array, read at once
COPY = ".arrays"

Parts = Callable[[int], Iterator[Events]]  # from that sample on
Packable = Mapping[str, tuple[np.ndarray, Parts]]  # targets and events of train, and of test
Show = Callable[[str, int, int], None]


def pack(
    folder: Path,
    source: Any,
    options: Mapping[str, Any],
    data: Callable[[], Packable],
    show: Show,
) -> None:
    """Write `data`, known by `source` and read with `options`, into `folder`, after what is there
    of it; `show` is told the part, how many of its samples are on disk, and of how many. Raises
    DataError where there is something else.
    """
    about = json.loads(json.dumps({"source": source, "options": options}))
    folder.mkdir(parents=True, exist_ok=True)
    with alone(lock := folder / ".lock"):
        known: dict[str, Any] = {}
        try:
            if any(not path.name.startswith(".") for path in folder.iterdir()):
                for name in (PROGRESS, ABOUT):
                    with suppress(OSError, ValueError):
                        known = json.loads((folder / name).read_text())
                if {key: known.get(key) for key in about} != about:
                    raise DataError(
                        f"{folder} holds other data; delete it, or name another folder with --out"
                    )
            if not (folder / ABOUT).exists():
                known = known or {**about, "parts": {}}
                _write(folder, known, data(), show)
        finally:
            shutil.rmtree(folder / COPY, ignore_errors=True)
            lock.unlink(missing_ok=True)
            if known == {**about, "parts": {}}:
                shutil.rmtree(folder, ignore_errors=True)


def _write(folder: Path, known: dict[str, Any], data: Packable, show: Show) -> None:
    def keep(part: str, about: dict[str, Any]) -> None:
        known["parts"][part] = about
        (folder / f".{PROGRESS}").write_text(json.dumps(known))
        os.replace(folder / f".{PROGRESS}", folder / PROGRESS)
        show(part, _done(about), len(data[part][0]))

    for part, (y, parts) in data.items():
        about = known["parts"].get(part)
        if "y" in (about or ()):
            continue
        (folder / part).mkdir(exist_ok=True)
        np.save(folder / part / "y.npy", y)
        about = save_table(folder / part, parts(_done(about)), about, partial(keep, part))
        counts = folder / part / "counts"
        if about["files"]["counts"][0] and np.memmap(counts, DTYPES["counts"], "r").max() == 1:
            about["files"]["counts"] = 0, 0
        keep(part, {**about, "y": crc32(y.tobytes())})
        os.truncate(counts, about["files"]["counts"][0])
    os.replace(folder / PROGRESS, folder / ABOUT)


def _done(about: Mapping[str, Any] | None) -> int:
    return (about["files"]["indptr"][0] // 8 - 1) // about["steps"] if about else 0


def of_dataset(data: Dataset) -> Packable:
    """The training and the test set of data that have no other. Raises DataError for what is no
    spikes, or not the same ones in each epoch.
    """
    if len(data.valid):
        raise DataError(
            f"{data.name}: validation sets are drawn by runs; leave out valid and valid_file"
        )
    for split in (data.train, data.test):
        inputs = split.inputs
        if split.transform:
            raise DataError(f"{data.name}: its input is made anew for each batch, and not packed")
        if not (isinstance(inputs, Events) or (isinstance(inputs, Frames) and not inputs.currents)):
            raise DataError(
                f"{data.name} holds numbers, and only spikes are packed; is kind right?"
            )

    def parts(inputs: Any, first: int) -> Iterator[Events]:
        some = inputs.at_once(256) if isinstance(inputs, Events) else 256
        for i in range(first, len(inputs), some):
            few = inputs.take(np.arange(i, min(i + some, len(inputs))))
            yield few if isinstance(few, Events) else _sparse(few.values)

    splits = {"train": data.train, "test": data.test}
    return {name: (split.labels, partial(parts, split.inputs)) for name, split in splits.items()}


def _sparse(x: np.ndarray) -> Events:
    return replace(sparse(x.reshape(*x.shape[:2], -1)), shape=x.shape[2:])


def of_npz(
    path: Path, folder: Path, dt: float, kind: Any, names: Any, duration: Any, binning: Any
) -> Packable:
    """What fdi.data.arrays.arrays reads of the file with these options, out of a copy of its arrays
    in `folder` that is mapped into memory. Raises DataError.
    """
    where = str(path)
    there = arrays._renamed(_copied(path, folder), tuple(sorted((names or {}).items())), path)
    small = {
        key: np.array(values) for key, values in there.items() if key[:1] in "ym" or key == "shape"
    }
    small = dict(arrays._numbered(small))
    head: dict[str, Any] = {key: np.zeros(1, int) for key in small if key[0] == "y"}
    for key in there.keys() - small.keys():
        head[key] = there[key][: key[0] == "x"] if there[key].ndim else there[key]
    units = [there[f"units{part}"] for part in PARTS if f"units{part}" in there]
    head |= {"shape": small.get("shape", np.ones(1, int))} if units else {}
    shape = arrays.named_arrays(head, where, kind)[2]
    if units and "shape" not in small:
        shape = (
            1 + max(int(_largest(each, partial(integers, f"{where}: units"))) for each in units),
        )
    last = 0.0
    if "times" in there and not duration:
        last = _largest(there["times"], partial(seconds, f"{where}: times"))
    of_last = Held(None, (np.zeros(0), np.array([last]), np.zeros(0)), np.zeros(0), "spikes")
    view = shape, arrays._steps(of_last, duration, dt), dt, binning
    data: dict[str, tuple[np.ndarray, Parts]] = {}
    for part in PARTS:
        if (given := small.get(f"y{part}")) is None:
            continue
        y = arrays.targets(f"{where}: y{part}", given, small.get(f"mask{part}"))
        if (x := there.get(f"x{part}")) is not None:
            parts = _frames(x, len(y), where, kind)
        else:
            parts = _events([there[f"{key}{part}"] for key in LISTS], len(y), where, view)
        data["test" if part else "train"] = y, parts
    return data


def _copied(path: Path, folder: Path) -> dict[str, np.ndarray]:
    place = folder / COPY
    with (
        intact(path, "cannot be read as arrays", "write it with numpy.savez(file, x=x, y=y)"),
        reading_data(f"{path}, copied to {place},"),
        zipfile.ZipFile(path) as file,
    ):
        names = {name.removesuffix(".npy"): name for name in file.namelist()}
        return {key: np.load(file.extract(name, place), "r") for key, name in names.items()}


def _chunks(values: np.ndarray) -> Iterator[np.ndarray]:
    return (values[i : i + BYTES // 8] for i in range(0, len(values), BYTES // 8))


def _largest(values: np.ndarray, checked: Callable[[np.ndarray], np.ndarray]) -> float:
    return max((checked(chunk).max() for chunk in _chunks(values)), default=0)


def _frames(x: np.ndarray, samples: int, where: str, kind: Any) -> Parts:
    if len(x) != samples:
        raise DataError(f"{where}: {len(x)} samples but {samples} labels")

    def parts(first: int) -> Iterator[Events]:
        some = max(1, BYTES // 8 // max(1, prod(x.shape[1:])))
        for i in range(first, samples, some):
            few = x[i : i + some]
            held = arrays.named_arrays({"x": few, "y": np.zeros(len(few), int)}, where, kind)[0]
            if held.kind != "spikes" or held.x is None:
                raise DataError(f"{where} holds {held.kind}, and only spikes are packed")
            yield _sparse(held.x)

    return parts


def _events(lists: list[np.ndarray], samples: int, where: str, view: tuple[Any, ...]) -> Parts:
    if len({len(each) for each in lists}) > 1:
        raise DataError(f"{where}: samples, times and units must have an entry for each spike")
    ends, last = np.zeros(samples, np.int64), 0
    for chunk in _chunks(lists[0]):
        owners = within(f"{where}: samples", integers(f"{where}: samples", chunk), samples)
        if owners[0] < last or (np.diff(owners) < 0).any():
            raise DataError(f"{where}: samples must ascend; sort the events by sample")
        ends += np.bincount(owners, minlength=samples)
        last = owners[-1]
    ends = np.cumsum(ends)

    def parts(first: int) -> Iterator[Events]:
        while first < samples:
            start = ends[first - 1] if first else 0
            end = max(first + 1, int(np.searchsorted(ends, start + SPIKES, "right")))
            end = min(end, first + BLOCK)
            few = dict(zip(LISTS, (each[start : ends[end - 1]] for each in lists)))
            few |= {"samples": few["samples"] - first, "y": np.zeros(end - first, int)}
            held = arrays.named_arrays({**few, "shape": np.array(view[0])}, where)[0]
            yield cast(Events, arrays._inputs(held, *view))
            first = end

    return parts
