"""Augmentation of spikes in training: dropped spikes; for speech jitter in time and over channels
(Cramer et al. 2022 jitter the channels).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from fdi.data.binning import coordinates, table
from fdi.data.dataset import Transform
from fdi.data.errors import DataError
from fdi.data.inputs import Events


def dropout(drop: float | None) -> Transform | None:
    """`thin`, or None if nothing is asked for."""
    return partial(thin, drop=drop) if drop else None


def thin(events: Events, rng: np.random.Generator, *, drop: float) -> Events:
    """Each spike is left out with probability `drop`."""
    first, last = events.indptr[0], events.indptr[-1]
    if events.counts is None:
        counts = None
        kept = rng.random(last - first, dtype=np.float32) >= drop
    else:
        counts = rng.binomial(events.counts[first:last].astype(np.int64), 1 - drop)
        kept = counts > 0
        counts = counts[kept].astype(np.float32)
    before = np.concatenate([[0], np.cumsum(kept)])
    return replace(
        events,
        indptr=before[events.indptr - first],
        units=events.units[first:last][kept],
        counts=counts,
    )


def speech_augmentation(
    dt: float, binning: str, time_jitter: float, channel_jitter: float, drop: float
) -> Transform | None:
    """`jitter` with `time_jitter` in seconds, or None if nothing is asked for."""
    if time_jitter < 0 or channel_jitter < 0 or not 0 <= drop < 1:
        raise DataError(
            f"need time_jitter >= 0 s, channel_jitter >= 0 and 0 <= drop < 1, got {time_jitter}, "
            f"{channel_jitter} and {drop}"
        )
    if time_jitter == channel_jitter == drop == 0:
        return None
    return partial(
        jitter, step_sigma=time_jitter / dt, unit_sigma=channel_jitter, drop=drop, binning=binning
    )


def jitter(
    events: Events,
    rng: np.random.Generator,
    *,
    step_sigma: float,
    unit_sigma: float,
    drop: float,
    binning: str,
) -> Events:
    """Each spike is left out with probability `drop` or else moved by N(0, step_sigma^2) steps and
    N(0, unit_sigma^2) units, rounded.

    Spikes that leave the trial or the channels are lost. One-dimensional shapes.
    """
    samples, steps, units = coordinates(events)
    (channels,) = events.shape
    if drop:
        kept = rng.random(len(units), dtype=np.float32) >= drop
        samples, steps, units = samples[kept], steps[kept], units[kept]
    if step_sigma:
        steps = steps + np.rint(
            step_sigma * rng.standard_normal(len(steps), dtype=np.float32)
        ).astype(np.int32)
    if unit_sigma:
        units = units + np.rint(
            unit_sigma * rng.standard_normal(len(units), dtype=np.float32)
        ).astype(np.int32)
    inside = (steps >= 0) & (steps < events.steps) & (units >= 0) & (units < channels)
    return table(
        samples[inside],
        steps[inside],
        units[inside],
        (len(events), events.steps),
        events.shape,
        binning,
    )
