"""Independent random streams of one run, all derived from its seed."""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, name: str, *more: int) -> np.random.Generator:
    """The generator of stream `name`, further keyed by `more`, e.g. the epoch and the batch.

    Of a run's seed: "split" (validation), "weights", "time constants", "order" (of samples),
    "noise" and "evaluation noise" (of the input), "init samples" and "init noise" (the batch that
    measures the initial state). Of seeds of the data, the same for all runs: "data", "test", "nu".

    Its entropy is [seed, crc32(name), *more], so the same arguments give the same numbers, whatever
    was drawn elsewhere. Raises ValueError for a negative seed.
    """
    if seed < 0:
        raise ValueError(f"seed = {seed} must not be negative")
    return np.random.default_rng([seed, zlib.crc32(name.encode()), *more])
