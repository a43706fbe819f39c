"""What a sample is compared with: a class, int64 [n], a class of each step [n, T], numbers,
float32 [n, k], or numbers of each step [n, T, k]. A step with the class NO_CLASS, or with a NaN,
does not count.
"""

from __future__ import annotations

import numpy as np

from fdi.data.inputs import DataError, class_labels, integers, within

NO_CLASS = -1


def targets(what: str, y: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """`y` as above; `mask` [n, T]: the steps that count. Raises DataError for anything else."""
    if y.dtype.kind == "f" and y.ndim in (2, 3):
        y, nothing = y.astype(np.float32), np.nan
        if np.isinf(y).any() or not len(y):
            raise DataError(f"{what}: {'infinite numbers' if len(y) else 'no samples'}")
    elif y.ndim == 2:
        flat = integers(f"{what}, with classes of each step,", y.ravel())
        y, nothing = within(what, flat - NO_CLASS, y.size).reshape(y.shape) + NO_CLASS, NO_CLASS
    elif y.ndim == 1 and y.dtype.kind == "f" and (y != np.rint(y)).any():
        raise DataError(f"{what}: numbers that are no classes; give them as (samples, outputs)")
    else:
        y, nothing = class_labels(what, y), NO_CLASS
    if mask is None:
        return y
    if mask.dtype.kind != "b" or mask.ndim != 2 or len(mask) != len(y):
        raise DataError(
            f"{what}: its mask must be bool (samples, T), it is {mask.dtype} {mask.shape}"
        )
    if not mask.any(1).all():
        raise DataError(f"{what}: a sample without a step that counts")
    numbers = y.dtype.kind == "f"
    if y.ndim == 1 + numbers:
        y = np.repeat(y[:, None], mask.shape[1], axis=1)
    if y.shape[1] != mask.shape[1]:
        raise DataError(f"{what}: {y.shape[1]} steps, and {mask.shape[1]} in its mask")
    return np.where(mask[..., None] if numbers else mask, y, nothing).astype(y.dtype)


def change_within_samples(y: np.ndarray) -> bool:
    """Whether a sample has two classes, at different steps."""
    if y.ndim == 1 or not y.size:
        return False
    least = np.where(y == NO_CLASS, y.max(), y).min(1)
    return bool((least != y.max(1)).any())


def strata(y: np.ndarray) -> np.ndarray:
    """The class of each sample, 0 where it has none of its own."""
    if y.dtype.kind == "f" or change_within_samples(y):
        return np.zeros(len(y), np.int64)
    return y if y.ndim == 1 else y.max(1, initial=0)


def one_hot(y: np.ndarray) -> bool:
    """Whether each row [n, k] is 1 at one place and 0 elsewhere."""
    return y.ndim == 2 and bool(((y == 0) | (y == 1)).all() and (y.sum(1) == 1).all())


ONE_HOT = "these are one-hot labels: give their classes, y.argmax(1)"


def check_fit(name: str, split: str, y: np.ndarray, units: int, steps: int) -> None:
    """Raises DataError for targets of a split of the data set `name` that do not fit `units` of a
    readout and `steps` of a trial.
    """
    where = f"in the {split} split"
    numbers = y.dtype.kind == "f"
    if y.ndim == 2 + numbers and y.shape[1] != steps:
        hint = f"; {ONE_HOT}" if one_hot(y) else ""
        raise DataError(
            f"{name}: targets of {y.shape[1]} steps {where}, of trials of {steps}{hint}"
        )
    if numbers:
        _check_numbers(name, where, y, units)
        return
    least = 0 if y.ndim == 1 else NO_CLASS
    if len(y) and not least <= y.min() <= y.max() < units:
        raise DataError(f"{name}: labels {y.min()}..{y.max()} {where}, expected 0..{units - 1}")
    if y.ndim == 2 and (y == NO_CLASS).all(1).any():
        raise DataError(f"{name}: a sample without a step that counts {where}")
    missing = np.setdiff1d(np.arange(units), y)
    if len(missing) and (len(y) or split != "valid"):
        raise DataError(f"{name}: no sample of class {missing[0]} {where} ({len(y)} samples)")


def _check_numbers(name: str, where: str, y: np.ndarray, units: int) -> None:
    if y.shape[-1] != units:
        raise DataError(f"{name}: targets of {y.shape[-1]} numbers {where}, expected {units}")
    counted = ~np.isnan(y).any(-1)
    if not (counted if y.ndim == 2 else counted.any(1)).all():
        raise DataError(f"{name}: a sample without a number or a step that counts {where}")
    if len(y) and (y[counted] == y[counted][0]).all():
        same = y[counted][0].tolist()
        raise DataError(f"{name}: all targets are {same} {where}; nothing to learn")
