"""Images as input of a spiking network: a constant current, Poisson spikes, or one spike whose
latency tells the intensity.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from fdi.data.binning import binned
from fdi.data.dataset import Transform
from fdi.data.errors import DataError
from fdi.data.inputs import Constant, Events

ENCODINGS = ("constant", "poisson", "latency")


def encoding_transform(
    encoding: str, *, dt: float, rate: float, tau: float, threshold: float
) -> Transform | None:
    """What turns batches of images into spikes; None for `encoding` "constant".

    "poisson": `rate` (Hz) of a white pixel. "latency": `tau` (s) and `threshold` (0..1) of
    `latency_spikes`.
    """
    if encoding == "constant":
        return None
    if encoding == "poisson":
        if not 0 < rate * dt <= 1:
            raise DataError(
                f"rate = {rate} Hz must be positive and at most one spike in a step of dt = {dt} s"
            )
        return partial(poisson_spikes, probability=rate * dt)
    if encoding == "latency":
        if not (tau > 0 and 0 < threshold < 1):
            raise DataError(
                f"need tau > 0 s and 0 < threshold < 1, got tau = {tau}, threshold = {threshold}"
            )
        return partial(latency_spikes, steps_tau=tau / dt, threshold=threshold)
    raise DataError(f"encoding = {encoding} must be one of {', '.join(ENCODINGS)}")


def poisson_spikes(images: Constant, rng: np.random.Generator, *, probability: float) -> Events:
    """In each step pixel x of 0..1 spikes with probability `probability` x, rounded to 2^-16."""
    thresholds = np.rint(_intensity(images) * probability * 65536).astype(np.uint32)
    counts, units = [], []
    for threshold in thresholds:
        spikes = (
            rng.integers(65536, size=(images.steps, len(threshold)), dtype=np.uint16) < threshold
        )
        counts.append(np.count_nonzero(spikes, axis=1))
        units.append(np.nonzero(spikes)[1])
    indptr = np.concatenate([[0], np.cumsum(np.concatenate(counts, dtype=np.int64))])
    return Events(indptr, np.concatenate(units).astype(np.int32), images.shape, images.steps)


def latency_spikes(
    images: Constant, rng: np.random.Generator, *, steps_tau: float, threshold: float
) -> Events:
    """Pixel x of 0..1 spikes once, at t = tau log(x/(x - threshold)), if x > threshold and t lies
    within the trial.

    The time a leaky integrator with `tau` needs to reach `threshold` under a constant drive x
    (stork's current2firing_time).
    """
    intensity = _intensity(images)
    samples, units = np.nonzero(intensity > threshold)
    x = intensity[samples, units]
    steps = np.floor(steps_tau * np.log(x / (x - threshold))).astype(np.int64)
    inside = steps < images.steps
    return binned(
        samples[inside],
        steps[inside],
        units[inside],
        (len(images), images.steps),
        images.shape,
        "binary",
    )


def _intensity(images: Constant) -> np.ndarray:
    """Grey levels 0..255 as 0..1, float64 [B, units]."""
    return images.values.reshape(len(images), -1) / 255.0
