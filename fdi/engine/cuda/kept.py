"""Data that stay on the device: a split is sent once, and its batches are cut there; and the events
of a batch for kernels, in whose products they are never dense.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fdi.data.inputs import Constant, Events, Input
from fdi.engine.device import any_order, send

CHUNK = 2**22  # events that are sorted at a time


class Lists(NamedTuple):
    """Events of S samples in two orders, on a device: those of a step from `by_step[0][sample T +
    step]` on, with units in `by_step[1]`; those of a unit from `by_unit[0][sample K + unit]` on,
    with steps in `by_unit[1]`; in both a third table has counts, if these are not all 1.
    """

    by_step: tuple[Tensor, ...]
    by_unit: tuple[Tensor, ...]


class Listed(NamedTuple):
    """The events of a batch, `samples` [B] of `lists`, in trials of `steps` steps."""

    lists: Lists
    samples: Tensor
    steps: int


@dataclass(frozen=True)
class Kept:
    """The samples `samples` of `whole`, whose numbers are in `tables` on a device, and in `lists`
    if kernels read events; to data and engines an input as any other. `where`: the samples as a
    tensor on the device, if they are there already.
    """

    whole: Input
    tables: tuple[Tensor, ...]
    samples: np.ndarray
    lists: Lists | None = None
    where: Tensor | None = None

    @property
    def steps(self) -> int:
        return self.whole.steps

    @property
    def shape(self) -> tuple[int, ...]:
        return self.whole.shape

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, samples: slice) -> Kept:
        return replace(self, samples=self.samples[samples], where=None)

    def take(self, indices: np.ndarray) -> Kept:
        return replace(self, samples=self.samples[indices], where=None)

    def chosen(self, device: torch.device) -> Tensor:
        """The samples on the device."""
        return send(self.samples, device) if self.where is None else self.where

    def as_tensor(self, like: Tensor) -> Tensor:
        """[T, B, *shape], or [1, B, *shape] if every step is the same; values that are not small
        integers with the dtype of `like`.
        """
        if isinstance(self.whole, Events):
            return self._events(self.whole, like)
        (values,) = self.tables
        values = values.index_select(0, self.chosen(like.device))
        if isinstance(self.whole, Constant):
            return values.to(like.dtype).mul_(self.whole.scale).add_(self.whole.shift)[None]
        values = values if values.dtype == torch.uint8 else values.to(like.dtype)
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


Given = Input | Kept


def added(place: Tensor, counts: Tensor | None, size: int, like: Tensor) -> Tensor:
    """[size]: the counts of events, or 1 of each, added up at their places."""
    x = like.new_zeros(size)
    if counts is not None:
        return x.index_add_(0, place, counts.to(x.dtype))
    with any_order():
        return x.index_add_(0, place, like.new_ones(()).expand(len(place)))


def keep(whole: Input, device: torch.device, listed: bool = False) -> Kept:
    """Everything of `whole` on `device`; with `listed`, events in both orders."""
    tables = tuple(send(table, device) for table in _tables(whole))
    lists = _lists(whole, *tables) if listed and isinstance(whole, Events) else None
    return Kept(whole, tables, np.arange(len(whole)), lists)


def as_tensor(inputs: Given, like: Tensor, shape: tuple[int, ...]) -> Tensor:
    """[T, B, *`shape`], or [1, B, *`shape`] if every step is the same, on the device of `like`;
    small integers stay as they are until a product needs them.
    """
    x = (inputs if isinstance(inputs, Kept) else keep(inputs, like.device)).as_tensor(like)
    return x.reshape(*x.shape[:2], *shape)


def listed(inputs: Events | Kept, device: torch.device) -> Listed:
    """A batch for kernels; Events that are not kept are sorted for it."""
    kept = inputs if isinstance(inputs, Kept) else keep(inputs, device, listed=True)
    assert kept.lists is not None
    return Listed(kept.lists, kept.chosen(device), kept.steps)


def _lists(events: Events, units: Tensor, times: Tensor, *counts: Tensor) -> Lists:
    """Both orders of what `_tables` returns."""
    steps, sources, device = events.steps, int(np.prod(events.shape)), units.device
    indptr = events.indptr - events.indptr[0]
    place = place_type(len(units))
    by_step = send(indptr.astype(place), device)
    starts, sorted_tables = [], [torch.empty_like(x) for x in (times, *counts)]
    bounds = sorted_at_once(events)
    for first, end in pairwise(bounds.tolist()):
        ends = indptr[first * steps : end * steps + 1 : steps]
        here = slice(int(ends[0]), int(ends[-1]))
        lengths = send(np.diff(ends), device)
        sample = torch.arange(len(ends) - 1, device=device).repeat_interleave(
            lengths, output_size=here.stop - here.start
        )
        key, order = sample.mul_(sources).add_(units[here]).sort(stable=True)
        wanted = torch.arange((len(ends) - 1) * sources, device=device)
        found = torch.searchsorted(key, wanted) + here.start
        starts.append(found.to(by_step.dtype))
        for table, x in zip(sorted_tables, (times, *counts)):
            torch.index_select(x[here], 0, order, out=table[here])
    by_unit = torch.cat([*starts, send(indptr[-1:].astype(place), device)])
    return Lists((by_step, units, *counts), (by_unit, *sorted_tables))


def sorted_at_once(events: Events) -> np.ndarray:
    """The samples between which events are sorted at a time, some CHUNK of them."""
    total, sources = int(events.indptr[-1] - events.indptr[0]), int(np.prod(events.shape))
    some = max(1, CHUNK * len(events) // max(1, total, len(events) * sources))
    return np.arange(0, len(events) + some, some).clip(max=len(events))


def place_type(events: int) -> np.dtype:
    """Of the place of one among so many."""
    return np.dtype(np.int32 if events < 2**31 else np.int64)


def _tables(whole: Input) -> list[np.ndarray]:
    """Of events: units, time steps, and counts if they are not all 1."""
    if not isinstance(whole, Events):
        return [whole.values]
    span = slice(whole.indptr[0], whole.indptr[-1])
    steps = np.tile(np.arange(whole.steps, dtype=time_type(whole)), len(whole))
    tables = [whole.units[span], np.repeat(steps, np.diff(whole.indptr))]
    return tables if whole.counts is None else [*tables, whole.counts[span]]


def time_type(events: Events) -> np.dtype:
    """Of a step of their trials."""
    return np.dtype(np.int16 if events.steps < 2**15 else np.int32)
