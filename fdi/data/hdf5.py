"""Any pair (or triple) of files in the HDF5 layout of SHD, as events. The tables of large files are
kept on disk for the next run and mapped into memory: all processes of a machine share one copy, and
a start reads nothing but what its batches need.

A table belongs to a file as it is (fdi.config.cache.Stamp), to what was asked of it, and to the
code that read it. It lies in the user's cache, appears there as a whole with its checksums, which
each process compares when it opens it, and may be deleted at any time; where it cannot be written,
each process reads the file into a memory of its own, after a line that says so.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import IO, Any, Literal
from zlib import crc32

import h5py
import numpy as np

from fdi.config.cache import TABLES, alone, cache_folder, code_in
from fdi.config.parts import Count, Duration, Positive, Share, TimeStep
from fdi.data.dataset import (
    Dataset,
    Split,
    dropout,
    fits,
    keep,
    speakers_apart,
    stamps,
    stream,
    subset,
    train_valid,
)
from fdi.data.inputs import (
    ABOUT,
    BLOCK,
    Chosen,
    DataError,
    Events,
    Mapped,
    binned_blocks,
    class_labels,
    intact,
    integers,
    join,
    log,
    seconds,
    steps_in,
    within,
)

FIELDS = ("spikes/times", "spikes/units", "labels")
CLASSES, SPEAKER = "extra/keys", "extra/speaker"


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """The file, open: it has all fields. Whatever h5py cannot read in it meanwhile is one line."""
    with intact(path, "empty, damaged or not HDF5"), h5py.File(path, "r") as file:
        if missing := [name for name in FIELDS if file.get(name) is None]:
            names = ", ".join(file) or "nothing"
            raise DataError(
                f"{path}: no {', '.join(missing)}; not in the layout of SHD (found: {names}); "
                f"arrays belong into a file .npz for dataset=arrays"
            )
        yield file


def lists(data: h5py.Dataset, samples: Sequence[int] | np.ndarray) -> Iterator[np.ndarray]:
    """The list of each of the samples, which are in ascending order; a BLOCK is read at once, six
    times as fast as one by one.
    """
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
def read_speakers(path: Path) -> np.ndarray:
    """The number of the speaker of each sample [n]. Raises DataError for a file without them."""
    with opened(path) as file:
        if SPEAKER not in file:
            raise DataError(
                f"{path}: no {SPEAKER}, so nobody knows whose samples these are; use "
                f"dataset.split=samples"
            )
        speakers = integers(f"{path}: speaker", file[SPEAKER][()])
        if len(speakers) != len(file["labels"]):
            raise DataError(f"{path}: {len(speakers)} {SPEAKER} for {len(file['labels'])} labels")
    return speakers


@keep
def largest_unit(path: Path) -> int:
    """The largest unit that spikes anywhere in the file, -1 if none does."""
    with opened(path) as file:
        units = file["spikes/units"]
        maxima = (
            int(numbers.max())
            for i, u in enumerate(lists(units, range(len(units))))
            if len(numbers := integers(f"{path}: unit of sample {i}", u))
        )
        largest = max(maxima, default=-1)
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
        of_times, of_units = (lists(file[f"spikes/{key}"], chosen) for key in ("times", "units"))
        for i, at, given in zip(chosen, of_times, of_units):
            what, hint = f"{path}: sample {i}", "; is dataset.channels right?"
            units = within(f"{what}: unit", integers(f"{what}: unit", given), channels, hint)
            if len(at) != len(units):
                raise DataError(f"{what} has {len(at)} times but {len(units)} units")
            times = seconds(f"{what}: time", at)
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


Division = Literal["samples", "speakers"]


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
    split: Division = "samples",
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
    `valid` of the training file validates, stratified, or with `split` by "speakers" that share of
    its speakers. `drop`: share of the spikes left out, drawn for each batch of training.
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
    if split == "samples":
        train, held = train_valid(labels, 0.0 if valid_file else valid, seed, max_train=max_train)
    elif valid_file:
        raise DataError(
            f"split = {split} holds speakers of {train_path.name} out, but {valid_path.name} "
            f"validates; leave one of them out"
        )
    else:
        whose = read_speakers(train_path)
        train, held = speakers_apart(labels, whose, valid, seed, max_train=max_train)
    valid_labels = labels
    if valid_file:
        valid_labels, _ = read_header(valid_path)
        held = np.arange(len(valid_labels))
    tested = subset(test_labels, max_test, stream(0, "test"))

    view = channels, steps, dt, binning

    def part(path: Path, labels: np.ndarray, samples: np.ndarray, most: int | None) -> Split:
        every: Events | None = None
        if most is None:
            every = saved(path, view, lambda: parts(path, None, view))
            if every is None and fits(path):
                every = read_events(path, None, view)
        events = Chosen(every, samples) if every is not None else read_events(path, samples, view)
        return Split(events, labels[samples])

    return Dataset(
        name,
        replace(part(train_path, labels, train, max_train), transform=dropout(drop)),
        part(valid_path, valid_labels, held, None if valid_file else max_train),
        part(test_path, test_labels, tested, max_test),
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
        packed = "; unpack those in .gz, as with gunzip -k" * any(root.glob(f"{pattern}.gz"))
        raise DataError(
            f"{root}: {len(fitting)} files fit {pattern}, expected one (there: {names}){packed}"
        )
    return fitting[0]


LARGE = 2**24  # bytes of a file whose table is kept; smaller ones are read in no time
DTYPES = {"indptr": "<i8", "units": "<i4", "counts": "<f4"}  # of numbers, a file each


def saved(path: Path, view: tuple[Any, ...], read: Callable[[], Iterator[Events]]) -> Events | None:
    """The table of a file or folder in this `view`, after `read`, which yields it in parts, has
    written it if it is not there. None for little data, and where nothing can be written.
    """
    path = path.resolve()
    before = stamps(path)
    if sum(file.size for file in before) < LARGE:
        return None
    name = f"{path.stem}-{_hash(*before, *view)}"
    try:
        home = cache_folder(TABLES)
        if there := _opened(home / name):
            return there
        with alone(home / f".{name}.lock"):
            if there := _opened(home / name):  # another process was faster
                return there
            _write(home, name, read(), lambda: stamps(path) == before)
            return _opened(home / name)
    except OSError as error:
        _say(f"{path}: not kept for other runs, each reads it into its own memory ({error})")
        return None


def _hash(*options: Any) -> str:
    """With the code that makes a table of a file."""
    files = [Path(__file__).with_name(f"{name}.py") for name in ("hdf5", "cameras", "inputs")]
    return hashlib.blake2b(repr((code_in(files), options)).encode(), digest_size=12).hexdigest()


@cache
def _say(line: str) -> None:
    log.warning(line)


def _opened(folder: Path) -> Events | None:
    """The table in `folder`; None where there is none, or one that is damaged, which is deleted."""
    if not folder.is_dir():
        return None
    with suppress(OSError, ValueError, KeyError, TypeError, EOFError):
        about, seal = json.loads((folder / ABOUT).read_text())
        if seal != _hash(json.dumps(about)):
            raise ValueError(folder)
        return mapped(folder, about)
    shutil.rmtree(folder, ignore_errors=True)
    return None


def mapped(folder: Path, about: Mapping[str, Any]) -> Mapped:
    """The table in `folder`, of which `about` is what `save_table` returned; raises ValueError if
    it is damaged.
    """
    arrays = {"units": np.zeros(0, DTYPES["units"])}
    for name, (size, checksum) in about["files"].items():
        if size:
            arrays[name] = np.asarray(np.memmap(folder / name, DTYPES[name], "r"))
            if (arrays[name].nbytes, crc32(arrays[name].data)) != (size, checksum):
                raise ValueError(f"{name} was changed")
    counts = arrays.get("counts")
    return Mapped(arrays["indptr"], arrays["units"], tuple(about["shape"]), about["steps"], counts)


def _write(home: Path, name: str, parts: Iterator[Events], unchanged: Callable[[], bool]) -> None:
    """Write a table under another name, put it on disk and rename it, if the file that it comes
    from is still `unchanged`.
    """
    for left in home.glob(f".{name}-*"):  # of a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=home))
    try:
        about = save_table(folder, parts)
        with (folder / ABOUT).open("w") as file:
            json.dump([about, _hash(json.dumps(about))], file)
            _sync(file)
        if unchanged() and not (home / name).exists():
            os.replace(folder, home / name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def save_table(
    folder: Path,
    parts: Iterable[Events],
    begun: Mapping[str, Any] | None = None,
    keep: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Write a table in `parts`, after those of which `begun` is what `keep` was told when they were
    on disk; returns what is known of it.
    """
    start = bytes(8)
    empty = dict.fromkeys(DTYPES, (0, 0)) | {"indptr": (8, crc32(start))}
    about: dict[str, Any] = dict(begun or {"files": empty})
    with ExitStack() as stack:
        files = {name: stack.enter_context((folder / name).open("ab")) for name in DTYPES}
        for name, file in files.items():
            file.truncate(about["files"][name][0] if begun else 0)
        if not begun:
            files["indptr"].write(start)
        for part in parts:
            known, end = about["files"], about["files"]["units"][0] // 4
            columns = part.indptr[1:] + end, part.units, part.counts
            for (name, kind), numbers in zip(DTYPES.items(), columns):
                if numbers is not None:
                    written = np.ascontiguousarray(numbers, kind)
                    files[name].write(written.data)
                    size, total = known[name]
                    known[name] = size + written.nbytes, crc32(written.data, total)
            about |= {"shape": part.shape, "steps": part.steps}
            if keep:
                _sync(*files.values())
                keep(about)
        _sync(*files.values())
    return about


def _sync(*files: IO[Any]) -> None:
    for file in files:
        file.flush()
        os.fsync(file.fileno())
