"""Data sets of torch and tonic as those of fdi."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import Any, Literal

import numpy as np

from fdi.data.dataset import Dataset, Split, apart
from fdi.data.inputs import (
    Constant,
    DataError,
    Events,
    Frames,
    Input,
    bin_recordings,
    class_labels,
    within,
)


def from_torch(
    name: str,
    train: Any,
    test: Any,
    *,
    kind: Literal["constant", "frames", "events"],
    steps: int,
    dt: float,
    classes: int,
    sensor: Sequence[int] | None = None,
    binning: Literal["binary", "counts"] = "binary",
    valid: float = 0.1,
    max_train: int | None = None,
    max_test: int | None = None,
    seed: int = 0,
) -> Dataset:
    """`train` and `test`, each with len() and [i] -> (sample, label), held in memory.

    `kind`: a sample is "constant", an analogue image [C, H, W] or vector [N], the current in each
    of `steps` steps of `dt` seconds; "frames", spike counts [steps, ...] as of tonic's ToFrame;
    "events", a structured array of tonic with t (us), x, and y and p if there, of a `sensor`
    (width, height, polarities) as tonic has it: units are [p, y, x], or [x] if the other sizes are
    1; times count from 0 and end with the trial. `valid`: share of `train` held out, stratified,
    drawn with `seed`. Raises DataError for what does not fit.
    """
    if kind == "events" and len(sensor or ()) != 3:
        raise DataError(f"{name}: sensor = {sensor} must be width, height and polarities")
    labels, test_labels = (
        class_labels(f"{name}: label", np.array([data[i][1] for i in range(len(data))]), classes)
        for data in (train, test)
    )
    chosen, held, tested = apart(labels, test_labels, valid, seed, max_train, max_test)

    def split(data: Any, labels: np.ndarray, indices: np.ndarray) -> Split:
        samples = [np.asarray(data[int(i)][0]) for i in indices]
        inputs: Input
        if kind == "events":
            inputs = _events(name, samples, sensor or (), steps, dt, binning)
        elif len({sample.shape for sample in samples}) > 1:
            raise DataError(f"{name}: samples of different shapes; {kind} must have one")
        elif kind == "constant":
            inputs = Constant(np.stack(samples) if samples else empty, steps)
        else:
            inputs = Frames(np.stack(samples) if samples else empty)
            if inputs.steps != steps:
                raise DataError(f"{name}: frames of {inputs.steps} steps, not steps = {steps}")
        return Split(inputs, labels[indices])

    empty = np.zeros((0, *np.asarray(train[0][0]).shape), dtype=np.float32)
    parts = (
        split(train, labels, chosen),
        split(train, labels, held),
        split(test, test_labels, tested),
    )
    shape = parts[0].inputs.shape
    return Dataset(name, *parts, classes=classes, shape=shape, steps=steps, dt=dt)


def _events(
    name: str, samples: Any, size: Sequence[int], steps: int, dt: float, binning: str
) -> Events:
    shape, units = sensor(size)

    def recordings() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for sample in samples:
            fields = sample.dtype.names or ()
            if not {"t", "x"} <= set(fields):
                raise DataError(f"{name}: events must have fields t and x, they have {fields}")
            where = f"{name}: a unit of the sensor {tuple(size)}"
            yield sample["t"] * 1e-6, within(where, units(sample), prod(shape))

    return bin_recordings(recordings(), steps, dt, shape, binning)


def sensor(
    size: Sequence[int],
) -> tuple[tuple[int, ...], Callable[[np.ndarray], np.ndarray]]:
    """Shape of a sample in one step, and the flat unit of each of tonic's events, for a sensor of
    width, height and polarities: [p, y, x], or [x] if the other sizes are 1.
    """
    width, height, polarities = size
    shape = (width,) if height == polarities == 1 else (polarities, height, width)

    def units(events: np.ndarray) -> np.ndarray:
        x, y, p = (
            events[f].astype(np.int64)
            if f in (events.dtype.names or ())
            else np.zeros(len(events), np.int64)
            for f in "xyp"
        )
        if polarities == 1:
            p = np.zeros_like(p)
        return (p * height + y) * width + x

    return shape, units
