"""What a data set gives a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fdi.data.dataset import Dataset, Split, stream
from fdi.data.inputs import Constant, Input

SAMPLES = 8


def check_dataset(make: Callable[..., Dataset]) -> None:
    """See fdi.testing.check; `make` takes the `seed` of a run."""
    data, same, other = make(seed=0), make(seed=0), make(seed=1)
    name = data.name
    assert data.checksum == same.checksum, f"{name}: other data with equal seeds"
    tested = [replace(each, train=each.test, valid=each.test).checksum for each in (data, other)]
    assert tested[0] == tested[1], f"{name}: other data for the test with another seed of the run"
    for part, split in data.splits.items():
        if len(split):
            check_split(f"{name}: a batch of the {part} split", data, split)


def check_split(where: str, data: Dataset, split: Split) -> None:
    """Batches of some samples, in another order than theirs."""
    chosen = np.arange(min(SAMPLES, len(split)))[::-1]
    inputs, labels = split.batch(chosen, stream(0, "noise"))
    assert np.array_equal(labels, split.labels[chosen]), f"{where} has the labels of other samples"
    shape, wanted = (
        (len(inputs), inputs.steps, *inputs.shape),
        (len(chosen), data.steps, *data.shape),
    )
    assert shape == wanted, f"{where} is {shape}, not {wanted}: samples, steps and their shape"
    x = _numbers(inputs)
    assert np.isfinite(x).all(), f"{where} has numbers that are not finite"
    analogue = isinstance(inputs, Constant) or inputs.analogue
    assert analogue or (x >= 0).all(), f"{where} has spikes below 0"
    again = _numbers(split.batch(chosen, stream(0, "noise"))[0])
    assert np.array_equal(x, again), f"{where} is another one with equal random numbers"


def _numbers(inputs: Input) -> np.ndarray:
    return inputs.image(np.float64) if isinstance(inputs, Constant) else inputs.dense(np.float64)
