"""All text of pictures: names that a newcomer understands, for initializations, data sets and
networks; what runs have in common, in one line; and what is said of a sweep above its figure, in
one sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fdi.analysis import formats
from fdi.analysis.conditions import BASELINE

SCHEDULE, CUT = "scheduler._target_", "dataset.max_train"
RATES = {"optimizer.lr": "step size", "optimizer.eps": "eps"}


class Traits(NamedTuple):
    """Of an initialization: its name, its colour and mark, and which of fdi.figures.style.LINES its
    first config has.
    """

    name: str
    color: str
    marker: str
    line: int = 0


INITS = {  # Okabe and Ito 2008; fluct and its relatives are blue and green, baselines warm
    "fluct": Traits("fluctuation-driven", "#0072B2", "o"),
    "fluct_mu": Traits("fluctuation-driven, mean not 0", "#56B4E9", "<", 4),
    "fluct_calibrated": Traits("fluctuation-driven, corrected", "#009E73", "D", 2),
    "fluct_lognormal": Traits("fluctuation-driven, log-normal", "#332288", ">", 3),
    "fluct_rate": Traits("fluctuation-driven, equal rates", "#117733", "H", 1),
    "kaiming": Traits("Kaiming", "#D55E00", "s", 1),
    "xavier": Traits("Xavier", "#E69F00", "^", 2),
    "pytorch": Traits("PyTorch's default", "#CC79A7", "v", 3),
    "orthogonal": Traits("orthogonal", "#882255", "P", 4),
    "lsuv": Traits("LSUV", "#000000", "X", 3),
    "ikun": Traits("IKUN", "#CC6677", "p", 1),
    "spytorch": Traits("SpyTorch", "#996633", "*", 4),
    "micheli": Traits("Micheli et al.", "#C4B000", "h", 2),
    "homeostatic": Traits("homeostatic", "#6A3D9A", "8"),
    "gain": Traits("Kaiming times a gain", "#D55E00", "s"),
}  # a mark each, so that they are told apart in grey, too
DATA = {
    "randman": "Randman",
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
    **RATES,
    "init.identity": "identity",
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
    text = isinstance(value, str)
    if key in SAID and (key == "init" or not text):
        return SAID[key](value)
    named = text and "." not in key  # a derived column
    return str(value) if named else f"{KEYS.get(key, key)} = {shown(value)}"


def shown(value: Any) -> str:
    """A value of a key as one would write it."""
    return "none" if pd.isna(value) else formats.shown(value)


def init(name: str) -> str:
    """The name of an initialization; one that fdi does not know keeps its own."""
    return INITS[name].name if name in INITS else name


def kind(model: str) -> str:
    """An architecture as a word: recurrent."""
    return MODELS.get(model, model).removesuffix(" network")


def data(name: str) -> str:
    """The name of a data set; a number at its end is the size it was cut to."""
    start, _, size = name.rpartition("_")
    if start in DATA and size.isdigit() and int(size) >= 100:
        return f"{DATA[start]}, {int(size):,} samples"
    if start.endswith("_manifold") and size.isdigit():
        return f"Randman on {size}-dimensional manifolds"
    return DATA.get(name, name)


def setting(runs: pd.DataFrame, epochs: str = "") -> str:
    """What was trained, as the beginning of a title: data set and network, and from the column
    `epochs`, if it is given, for how many, with the schedule of the learning rate.
    """
    first = runs.iloc[0]
    name, sizes = data(first["dataset"]), cut(runs)
    if runs.reindex(columns=[CUT])[CUT].nunique(dropna=False) > 1:
        name = name.partition(", ")[0]
    parts = [name, *(size for size in sizes if not name.endswith(size))]
    parts.append(MODELS.get(first["model"], first["model"]))
    if epochs and pd.notna(number := first[epochs]):
        parts.append(f"{number:.0f} epoch{'s' * bool(number != 1)}")
    target = _common(runs, SCHEDULE)
    if epochs and target is not None and runs[SCHEDULE].notna().all():
        parts.append(f"{schedule(str(target))} schedule")
    return ", ".join(parts)


def trained(runs: pd.DataFrame, axes: Sequence[str] = (), epochs: str = "epochs") -> str:
    """`setting` and `condition`."""
    return ", ".join(filter(None, [setting(runs, epochs), condition(runs, axes)]))


def condition(runs: pd.DataFrame, axes: Sequence[str] = ()) -> str:
    """How these runs were trained: optimizer, step size, its smallest denominator eps, bounds on
    the activity; without what they do not name, and what the `axes` of the figure say.
    """
    named = {*runs} - {*axes}
    target = None if "optimizer" in axes else _common(runs, "optimizer._target_")
    parts = ["" if target is None else str(target).rpartition(".")[2]]
    parts += [between(runs[key], name) for key, name in RATES.items() if key in named]
    parts += [] if {"bounds", "homeostasis"} & {*axes} else [bounds(runs)]
    return ", ".join(filter(None, parts))


def between(values: pd.Series, name: str) -> str:
    """One value with its name, or the least and the largest of several."""
    known = pd.to_numeric(values, errors="coerce").dropna()
    ends = dict.fromkeys(f"{value:g}" for value in (known.min(), known.max()))
    return f"{name} {' to '.join(ends)}" if len(known) else ""


def cut(runs: pd.DataFrame) -> list[str]:
    """The number of samples that the data set was cut to, if it was cut to the same in all runs."""
    sizes = runs.get(CUT, pd.Series(dtype=float)).unique()
    return [f"{size:,.0f} samples" for size in sizes if len(sizes) == 1 and pd.notna(size)]


def schedule(target: str) -> str:
    """A schedule of the learning rate, by its class, in a few words."""
    name = target.rpartition(".")[2]
    return SCHEDULES.get(name, name)


def bounds(runs: pd.DataFrame) -> str:
    """no, upper, lower, or both bounds on the activity, as text."""
    if (joint := _common(runs, "homeostasis.joint")) is None:
        return ""
    sides = {side: _common(runs, f"homeostasis.{side}.strength") for side in ("upper", "lower")}
    if joint and [*sides.values()] == [None, None]:
        return "bounds on activity"
    held = [f"{side} bound" for side, strength in sides.items() if joint and strength]
    names = "both bounds" if len(held) > 1 else (held or ["no bounds"])[0]
    return f"{names} on activity"


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


LEAST = 3  # seeds of an interval
MEANS = "mean and 95 % interval"


def seeds(n: pd.Series) -> str:
    """Numbers of seeds, as text."""
    return f"{n.min()}" if n.min() == n.max() else f"{n.min()} to {n.max()}"


def over(n: pd.Series) -> str:
    """How many seeds the values shown are from, as text."""
    return "one seed" if n.max() == 1 else f"n = {seeds(n)} seeds"


def reading(n: pd.Series) -> str:
    """What the marks of values from so many seeds mean."""
    if n.max() < LEAST:
        return f"marks: means of fewer than {LEAST} seeds, without an interval"
    few = f"; hollow: fewer than {LEAST} seeds, no interval" if n.min() < LEAST else ""
    return f"marks: {MEANS}{few}"


NAMED = 4  # initializations that `last` names one by one
OURS = "fluct"
PAIR = f"{init(OURS).capitalize()} against {init(BASELINE)}"


class Sentence(NamedTuple):
    """What a sentence on a sweep needs: the keys of its `panels`, the values of x in their `order`,
    the `text` for a value of a key.
    """

    panels: Sequence[str]
    order: Sequence[object]
    text: Callable[[str, object], str]


def _judged(rows: pd.DataFrame) -> tuple[bool, tuple[str, str]]:
    """Whether lower is better, and name and unit of what runs are judged by."""
    title, better = (rows[key].iloc[0] for key in ("metric", "better"))
    name, _, unit = str(title).partition(" (")
    return bool(better < 0), (name.capitalize() if name.islower() else name, unit.removesuffix(")"))


def _value(mean: float, unit: str) -> str:
    return f"{mean:.0f} %" if unit == "%" else f"{mean:.3g} {unit}".strip()


def highest(rows: pd.DataFrame, sweep: Sentence) -> str:
    """Where the accuracy is highest, and from which initialization if there are several."""
    rows = rows.dropna(subset="x")
    if rows["guess"].eq(1).all():
        return "No run is better than guessing"
    lower, (name, unit) = _judged(rows)
    top = rows.sort_values("mean", ascending=lower, kind="stable").iloc[0]
    end = "lowest" if lower else "highest"
    at = f"{name} is {end}, {_value(top['mean'], unit)}, at {sweep.text('x', top['x'])}"
    where = [sweep.text(key, top[key]) for key in sweep.panels]
    return ", ".join([at, *where, *[init(top["init"])] * (rows["init"].nunique() > 1)])


def difference(rows: pd.DataFrame, sweep: Sentence) -> str:
    """Fluct minus kaiming at the first value of x in each panel."""
    rows = rows[(rows["init"] == OURS) & (rows["x"] == sweep.order[0])].dropna(subset="versus")
    keys = [*sweep.panels]
    rows = rows.sort_values(keys).drop_duplicates(keys) if keys else rows.head(1)
    if rows.empty:
        return ""
    ends = [", ".join(sweep.text(key, row[key]) for key in keys) for _, row in rows.iterrows()]
    each = [*(re.sub(" hidden layers?$", "", end) for end in ends[:-1]), ends[-1]]
    where = f" ({several(each)})" * bool(keys)
    points = several([f"{versus:+.1f}" for versus in rows["versus"]])
    at = sweep.text("x", sweep.order[0])
    return f"With {at}, {init(OURS)} against {init(BASELINE)}: {points} points{where}"


def rescued(rows: pd.DataFrame, sweep: Sentence) -> str:
    """What the best other value of x makes of the initial state that is worst at the first."""
    first = rows[rows["x"] == sweep.order[0]]
    if first.empty or rows["x"].nunique() < 2:
        return ""
    lower, (_, unit) = _judged(rows)
    worst = first.loc[first["mean"].idxmax() if lower else first["mean"].idxmin()]
    same = rows["shade"].isna() if pd.isna(worst["shade"]) else rows["shade"] == worst["shade"]
    others = rows[(rows["init"] == worst["init"]) & same & (rows["x"] != sweep.order[0])]
    best = others["mean"].min() if lower else others["mean"].max()
    return (
        f"{init(worst['init'])}: {_value(worst['mean'], unit)} with "
        f"{sweep.text('x', worst['x'])}, at {'least' if lower else 'most'} {_value(best, unit)} "
        f"with any other"
    )


def decided(rows: pd.DataFrame, sweep: Sentence) -> str:
    """At which values of x fluct is better than kaiming, and at which worse, in the `fullest`
    panel.
    """
    rows = fullest(rows, sweep.panels[0]) if sweep.panels else rows
    parts = []
    for verdict in ("better", "worse"):
        there = set(rows.loc[(rows["init"] == OURS) & (rows["verdict"] == verdict), "x"])
        names = [sweep.text("x", x) for x in sweep.order if x in there]
        parts += [f"{verdict} with {several(names)}"] if names else []
    where = several([sweep.text(key, rows[key].iloc[0]) for key in sweep.panels])
    return f"{PAIR}: {', '.join(parts)}{f' ({where})' * bool(where)}" * bool(parts)


def fullest(table: pd.DataFrame, key: str) -> pd.DataFrame:
    """The rows of the largest value of `key` among those at which fluct was compared with kaiming
    most often.
    """
    pairs = table[table["init"] == OURS].dropna(subset="versus").groupby(key).size()
    value = pairs[pairs == pairs.max()].index.max() if len(pairs) else table[key].max()
    return table[table[key] == value]


def last(rows: pd.DataFrame, sweep: Sentence) -> str:
    """What is reached at the largest x from the best state of each initialization (the range if
    there are many), and from which x on others stay at chance.
    """
    end = rows["x"].max()
    lower, (_, unit) = _judged(rows)
    tops = rows[rows["x"] == end].sort_values("mean", ascending=lower).drop_duplicates("init")
    learning = tops[tops["guess"] != 1]
    means = [_value(mean, unit) for mean in learning["mean"]]
    each = [f"{mean} ({init(name)})" for name, mean in zip(learning["init"], means)]
    reached = several(each) if len(each) <= NAMED else f"{each[-1]} to {each[0]}"
    parts = [f"With {sweep.text('x', end)}: {reached}"] if reached else []
    for lost in tops.loc[tops["guess"] == 1, "init"]:
        own = rows[rows["init"] == lost]
        learns = own.loc[own["guess"] < 1, "x"].max()
        first = own.loc[~(own["x"] <= learns), "x"].min()
        on = f"from {sweep.text('x', first)} on" if first > own["x"].min() else "everywhere"
        parts.append(f"{init(lost)} is at chance {on}")
    return "; ".join(parts)


def verdicts(rows: pd.DataFrame, sweep: Sentence) -> str:
    """How often fluct is better than kaiming, undecided, or worse."""
    rows = rows[(rows["init"] == OURS) & rows["versus"].notna()]
    if rows.empty:
        return ""
    chosen = ", each at its best" * bool(rows["chosen"].any())
    each = [f"{verdict} in {count}" for verdict, count in rows["verdict"].value_counts().items()]
    points = span(rows["versus"].min(), rows["versus"].max())
    return f"{PAIR}{chosen}: {points} points, {several(each)} of {len(rows)}"


def ends(table: pd.DataFrame, sweep: Sentence) -> str:
    """The first two quantities at the smallest x and at the largest, for the last shade."""
    shade = table["shade"].fillna(np.inf)
    rows = table[shade == shade.max()].dropna(subset="x").sort_values("x")
    parts = []
    for quantity, of in list(rows.groupby("quantity", sort=False))[:2]:
        first, final = of.iloc[0], of.iloc[-1]
        name, _, unit = sweep.text("quantity", quantity).partition(",")[0].partition(" (")
        overlap = bool(first["low"] <= final["high"] and final["low"] <= first["high"])
        both = f"{name} {first['mean']:.3g} and {final['mean']:.3g}{' %' * (unit == '%)')}"
        parts.append(f"{both}{' (intervals overlap)' * overlap}")
    places = [sweep.text("x", rows["x"].iloc[end]) for end in (0, -1)]
    of = f" with {sweep.text('shade', shade.max())}" if table["shade"].nunique() > 1 else ""
    return f"At {places[0]} and {places[1]}{of}: {several(parts)}"


ACCURACIES = (decided, difference, highest, last, rescued, verdicts)
RULES = {rule.__name__: rule for rule in (*ACCURACIES, ends)}


def sentence(rule: str, table: pd.DataFrame, sweep: Sentence) -> str:
    """The sentence of the `rule`, one of fdi.config.settings.FINDINGS, on the rows of `table` (of
    fdi.figures.sweep), all or of the accuracy only; "" where they are not enough for it.
    """
    if not rule:
        return ""
    rows = table[table["quantity"] == "accuracy"] if RULES[rule] in ACCURACIES else table
    return RULES[rule](rows, sweep)
