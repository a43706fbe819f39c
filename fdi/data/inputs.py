"""The three kinds of input of a network: events, frames, constant. Numpy only, sample-major; the
currency between data and engines. What is wrong with data is said here, in one line.

A whole data set and a batch of it are the same thing: `x.take(indices)` is a batch, `x[a:b]` a
slice without a copy where possible.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from fdi.config import Mistake

if TYPE_CHECKING:
    from typing_extensions import Self


class DataError(Mistake):
    """Data that is missing, damaged or does not fit its description; the message says what, where,
    and what to do.
    """


class MissingData(DataError):
    """Data, or the package that reads them, that this machine lacks and another one may have."""


log = logging.getLogger("fdi.data")
GET_AGAIN = "delete it and get it again"


@contextmanager
def intact(path: Path, otherwise: str, hint: str = GET_AGAIN) -> Iterator[None]:
    """Turn whatever the reader of a damaged file makes of it into one line, that the file is
    `otherwise`, why, and what to do; a pipe, which would wait for its writer, is none.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise DataError(f"{path}: not a file")
    try:
        yield
    except (Mistake, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, FileNotFoundError) and not path.exists():
            raise DataError(f"{path}: no such file") from error
        reason = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")[:200]
        raise DataError(f"{path}: {otherwise} ({reason}); {hint}") from error


def within(what: str, values: np.ndarray, size: int, hint: str = "") -> np.ndarray:
    """The values, if all lie in 0..size-1."""
    if len(values) and not 0 <= values.min() <= values.max() < size:
        bad = values.max() if values.max() >= size else values.min()
        raise DataError(f"{what} = {bad} is outside 0..{size - 1}{hint}")
    return values


def integers(what: str, values: np.ndarray) -> np.ndarray:
    """A list of numbers as int64; refuses fractions, and what int64 does not hold."""
    kind = values.dtype.kind
    if kind not in "biuf" or values.ndim != 1:
        raise DataError(
            f"{what} must be a list of whole numbers, it is {values.dtype} {values.shape}"
        )
    fits = values == np.rint(values) if kind == "f" else np.ones(len(values), bool)
    if kind in "fu":
        fits &= np.abs(values) < 2**62
    if not fits.all():
        raise DataError(f"{what} = {values[~fits][0]} must be a whole number below 2^62")
    return values.astype(np.int64)


def class_labels(what: str, values: np.ndarray, classes: int | None = None) -> np.ndarray:
    """Labels, int64 [n], of `classes`, at most as many as samples if they are not known."""
    labels = integers(what, values)
    if not len(labels):
        raise DataError(f"{what}: no samples")
    hint = "; labels count from 0, and each class needs samples"
    return within(what, labels, len(labels) if classes is None else classes, hint)


def seconds(what: str, times: np.ndarray) -> np.ndarray:
    """Times of spikes as float64, if they are finite and not negative."""
    if times.dtype.kind not in "iuf":
        raise DataError(f"{what} must be seconds, they are {times.dtype}")
    times = times.astype(np.float64)
    if len(times) and not (np.isfinite(times).all() and times.min() >= 0):
        bad = times[~np.isfinite(times) | (times < 0)][0]
        raise DataError(f"{what} = {bad} s must be finite and not negative")
    return times


@contextmanager
def reading_data(what: str) -> Iterator[None]:
    """Turn the error of data that cannot be read, or do not fit into memory, into one line about
    `what`.
    """
    try:
        yield
    except MemoryError as error:
        raise DataError(f"{what} does not fit into memory ({error}); ask for less") from error
    except OSError as error:
        raise DataError(f"{what} cannot be read: {error}") from error


@contextmanager
def needs(package: str) -> Iterator[None]:
    """Turn a failing import of the optional `package` into one line."""
    try:
        yield
    except ImportError as error:
        raise MissingData(
            f"this data set needs {package} ({error}); install it with: pip install 'fdi-snn[data]'"
        ) from error


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
    analogue: ClassVar[bool] = False

    def __len__(self) -> int:
        return (len(self.indptr) - 1) // self.steps

    def __getitem__(self, samples: slice) -> Events:
        start, stop, step = samples.indices(len(self))
        if step != 1:
            raise Mistake(f"Events take slices of step 1, not {step}; use take() for anything else")
        return replace(
            self, indptr=self.indptr[start * self.steps : max(start, stop) * self.steps + 1]
        )

    def take(self, indices: np.ndarray) -> Events:
        """The samples `indices`, in that order, with their events copied together."""
        return self.cut(indices, max(1, len(indices)))[0]

    def cut(self, indices: np.ndarray, size: int) -> list[Events]:
        """What `take` returns for one `size` of the `indices` after the other, copied together."""
        if 0 < (whole := len(indices) // size * size) < len(indices):
            return self.cut(indices[:whole], size) + self.cut(indices[whole:], size)
        starts, stops = self._bounds(indices)
        indptr = self.offsets(indices, max(1, len(indices) // size))
        ends = np.cumsum(indptr[:, -1]).tolist()
        pieces: list[np.ndarray | slice]
        if ends[-1] < SHORT * len(starts):
            shift = stops - np.cumsum(stops - starts)
            pieces = [np.repeat(shift, stops - starts) + np.arange(ends[-1])]
        else:
            pieces = [slice(a, b) for a, b in zip(starts.tolist(), stops.tolist())]

        def gather(table: np.ndarray) -> np.ndarray:
            return np.concatenate([table[:0], *(table[piece] for piece in pieces)])

        units, counts = gather(self.units), None if self.counts is None else gather(self.counts)
        return [
            Events(own, units[a:b], self.shape, self.steps, None if counts is None else counts[a:b])
            for own, a, b in zip(indptr, [0, *ends], ends)
        ]

    def at_once(self, most: int) -> int:
        """How many samples are copied together: at most so many, fewer where they are long."""
        each = (self.indptr[-1] - self.indptr[0]) // max(1, len(self))
        return max(1, min(most, SPIKES // max(1, int(each))))

    def offsets(self, indices: np.ndarray, batches: int = 1) -> np.ndarray:
        """`indptr` of each of so many equal parts of the samples `indices`, a row each."""
        indices = np.reshape(indices, (batches, -1))
        starts, stops = self._bounds(indices)
        ends = np.cumsum(stops - starts, axis=1)
        indptr = np.empty((batches, indices.shape[1] * self.steps + 1), dtype=np.int64)
        rows = np.take(self.indptr[:-1].reshape(-1, self.steps), indices, axis=0, mode="clip")
        np.subtract(rows, (stops - ends)[..., None], out=indptr[:, :-1].reshape(rows.shape))
        indptr[:, -1] = ends[:, -1] if indices.size else 0
        return indptr

    def _bounds(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The first event of each of the samples, and that after its last."""
        indices = np.asarray(indices, dtype=np.int64)
        return self.indptr[indices * self.steps], self.indptr[(indices + 1) * self.steps]

    def dense(self, dtype: type[np.number] = np.float32) -> np.ndarray:
        """Spike counts [steps, B, *shape]."""
        n, size = len(self), prod(self.shape)
        events = slice(self.indptr[0], self.indptr[-1])
        rows = np.repeat(np.arange(n * self.steps), np.diff(self.indptr))
        dense = np.zeros((n * self.steps, size), dtype=dtype)
        np.add.at(
            dense, (rows, self.units[events]), 1 if self.counts is None else self.counts[events]
        )
        return np.ascontiguousarray(dense.reshape(n, self.steps, *self.shape).swapaxes(0, 1))

    def total(self) -> float:
        """Number of spikes of all samples."""
        first, last = self.indptr[0], self.indptr[-1]
        return float(last - first if self.counts is None else self.counts[first:last].sum())

    def mean(self) -> float:
        """Spikes per unit and step."""
        return self.total() / (len(self) * self.steps * prod(self.shape))


ABOUT, PROGRESS = "about.json", "progress.json"  # of a table on disk, whole and half-written


class Mapped(Events):
    """Events in files that are mapped into memory."""


class Chosen(Events):
    """The `samples` of a `table`, in that order; they are copied where somebody asks for all of
    them, not for a batch.
    """

    table: Events
    samples: np.ndarray

    def __init__(self, table: Events, samples: np.ndarray) -> None:
        given = {"table": table, "samples": samples, "shape": table.shape, "steps": table.steps}
        vars(self).update(given)

    @cached_property
    def _copied(self) -> Events:
        return self.table.take(self.samples)

    @property
    def indptr(self) -> np.ndarray:
        return self._copied.indptr

    @property
    def units(self) -> np.ndarray:
        return self._copied.units

    @property
    def counts(self) -> np.ndarray | None:
        return self._copied.counts

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, samples: slice) -> Events:
        return Chosen(self.table, self.samples[samples])

    def cut(self, indices: np.ndarray, size: int) -> list[Events]:
        return self.table.cut(self.samples[np.asarray(indices, dtype=np.int64)], size)

    def at_once(self, most: int) -> int:
        return self.table.at_once(most)

    def offsets(self, indices: np.ndarray, batches: int = 1) -> np.ndarray:
        return self.table.offsets(self.samples[np.asarray(indices, dtype=np.int64)], batches)

    def total(self) -> float:
        if self.table.counts is not None:
            return self.table.take(self.samples).total()
        starts, stops = self.table._bounds(self.samples)
        return float((stops - starts).sum())


@dataclass(frozen=True)
class Dense:
    """Numbers of each sample, `values` [B, ..], any real dtype."""

    values: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, samples: slice) -> Self:
        return replace(self, values=self.values[samples])

    def take(self, indices: np.ndarray) -> Self:
        return replace(self, values=self.values[np.asarray(indices)])


@dataclass(frozen=True)
class Frames(Dense):
    """Event counts of every unit in every step: `values` [B, steps, *shape] (uint8 on the way to a
    convolution). `currents`: they are input currents instead, of any sign.
    """

    currents: bool = False

    @property
    def analogue(self) -> bool:
        """Whether its own variance counts, and not that of Poisson spikes of its rate."""
        return self.currents

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape[2:]

    @property
    def steps(self) -> int:
        return self.values.shape[1]

    def dense(self, dtype: type[np.number] = np.float32) -> np.ndarray:
        """Spike counts [steps, B, *shape]."""
        return np.ascontiguousarray(self.values.swapaxes(0, 1), dtype=dtype)

    def total(self) -> float:
        return float(self.values.sum(dtype=np.float64))

    def mean(self) -> float:
        """Spikes per unit and step."""
        return float(self.values.mean(dtype=np.float64))


@dataclass(frozen=True)
class Constant(Dense):
    """One analogue image for the whole trial: in each of `steps` steps the input is `scale * values
    + shift`, `values` [B, *shape].
    """

    steps: int
    scale: float = 1.0
    shift: float = 0.0
    analogue: ClassVar[bool] = True

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape[1:]

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
Kind = Literal["spikes", "counts", "currents", "images"]
CERTAIN = {"spikes": "0 and 1 alone", "currents": "signs or fractions"}


def kind_of(values: np.ndarray, given: Kind | None, what: str, declare: str) -> Kind:
    """What numbers are to a network: as `given`, or as is certain. Spikes are those of a Poisson
    process, several in a step if there are larger numbers than 1; of counts, currents and images
    the variance is measured. Raises DataError where it is not certain; `declare`: the option.
    """
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise DataError(f"{what} holds nan or infinite values; leave them out")
    integer = values.dtype.kind in "bu" or bool((values >= 0).all() and (values % 1 == 0).all())
    if given is None:
        if not integer:
            return "currents"
        if values.max(initial=0) > 1:
            raise DataError(
                f"{what} holds whole numbers up to {values.max():g}; say what they are: "
                f"{declare}=spikes (Poisson spikes, several in a step), counts or currents (of "
                f"which the variance is measured)"
            )
        return "spikes"
    if given in ("spikes", "counts") and not integer:
        raise DataError(f"{declare} = {given}, and {what} holds signs or fractions; say currents")
    return given


BINNINGS = ("binary", "counts")
ROUNDING = 1e-6  # of a step: 0.022 s / 2 ms is 10.999... in floating point
BLOCK = 256  # recordings read and sorted at once, and
SPIKES = 2**20  # of them, with which there are no more


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
    # half the time where int32 holds all keys
    kind = np.int32 if size[0] * size[1] * n_units < 2**31 else np.int64
    samples, steps, units = (
        np.asarray(axis).astype(kind, copy=False) for axis in (samples, steps, units)
    )
    keys = (samples * kind(size[1]) + steps) * kind(n_units) + units
    keys, times = np.unique(keys, return_counts=True)
    rows = keys // kind(n_units)
    indptr = np.zeros(size[0] * size[1] + 1, dtype=np.int64)
    np.cumsum(np.bincount(rows, minlength=size[0] * size[1]), out=indptr[1:])
    counts = times.astype(np.float32) if binning == "counts" else None
    units = (keys - rows * kind(n_units)).astype(np.int32, copy=False)
    return Events(indptr, units, tuple(shape), size[1], counts)


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
    return join(list(binned_blocks(recordings, steps, dt, shape, binning)))


def binned_blocks(
    recordings: Iterable[tuple[np.ndarray, np.ndarray]],
    steps: int,
    dt: float,
    shape: Sequence[int],
    binning: str,
) -> Iterator[Events]:
    """What `bin_recordings` returns in parts, at least one, of at most BLOCK recordings each, and
    fewer where they have SPIKES.
    """
    recordings = iter(recordings)
    block = _block(recordings)
    if not block:
        none = np.zeros(0, dtype=np.int64)
        yield binned(none, none, none, (0, steps), shape, binning)
    while block:
        owners = np.repeat(np.arange(len(block)), [len(times) for times, _ in block])
        bins = np.floor(np.concatenate([times for times, _ in block]) / dt + ROUNDING)
        bins = np.minimum(bins, 2.0**62).astype(np.int64)
        units = np.concatenate([units for _, units in block])
        inside = bins < steps
        yield binned(
            owners[inside], bins[inside], units[inside], (len(block), steps), shape, binning
        )
        block = _block(recordings)


def _block(
    recordings: Iterator[tuple[np.ndarray, np.ndarray]],
) -> list[tuple[np.ndarray, np.ndarray]]:
    block, spikes = [], 0
    for times, units in islice(recordings, BLOCK):
        block.append((times, units))
        spikes += len(times)
        if spikes >= SPIKES:
            break
    return block


def sparse(values: np.ndarray) -> Events:
    """The non-zero entries of frames [B, T, units]; those of float64 keep their precision."""
    batch, steps, size = values.shape
    kind = np.float64 if values.dtype == np.float64 else np.float32
    flat = np.flatnonzero(values)
    indptr = np.searchsorted(flat, np.arange(batch * steps + 1) * size)
    return Events(
        indptr,
        (flat % size).astype(np.int32),
        (size,),
        steps,
        values.reshape(-1)[flat].astype(kind),
    )


def coordinates(events: Events) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The inverse of `binned`: sample, step and unit of every spike, a spike that counts n times
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
