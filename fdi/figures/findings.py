"""What is said of a sweep above its figure: one sentence, from the table that is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from fdi.analysis.conditions import BASELINE
from fdi.figures import words

NAMED = 4  # initializations that `last` names one by one
OURS = "fluct"
PAIR = f"{words.init(OURS).capitalize()} against {words.init(BASELINE)}"


class Said(NamedTuple):
    """A sweep in words: `x` its key, `panels` those of its panels, `order` the values of x, `text`
    the words for a value of a key.
    """

    x: str
    panels: Sequence[str]
    order: Sequence[object]
    text: Callable[[str, object], str]


def said(rule: str, table: pd.DataFrame, sweep: Said) -> str:
    """The sentence of the `rule`, one of fdi.config.settings.FINDINGS, on the rows of `table` (of
    fdi.figures.sweep); "" where they are not enough for it.
    """
    return RULES[rule](table, sweep) if rule else ""


def highest(table: pd.DataFrame, sweep: Said) -> str:
    """Where the accuracy is highest, and from which initialization if there are several."""
    rows = _accuracy(table).dropna(subset="x")
    if rows["guess"].eq(1).all():
        return "No run is better than guessing"
    top = rows.loc[rows["mean"].idxmax()]
    where = [sweep.text(key, top[key]) for key in sweep.panels]
    parts = [
        f"Accuracy is highest, {top['mean']:.0f} %, at {sweep.text(sweep.x, top['x'])}",
        *where,
    ]
    if rows["init"].nunique() > 1:
        parts.append(words.init(top["init"]))
    return ", ".join(parts)


def difference(table: pd.DataFrame, sweep: Said) -> str:
    """Fluct minus kaiming in the first panel, at the first value of x and where it is largest."""
    rows = _accuracy(table)
    for key in sweep.panels:
        rows = rows[rows[key] == rows[key].min()]
    rows = rows[rows["init"] == OURS].dropna(subset="versus").drop_duplicates("x")
    versus = rows.set_index("x")["versus"]
    first = sweep.order[0]
    if first not in versus or len(versus) < 2:
        return ""
    most = versus.drop(first).abs().idxmax()
    names = words.init(OURS).capitalize(), words.init(BASELINE)
    each = [f"{versus[x]:+.1f} ({sweep.text(sweep.x, x)})" for x in (first, most)]
    return f"{names[0]} minus {names[1]}: {', '.join(each)}"


def rescued(table: pd.DataFrame, sweep: Said) -> str:
    """What the best other value of x makes of the initial state that is worst at the first."""
    rows = _accuracy(table)
    first = rows[rows["x"] == sweep.order[0]]
    if first.empty or rows["x"].nunique() < 2:
        return ""
    worst = first.loc[first["mean"].idxmin()]
    same = rows["shade"].isna() if pd.isna(worst["shade"]) else rows["shade"] == worst["shade"]
    best = rows[(rows["init"] == worst["init"]) & same & (rows["x"] != sweep.order[0])]
    return (
        f"{words.init(worst['init'])}: {worst['mean']:.0f} % with {sweep.text('x', worst['x'])}, "
        f"at most {best['mean'].max():.0f} % with any"
    )


def decided(table: pd.DataFrame, sweep: Said) -> str:
    """At which values of x fluct is better than kaiming, and at which worse, in the `fullest`
    panel.
    """
    rows = fullest(_accuracy(table), sweep.panels[0]) if sweep.panels else _accuracy(table)
    ours = rows[rows["init"] == OURS]
    parts = []
    for verdict in ("better", "worse"):
        there = set(ours.loc[ours["verdict"] == verdict, "x"])
        names = [sweep.text(sweep.x, x) for x in sweep.order if x in there]
        parts += [f"{verdict} with {words.several(names)}"] if names else []
    where = [sweep.text(key, rows[key].iloc[0]) for key in sweep.panels]
    return f"{PAIR}: {', '.join(parts)}{f' ({words.several(where)})' * bool(where)}" * bool(parts)


def fullest(table: pd.DataFrame, key: str) -> pd.DataFrame:
    """The rows of the largest value of `key` among those at which fluct was compared with kaiming
    most often.
    """
    pairs = table[table["init"] == OURS].dropna(subset="versus").groupby(key).size()
    value = pairs[pairs == pairs.max()].index.max() if len(pairs) else table[key].max()
    return table[table[key] == value]


def last(table: pd.DataFrame, sweep: Said) -> str:
    """What is reached at the largest x from the best state of each initialization (the range if
    there are many), and from which x on others stay at chance.
    """
    accuracy = _accuracy(table)
    end = accuracy["x"].max()
    rows = accuracy[accuracy["x"] == end].sort_values("mean", ascending=False)
    rows = rows.drop_duplicates("init")
    lost, learning = rows[rows["guess"] == 1], rows[rows["guess"] != 1]
    each = [
        f"{words.init(init, True)} {mean:.0f} %"
        for init, mean in zip(learning["init"], learning["mean"])
    ]
    reached = words.several(each) if len(each) <= NAMED else f"from {each[-1]} to {each[0]}"
    parts = [f"With {sweep.text(sweep.x, end)}: {reached}"] if reached else []
    for init in lost["init"]:
        own = accuracy[accuracy["init"] == init]
        better = own.loc[own["guess"] < 1, "x"]
        first = own.loc[own["x"] > (better.max() if len(better) else -np.inf), "x"].min()
        on = f"from {sweep.text(sweep.x, first)} on" if first > own["x"].min() else "everywhere"
        parts.append(f"{words.init(init)} at chance {on}")
    return "; ".join(parts)


def verdicts(table: pd.DataFrame, sweep: Said) -> str:
    """How often fluct is better than kaiming, undecided, or worse."""
    rows = _accuracy(table)
    rows = rows[(rows["init"] == OURS) & rows["versus"].notna()]
    if rows.empty:
        return ""
    chosen = ", each at its best" if rows["chosen"].any() else ""
    counts = rows["verdict"].value_counts()
    each = [f"{verdict} in {count}" for verdict, count in counts.items()]
    low, high = rows["versus"].min(), rows["versus"].max()
    points = words.span(low, high)
    return f"{PAIR}{chosen}: {points} points, {words.several(each)}"


def ends(table: pd.DataFrame, sweep: Said) -> str:
    """The first two quantities at the smallest x and at the largest, for the last shade."""
    shade = table["shade"].fillna(np.inf)
    rows = table[shade == shade.max()].dropna(subset="x").sort_values("x")
    parts = []
    for quantity, of in list(rows.groupby("quantity", sort=False))[:2]:
        first, last = of.iloc[0], of.iloc[-1]
        ends = f"{first['mean']:.3g} and {last['mean']:.3g}"
        name, _, unit = sweep.text("quantity", quantity).partition(",")[0].partition(" (")
        overlap = bool(first["low"] <= last["high"] and last["low"] <= first["high"])
        parts.append(f"{name} {ends}{' %' * (unit == '%)')}{' (intervals overlap)' * overlap}")
    places = [sweep.text(sweep.x, rows["x"].iloc[end]) for end in (0, -1)]
    return f"At {places[0]} and {places[1]}: {', '.join(parts)}"


def _accuracy(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["quantity"] == "accuracy"]


RULES = {
    rule.__name__: rule for rule in (decided, difference, ends, highest, last, rescued, verdicts)
}
