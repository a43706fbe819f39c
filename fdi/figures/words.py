"""All text of pictures: names that a newcomer understands, for initializations, data sets and
networks; what runs have in common, in one line; and what their differences say, in one sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import yaml

from fdi.analysis import formats
from fdi.analysis.conditions import BASELINE
from fdi.config.lookup import described
from fdi.config.metric import Metric

SCHEDULE, CUT = "scheduler._target_", "dataset.max_train"
RATES = ("optimizer.lr", "optimizer.eps")


class Traits(NamedTuple):
    """Of an initialization: its name, its colour and mark, and which of fdi.figures.style.LINES its
    first config has.
    """

    name: str
    color: str
    marker: str
    line: int = 0


SAID = yaml.safe_load(Path(__file__).with_name("names.yaml").read_text(encoding="utf-8"))
INITS = {init: Traits(*traits) for init, traits in SAID["inits"].items()}
DATASETS, SCHEDULES = SAID["datasets"], SAID["schedules"]
MODELS, NAMES = SAID["models"], SAID["keys"]
SAYING: dict[str, Callable[[Any], str]] = {  # keys whose values say what they are
    "init": lambda value: init(str(value)),
    "layers": lambda value: layers(value),
    "model.depth": lambda value: layers(value),
    "trainer.epochs": lambda value: f"{value:.0f} epochs",
    "dataset.max_train": lambda value: "all samples" if pd.isna(value) else f"{value:,.0f} samples",
}


def phrase(key: str, value: Any = None) -> str:
    """A key of the config, or with a value and its unit this too, in words."""
    name = NAMES.get(key) or described(key)[0] or key
    if value is None:
        return name
    text = isinstance(value, str)
    if key in SAYING and (key == "init" or not text):
        return SAYING[key](value)
    if text and "." not in key:  # a derived column
        return value
    of_unit, factor = unit(key, pd.Series([value]))
    number = value if factor == 1 else factor * value
    return f"{name} = {formats.shown(number)}{f' {of_unit}' * (of_unit in UNITS)}"


UNITS = ("s", "ms", "Hz", "GiB")  # that stand behind each number


def unit(key: str, values: pd.Series) -> tuple[str, float]:
    """The unit in which values of a key are shown, and what they are multiplied by for it."""
    known = described(key)[1]
    small = known == "s" and pd.api.types.is_numeric_dtype(values) and values.max() < 1
    return ("ms", 1e3) if small else (known, 1)


def axis(key: str, values: pd.Series) -> str:
    """The label of an axis of a key, with the unit of its values."""
    of_unit, _ = unit(key, values)
    return f"{phrase(key)}{f' ({of_unit})' * bool(of_unit)}"


def init(name: str) -> str:
    """The name of an initialization; one that fdi does not know keeps its own."""
    return INITS[name].name if name in INITS else name


def model_name(model: str) -> str:
    """An architecture as a word: recurrent."""
    return MODELS.get(model, model).removesuffix(" network")


def dataset_name(name: str) -> str:
    """The name of a data set; a number at its end is the size it was cut to."""
    start, _, size = name.rpartition("_")
    if start in DATASETS and size.isdigit() and int(size) >= 100:
        return f"{DATASETS[start]}, {int(size):,} samples"
    if start.endswith("_manifold") and size.isdigit():
        return f"Randman on {size}-dimensional manifolds"
    return DATASETS.get(name, name)


def heading(runs: pd.DataFrame, epochs: str = "") -> str:
    """What was trained, as the beginning of a title: data set and network, and from the column
    `epochs`, if it is given, for how many, with the schedule of the learning rate.
    """
    first = runs.iloc[0]
    name, sizes = dataset_name(first["dataset"]), cut(runs)
    if runs.reindex(columns=[CUT])[CUT].nunique(dropna=False) > 1:
        name = name.partition(", ")[0]
    parts = [name, *(size for size in sizes if not name.endswith(size))]
    parts.append(MODELS.get(first["model"], first["model"]))
    if epochs and pd.notna(number := first[epochs]):
        parts.append(f"{number:.0f} epoch{'s' * bool(number != 1)}")
    target = _common(runs, SCHEDULE)
    if epochs and target is not None and runs[SCHEDULE].notna().all():
        parts.append(f"{schedule_name(str(target))} schedule")
    return ", ".join(parts)


def trained(runs: pd.DataFrame, axes: Sequence[str] = (), epochs: str = "epochs") -> str:
    """`heading` and `condition`."""
    return ", ".join(filter(None, [heading(runs, epochs), condition(runs, axes)]))


def condition(runs: pd.DataFrame, axes: Sequence[str] = ()) -> str:
    """How these runs were trained: optimizer, step size, its smallest denominator eps, bounds on
    the activity; without what they do not name, and what the `axes` of the figure say.
    """
    named = {*runs} - {*axes}
    target = None if "optimizer" in axes else _common(runs, "optimizer._target_")
    parts = ["" if target is None else str(target).rpartition(".")[2]]
    parts += [between(runs[key], NAMES[key]) for key in RATES if key in named]
    parts += [] if {"bounds", "homeostasis"} & {*axes} else [bounds(runs)]
    return ", ".join(filter(None, parts))


def between(values: pd.Series, name: str) -> str:
    """One value with its name, or the least and the largest of several."""
    known = pd.to_numeric(values, errors="coerce").dropna()
    return f"{name} {ends(known, 'g')}" if len(known) else ""


def ends(values: pd.Series, form: str = "") -> str:
    """+3 to +12, or +3 where both ends are written so."""
    return " to ".join(dict.fromkeys(format(end, form) for end in (values.min(), values.max())))


def cut(runs: pd.DataFrame) -> list[str]:
    """The number of samples that the data set was cut to, if it was cut to the same in all runs."""
    sizes = runs.get(CUT, pd.Series(dtype=float)).unique()
    return [f"{size:,.0f} samples" for size in sizes if len(sizes) == 1 and pd.notna(size)]


def schedule_name(target: str) -> str:
    """A schedule of the learning rate, by its class, in a few words."""
    name = target.rpartition(".")[2]
    return SCHEDULES.get(name, name)


def bounds(runs: pd.DataFrame) -> str:
    """No activity regularization, or with which of its bounds, as text."""
    if (joint := _common(runs, "homeostasis.joint")) is None:
        return ""
    sides = {side: _common(runs, f"homeostasis.{side}.strength") for side in ("upper", "lower")}
    if joint and [*sides.values()] == [None, None]:
        return "activity regularization"
    held = [f" ({side} bound)" for side, strength in sides.items() if joint and strength]
    regularized = f"{'' if held else 'no '}activity regularization"
    return regularized + (held[0] if len(held) == 1 else "")


def _common(runs: pd.DataFrame, column: str) -> object:
    """The one value of a column, None where there are several or none."""
    values: Sequence[object] = list(runs[column].dropna().unique()) if column in runs else []
    return values[0] if len(values) == 1 else None


def several(names: list[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def layers(number: float) -> str:
    """The number of hidden layers, as text."""
    return f"{number:.0f} hidden layer{'s' * bool(number != 1)}"


LEAST = 3  # seeds of an interval
MEANS = "mean and 95 % interval"


def seeds_shown(n: pd.Series) -> str:
    """How many seeds the values shown are from, as text."""
    return "one seed" if n.max() == 1 else f"n = {ends(n)} seeds"


def reading(n: pd.Series) -> str:
    """What the marks of values from so many seeds mean."""
    if n.max() < LEAST:
        return f"marks: means of fewer than {LEAST} seeds, without an interval"
    few = f"; hollow: fewer than {LEAST} seeds, no interval" if n.min() < LEAST else ""
    return f"marks: {MEANS}{few}"


FLUCT = "fluct"
PAIR = f"{init(FLUCT).capitalize()} against {init(BASELINE)}"


def verdicts(rows: pd.DataFrame, metric: Metric) -> str:
    """By how many points of the metric, and how often, fluct is better than kaiming, undecided, or
    worse; "" where nothing is compared.
    """
    rows = rows[(rows["init"] == FLUCT) & rows["versus"].notna()]
    if rows.empty:
        return ""
    counts = rows["verdict"].replace("", "undecided").value_counts()
    parts = [f"{verdict} in {count}" for verdict, count in counts.items()]
    share = metric.unit == "%"
    points = ends(rows["versus"], "+.0f" if share else metric.form("+")) + " points" * share
    return f"{points}, {several(parts)} of {len(rows)}"
