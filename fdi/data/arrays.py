"""Spikes, counts, currents and images that lie in memory, with labels: arrays, lists of events,
data sets of torch and tonic, in a file .npz or .csv, or in a folder of recordings.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any, Literal, NamedTuple
from zipfile import ZipFile
from zlib import crc32

import numpy as np

from fdi.config.parts import Count, Duration, Fraction, Positive, Share, TimeStep
from fdi.data.dataset import Dataset, Split, apart, divide, drawn, keep, stream
from fdi.data.inputs import (
    ABOUT,
    CERTAIN,
    PROGRESS,
    Constant,
    DataError,
    Events,
    Frames,
    Input,
    Kind,
    Mapped,
    bin_recordings,
    intact,
    integers,
    kind_of,
    seconds,
    sparse,
    steps_in,
    within,
)
from fdi.data.series import by_number, delta_spikes, labelled_sounds
from fdi.data.targets import targets

FORMS = "(samples, T, units) or (samples, T, C, H, W)"
IMAGES = "(samples, units) or (samples, C, H, W)"
LISTS = ("samples", "times", "units")  # of events, an entry per spike; times in s
PARTS = ("", "_test")
MEANT = {
    "x": ("x", "data", "input", "inputs", "images", "spikes", "features"),
    "y": ("y", "label", "labels", "target", "targets", "classes"),
}
LONGEST_TRIAL = 1e3  # s, as fdi.config.parts.Duration
MOST_UNITS = 2**31  # of a sample in one step
MOST_DENSE = 0.3  # share of non-zero numbers from which counts are kept as they are
THRESHOLD = 0.25  # standard deviations

Data = Mapping[str, Any] | Sequence[Any] | Any


class Held(NamedTuple):
    """What a file holds of one part: `x`, or `events`, as in LISTS or of steps, and targets."""

    x: np.ndarray | None
    events: tuple[np.ndarray, ...] | Events | None
    y: np.ndarray
    kind: Kind


def arrays(
    *,
    file: str | Path,
    dt: TimeStep,
    kind: Kind | None = None,
    standardize: bool = False,
    coding: Literal["delta"] | None = None,
    threshold: Positive | None = None,
    names: Mapping[str, str] | None = None,
    duration: Duration | None = None,
    binning: Literal["binary", "counts"] = "binary",
    valid: Share = 0.1,
    test: Fraction = 0.2,
    max_train: Count | None = None,
    max_test: Count | None = None,
    name: str = "arrays",
    seed: int = 0,
) -> Dataset:
    """The arrays of a `file` .npz: `x` (samples, T, units) or (samples, T, C, H, W), T steps of
    `dt` seconds, and targets `y`: classes (samples,) or of each step (samples, T), from 0 on or
    words, or numbers, floats (samples, outputs) or (samples, T, outputs); `mask` (samples, T), the
    steps that count, if not all do; and the same with `_test` if there is a test set. `names`: how
    the file calls them, where otherwise. A file .csv has a row for each step, with `sample`,
    `label` or numbers `target/0`, `target/1`, .., and a column for each unit; a label or numbers
    that change within a sample are those of each step. A folder has recordings, see
    fdi.data.series.labelled_sounds, or is what `fdi-data pack` wrote.

    `kind` of x: spikes (Poisson spikes), counts, currents or images (samples, units) or (samples,
    C, H, W), the input of all steps of `duration`. None: 0 and 1 alone are spikes, numbers with
    signs or fractions currents, and others must be declared. `standardize`: each unit of currents,
    counts or images in units of its standard deviation around its mean, of the training set;
    channels, of maps. `coding` "delta": spikes where a standardized value has moved by `threshold`
    (None: 0.25), see fdi.data.series.delta_spikes.

    In place of `x` events, an entry for each spike: `samples` (which it belongs to), `times` (s)
    and `units`, and `shape`, that of a sample in one step, unless it is the largest unit + 1;
    `duration` (s) is that of their trial, None until the last spike of training, and `binning` what
    a step holds of several spikes of a unit. `test`: share of all samples, the same in all runs,
    where there is no test set. `valid`: share of the training set, drawn with `seed`.
    """
    options = {key: value for key, value in locals().items() if key not in ("file", "names")}
    path = Path(file).expanduser()
    if (path / ABOUT).is_file() or (path / PROGRESS).is_file():
        read = _packed(path, {**options, "names": names or None})
    elif path.is_dir():
        read = named_arrays(labelled_sounds(path, dt, options.pop("duration")), str(path), kind)
    else:
        reader = read_csv if path.suffix.lower() == ".csv" else read_npz
        read = reader(path, kind, tuple(sorted((names or {}).items())))
    return _dataset(read, str(file), **options)


def _packed(folder: Path, options: Mapping[str, Any]) -> Read:
    """As `read_npz`, mapped into memory, of what fdi.data.packed wrote. Raises DataError."""
    parts, asked = read_packed(folder)
    steps = parts[0][1].steps
    for key, value in {**asked, "names": None, "duration": steps * asked["dt"]}.items():
        given = options[key]
        same = key == "duration" and given and round(given / asked["dt"]) == steps
        if not (given in (None, value) or same):
            raise DataError(
                f"dataset.{key} = {given}: {folder} was packed with {value}; say that, or pack the "
                f"data again"
            )
    held = [Held(None, events, y, "spikes") for y, events in parts]
    return held[0], held[1] if len(held) > 1 else None, parts[0][1].shape


@keep
def read_packed(folder: Path) -> tuple[tuple[tuple[np.ndarray, Mapped], ...], dict[str, Any]]:
    """Targets and events of each part, and the options with which they were packed."""
    from fdi.data.hdf5 import mapped

    if not (folder / ABOUT).is_file():
        raise DataError(f"{folder} was not packed to its end; give the same fdi-data pack again")
    parts = []
    with intact(folder, "damaged", "delete it and pack the data again"):
        about = json.loads((folder / ABOUT).read_text())
        for name, known in about["parts"].items():
            y = np.load(folder / name / "y.npy")
            if crc32(y.tobytes()) != known["y"]:
                raise ValueError(f"y.npy of {name} was changed")
            parts.append((y, mapped(folder / name, known)))
        return tuple(parts), about["options"]


def from_torch(
    name: str, train: Any, test: Any = None, *, dt: float, kind: Kind | None = None, **options: Any
) -> Dataset:
    """A data set of torch or tonic, or two, for training and test, each with len() and [i] ->
    (sample, label), held in memory. A sample: [T, units] or [T, C, H, W]; [units] or [C, H, W] with
    `kind="images"`; a structured array of tonic's events, where the data set has their
    `sensor_size` (width, height, polarities). Other arguments as of `arrays`. Raises DataError.
    """
    given = train if test is None else (train, test)
    read = named_arrays(content(given, kind), name, kind)
    return _dataset(read, name, dt=dt, kind=kind, name=name, **options)


def _dataset(
    read: Read,
    where: str,
    *,
    dt: float,
    kind: Kind | None,
    name: str,
    standardize: bool = False,
    coding: str | None = None,
    threshold: float | None = None,
    duration: float | None = None,
    binning: str = "binary",
    valid: float = 0.1,
    test: float = 0.2,
    max_train: int | None = None,
    max_test: int | None = None,
    seed: int = 0,
) -> Dataset:
    train, tested, shape = read
    if tested is None:
        share, tested = valid * (1 - test), train
        samples = divide(train.y, share, test, stream(0, "test"), seed, max_train)
    else:
        samples = apart(train.y, tested.y, valid, seed, max_train, max_test)
    steps = _steps(train, duration, dt)
    if len({train.kind, tested.kind}) > 1:
        raise DataError(
            f"{where}: x holds {train.kind} and x_test {tested.kind}; give dataset.kind"
        )
    if (standardize or coding) and train.kind == "spikes":
        raise DataError(
            f"{where}: spikes are neither standardized nor coded; is dataset.kind right?"
        )
    parts = [train] if tested is train else [train, tested]
    said = f"{name}: the input is {train.kind}"
    if kind is None and train.x is not None:
        said += f" ({CERTAIN[train.kind]})"
    said += f", of {steps} steps of dataset.dt = {dt:g} s"
    if standardize or coding:
        parts = standardized(parts, np.concatenate(samples[:2]))
        said += ", standardized by the training set"
    inputs = [_inputs(part, shape, steps, dt, binning) for part in parts]
    if coding:
        if not all(isinstance(each, Frames) and len(each.shape) == 1 for each in inputs):
            raise DataError(f"{where}: dataset.coding = {coding} is for x (samples, T, units)")
        said += ", as spikes by delta coding"
        inputs = [
            delta_spikes(each.values, np.full(len(each), steps), threshold or THRESHOLD)
            for each in inputs
            if isinstance(each, Frames)
        ]
    splits = [Split(each, part.y) for each, part in zip(inputs, parts)]
    outputs = train.y.shape[-1] if train.y.dtype.kind == "f" else int(train.y.max()) + 1
    data = drawn(name, splits[0], splits[-1], samples, outputs, dt)
    return replace(data, said=said)


def standardized(parts: Sequence[Held], training: np.ndarray) -> list[Held]:
    """In units of the standard deviation around the mean of the samples `training` of the first
    part, of each unit, or of each channel of maps.
    """
    x = parts[0].x
    assert x is not None
    units = {5: 2, 4: 1}.get(x.ndim, x.ndim - 1)
    axes = tuple(axis for axis in range(x.ndim) if axis != units)
    learned = x[training].astype(np.float64)
    mean, deviation = learned.mean(axes, keepdims=True), learned.std(axes, keepdims=True)
    deviation[deviation == 0] = 1.0
    kind: Kind = "images" if parts[0].kind == "images" else "currents"
    return [
        part._replace(x=((part.x - mean) / deviation).astype(np.float32), kind=kind)
        for part in parts
    ]


def _steps(given: Held, duration: float | None, dt: float) -> int:
    if given.kind == "images":
        if duration is None:
            raise DataError("dataset.kind = images: give dataset.duration, how long each is shown")
        return steps_in(duration, dt)
    if given.x is not None:
        if duration is not None:
            raise DataError(
                f"dataset.duration = {duration}: x has {given.x.shape[1]} steps, of dataset.dt "
                f"each; leave it out"
            )
        return int(given.x.shape[1])
    assert given.events is not None
    if isinstance(given.events, Events):
        return given.events.steps
    times = given.events[1]
    if duration is None:
        if (last := times.max(initial=0)) > LONGEST_TRIAL:
            raise DataError(
                f"a spike at {last:g} s; times are in seconds, at most {LONGEST_TRIAL:g}, or give "
                f"dataset.duration"
            )
        return int(np.floor(last / dt + 1e-6)) + 1
    return max(1, round(duration / dt))


def _inputs(given: Held, shape: tuple[int, ...], steps: int, dt: float, binning: str) -> Input:
    if isinstance(given.events, Events):
        return given.events
    if given.events is not None:
        samples, times, units = given.events
        order = np.argsort(samples, kind="stable")
        ends = np.cumsum(np.bincount(samples, minlength=len(given.y)))[:-1]
        each = zip(np.split(times[order], ends), np.split(units[order], ends))
        return bin_recordings(each, steps, dt, shape, binning)
    x = given.x
    assert x is not None
    if given.kind == "images":
        return Constant(x, steps)
    if given.kind in ("counts", "currents"):
        return Frames(x, currents=True)
    if np.count_nonzero(x) > MOST_DENSE * x.size:
        return Frames(x)
    events = sparse(x.reshape(len(x), steps, -1))
    ones = events.counts is not None and (events.counts == 1).all()
    return Events(events.indptr, events.units, shape, steps, None if ones else events.counts)


Read = tuple[Held, Held | None, tuple[int, ...]]
Names = tuple[tuple[str, str], ...]


@keep
def read_npz(path: Path, kind: Kind | None = None, names: Names = ()) -> Read:
    """Training set, test set or None, and the shape of a sample in one step. Raises DataError for
    what does not fit the description in `arrays`.
    """
    if path.suffix.lower() in (".h5", ".hdf5"):
        raise DataError(
            f"{path}: dataset=arrays reads .npz: numpy.savez(file, x=x, y=y) writes arrays there; "
            f"spikes/times, spikes/units and labels are read by dataset=hdf5 "
            f"dataset.root={path.parent} dataset.train_file={path.name} dataset.test_file=NAME"
        )
    with (
        intact(path, "cannot be read as arrays", "write it with numpy.savez(file, x=x, y=y)"),
        ZipFile(path),  # else numpy takes text for a pickle
        np.load(path, allow_pickle=False) as packed,
    ):
        content = {key: np.asarray(packed[key]) for key in packed.files}
    return named_arrays(_renamed(content, names, path), str(path), kind)


@keep
def read_csv(path: Path, kind: Kind | None = None, names: Names = ()) -> Read:
    """As `read_npz`."""
    import pandas as pd  # which takes time to load

    with intact(path, "cannot be read as a table", "write it with pandas.DataFrame.to_csv"):
        table = pd.read_csv(path)
    columns = _renamed({str(key): table[key].to_numpy() for key in table}, names, path)
    numbers = [key for key in columns if key.startswith("target/")]
    numbers.sort(key=lambda key: by_number(key.partition("/")[2]))
    if lacking := {"sample", *(numbers or ["label"])} - columns.keys():
        raise DataError(
            f"{path}: no column {min(lacking)}; name it with dataset.names={{{min(lacking)}: ..}}"
        )
    owner, answers = columns.pop("sample"), [columns.pop(key) for key in numbers or ["label"]]
    if words := [key for key, column in columns.items() if column.dtype.kind not in "biuf"]:
        raise DataError(f"{path}: column {words[0]} holds no numbers; leave it out")
    starts = np.flatnonzero(np.append(True, owner[1:] != owner[:-1]))
    lengths = np.diff(np.append(starts, len(owner)))
    if not columns or len(set(lengths.tolist())) != 1:
        raise DataError(
            f"{path}: {len(columns)} columns of input, samples of {lengths.min()} to "
            f"{lengths.max()} rows; all must have equally many, one after the other"
        )
    x = np.stack([*columns.values()], axis=1).reshape(len(starts), lengths[0], -1)
    if not np.isfinite(x.astype(np.float64)).all():
        raise DataError(f"{path}: a value is missing; fill it in")
    y = np.stack(answers, axis=-1).reshape(*x.shape[:2], -1)
    y = y.astype(np.float64) if numbers else y[..., 0].astype(str)
    of_samples = ((y == y[:, :1]) | (y != y)).all()
    return named_arrays({"x": x, "y": y[:, 0] if of_samples else y}, str(path), kind)


def _renamed(content: dict[str, np.ndarray], names: Names, path: Path) -> dict[str, np.ndarray]:
    """By our names; what a file that is named by others has besides them is left out."""
    if missing := [theirs for _, theirs in names if theirs not in content]:
        raise DataError(f"{path}: dataset.names has {missing[0]}; there is {', '.join(content)}")
    given = {ours: content[theirs] for ours, theirs in names}
    if path.suffix.lower() == ".csv":
        return given | {k: v for k, v in content.items() if k not in dict(names).values()}
    if not given and "y" not in content and (guess := _meant(content)):
        raise DataError(f"{path}: no x and y; did you mean 'dataset.names={{{guess}}}'?")
    return given or content


def _meant(content: Iterable[str]) -> str:
    """The names of x and y, and of a test set, as dataset.names has them: X_train, test_labels."""
    meant: dict[str, str] = {}
    for key in content:
        words = re.split(r"[\W_]+|(?<=[a-z])(?=[A-Z])", key)
        kinds = [ours for word in words for ours, theirs in MEANT.items() if word.lower() in theirs]
        test = "_test" if "test" in key.lower() else ""
        meant |= {f"{ours}{test}": key for ours in kinds[:1]}
    both = {"x", "y"} <= meant.keys()
    return ", ".join(f"{ours}: {key}" for ours, key in meant.items()) if both else ""


def named_arrays(content: Mapping[str, np.ndarray], where: str, kind: Kind | None = None) -> Read:
    """The arrays of a file, or for one, by the names that they have there."""
    known = {"shape", *(f"{key}{part}" for key in ("x", "y", "mask", *LISTS) for part in PARTS)}
    if unknown := content.keys() - known:
        raise DataError(f"{where}: no use for {min(unknown)}; give x and y, and x_test and y_test")
    content = _numbered(content)
    train = _part(content, "", where, kind)
    if train is None:
        raise DataError(f"{where}: no y; give the label of each sample")
    tested = _part(content, "_test", where, kind)
    parts = [part for part in (train, tested) if part]
    if len({part.x is None for part in parts}) > 1:
        raise DataError(f"{where}: give both training and test set as x, or both as events")
    if train.x is not None:
        forms = {part.x.shape[1:] for part in parts if part.x is not None}
        if len(forms) > 1:
            raise DataError(
                f"{where}: samples of x {train.x.shape[1:]} differ from those of x_test"
            )
        return train, tested, train.x.shape[1 if train.kind == "images" else 2 :]
    units = [part.events[2] for part in parts if isinstance(part.events, tuple)]
    most = 1 + max(int(each.max(initial=-1)) for each in units)
    sizes = np.atleast_1d(content.get("shape", most))
    shape = tuple(integers(f"{where}: shape", sizes).tolist())
    if min(shape) < 1 or prod(shape) >= MOST_UNITS:
        raise DataError(f"{where}: shape = {shape} must be 1 to {MOST_UNITS:,} units")
    for each in units:
        within(f"{where}: a unit", each, prod(shape))
    return train, tested, shape


def _numbered(content: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """Labels that are words by their place in the order of the alphabet, or of their numbers."""
    keys = [key for key in ("y", "y_test") if key in content and content[key].dtype.kind in "US"]
    given = {key: content[key].astype(str).ravel().tolist() for key in keys}
    words = {word for each in given.values() for word in each}
    places = {word: i for i, word in enumerate(sorted(words, key=by_number))}
    numbers = {key: np.array([places[word] for word in given[key]]) for key in keys}
    return {**content, **{key: numbers[key].reshape(content[key].shape) for key in keys}}


def _part(
    content: Mapping[str, np.ndarray], part: str, where: str, kind: Kind | None
) -> Held | None:
    """Training or test set, `part` is at the end of their names; None if there is no such y."""
    there = {
        key: content[f"{key}{part}"]
        for key in ("x", "y", "mask", *LISTS)
        if f"{key}{part}" in content
    }
    if not there:
        return None
    if "y" not in there:
        raise DataError(f"{where}: no y{part}; give the label of each sample")
    y = targets(f"{where}: y{part}", there.pop("y"), there.pop("mask", None))
    if there.keys() == {"x"}:
        what = f"{where}: x{part}"
        x = _dense(there["x"], len(y), what, kind)
        kind = kind_of(x, kind, what, "kind")
        numbers = x if kind in ("spikes", "counts") else x.astype(np.float32, copy=False)
        return Held(numbers, None, y, kind)
    if there.keys() != set(LISTS):
        raise DataError(f"{where}: give x{part}, or {', '.join(key + part for key in LISTS)}")
    samples, units = (integers(f"{where}: {key}{part}", there[key]) for key in ("samples", "units"))
    times = seconds(f"{where}: times{part}", there["times"])
    if not samples.shape == times.shape == units.shape:
        raise DataError(f"{where}: samples, times and units must have an entry for each spike")
    if kind not in (None, "spikes"):
        raise DataError(f"{where}: kind = {kind}, and events are spikes")
    events = within(f"{where}: samples{part}", samples, len(y)), times, units
    return Held(None, events, y, "spikes")


def _dense(x: np.ndarray, samples: int, what: str, kind: Kind | None) -> np.ndarray:
    """Counts as they are, currents as float32."""
    images = kind == "images"
    if x.ndim not in ((2, 4) if images else (3, 5)) or x.dtype.kind not in "biuf" or not x.size:
        hint = "; images, declared by kind=images, are " + IMAGES if x.ndim in (2, 4) else ""
        raise DataError(
            f"{what} must be {IMAGES if images else FORMS}, it is {x.dtype} {x.shape}{hint}"
        )
    if len(x) != samples:
        raise DataError(f"{what}: {len(x)} samples but {samples} labels")
    if x.dtype.kind == "b":
        return x.astype(np.uint8)
    currents = x.dtype.kind == "f" or (x.dtype.kind == "i" and x.min() < 0)
    return x.astype(np.float32) if currents else x


def content(data: Data, kind: Kind | None = None) -> dict[str, np.ndarray]:
    """`data` of this `kind` by the names that it has in a file, see `arrays`; checked.

    `data`: x and y; x, y, x_test and y_test; a data set of torch or tonic, or two, for training and
    test, each with len() and [i] -> (sample, label); or a mapping with names as in `arrays`. Each x
    is an array or a tensor, or a list with (times in s, units) of each sample. Raises DataError.
    """
    if isinstance(data, Mapping):
        named = dict(data)
    else:
        pair = data if isinstance(data, tuple | list) and len(data) in (2, 4) else (data,)
        if len(pair) == 1 or (len(pair) == 2 and not _labels_of(pair[1])):
            named = {}
            for part, samples in zip(PARTS, pair):
                named |= _of_torch(samples, part)
        else:
            named = dict(zip(("x", "y", "x_test", "y_test"), pair))
    by_name: dict[str, np.ndarray] = {}
    for key, value in named.items():
        if key.startswith("x") and isinstance(value, list | tuple):
            by_name |= _of_lists(value, key.removeprefix("x"))
        else:
            by_name[key] = np.asarray(value)
    named_arrays(by_name, "data", kind)
    return by_name


def hash_arrays(content: Mapping[str, np.ndarray]) -> str:
    """16 hex digits of a hash over names and numbers."""
    total = hashlib.blake2b(digest_size=8)
    for key, array in sorted(content.items()):
        total.update(f"{key}{array.dtype}{array.shape}".encode())
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()


def _labels_of(y: Any) -> bool:
    """Whether `y` are targets, and not a second data set."""
    if not (hasattr(y, "dtype") or isinstance(y, list | tuple)):
        return False
    try:
        labels = np.asarray(y)
    except (ValueError, TypeError, RuntimeError):
        return False
    return labels.ndim in (1, 2, 3) and labels.dtype.kind in "iufUS"


def _of_lists(samples: Sequence[Any], part: str) -> dict[str, np.ndarray]:
    """(times, units) of each sample as entries of each spike."""
    try:
        times = [np.asarray(t, dtype=np.float64) for t, _ in samples]
        units = [np.asarray(u) for _, u in samples]
    except (TypeError, ValueError) as error:
        raise DataError(
            f"data: x{part} must be an array, or a list with (times in s, units) of each sample "
            f"({error})"
        ) from None
    for number, (t, u) in enumerate(zip(times, units)):
        if t.ndim != 1 or t.shape != u.shape:
            raise DataError(f"data: sample {number} has {t.shape} times and {u.shape} units")
    owners = np.repeat(np.arange(len(times)), [len(t) for t in times])
    none = [np.zeros(0, np.int64)]
    values = owners, np.concatenate(times or none), np.concatenate(units or none)
    return {f"{key}{part}": value for key, value in zip(LISTS, values)}


def _of_torch(data: Any, part: str) -> dict[str, np.ndarray]:
    """A data set of torch, with samples (T, units) or (T, C, H, W), or one of tonic with events."""
    try:
        pairs = [data[i] for i in range(len(data))]
        samples = [np.asarray(sample) for sample, _ in pairs]
        labels = np.array([y if isinstance(y, str) else np.asarray(y) for _, y in pairs])
    except (TypeError, ValueError, IndexError) as error:
        raise DataError(
            f"data = {type(data).__name__} must be (x, y), (x, y, x_test, y_test), or a data set "
            f"with len() and [i] -> (sample, label) ({error})"
        ) from None
    named = {f"y{part}": labels}
    if not samples or samples[0].dtype.names is None:
        if len({sample.shape for sample in samples}) > 1:
            raise DataError("data: samples of different shapes; cut or pad them to one length")
        return named | {f"x{part}": np.stack(samples) if samples else np.zeros((0, 0, 0))}
    size = getattr(data, "sensor_size", None)
    if not size or len(size) != 3:
        raise DataError(f"data: sensor_size = {size} must be width, height and polarities")
    width, height, polarities = size
    shape = (width,) if height == polarities == 1 else (polarities, height, width)
    lists = []
    for events in samples:
        there = {name: events[name].astype(np.int64) for name in events.dtype.names or ()}
        p, y = (there.get(name, np.int64(0)) for name in "py")
        units = ((p * (polarities > 1)) * height + y) * width + there["x"]
        what = f"data: a unit of the sensor {tuple(size)}"
        lists.append((events["t"] * 1e-6, within(what, units, prod(shape))))
    return named | {"shape": np.array(shape)} | _of_lists(lists, part)
