"""Event cameras: N-MNIST and DVS128 Gesture, read by tonic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fdi.config.parts import Count, Duration, Share, TimeStep
from fdi.data.dataset import Dataset, Split, apart, dropout, fits, keep, stream
from fdi.data.download import ensure
from fdi.data.hdf5 import saved
from fdi.data.inputs import (
    Chosen,
    DataError,
    Events,
    Frames,
    binned,
    binned_blocks,
    coordinates,
    intact,
    join,
    log,
    needs,
    steps_in,
    within,
)

LONGEST = 20.0  # s of a recording of DVS Gesture that are kept
CROPPED = 32  # recordings cropped at once


def crop_to_frames(
    events: Events, rng: np.random.Generator, *, steps: int, drop: float, binning: str
) -> Frames:
    """`steps` steps from a start drawn uniformly within each recording, without the share `drop` of
    the events, drawn too.
    """
    starts = rng.integers(0, _room(events, steps) + 1)
    return to_frames(crop(events, starts, steps, drop, binning, rng))


def middle(events: Events, steps: int) -> np.ndarray:
    """The start of the middle `steps` steps of each recording."""
    return _room(events, steps) // 2


def crop(
    events: Events,
    starts: np.ndarray,
    steps: int,
    drop: float,
    binning: str,
    rng: np.random.Generator,
) -> Events:
    """`steps` steps of each recording from step `starts` [B] on, which lie within it, each spike
    left out with probability `drop`.
    """
    place = (np.arange(len(events)) * events.steps + starts)[:, None] + np.arange(steps)
    window = replace(replace(events, steps=1).take(place.ravel()), steps=steps)
    samples, rows, units = coordinates(window)
    kept = rng.random(len(units), dtype=np.float32) >= drop
    return binned(
        samples[kept], rows[kept], units[kept], (len(events), steps), events.shape, binning
    )


def to_frames(events: Events, rng: np.random.Generator | None = None) -> Frames:
    """The same spikes as frames, uint8, counts above 255 cut to 255."""
    rows = np.repeat(np.arange(len(events) * events.steps), np.diff(events.indptr))
    inside = slice(events.indptr[0], events.indptr[-1])
    values = np.zeros((len(events) * events.steps, prod(events.shape)), dtype=np.uint8)
    values[rows, events.units[inside]] = (
        1 if events.counts is None else np.minimum(events.counts[inside], 255)
    )
    return Frames(values.reshape(len(events), events.steps, *events.shape))


def _room(events: Events, steps: int) -> np.ndarray:
    """How many steps each recording is longer than `steps`; it ends with its last spike."""
    filled = np.diff(events.indptr).reshape(len(events), events.steps) > 0
    lengths = np.where(filled.any(axis=1), events.steps - filled[:, ::-1].argmax(axis=1), 0)
    return np.maximum(lengths - steps, 0)


@keep
def recordings(name: str, root: Path, train: bool) -> Any:
    """tonic's data set `name` ("NMNIST" or "DVSGesture") as it lies in `root`, complete or not; its
    files in order of their paths.
    """
    with needs("tonic"):
        import tonic.datasets
    official = getattr(tonic.datasets, name)
    as_it_lies = type(name, (official,), {"download": lambda self: None})
    with intact(root / name, "not laid out as tonic expects", "see tonic.datasets"):
        files = as_it_lies(str(root), train=train)
    folder = Path(files.location_on_system) / files.folder_name
    if not files.data:
        raise DataError(f"{folder}: no recordings of tonic's format")
    order = np.argsort(files.data)
    files.data, files.targets = [files.data[i] for i in order], [files.targets[i] for i in order]
    return files


def read_recording(
    files: Any, index: int, sensor: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Times in seconds from the first event, x, y and polarity (0, 1) of a recording; `sensor`:
    polarities, height and width.

    Raises DataError for a file that is empty or cut short, and for events outside the sensor.
    """
    path = Path(files.data[index])
    if path.suffix == ".bin" and (path.stat().st_size == 0 or path.stat().st_size % 5):
        raise DataError(
            f"{path}: {path.stat().st_size} bytes are not a whole number of 5-byte events; the "
            f"file is cut short"
        )
    with intact(path, "cut short or not a recording"):
        events, _ = files[index]
    if not len(events):
        raise DataError(f"{path}: no events")
    times, x, y, polarity = (events[key].astype(np.int64) for key in ("t", "x", "y", "p"))
    for axis, values, size in zip(("polarity", "y", "x"), (polarity, y, x), sensor):
        within(f"{path}: {axis}", values, size)
    return (times - times.min()) * 1e-6, x, y, polarity


def nmnist(
    *,
    root: str | Path,
    duration: Duration,
    dt: TimeStep,
    binning: Literal["binary", "counts"] = "binary",
    valid: Share = 0.1,
    max_train: Count | None = None,
    max_test: Count | None = None,
    drop: Share | None = None,
    seed: int = 0,
) -> Dataset:
    """N-MNIST: digits seen by a moving event camera, 2 x 34 x 34; the first `duration` seconds in
    bins of `dt`, as events. `drop`: share of them left out, in training only.
    """
    steps, most = steps_in(duration, dt), (max_train, max_test)
    view = 34, 34, steps, dt, binning
    parts = _parts("NMNIST", ensure("nmnist", root), 60_000, valid, most, seed, view)
    train, held, tested = (Split(*part) for part in parts)
    train = replace(train, transform=dropout(drop))
    return Dataset("nmnist", train, held, tested, 10, (2, 34, 34), steps, dt)


def dvs_gesture(
    *,
    root: str | Path,
    duration: Duration,
    dt: TimeStep,
    size: Count = 32,
    drop: Share = 0.5,
    binning: Literal["binary", "counts"] = "counts",
    test_protocol: Literal["deterministic", "paper"] = "deterministic",
    valid: Share = 0.1,
    max_train: Count | None = None,
    max_test: Count | None = None,
    seed: int = 0,
) -> Dataset:
    """DVS128 Gesture: the share `drop` of the events left out, 128 pixels summed to `size`, frames
    of `dt`, a crop of `duration` seconds.

    In training crop and dropped events are drawn anew for each batch. In validation and test
    "deterministic" takes the middle and drops the same events each time; "paper" draws them as in
    training.
    """
    if 128 % size:
        raise DataError(f"dvs_gesture: size = {size} must divide 128")
    if duration > LONGEST:
        raise DataError(
            f"dvs_gesture: duration = {duration} s is longer than any recording; "
            f"at most {LONGEST} s"
        )
    steps, most = steps_in(duration, dt), (max_train, max_test)
    view = 128, size, steps_in(LONGEST, dt), dt, "counts"
    parts = _parts("DVSGesture", ensure("dvs_gesture", root), 1077, valid, most, seed, view)
    cut = partial(crop_to_frames, steps=steps, drop=drop, binning=binning)

    def fixed(whole: Events, labels: np.ndarray) -> Split:
        if test_protocol == "paper" or not len(whole):
            return Split(whole, labels, cut)
        rng, everything = stream(0, "test"), np.arange(len(whole))
        blocks = (whole.take(everything[i : i + CROPPED]) for i in range(0, len(whole), CROPPED))
        cuts = [crop(block, middle(block, steps), steps, drop, binning, rng) for block in blocks]
        return Split(join(cuts), labels, to_frames)

    train, held, tested = parts
    splits = Split(*train, cut), fixed(*held), fixed(*tested)
    return Dataset("dvs_gesture", *splits, 11, (2, size, size), steps, dt, nu_paper=9.2)


def _parts(
    name: str,
    root: Path,
    official: int,
    valid: float,
    most: tuple[int | None, int | None],
    seed: int,
    view: tuple[Any, ...],
) -> list[tuple[Events, np.ndarray]]:
    """Events and labels of the training, the validation and the test split, at `most` so many, with
    a warning unless there are `official` recordings to train on. All recordings are read and kept
    for the next seed, unless `most` limits them or they are too many.
    """
    files = [recordings(name, root, train) for train in (True, False)]
    if (there := len(files[0].data)) != official:
        said = "%s: not the official files, %d of %d training recordings"
        log.warning(said, files[0].location_on_system, there, official)
    labels, test_labels = (np.asarray(recording.targets, dtype=np.int64) for recording in files)
    train, held, tested = apart(labels, test_labels, valid, seed, *most)
    parts = []
    for trains, samples, limit in (
        (True, train, most[0]),
        (True, held, most[0]),
        (False, tested, most[1]),
    ):
        key = name, root, trains
        events: Events | None = None
        if limit is None:
            all_of_it = partial(_parts_of, *key, None, *view)
            events = saved(root, (name, trains, *view), all_of_it)
            if events is None and fits(root):
                events = _binned(*key, None, *view)
        events = Chosen(events, samples) if events else _binned(*key, samples, *view)
        parts.append((events, (labels if trains else test_labels)[samples]))
    return parts


@keep
def _binned(*view: Any) -> Events:
    return join(list(_parts_of(*view)))


def _parts_of(
    name: str,
    root: Path,
    train: bool,
    samples: np.ndarray | None,
    sensor: int,
    size: int,
    steps: int,
    dt: float,
    binning: str,
) -> Iterator[Events]:
    files = recordings(name, root, train)

    def spikes() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for i in range(len(files.data)) if samples is None else samples:
            times, x, y, polarity = read_recording(files, i, (2, sensor, sensor))
            yield times, (polarity * size + y // (sensor // size)) * size + x // (sensor // size)

    return binned_blocks(spikes(), steps, dt, (2, size, size), binning)
