"""The result in some sentences, for the README: at one step size, each at its best, and how the
best steps lie to each other; and the table behind them.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from fdi.analysis import zoo
from fdi.analysis.best import DECIDED, NETWORK, each_at_its_best, readable
from fdi.analysis.choice import STEP
from fdi.analysis.results import Results
from fdi.analysis.statistics import verdict
from fdi.figures import words
from fdi.figures.catalogue import FIGURES
from fdi.study import floor
from fdi.study.circumstances import EPS
from pages.tables import markdown, unmeasured

ONE = "fluct"  # against Kaiming
LEARNS = 2.0  # times guessing, at least


def headline(measured: Results) -> str:
    """Fluctuation-driven against Kaiming weights; only what was measured is said."""
    table = each_at_its_best(measured)
    if table.empty:
        return unmeasured(FIGURES["best"].COMMAND)
    lines = [*_deep(floor.data(measured)), *_leads(table), *_apart(table), *_random(measured)]
    return "".join(f"{i}. {line}\n" for i, line in enumerate(lines, 1))


def _deep(pages: dict[str, pd.DataFrame]) -> Iterator[str]:
    """Who learns at the usual step size and eps, in the deepest network with the most seeds."""
    page = pages.get("digits_conv")
    if page is None:
        return
    depth = page[(page["part"] == "depth") & (page["optimizer"] == "SMORMS3")]
    rows = depth[depth["eps"] == EPS]
    means = rows.pivot(index="x", columns="init", values="mean").reindex(columns=["kaiming", ONE])
    chance = page["chance"].iloc[0]
    apart = means[(means[ONE] > LEARNS * chance) & (means["kaiming"] <= LEARNS * chance)]
    seeds = rows.pivot(index="x", columns="init", values="n").min(axis=1).reindex(apart.index)
    if apart.empty:
        return
    layers = seeds[seeds == seeds.max()].index.max()
    deepest = rows[rows["x"] == layers].set_index("init")
    one, other = (deepest.loc[init] for init in (ONE, "kaiming"))
    yield (
        f"**At the usual step size and eps** (5e-3, {EPS:g}), deep networks learn from "
        f"fluctuation-driven weights and not from Kaiming weights: convolutions of {layers:.0f} "
        f"layers on real digits reach {one['mean']:.1f} % (n = {one['n']}), against "
        f"{other['mean']:.1f} % (n = {other['n']}). This holds for that step size and that eps."
    )


def at_their_best(measured: Results) -> str:
    """What each initial state reaches in common and at its best."""
    table = each_at_its_best(measured)
    if table.empty:
        return unmeasured(FIGURES["best"].COMMAND)
    return markdown(readable(table).map(lambda text: text.replace("\n", "<br>")))


def random_networks(measured: Results) -> str:
    """What the zoo says: its tables, and how to read them."""
    table = zoo.members(measured)
    if table.empty:
        return unmeasured(FIGURES["zoo"].COMMAND)
    parts = [f"**{title}**\n\n{markdown(shown)}" for title, shown in zoo.tables(table).items()]
    notes = "".join(f"* {line[0].upper()}{line[1:]}.\n" for line in zoo.said(table))
    return "\n".join([*parts, notes, f"{zoo.ROWS}.csv: {table['source'].iloc[0]}\n"])


def _random(measured: Results) -> Iterator[str]:
    """How many random networks learn from which of the two."""
    table = zoo.members(measured)
    if table.empty:
        return
    parts = []
    for setting, title in zoo.SETTINGS.items():
        of = table[table["setting"] == setting]
        own, base = zoo.paired(of, ONE)
        mine, other, p = zoo.only(table, ONE, setting)
        word = verdict(mine - other, p)
        parts.append(
            f"{own.sum()} learn from fluctuation-driven and {base.sum()} from Kaiming "
            f"weights ({title}; {mine} only from the former, {other} only from the latter: {word})"
        )
    yield f"**Of {len(own)} networks drawn at random**, {', and '.join(parts)}."


def _leads(table: pd.DataFrame) -> Iterator[str]:
    rows = table[(table["init"] == ONE) & table["difference"].notna()]
    starts = {
        "common": "**At the same step size**",
        "best": "**Each at the step size and floor of the optimizer that suit it**",
    }
    for setting, start in starts.items():
        if len(of := rows[rows["setting"] == setting]):
            with_step = f" ({of[STEP].iloc[0]:g})" if setting == "common" else ""
            yield f"{start}{with_step}, {_counted(of)}.{_stuck(table, setting)}"


def _stuck(table: pd.DataFrame, setting: str) -> str:
    """How many runs from Kaiming weights are no better than guessing, where some are."""
    rows = table[(table["setting"] == setting) & (table["init"] == "kaiming")]
    stuck = rows[rows["at_chance"] > 0]
    told = [f"{row['at_chance']} of {row['n']} in {name(row)}" for _, row in stuck.iterrows()]
    return f" Runs from Kaiming weights at chance: {'; '.join(told)}." if told else ""


def _counted(rows: pd.DataFrame) -> str:
    """In how many networks the interval lies on which side of 0, the means at both ends, and the
    intervals that hold 0.
    """
    better, worse = (rows[rows["verdict"] == word] for word in DECIDED)
    undecided = rows[~rows["verdict"].isin(DECIDED)]
    parts = [f"do better than Kaiming weights in {len(better)} of {len(rows)} networks"]
    parts[0] += f" (by {span(better['difference'])})" if len(better) else ""
    parts += [f"worse in {len(worse)} (by {span(-worse['difference'])})"] * bool(len(worse))
    if len(undecided):
        intervals = [between(row) for _, row in undecided.iterrows()]
        parts.append(f"undecided in {len(undecided)} ({'; '.join(intervals)})")
    said = f"fluctuation-driven weights {', '.join(parts)}"
    if decided := largest(rows):
        said += f"; the largest decided difference is {decided}"
    return said


def largest(rows: pd.DataFrame) -> str:
    """The largest difference that is decided, with its interval, n and network; "" of none."""
    decided = rows[rows["verdict"].isin(DECIDED)]
    if decided.empty:
        return ""
    top = decided.loc[decided["difference"].abs().idxmax()]
    return (
        f"{top['difference']:+.1f} points ({between(top)}, n = {top['pairs']:.0f}), in {name(top)}"
    )


def between(row: pd.Series) -> str:
    """The interval of a difference."""
    return f"{row['from']:+.1f}..{row['to']:+.1f}"


def span(values: pd.Series) -> str:
    """From the least to the largest, in points."""
    low, high = f"{values.min():.1f}", f"{values.max():.1f}"
    return f"{low} points" if low == high else f"{low} to {high} points"


def name(row: pd.Series) -> str:
    """A network in words: a fully connected network of 3 hidden layers on Randman."""
    model = words.MODELS.get(row["model"], row["model"])
    data = words.data(row["dataset"]).partition(" (")[0]
    return f"a {model} of {words.layers(row['layers'])} on {data}"


def _apart(table: pd.DataFrame) -> Iterator[str]:
    """How the two best steps of a network lie to each other."""
    best = table[table["setting"] == "best"]
    steps = best.pivot_table(index=[*NETWORK], columns="init", values=STEP)
    if not {ONE, "kaiming"} <= set(steps):
        return
    ratio = (steps["kaiming"] / steps[ONE]).dropna()
    if len(ratio) < 2:
        return
    yield (
        f"**The step size that suits Kaiming weights** is {_times(ratio)} the one that suits "
        f"fluctuation-driven weights."
    )


def _times(ratio: pd.Series) -> str:
    low, high = f"{ratio.min():.2g}", f"{ratio.max():.2g}"
    return f"{low} times" if low == high else f"{low} to {high} times"
