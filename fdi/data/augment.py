"""Augmentation of spikes in training: some are left out."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from fdi.data.dataset import Transform
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
