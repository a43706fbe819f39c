"""Learning curves: accuracy in training and validation and the rates of hidden populations, mean
and spread over seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from fdi.analysis.conditions import LABELS, condition_columns, conditions, short_names, shown
from fdi.analysis.results import Results
from fdi.figures import legends, style
from fdi.figures.sweeps import guessed, source, usual

PLACE, TITLE = 10, "Learning curves"
ABOUT = (
    "accuracies and rates over epochs, mean and standard deviation over seeds, per data set "
    "and architecture"
)
NEEDS = "finished runs"
COMMAND = "fdi-run -m init=kaiming,fluct 'seed=range(3)'"
SIZE = (style.COLUMN, style.ROW)
TITLES = {"train/accuracy": "training accuracy (%)", "valid/accuracy": "validation accuracy (%)"}
MOST = 6  # lines of a page
MARKS = 4  # of a line
BASE = 6  # columns of the grid that 1, 2 or 3 panels a row share


def data(results: Results) -> dict[str, pd.DataFrame]:
    """Page -> tidy table, a page per data set, model and differing keys of these; finished runs
    only.

    Columns: title (of the page), line (its label), init, number (of the config among those of the
    same init), n (seeds), quantity, epoch, mean, sd, source. Epochs count from the start of the
    task, so those of a priming phase are 0 and less; accuracies in percent, rates in Hz. An epoch
    counts where all seeds of the line have it. Of runs that differ in other keys than those of the
    initialization, a page has the set with most initializations, the largest of these, the last of
    these (say, with bounds on the activity), and the title says which; with more than six lines it
    keeps one of each initialization. Sets that only guess have no page.
    """
    done = results.runs[results.runs["state"] == "done"]
    pages: dict[str, pd.DataFrame] = {}
    for _, group in done.groupby(["dataset", "model"]):
        columns = condition_columns(group)
        own = [column for column in columns if column == "init" or column.startswith("init.")]
        named = [
            column
            for column in columns
            if column in LABELS[:2] or column.startswith(("dataset.", "model."))
        ]
        others = [column for column in columns if column not in (*own, *named)]
        for values, members in conditions(group, named):
            name = _name(named, values)
            told = [column for column in others if members[column].nunique(dropna=False) > 1]
            sets = list(conditions(members, told)) if told else [((), members)]
            most = [(found["init"].nunique(), len(found)) for _, found in sets]
            values, chosen = sets[max(range(len(sets)), key=lambda i: (most[i], i))]
            shown = own
            if sum(1 for _ in conditions(chosen, shown)) > MOST:
                chosen = usual(chosen)
                shown = ["init", *({"init.sigma_u"} & {*columns})]
            title = ", ".join([name, *_cut(chosen), *([_name(told, values)] if told else [])])
            page = _page(chosen, shown, results).assign(title=title)
            if len(page) and not guessed(chosen):
                pages[name.replace(", ", "_").replace(" = ", "=")] = page
    return pages


def _cut(runs: pd.DataFrame) -> list[str]:
    """How many samples the data set of all these runs was cut to, if it was."""
    sizes = runs.get("dataset.max_train", pd.Series(dtype=float)).unique()
    return [f"{size:,.0f} samples" for size in sizes if len(sizes) == 1 and pd.notna(size)]


def panels(page: pd.DataFrame) -> list[list[str]]:
    """The layout: both accuracies in the first row, the rates of the populations below, two or
    three a row.
    """
    rates = [quantity for quantity in page["quantity"].unique() if quantity not in TITLES]
    per_row = 2 if len(rates) in (2, 4) else min(len(rates), 3)
    rows = [list(TITLES), *(rates[i : i + per_row] for i in range(0, len(rates), per_row or 1))]
    widths = [BASE // len(TITLES), *(BASE // per_row for _ in rows[1:])]
    spread = [[name for name in row for _ in range(width)] for row, width in zip(rows, widths)]
    return [row + ["."] * (BASE - len(row)) for row in spread]


def draw(page: pd.DataFrame, axes: Mapping[str, Axes]) -> None:
    """Draw a page of `data` into one axes per quantity."""
    places = {line: place for place, line in enumerate(page["line"].unique())}
    for (quantity, line), rows in page.groupby(["quantity", "line"], sort=False):
        _draw_line(axes[quantity], rows, places[line])
    rates = [quantity for quantity in axes if quantity not in TITLES]
    _finish(axes, list(TITLES), 100.0, page)
    _finish(axes, rates, 1.05 * _top(page[page["quantity"].isin(rates)]), page)
    figure = next(iter(axes.values())).figure
    handles = [_handle(rows.iloc[0]) for _, rows in page.groupby("line", sort=False)]
    if page["epoch"].min() < 1:
        handles.append(Patch(color=style.PRIME, label="priming, before the task"))
    for quantity in {*panels(page)[-1]} - {"."}:
        axes[quantity].set_xlabel("epoch of the task" if page["epoch"].min() < 1 else "epoch")
    title = f"{page['title'].iloc[0]}: mean and standard deviation over n seeds"
    legends.above(figure, handles, title)


def _page(runs: pd.DataFrame, columns: Sequence[str], results: Results) -> pd.DataFrame:
    """The lines of runs that differ in seed and initialization only; empty where they have no
    curves.
    """
    parts: list[pd.DataFrame] = []
    for values, members in conditions(runs, columns):
        lines = _line(_aligned(results.curves_of(members)))
        if len(lines):
            init = members["init"].iloc[0]
            number = sum(part["init"].iloc[0] == init for part in parts)
            parts.append(lines.assign(line=_name(columns, values), init=init, number=number))
    return (
        pd.concat(parts, ignore_index=True).assign(source=source(runs)) if parts else pd.DataFrame()
    )


def _aligned(metrics: pd.DataFrame) -> pd.DataFrame:
    """Epochs counted from the start of the task."""
    primed = (metrics["phase"] == "prime").groupby(metrics["path"], observed=True).transform("sum")
    return metrics.assign(epoch=metrics["epoch"] - primed)


def _line(metrics: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over the seeds of one condition; the long form of it."""
    parts = []
    for quantity in (
        column for column in metrics if column in TITLES or column.startswith("rate/")
    ):
        scale = 100.0 if quantity in TITLES else 1.0
        by_seed = (
            scale * metrics.pivot_table(index="epoch", columns="seed", values=quantity).dropna()
        )
        if len(by_seed):
            moments = pd.DataFrame(
                {"mean": by_seed.mean(axis=1), "sd": by_seed.std(axis=1)}
            ).reset_index()
            parts.append(moments.assign(quantity=quantity, n=by_seed.shape[1]))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _name(columns: Sequence[str], values: Sequence[Any]) -> str:
    """The values of these columns, of a config with the name of their key."""
    short = short_names(columns)
    return ", ".join(
        str(value) if column in LABELS else f"{short[column]} = {shown(value)}"
        for column, value in zip(columns, values)
        if value is not None
    )


def _draw_line(axes: Axes, rows: pd.DataFrame, place: int) -> None:
    """A line with few marks, at other epochs than those of the lines in other places."""
    first, step = rows.iloc[0], 1 + len(rows) // MARKS
    look = style.look(first["init"], first["number"])
    if len(rows) == 1:
        look["marker"] = look["marker"] or "o"
    axes.plot(rows["epoch"], rows["mean"], **look, markevery=(2 * place % step, step))
    if first["n"] > 1:
        most = 100.0 if first["quantity"] in TITLES else None
        low = (rows["mean"] - rows["sd"]).clip(lower=0.0)
        high = (rows["mean"] + rows["sd"]).clip(upper=most)
        axes.fill_between(
            rows["epoch"], low, high, color=style.color(first["init"]), alpha=0.2, linewidth=0
        )


def _finish(
    axes: Mapping[str, Axes], quantities: Sequence[str], top: float, page: pd.DataFrame
) -> None:
    """Limits that panels of one kind share, titles, axis labels, priming."""
    first, last = page["epoch"].min(), page["epoch"].max()
    for quantity in quantities:
        panel = axes[quantity]
        panel.set_title(TITLES.get(quantity, f"{quantity.removeprefix('rate/')} rate (Hz)"))
        panel.set_xlim(min(first - 0.5, 0), last + 0.5)
        panel.set_ylim(-0.02 * top, 1.02 * top)
        panel.xaxis.set_major_locator(MaxNLocator(3, integer=True, steps=[1, 2, 5, 10]))
        if first < 1:
            panel.axvspan(first - 0.5, 0.5, color=style.PRIME, linewidth=0, zorder=0)


def _handle(row: pd.Series) -> Line2D:
    return Line2D(
        [], [], **style.look(row["init"], row["number"]), label=f"{row['line']} (n = {row['n']})"
    )


def _top(rates: pd.DataFrame) -> float:
    return max(1.0, float((rates["mean"] + rates["sd"].fillna(0)).max())) if len(rates) else 1.0
