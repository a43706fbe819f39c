"""Data that stay on the device: a split is sent once, and its batches are cut there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from fdi.data.inputs import Constant, Events, Input
from fdi.engine.device import any_order, send


@dataclass(frozen=True)
class Kept:
    """The samples `samples` of `whole`, whose numbers are in `tables` on a device; to data and
    engines an input as any other.
    """

    whole: Input
    tables: tuple[Tensor, ...]
    samples: np.ndarray

    @property
    def steps(self) -> int:
        return self.whole.steps

    @property
    def shape(self) -> tuple[int, ...]:
        return self.whole.shape

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, samples: slice) -> Kept:
        return replace(self, samples=self.samples[samples])

    def take(self, indices: np.ndarray) -> Kept:
        return replace(self, samples=self.samples[indices])

    def as_tensor(self, like: Tensor) -> Tensor:
        """[T, B, *shape] with the dtype of `like`."""
        if isinstance(self.whole, Events):
            return self._events(self.whole, like)
        (values,) = self.tables
        values = values.index_select(0, send(self.samples, like.device)).to(like.dtype)
        if isinstance(self.whole, Constant):
            values = values.mul_(self.whole.scale).add_(self.whole.shift)
            return values.expand(self.steps, *values.shape)
        return values.transpose(0, 1).contiguous()

    def _events(self, events: Events, like: Tensor) -> Tensor:
        steps, batch, size = events.steps, len(self), int(np.prod(events.shape))
        starts, stops = (events.indptr[(self.samples + i) * steps] for i in (0, 1))
        lengths = stops - starts
        shifts = starts - events.indptr[0] - (np.cumsum(lengths) - lengths)
        shift, length = send(np.stack([shifts, lengths]), like.device)
        total = int(lengths.sum())
        ranks = torch.arange(batch, device=like.device)
        sample = ranks.repeat_interleave(length, output_size=total)
        event = torch.arange(total, device=like.device) + shift[sample]
        units, times, *counts = (table[event] for table in self.tables)
        place = (times.long() * batch + sample) * size + units
        x = added(place, counts[0] if counts else None, steps * batch * size, like)
        return x.view(steps, batch, *events.shape)


def added(place: Tensor, counts: Tensor | None, size: int, like: Tensor) -> Tensor:
    """[size]: the counts of events, or 1 of each, added up at their places."""
    x = like.new_zeros(size)
    if counts is not None:
        return x.index_add_(0, place, counts.to(x.dtype))
    with any_order():
        return x.index_add_(0, place, like.new_ones(()).expand(len(place)))


def copy_to(whole: Input, device: torch.device) -> Kept:
    """Everything of `whole` on `device`."""
    tables = tuple(send(table, device) for table in _tables(whole))
    return Kept(whole, tables, np.arange(len(whole)))


def bytes_kept(whole: Input) -> int:
    """Bytes that `copy_to` takes."""
    if not isinstance(whole, Events):
        return whole.values.nbytes
    counts = 0 if whole.counts is None else whole.counts.itemsize
    event = whole.units.itemsize + _time_type(whole).itemsize + counts
    return int(whole.indptr[-1] - whole.indptr[0]) * event


def as_tensor(inputs: Input | Kept, like: Tensor, shape: tuple[int, ...]) -> Tensor:
    """[T, B, *`shape`] with the dtype and on the device of `like`."""
    x = (inputs if isinstance(inputs, Kept) else copy_to(inputs, like.device)).as_tensor(like)
    return x.reshape(*x.shape[:2], *shape)


def _tables(whole: Input) -> list[np.ndarray]:
    """Of events: units, time steps, and counts if they are not all 1."""
    if not isinstance(whole, Events):
        return [whole.values]
    span = slice(whole.indptr[0], whole.indptr[-1])
    steps = np.tile(np.arange(whole.steps, dtype=_time_type(whole)), len(whole))
    tables = [whole.units[span], np.repeat(steps, np.diff(whole.indptr))]
    return tables if whole.counts is None else [*tables, whole.counts[span]]


def _time_type(events: Events) -> np.dtype:
    """Of a step of their trials."""
    return np.dtype(np.int16 if events.steps < 2**15 else np.int32)
