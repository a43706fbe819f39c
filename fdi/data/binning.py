"""From spike times to event tables: time steps of dt, several spikes of a unit in one step counted
or merged.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from math import prod

import numpy as np

from fdi.data.errors import DataError
from fdi.data.inputs import Events

BINNINGS = ("binary", "counts")
ROUNDING = 1e-6  # of a step: 0.022 s / 2 ms is 10.999... in floating point
BLOCK = 256  # recordings sorted at once


def steps_in(duration: float, dt: float) -> int:
    """Number of steps of `dt` in `duration` (both in seconds, both positive)."""
    if not (dt > 0 and duration >= dt):
        raise DataError(
            f"duration = {duration} s must be at least one step of dt = {dt} s, and dt positive"
        )
    return round(duration / dt)


def binned(
    samples: np.ndarray,
    steps: np.ndarray,
    units: np.ndarray,
    size: tuple[int, int],
    shape: Sequence[int],
    binning: str,
) -> Events:
    """Events from spikes given one by one: `samples`, `steps`, `units` are integers [n] in
    any order; `size`: samples and steps.

    `binning`: "binary" makes one spike of several of a unit in one step, "counts" counts them.
    """
    if binning not in BINNINGS:
        raise DataError(f"binning = {binning} must be one of {', '.join(BINNINGS)}")
    n_units = prod(shape)
    kind = (
        np.int32 if size[0] * size[1] * n_units < 2**31 else np.int64
    )  # half the time of a table that fits
    samples, steps, units = (
        np.asarray(axis).astype(kind, copy=False) for axis in (samples, steps, units)
    )
    keys = (samples * kind(size[1]) + steps) * kind(n_units) + units
    keys.sort()
    first = np.ones(len(keys), dtype=bool)
    np.not_equal(keys[1:], keys[:-1], out=first[1:])
    starts = np.flatnonzero(first)
    keys = keys[starts]
    rows = keys // kind(n_units)
    indptr = np.zeros(size[0] * size[1] + 1, dtype=np.int64)
    np.cumsum(np.bincount(rows, minlength=size[0] * size[1]), out=indptr[1:])
    counts = np.diff(starts, append=len(first)).astype(np.float32) if binning == "counts" else None
    return Events(
        indptr,
        (keys - rows * kind(n_units)).astype(np.int32, copy=False),
        tuple(shape),
        size[1],
        counts,
    )


def bin_recordings(
    recordings: Iterable[tuple[np.ndarray, np.ndarray]],
    steps: int,
    dt: float,
    shape: Sequence[int],
    binning: str,
) -> Events:
    """The event table of (times in seconds [n], units [n]) of one recording after the other; what
    is after `steps` * `dt` is cut off.
    """
    recordings = iter(recordings)
    parts = []
    while block := list(islice(recordings, BLOCK)):
        owners = np.repeat(np.arange(len(block)), [len(times) for times, _ in block])
        bins = np.concatenate([_bins(times, dt) for times, _ in block])
        units = np.concatenate([units for _, units in block])
        inside = bins < steps
        parts.append(
            binned(owners[inside], bins[inside], units[inside], (len(block), steps), shape, binning)
        )
    none = np.zeros(0, dtype=np.int64)
    return join(parts) if parts else binned(none, none, none, (0, steps), shape, binning)


def coordinates(events: Events) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The inverse of `table`: sample, step and unit of every spike, a spike that counts n times
    listed n times.
    """
    inside = slice(events.indptr[0], events.indptr[-1])
    per_step, n, units = np.diff(events.indptr), len(events), events.units[inside]
    if events.counts is not None:
        times = events.counts[inside].astype(np.int64)
        ends = np.concatenate([[0], np.cumsum(times)])
        per_step = np.diff(ends[events.indptr - events.indptr[0]])
        units = np.repeat(units, times)
    samples = np.repeat(np.arange(n, dtype=np.int32), per_step.reshape(n, events.steps).sum(axis=1))
    return samples, np.repeat(np.tile(np.arange(events.steps, dtype=np.int32), n), per_step), units


def join(parts: Sequence[Events]) -> Events:
    """The samples of several tables (each starting at its first event) one after the other."""
    offsets = np.cumsum([0, *(len(part.units) for part in parts)])
    indptr = [part.indptr[:-1] + offset for part, offset in zip(parts, offsets)]
    counts = None if parts[0].counts is None else np.concatenate([part.counts for part in parts])
    units = np.concatenate([part.units for part in parts])
    return Events(
        np.concatenate([*indptr, offsets[-1:]]), units, parts[0].shape, parts[0].steps, counts
    )


def _bins(times: np.ndarray, dt: float) -> np.ndarray:
    return np.minimum(np.floor(times / dt + ROUNDING), 2.0**62).astype(np.int64)
