"""Event cameras: N-MNIST and DVS128 Gesture, read by tonic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fdi.config.ranges import Count, Duration, Share, TimeStep
from fdi.data.augment import dropout
from fdi.data.binning import bin_recordings, join, steps_in
from fdi.data.crop import crop, crop_to_frames, middle, to_frames
from fdi.data.dataset import Dataset, Split, Transform
from fdi.data.download import ensure
from fdi.data.errors import DataError
from fdi.data.event_files import read, recordings, warn_unless_complete
from fdi.data.inputs import Events
from fdi.data.kept import fits, keep
from fdi.data.seeding import stream
from fdi.data.splits import subset, train_valid

LONGEST = 20.0  # s of a recording of DVS Gesture that are kept
BLOCK = 32  # recordings cropped at once


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
    root, steps = ensure("nmnist", root), steps_in(duration, dt)
    train, test = (recordings("NMNIST", root, train) for train in (True, False))
    warn_unless_complete(train, 60_000)

    def split(
        part: bool, samples: np.ndarray, most: int | None, transform: Transform | None = None
    ) -> Split:
        events = _events("NMNIST", root, part, samples, most, 34, 34, steps, dt, binning)
        return Split(events, _labels(train if part else test)[samples], transform)

    chosen, held = train_valid(_labels(train), valid, seed, max_train=max_train)
    tested = subset(_labels(test), max_test, stream(0, "test"))
    return Dataset(
        "nmnist",
        split(True, chosen, max_train, dropout(drop)),
        split(True, held, max_train),
        split(False, tested, max_test),
        classes=10,
        shape=(2, 34, 34),
        steps=steps,
        dt=dt,
    )


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
    if size < 1 or 128 % size or not 0 <= drop < 1:
        raise DataError(
            f"dvs_gesture: size must divide 128 and 0 <= drop < 1, got size = {size}, drop = {drop}"
        )
    if duration > LONGEST:
        raise DataError(
            f"dvs_gesture: duration = {duration} s is longer than any recording; "
            f"at most {LONGEST} s"
        )
    root, steps, shape = ensure("dvs_gesture", root), steps_in(duration, dt), (2, size, size)
    train, test = (recordings("DVSGesture", root, train) for train in (True, False))
    warn_unless_complete(train, 1077)
    cut = partial(crop_to_frames, steps=steps, drop=drop, binning=binning)

    def split(part: bool, samples: np.ndarray, most: int | None, fixed: bool) -> Split:
        longest = steps_in(LONGEST, dt)
        whole = _events("DVSGesture", root, part, samples, most, 128, size, longest, dt, "counts")
        labels = _labels(train if part else test)[samples]
        if not fixed or not len(samples):
            return Split(whole, labels, cut)
        rng = stream(0, "test")
        blocks = (
            whole.take(np.arange(i, min(i + BLOCK, len(whole))))
            for i in range(0, len(whole), BLOCK)
        )
        return Split(
            join(
                [crop(block, middle(block, steps), steps, drop, binning, rng) for block in blocks]
            ),
            labels,
            to_frames,
        )

    chosen, held = train_valid(_labels(train), valid, seed, max_train=max_train)
    tested = subset(_labels(test), max_test, stream(0, "test"))
    fixed = test_protocol == "deterministic"
    return Dataset(
        "dvs_gesture",
        split(True, chosen, max_train, False),
        split(True, held, max_train, fixed),
        split(False, tested, max_test, fixed),
        classes=11,
        shape=shape,
        steps=steps,
        dt=dt,
        nu_paper=9.2,
    )


def _events(
    name: str, root: Path, train: bool, samples: np.ndarray, most: int | None, *view: Any
) -> Events:
    """Those of `samples`; the others are read, too, and kept for the next seed, unless `most`
    limits them or they are too many.
    """
    if most is None and fits(root):
        return _binned(name, root, train, None, *view).take(samples)
    return _binned(name, root, train, samples, *view)


@keep
def _binned(
    name: str,
    root: Path,
    train: bool,
    samples: np.ndarray | None,
    sensor: int,
    size: int,
    steps: int,
    dt: float,
    binning: str,
) -> Events:
    files = recordings(name, root, train)
    chosen = range(len(files.data)) if samples is None else samples
    spikes = _spikes(files, chosen, sensor, size)
    return bin_recordings(spikes, steps, dt, (2, size, size), binning)


def _spikes(
    files: Any, samples: Iterable[int], sensor: int, size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Times (s) and flat indices into (2, size, size) of one recording after the other; `sensor`:
    its edge in pixels.
    """
    for i in samples:
        times, x, y, polarity = read(files, i, (2, sensor, sensor))
        yield times, (polarity * size + y // (sensor // size)) * size + x // (sensor // size)


def _labels(files: Any) -> np.ndarray:
    return np.asarray(files.targets, dtype=np.int64)
