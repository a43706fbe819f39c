"""Names that a newcomer understands, for initializations, data sets and networks; and what runs
have in common, in one line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

SCHEDULE = "scheduler._target_"
INITS = {
    "fluct": "fluctuation-driven",
    "fluct_calibrated": "fluctuation-driven, corrected",
    "fluct_lognormal": "fluctuation-driven, log-normal",
    "fluct_mu": "fluctuation-driven, mean not 0",
    "fluct_rate": "fluctuation-driven, equal rates",
    "gain": "Kaiming times a gain",
    "kaiming": "Kaiming",
    "xavier": "Xavier",
    "pytorch": "PyTorch's default",
    "orthogonal": "orthogonal",
    "lsuv": "LSUV",
    "ikun": "IKUN",
    "spytorch": "SpyTorch",
    "micheli": "Micheli et al.",
}
SHORT = {"fluct_calibrated": "fluct., corrected"}
DATA = {
    "randman": "Randman (spike times on random manifolds)",
    "digits": "handwritten digits",
    "japanese_vowels": "Japanese vowels",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
    "nmnist": "N-MNIST (event camera)",
    "spoken_digits": "spoken digits",
    "shd": "Heidelberg digits (SHD)",
}
SCHEDULES = {
    "CosineAnnealingLR": "cosine",
    "OneCycleLR": "one-cycle",
    "ReduceLROnPlateau": "plateau",
}
MODELS = {
    "dense": "fully connected network",
    "recurrent": "recurrent network",
    "conv": "convolutional network",
    "conv_deep": "deep convolutional network",
    "conv_recurrent": "recurrent convolutional network",
    "conv_recurrent_deep": "deep recurrent convolutional network",
    "dale": "recurrent network under Dale's law",
    "dale_conv": "convolutional network under Dale's law",
}
KEYS = {
    "init.sigma_u": "$\\sigma_U$",
    "init.alpha": "$\\alpha$",
    "optimizer.lr": "step size",
    "layers": "number of hidden layers",
    "model.depth": "number of hidden layers",
}
SAID: dict[str, Callable[[Any], str]] = {  # keys whose values say what they are
    "init": lambda value: init(str(value)),
    "layers": lambda value: layers(value),
    "model.depth": lambda value: layers(value),
    "trainer.epochs": lambda value: f"{value:.0f} epochs",
    "dataset.max_train": lambda value: "all samples" if pd.isna(value) else f"{value:,.0f} samples",
}


def of(key: str, value: Any = None) -> str:
    """A key of the config, or with a value this too, in words."""
    if value is None:
        return KEYS.get(key, key)
    if key in SAID:
        return SAID[key](value)
    named = "." not in key and isinstance(value, str)  # a derived column
    return str(value) if named else f"{KEYS.get(key, key)} = {shown(value)}"


def shown(value: Any) -> str:
    """A value of a key as one would write it."""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "none"
    return f"{value:g}" if isinstance(value, int | float | np.number) else str(value)


def init(name: str, short: bool = False) -> str:
    """The name of an initialization; one that fdi does not know keeps its own."""
    return (SHORT.get(name) if short else None) or INITS.get(name, name)


def data(name: str) -> str:
    """The name of a data set; a number at its end is the size it was cut to."""
    start, _, size = name.rpartition("_")
    if start in DATA and size.isdigit() and int(size) >= 100:
        return f"{DATA[start]}, {int(size):,} samples"
    if start.endswith("_manifold") and size.isdigit():
        return f"Randman (spike times on {size}-dimensional random manifolds)"
    return DATA.get(name, name)


def setting(runs: pd.DataFrame, epochs: str = "") -> str:
    """What was trained, as the beginning of a title: data set and network, and from the column
    `epochs`, if it is given, for how many, with the schedule of the learning rate.
    """
    first = runs.iloc[0]
    parts = [name := data(first["dataset"])]
    parts += [size for size in cut(runs) if not name.endswith(size)]
    parts.append(MODELS.get(first["model"], first["model"]))
    if epochs and pd.notna(number := first[epochs]):
        parts.append(f"{number:.0f} epoch{'s' * bool(number != 1)}")
    if epochs and (named := _schedule(runs)):
        parts.append(named)
    return ", ".join(parts)


def condition(runs: pd.DataFrame) -> str:
    """What all these runs share: the optimizer with its smallest denominator, and the bounds on the
    activity. Empty where they differ or do not name any.
    """
    return ", ".join(part for part in (_optimizer(runs), bounds(runs)) if part)


def cut(runs: pd.DataFrame) -> list[str]:
    """The number of samples that the data set was cut to, if it was cut to the same in all runs."""
    sizes = runs.get("dataset.max_train", pd.Series(dtype=float)).unique()
    return [f"{size:,.0f} samples" for size in sizes if len(sizes) == 1 and pd.notna(size)]


def _optimizer(runs: pd.DataFrame) -> str:
    target, eps = (_common(runs, f"optimizer.{key}") for key in ("_target_", "eps"))
    if target is None:
        return ""
    return str(target).rpartition(".")[2] + (f" with eps = {eps:g}" if eps is not None else "")


def _schedule(runs: pd.DataFrame) -> str:
    target = _common(runs, SCHEDULE)
    if target is None or runs[SCHEDULE].isna().any():
        return ""
    return f"{schedule(str(target))} schedule"


def schedule(target: str) -> str:
    """A schedule of the learning rate, by its class, in a few words."""
    name = target.rpartition(".")[2]
    return SCHEDULES.get(name, name)


def bounds(runs: pd.DataFrame) -> str:
    """no, upper, lower, or both bounds on the activity, as text."""
    if (joint := _common(runs, "homeostasis.joint")) is None:
        return ""
    strengths = [_common(runs, f"homeostasis.{side}.strength") for side in ("upper", "lower")]
    if joint and strengths == [None, None]:
        return "bounds on the activity"
    held = [
        side for side, strength in zip(("upper", "lower"), strengths) if joint and (strength or 0)
    ]
    if not held:
        return "no bounds on the activity"
    return f"{' and '.join(held)} bound{'s' * (len(held) > 1)} on the activity"


def _common(runs: pd.DataFrame, column: str) -> object:
    """The one value of a column, None where there are several or none."""
    values: Sequence[object] = list(runs[column].dropna().unique()) if column in runs else []
    return values[0] if len(values) == 1 else None


def several(names: list[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def span(low: float, high: float) -> str:
    """+3 to +12, or +3 where both round to it."""
    ends = dict.fromkeys(f"{value:+.0f}" for value in (low, high))
    return " to ".join(ends)


def layers(number: float) -> str:
    """The number of hidden layers, as text."""
    return f"{number:.0f} hidden layer{'s' * bool(number != 1)}"
