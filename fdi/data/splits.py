"""Stratified, seeded subsets: which samples train and which validate."""

from __future__ import annotations

import numpy as np

from fdi.data.errors import DataError
from fdi.data.seeding import stream


def train_valid(
    labels: np.ndarray,
    valid: float,
    seed: int,
    *,
    max_train: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Sorted indices of the training and the validation split, drawn from stream "split" of the
    run's seed.

    `max_train`: at most so many samples, validation included. `valid`: share of them held out.
    """
    if not 0 <= valid < 1:
        raise DataError(
            f"valid = {valid} must be a share of the training set, at least 0 and below 1"
        )
    rng = stream(seed, "split")
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
    tested = stratified(labels, round(test * len(labels)), rng)
    rest = np.setdiff1d(np.arange(len(labels)), tested)
    train, held = train_valid(labels[rest], valid / (1 - test), seed, max_train=max_train)
    return rest[train], rest[held], tested


def subset(labels: np.ndarray, size: int | None, rng: np.random.Generator) -> np.ndarray:
    """Sorted indices of at most `size` samples, stratified; all if `size` is None."""
    if size is None or size >= len(labels):
        return np.arange(len(labels))
    return stratified(labels, size, rng)


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
