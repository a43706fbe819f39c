"""A stretch of each recording of an event camera, thinned, as frames."""

from __future__ import annotations

from math import prod

import numpy as np

from fdi.data.binning import binned, coordinates
from fdi.data.inputs import Events, Frames


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
    """`steps` steps of each recording from step `starts` [B] on, each spike left out with
    probability `drop`.
    """
    samples, rows, units = coordinates(_window(events, starts, steps))
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


def _window(events: Events, starts: np.ndarray, steps: int) -> Events:
    """Steps starts..starts + steps of each recording; they must lie within the table."""
    edges = events.indptr[
        (np.arange(len(events)) * events.steps + starts)[:, None] + np.arange(steps + 1)
    ]
    pieces = [slice(a, b) for a, b in zip(edges[:, 0].tolist(), edges[:, -1].tolist())]
    indptr = np.concatenate([[0], np.cumsum(np.diff(edges, axis=1))])
    units = np.concatenate([events.units[piece] for piece in pieces])
    counts = events.counts
    if counts is not None:
        counts = np.concatenate([counts[piece] for piece in pieces])
    return Events(indptr, units, events.shape, steps, counts)


def _room(events: Events, steps: int) -> np.ndarray:
    """How many steps each recording is longer than `steps`; it ends with its last spike."""
    filled = np.diff(events.indptr).reshape(len(events), events.steps) > 0
    lengths = np.where(filled.any(axis=1), events.steps - filled[:, ::-1].argmax(axis=1), 0)
    return np.maximum(lengths - steps, 0)
