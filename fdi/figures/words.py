"""All text of pictures: names that a newcomer understands, for initializations, data sets and
networks; what runs have in common, in one line; and what is said of a sweep above its figure, in
one sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fdi.analysis import formats
from fdi.analysis.conditions import BASELINE

SCHEDULE = "scheduler._target_"


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
    "homeostatic": Traits("homeostatic", "#661100", "8"),
    "gain": Traits("Kaiming times a gain", "#D55E00", "s"),
}  # a mark each, so that they are told apart in grey, too
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
    text = isinstance(value, str)
    if key in SAID and (key == "init" or not text):
        return SAID[key](value)
    named = text and "." not in key  # a derived column
    return str(value) if named else f"{KEYS.get(key, key)} = {shown(value)}"


def shown(value: Any) -> str:
    """A value of a key as one would write it."""
    return "none" if pd.isna(value) else formats.shown(value)


def init(name: str, short: bool = False) -> str:
    """The name of an initialization; one that fdi does not know keeps its own."""
    known = INITS[name].name if name in INITS else name
    return SHORT.get(name, known) if short else known


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
    target = _common(runs, SCHEDULE)
    if epochs and target is not None and runs[SCHEDULE].notna().all():
        parts.append(f"{schedule(str(target))} schedule")
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
    name = "" if target is None else str(target).rpartition(".")[2]
    return f"{name} with eps = {eps:g}" if name and eps is not None else name


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
        return "bounds on the activity"
    held = [side for side, strength in sides.items() if joint and strength]
    names = f"{' and '.join(held)} bound{'s' * (len(held) > 1)}" if held else "no bounds"
    return f"{names} on the activity"


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


MEANS = "mean and 95 % interval"
OVER = f"{MEANS} over n seeds"


def seeds(n: pd.Series) -> str:
    """Numbers of seeds, as text."""
    return f"{n.min()}" if n.min() == n.max() else f"{n.min()} to {n.max()}"


def over(n: pd.Series, what: str = MEANS) -> str:
    """How many seeds the values shown are from, as text; a single seed has no mean."""
    if n.max() == 1:
        return "one seed"
    hollow = "; hollow: a single seed" if n.min() == 1 else ""
    return f"{what} over n = {seeds(n)} seeds{hollow}"


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


def highest(rows: pd.DataFrame, sweep: Sentence) -> str:
    """Where the accuracy is highest, and from which initialization if there are several."""
    rows = rows.dropna(subset="x")
    if rows["guess"].eq(1).all():
        return "No run is better than guessing"
    top = rows.sort_values("mean", ascending=False, kind="stable").iloc[0]
    at = f"Accuracy is highest, {top['mean']:.0f} %, at {sweep.text('x', top['x'])}"
    where = [sweep.text(key, top[key]) for key in sweep.panels]
    return ", ".join([at, *where, *[init(top["init"])] * (rows["init"].nunique() > 1)])


def difference(rows: pd.DataFrame, sweep: Sentence) -> str:
    """Fluct minus kaiming in the first panel, at the first value of x and where it is largest."""
    for key in sweep.panels:
        rows = rows[rows[key] == rows[key].min()]
    rows = rows[rows["init"] == OURS].dropna(subset="versus").drop_duplicates("x")
    versus, first = rows.set_index("x")["versus"], sweep.order[0]
    if first not in versus or len(versus) < 2:
        return ""
    most = versus.drop(first).abs().idxmax()
    each = [f"{versus[x]:+.1f} ({sweep.text('x', x)})" for x in (first, most)]
    return f"{init(OURS).capitalize()} minus {init(BASELINE)}: {', '.join(each)}"


def rescued(rows: pd.DataFrame, sweep: Sentence) -> str:
    """What the best other value of x makes of the initial state that is worst at the first."""
    first = rows[rows["x"] == sweep.order[0]]
    if first.empty or rows["x"].nunique() < 2:
        return ""
    worst = first.loc[first["mean"].idxmin()]
    same = rows["shade"].isna() if pd.isna(worst["shade"]) else rows["shade"] == worst["shade"]
    others = rows[(rows["init"] == worst["init"]) & same & (rows["x"] != sweep.order[0])]
    return (
        f"{init(worst['init'])}: {worst['mean']:.0f} % with {sweep.text('x', worst['x'])}, "
        f"at most {others['mean'].max():.0f} % with any"
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
    tops = rows[rows["x"] == end].sort_values("mean", ascending=False).drop_duplicates("init")
    learning = tops[tops["guess"] != 1]
    each = [f"{init(n, True)} {mean:.0f} %" for n, mean in zip(learning["init"], learning["mean"])]
    reached = several(each) if len(each) <= NAMED else f"from {each[-1]} to {each[0]}"
    parts = [f"With {sweep.text('x', end)}: {reached}"] if reached else []
    for lost in tops.loc[tops["guess"] == 1, "init"]:
        own = rows[rows["init"] == lost]
        learns = own.loc[own["guess"] < 1, "x"].max()
        first = own.loc[~(own["x"] <= learns), "x"].min()
        on = f"from {sweep.text('x', first)} on" if first > own["x"].min() else "everywhere"
        parts.append(f"{init(lost)} at chance {on}")
    return "; ".join(parts)


def verdicts(rows: pd.DataFrame, sweep: Sentence) -> str:
    """How often fluct is better than kaiming, undecided, or worse."""
    rows = rows[(rows["init"] == OURS) & rows["versus"].notna()]
    if rows.empty:
        return ""
    chosen = ", each at its best" * bool(rows["chosen"].any())
    each = [f"{verdict} in {count}" for verdict, count in rows["verdict"].value_counts().items()]
    points = span(rows["versus"].min(), rows["versus"].max())
    return f"{PAIR}{chosen}: {points} points, {several(each)}"


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
    return f"At {places[0]} and {places[1]}: {', '.join(parts)}"


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
