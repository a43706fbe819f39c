"""What the rest of fdi knows of a data set: three splits and the numbers that describe them; the
random streams of a run; and what was read or generated, which stays in the process for the next
cell of a sweep.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property, partial, wraps
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

from fdi.data.inputs import Chosen, Constant, DataError, Events, Frames, Input, Mapped
from fdi.data.targets import check_fit, strata

if TYPE_CHECKING:
    from fdi.config.cache import Stamp


def stream(seed: int, name: str, *more: int) -> np.random.Generator:
    """The generator of stream `name`, further keyed by `more`, e.g. the epoch and the batch.

    Of a run's seed: "split" (validation), "weights", "time constants", "order" (of samples),
    "noise" and "evaluation noise" (of the input), "dropout", "init samples" and "init noise" (the
    batch that measures the initial state). Of seeds of the data, the same for all runs: "data",
    "test", "nu".

    Its entropy is [seed, crc32(name), *more], so the same arguments give the same numbers, whatever
    was drawn elsewhere. Raises ValueError for a negative seed.
    """
    return np.random.default_rng([seed, zlib.crc32(name.encode()), *more])


def train_valid(
    labels: np.ndarray, valid: float, seed: int, *, max_train: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Sorted indices of the training and the validation split, drawn from stream "split" of the
    run's seed.

    `max_train`: at most so many samples, validation included. `valid`: share of them held out.
    """
    rng, labels = stream(seed, "split"), strata(labels)
    chosen = subset(labels, max_train, rng)
    if valid == 0:
        return chosen, chosen[:0]
    size, classes = round(valid * len(chosen)), len(np.unique(labels[chosen]))
    if size < classes:
        raise DataError(
            f"valid = {valid:.3g} of {len(chosen)} samples is {size}, fewer than the {classes} "
            f"classes; raise it or max_train"
        )
    held = stratified(labels[chosen], size, rng)
    return np.delete(chosen, held), chosen[held]


def speakers_apart(
    labels: np.ndarray,
    speakers: np.ndarray,
    valid: float,
    seed: int,
    *,
    max_train: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """`train_valid` by whole speakers [n]: the share `valid` of them is held out, at least one.

    Raises DataError where too few speakers are left for training, or samples of some class.
    """
    rng = stream(seed, "split")
    chosen = subset(strata(labels), max_train, rng)
    if valid == 0:
        return chosen, chosen[:0]
    known, who = np.unique(speakers[chosen]), speakers[chosen]
    most = max(1, round(valid * len(known)))
    held = np.isin(who, rng.permutation(known)[:most])
    rest, without = chosen[~held], set(labels[chosen].flat) - set(labels[chosen][~held].flat)
    if not len(rest) or without:
        raise DataError(
            f"to hold {most} of {len(known)} speakers out leaves no sample "
            f"{f'of class {min(without)} ' if len(rest) else ''}for training; hold samples out "
            f"instead (dataset.split=samples), or take another seed"
        )
    return rest, chosen[held]


def apart(
    labels: np.ndarray,
    test_labels: np.ndarray,
    valid: float,
    seed: int,
    max_train: int | None,
    max_test: int | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sorted indices of train, valid and test for data with a test set of its own, of which the
    same at most `max_test` samples are used in all runs.
    """
    chosen, held = train_valid(labels, valid, seed, max_train=max_train)
    return chosen, held, subset(test_labels, max_test, stream(0, "test"))


def divide(
    labels: np.ndarray,
    valid: float,
    test: float,
    rng: np.random.Generator,
    seed: int,
    max_train: int | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sorted indices of train, valid and test for data that come in one piece; `valid` and `test`
    are shares of all samples.

    `rng` draws the test split, so that it can be the same for all runs; the run's `seed` draws the
    rest.
    """
    if not (test > 0 and valid >= 0 and test + valid < 1):
        raise DataError(
            f"need test > 0, valid >= 0 and test + valid < 1, got test = {test}, valid = {valid}"
        )
    labels = strata(labels)
    size, classes = round(test * len(labels)), len(np.unique(labels))
    if size < classes:
        raise DataError(
            f"dataset.test = {test:g} of {len(labels)} samples is {size}, fewer than the {classes} "
            f"classes; raise it, or give more samples"
        )
    tested = stratified(labels, size, rng)
    rest = np.setdiff1d(np.arange(len(labels)), tested)
    train, held = train_valid(labels[rest], valid / (1 - test), seed, max_train=max_train)
    return rest[train], rest[held], tested


def subset(labels: np.ndarray, size: int | None, rng: np.random.Generator) -> np.ndarray:
    """Sorted indices of at most `size` samples, stratified; all if `size` is None."""
    if size is None or size >= len(labels):
        return np.arange(len(labels))
    return stratified(strata(labels), size, rng)


def stratified(labels: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Sorted indices of `size` samples in which classes have the shares they have in `labels`, at
    least one sample each.
    """
    classes, counts = np.unique(labels, return_counts=True)
    if size < len(classes):
        raise DataError(
            f"a subset of {size} samples cannot hold all of {len(classes)} classes; ask for at "
            f"least {len(classes)}"
        )
    quota = counts * (size / len(labels))
    share = np.maximum(1, np.floor(quota)).astype(np.int64)
    while share.sum() < size:
        share[np.argmax(quota - share)] += 1
    while share.sum() > size:
        share[np.argmax(np.where(share > 1, share - quota, -np.inf))] -= 1
    picks = [
        rng.permutation(np.flatnonzero(labels == label))[:n] for label, n in zip(classes, share)
    ]
    return np.sort(np.concatenate(picks))


TOGETHER = 512  # samples that are copied together, for one batch or several

Transform = Callable[[Any, np.random.Generator], Input]  # of the kind of input its split holds


@dataclass(frozen=True)
class Split:
    """All samples of a split; `labels`: see fdi.data.targets. `transform` (crop, augmentation,
    encoding) is applied to each batch as it is made.
    """

    inputs: Input
    labels: np.ndarray
    transform: Transform | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def only(self, samples: np.ndarray) -> Split:
        """The `samples` alone, in that order."""
        given = self.inputs
        inputs = Chosen(given, samples) if isinstance(given, Mapped) else given.take(samples)
        return replace(self, inputs=inputs, labels=self.labels[samples])

    def hashes(self) -> list[str]:
        """A hash of the input of each sample."""
        return [_hash(self.inputs.take(np.array([i]))) for i in range(len(self))]

    def batch(self, indices: np.ndarray, rng: np.random.Generator) -> tuple[Input, np.ndarray]:
        """The samples `indices`, in that order, as the network sees them, and their labels; `rng`
        is for the transform, if there is one.
        """
        inputs, labels = self.inputs.take(indices), self.labels[indices]
        return inputs if self.transform is None else self.transform(inputs, rng), labels

    def batches(
        self, order: np.ndarray, size: int, noise: Callable[[int], np.random.Generator]
    ) -> Iterator[tuple[Input, np.ndarray]]:
        """What `batch` returns for one `size` of samples after the other, in that `order`; `noise`:
        the generator of batch i. Small batches of events are copied several at a time.
        """
        events = self.inputs if isinstance(self.inputs, Events) else None
        together = size * max(1, events.at_once(TOGETHER) // size) if events else size
        for first in range(0, len(order), together):
            chosen = order[first : first + together]
            labels, inputs = self.labels[chosen], self.inputs
            cut = events.cut(chosen, size) if events else [inputs.take(chosen)]
            for start, few in zip(range(0, together, size), cut):
                i = (first + start) // size
                x = few if self.transform is None else self.transform(few, noise(i))
                yield x, labels[start : start + size]


@dataclass(frozen=True)
class Dataset:
    """Three splits of one task.

    `shape`: one sample in one step; `steps` of `dt` seconds: one trial; both as the network sees
    them. `nu_paper`: mean input rate in Hz per unit that the paper uses, if it says one. `said`:
    what was guessed and done to the input, in one line. `classes`: or how many numbers a target
    has. `valid` may be empty. Raises DataError if labels are outside 0..classes-1 or a class has no
    sample.
    """

    name: str
    train: Split
    valid: Split
    test: Split
    classes: int
    shape: tuple[int, ...]
    steps: int
    dt: float
    nu_paper: float | None = None
    said: str = ""

    def __post_init__(self) -> None:
        if not (self.dt > 0 and self.steps > 0):
            raise DataError(
                f"{self.name}: a trial of {self.steps} steps of dt = {self.dt} s; both must be "
                f"positive"
            )
        if self.classes < 2 - self.numbers:
            raise DataError(f"{self.name}: {self.classes} class; there is nothing to tell apart")
        shapes = {split.inputs.shape for split in self.splits.values() if len(split)}
        if len(shapes) > 1:
            raise DataError(f"{self.name}: samples of different shapes in the splits: {shapes}")
        for name, split in self.splits.items():
            if not (isinstance(split.inputs, Chosen) or is_finite(split.inputs)):
                raise DataError(f"{self.name}: nan or infinite values in the {name} split")
            labels = split.labels
            if len(split.inputs) != len(labels):
                raise DataError(
                    f"{self.name}: {len(split.inputs)} samples but {len(labels)} labels in the "
                    f"{name} split"
                )
            check_fit(self.name, name, labels, self.classes, self.steps)

    @property
    def numbers(self) -> bool:
        """Whether targets are numbers, not classes."""
        return self.train.labels.dtype.kind == "f"

    @property
    def splits(self) -> dict[str, Split]:
        return {"train": self.train, "valid": self.valid, "test": self.test}

    @cached_property
    def nu(self) -> float | None:
        """Mean input rate in Hz per unit, measured on the training split (1,024 samples of it if
        they are transformed); None for currents.
        """
        spikes, samples = 0.0, 0
        for batch in self.blocks():
            if isinstance(batch, Constant) or batch.analogue:
                return None
            spikes += batch.total()
            samples += len(batch)
        return spikes / (samples * self.steps * self.dt * prod(self.shape))

    @cached_property
    def mean_square(self) -> float | None:
        """E[x^2] over the training images or currents as a network sees them; None for spikes."""
        total, samples = 0.0, 0
        for batch in self.blocks():
            if not batch.analogue:
                return None
            x = batch.image(np.float64) if isinstance(batch, Constant) else batch.dense(np.float64)
            total += float(np.square(x).mean()) * len(batch)
            samples += len(batch)
        return total / samples

    @cached_property
    def checksum(self) -> str:
        """16 hex digits of a hash over inputs and labels of all splits, in order (augmentation and
        noise are not part of it).
        """
        return _hash(*(of for split in self.splits.values() for of in (split.inputs, split.labels)))

    def blocks(self) -> Iterator[Input]:
        """The training split as a network sees it, some samples after others; 1,024 samples of it
        if they are transformed or currents.
        """
        inputs = self.train.inputs
        if self.train.transform is None and not (isinstance(inputs, Frames) and inputs.currents):
            yield from (inputs[start : start + 256] for start in range(0, len(inputs), 256))
            return
        rng = stream(0, "nu")
        chosen = np.linspace(0, len(self.train) - 1, min(len(self.train), 1024)).astype(np.int64)
        for start in range(0, len(chosen), 64):
            yield self.train.batch(chosen[start : start + 64], rng)[0]


def drawn(
    name: str,
    train: Split,
    test: Split,
    samples: Iterable[np.ndarray],
    classes: int,
    dt: float,
    *,
    transform: Transform | None = None,
    nu_paper: float | None = None,
) -> Dataset:
    """A data set of chosen samples; `samples`: the indices into `train` of the training and the
    validation split, and into `test`. `transform`: of training alone, in place of that of `train`.
    """
    first, held, last = (split.only(some) for split, some in zip((train, train, test), samples))
    shape, steps = train.inputs.shape, train.inputs.steps
    first = replace(first, transform=transform or first.transform)
    return Dataset(name, first, held, last, classes, shape, steps, dt, nu_paper)


def is_finite(inputs: Input) -> bool:
    """Whether no number in it is nan or infinite."""
    return all(np.isfinite(each).all() for each in _arrays_in(inputs) if each.dtype.kind == "f")


def _hash(*parts: Input | np.ndarray) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        for about, pieces in _contents(part):
            digest.update(about.encode())
            for piece in pieces:
                digest.update(np.ascontiguousarray(piece).data)
    return digest.hexdigest()


def _contents(inputs: Input | np.ndarray) -> Iterator[tuple[str, Iterable[np.ndarray]]]:
    """Type and shape of each array, and its numbers, piece after piece where it is no array yet."""
    if not isinstance(inputs, Chosen):
        for array in _arrays_in(inputs):
            yield f"{array.dtype}{array.shape}", [array]
        return
    some = inputs.at_once(256)
    blocks = [np.arange(i, min(i + some, len(inputs))) for i in range(0, len(inputs), some)]
    counted = [inputs.offsets(block)[0] for block in blocks]
    firsts = np.cumsum([0, *(indptr[-1] for indptr in counted)])
    indptr = [*(ends[:-1] + first for ends, first in zip(counted, firsts)), firsts[-1:]]
    yield f"int64{(len(inputs) * inputs.steps + 1,)}", indptr

    def pieces(name: str) -> Iterator[np.ndarray]:
        return (getattr(inputs.take(block), name) for block in blocks)

    for name in ("units", "counts"):
        if (table := getattr(inputs.table, name)) is not None:
            yield f"{table.dtype}{(int(firsts[-1]),)}", pieces(name)


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


def stamps(path: Path) -> list[Stamp]:
    """The stamps of the file, or of all files below the folder, through links, each folder once."""
    from fdi.config.cache import stamp  # only where data lie in files

    files, seen = [str(path)] * path.is_file(), set()
    for folder, folders, names in os.walk(path, followlinks=True):
        about = os.stat(folder)
        if (about.st_dev, about.st_ino) in seen:
            folders.clear()
        else:
            seen.add((about.st_dev, about.st_ino))
            files += (os.path.join(folder, name) for name in names)
    return sorted(filter(None, map(stamp, files)))


KEPT = 2**29  # bytes of data that are kept; what was used longest ago goes first
SMALL = 2**25  # bytes of what is kept for further runs of one seed

Options = ParamSpec("Options")
Made = TypeVar("Made")
_kept: defaultdict[int, OrderedDict[tuple[Any, ...], tuple[Any, int]]] = defaultdict(OrderedDict)


def keep(make: Callable[Options, Made], most: int | None = None) -> Callable[Options, Made]:
    """`make`, except that it returns what it returned before for equal arguments: paths by the
    sizes and times of the files there, arrays by their numbers. `most`: bytes that all who say the
    same keep together, in place of KEPT.

    Nobody can write to the arrays in what it returns.
    """
    most = KEPT if most is None else most

    @wraps(make)
    def kept(*given: Options.args, **options: Options.kwargs) -> Made:
        shelf = _kept[most]
        named = [*given, *(option for pair in sorted(options.items()) for option in pair)]
        key = (make.__module__, make.__qualname__, *map(_identity, named))
        if key in shelf:
            shelf.move_to_end(key)
            return shelf[key][0]
        made = make(*given, **options)
        arrays = list(_arrays_in(made))
        for array in arrays:
            array.setflags(write=False)
        if (own := sum(array.nbytes for array in arrays)) <= most:
            shelf[key] = made, own
        while sum(size for _, size in shelf.values()) > most:
            shelf.popitem(last=False)
        return made

    return kept


def fits(path: Path) -> bool:
    """Whether the content of the file or folder is small enough to be kept."""
    return sum(file.size for file in stamps(path)) <= KEPT


def _identity(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value.absolute()), *stamps(value)
    if isinstance(value, np.ndarray):
        return value.shape, hashlib.blake2b(np.ascontiguousarray(value).data).hexdigest()
    return tuple(value) if isinstance(value, list) else value


def _arrays_in(value: Any) -> Iterator[np.ndarray]:
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _arrays_in(part)
    elif is_dataclass(value):
        for field in fields(value):
            yield from _arrays_in(getattr(value, field.name))
