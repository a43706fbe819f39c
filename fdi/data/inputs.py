"""The three kinds of input of a network: events, frames, constant. Numpy only, sample-major; the
currency between data and engines.

A whole data set and a batch of it are the same thing: `x.take(indices)` is a batch, `x[a:b]` a
slice without a copy where possible.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

SHORT = 50  # events of a sample, on average: fewer are copied one by one, more sample by sample


@dataclass(frozen=True)
class Events:
    """Sparse spikes: sample b emits `units[indptr[b * steps + t] : indptr[b * steps + t + 1]]` in
    time step t.

    `indptr`: int64 [B * steps + 1]. `units`: int32 [n], flat indices into `shape`, sorted in time
    within a sample.
    `counts`: float32 [n], spikes of that unit in that step, or None if all are 1.
    """

    indptr: np.ndarray
    units: np.ndarray
    shape: tuple[int, ...]
    steps: int
    counts: np.ndarray | None = None

    def __len__(self) -> int:
        return (len(self.indptr) - 1) // self.steps

    def __getitem__(self, samples: slice) -> Events:
        start, stop, step = samples.indices(len(self))
        if step != 1:
            raise ValueError(
                f"Events take slices of step 1, not {step}; use take() for anything else"
            )
        return replace(
            self, indptr=self.indptr[start * self.steps : max(start, stop) * self.steps + 1]
        )

    def take(self, indices: np.ndarray) -> Events:
        """The samples `indices`, in that order, with their events copied together."""
        indices = np.asarray(indices, dtype=np.int64)
        starts, stops = self.indptr[indices * self.steps], self.indptr[(indices + 1) * self.steps]
        lengths = stops - starts
        shift = stops - np.cumsum(lengths)
        indptr = np.empty(len(indices) * self.steps + 1, dtype=np.int64)
        body = indptr[:-1].reshape(-1, self.steps)
        np.take(self.indptr[:-1].reshape(-1, self.steps), indices, axis=0, out=body, mode="clip")
        body -= shift[:, None]
        indptr[-1] = lengths.sum()
        pieces: list[np.ndarray | slice]
        if indptr[-1] < SHORT * len(indices):
            pieces = [np.repeat(shift, lengths) + np.arange(indptr[-1])]
        else:
            pieces = [slice(a, b) for a, b in zip(starts.tolist(), stops.tolist())]

        def gather(table: np.ndarray) -> np.ndarray:
            return np.concatenate([table[:0], *(table[piece] for piece in pieces)])

        counts = None if self.counts is None else gather(self.counts)
        return replace(self, indptr=indptr, units=gather(self.units), counts=counts)

    def dense(self, dtype: type[np.number] = np.float32) -> np.ndarray:
        """Spike counts [steps, B, *shape]."""
        n, size = len(self), int(np.prod(self.shape))
        events = slice(self.indptr[0], self.indptr[-1])
        rows = np.repeat(np.arange(n * self.steps), np.diff(self.indptr))
        dense = np.zeros((n * self.steps, size), dtype=dtype)
        np.add.at(
            dense, (rows, self.units[events]), 1 if self.counts is None else self.counts[events]
        )
        return np.ascontiguousarray(dense.reshape(n, self.steps, *self.shape).swapaxes(0, 1))

    def total(self) -> float:
        """Number of spikes of all samples."""
        events = slice(self.indptr[0], self.indptr[-1])
        return (
            float(self.indptr[-1] - self.indptr[0])
            if self.counts is None
            else float(self.counts[events].sum())
        )

    def mean(self) -> float:
        """Spikes per unit and step."""
        return self.total() / (len(self) * self.steps * int(np.prod(self.shape)))


@dataclass(frozen=True)
class Frames:
    """Event counts of every unit in every step: `values` [B, steps, *shape], any real dtype (uint8
    on the way to a convolution).
    """

    values: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape[2:]

    @property
    def steps(self) -> int:
        return self.values.shape[1]

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, samples: slice) -> Frames:
        return Frames(self.values[samples])

    def take(self, indices: np.ndarray) -> Frames:
        return Frames(self.values[np.asarray(indices)])

    def dense(self, dtype: type[np.number] = np.float32) -> np.ndarray:
        """Spike counts [steps, B, *shape]."""
        return np.ascontiguousarray(self.values.swapaxes(0, 1), dtype=dtype)

    def total(self) -> float:
        return float(self.values.sum(dtype=np.float64))

    def mean(self) -> float:
        """Spikes per unit and step."""
        return float(self.values.mean(dtype=np.float64))


@dataclass(frozen=True)
class Constant:
    """One analogue image for the whole trial: in each of `steps` steps the input is `scale * values
    + shift`, `values` [B, *shape].
    """

    values: np.ndarray
    steps: int
    scale: float = 1.0
    shift: float = 0.0

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape[1:]

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, samples: slice) -> Constant:
        return replace(self, values=self.values[samples])

    def take(self, indices: np.ndarray) -> Constant:
        return replace(self, values=self.values[np.asarray(indices)])

    def image(self, dtype: type[np.floating] = np.float32) -> np.ndarray:
        """The analogue input of one step, [B, *shape]."""
        return self.values.astype(dtype) * dtype(self.scale) + dtype(self.shift)

    def mean(self) -> float:
        """Mean input of a step per unit."""
        return self.scale * float(self.values.mean(dtype=np.float64)) + self.shift

    def dense(self, dtype: type[np.floating] = np.float32) -> np.ndarray:
        """The image repeated for each step, [steps, B, *shape]; a read-only view."""
        image = self.image(dtype)
        return np.broadcast_to(image, (self.steps, *image.shape))


Input = Events | Frames | Constant
