"""Learning curves: accuracy in training and validation and the rates of hidden populations, mean
and interval over seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from fdi.analysis.choice import Reached
from fdi.analysis.collect import SHARED, Page, Pages, Runs, metric_of
from fdi.analysis.conditions import LABELS, condition_columns, conditions, groups, seed_means
from fdi.analysis.formats import plural, told
from fdi.analysis.results import Results
from fdi.analysis.statistics import PERCENT, summaries
from fdi.config.metric import ACCURACY, Metric, of_rows
from fdi.figures import marks, sheet, style, words
from fdi.figures.sweeps import (
    MOST,
    best_set,
    foremost,
    guessed,
    runs_by_network,
    usual,
)

ACCURACIES = ("train/accuracy", "valid/accuracy")


Read = Callable[[Runs], pd.DataFrame]


def is_shown(quantity: str) -> bool:
    """Whether the figure shows this column of metrics.csv."""
    return quantity in ACCURACIES or quantity.startswith("rate/")


def curve_lines(
    runs: Runs, columns: Sequence[str], read: Read, wanted: Callable[[str], bool]
) -> pd.DataFrame:
    """The lines of runs that differ in seed and initialization only, of what is `wanted` of the
    curves that `read` finds; empty where they have none.
    """
    parts: list[pd.DataFrame] = []
    metric = metric_of(runs)
    for values, places in conditions(runs, columns):
        members = runs.iloc[places]
        rows = _spread(read(members), wanted, metric)
        if len(rows):
            init = members["init"].iloc[0]
            number = sum(part["init"].iloc[0] == init for part in parts)
            parts.append(rows.assign(line=name(columns, values), init=init, number=number))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _spread(metrics: pd.DataFrame, wanted: Callable[[str], bool], metric: Metric) -> pd.DataFrame:
    """Mean and interval over the seeds of one condition: a row for each quantity and epoch, counted
    from the start of the task, that all of its seeds have.
    """
    primed = (metrics["phase"] == "prime").groupby(metrics["path"], observed=True).transform("sum")
    measured = metrics.dropna(axis="columns", how="all")
    quantities = list(filter(wanted, map(str, measured)))
    if not quantities:
        return pd.DataFrame()
    parts, means = [], seed_means(measured, quantities, metrics["epoch"] - primed)
    for quantity in quantities:
        shared = means[quantity].unstack().dropna(axis="columns", how="all").dropna()
        scale, ends = 1.0, (-np.inf if "mean/" in quantity else 0.0, np.inf)
        if quantity in ACCURACIES or "/decoded/" in quantity:
            shown_by = metric if quantity in ACCURACIES else ACCURACY
            scale, ends = shown_by.scale, shown_by.ends
        least, most = (scale * end for end in ends)
        spread = pd.DataFrame(summaries(scale * shared.to_numpy()))
        low, high = spread["low"], spread["high"]
        if spread["mean"].between(least, most).all():
            low, high = low.clip(lower=least), high.clip(upper=most)
        epochs = shared.index.to_numpy()
        parts.append(spread.assign(low=low, high=high, epoch=epochs, quantity=quantity))
    return pd.concat(parts)


def name(columns: Sequence[str], values: Sequence[Any]) -> str:
    """The values of these columns as text; those of a config with the name of their key."""
    by = dict(zip(columns, values))
    labels = [words.init(by[label]) for label in LABELS if label in by]
    return ", ".join(filter(None, [*labels, told(columns, values, LABELS)]))


PLACE, TITLE = 10, "Learning curves"
ABOUT = (
    "accuracies and rates over epochs, mean and 95 % interval over seeds, per data set and "
    "architecture"
)
NEEDS = "finished runs that do better than guessing"
COMMAND = "fdi-run -m init=kaiming,fluct 'seed=range(3)'"
SIZE = (style.COLUMN, 1.6)
TITLES = dict(zip(ACCURACIES, ("training accuracy (%)", "validation accuracy (%)")))
MAJORITY = 0.5  # share of runs whose value goes without saying in the name of a page
POPULATIONS = 3  # of a page; of more the first, the middle and the last


def data(results: Results) -> Pages:
    """Page -> tidy table, a page per data set, model and differing keys of these; finished runs
    only.

    Columns: title (of the page), line (its label), init, number (of the config among those
    of the same init), n (seeds), quantity, epoch, mean, sd, low, high.

    Epochs count from the start of the task, so those of a priming phase are 0 and less; accuracies
    in percent, rates in Hz. An epoch counts where all seeds of the line have it. Of runs that
    differ in one other key than those of the initialization, a page has all where that makes at
    most six lines and each initialization has each value; else the set with most initializations,
    the largest of these, the last of these (say, with activity regularization), and the title says
    which. With more than six lines it keeps one of each initialization, and of these six. Sets that
    only guess have no page.
    """
    return paginate(results, results.curves_of, is_shown)


def paginate(results: Results, read: Read, wanted: Callable[[str], bool]) -> Pages:
    """Those of `data`, of what is `wanted` of the curves that `read` finds."""
    done = results.runs[results.runs["state"] == "done"]
    pages: Pages = {}
    for _, group in runs_by_network(done):
        columns = condition_columns(group)
        own = [name for name in columns if f"{name}.".startswith("init.")]
        named = [n for n in columns if n in LABELS[:2] or n.startswith(("dataset.", "model."))]
        named = [n for n in named if n != "dataset.name"]  # as the data set is
        for values, places in sorted(conditions(group, named), key=lambda pair: -len(pair[1])):
            members = group.iloc[places]
            varied = [
                name
                for name in columns
                if name not in (*own, *named) and members[name].nunique(dropna=False) > 1
            ]
            chosen, by = best_set(members, varied, lambda _: 1), own
            if len(varied) == 1 and _crossed(members, varied[0], own):
                chosen, by = members, [*own, *varied]
            shown = chosen
            if sum(1 for _ in conditions(chosen, by)) > MOST:
                shown, by = usual(chosen), ["init"]
            page = curve_lines(shown, by, read, wanted)
            if len(page) and not guessed(chosen):
                few = foremost(page["init"])
                left = page["init"].nunique() - len(few)
                names = [
                    c for c in varied if not c.startswith(IN_WORDS) and c not in {*SHARED, *by}
                ]
                others = names, chosen[names].astype(object).iloc[0]
                depth = chosen.iloc[0].get("model.depth")
                layers = "" if pd.isna(depth) else words.layers(depth)
                title = [words.heading(chosen, "epochs"), layers]
                title += [words.condition(shown), told(*others)]
                title += [f"{left} more initializations not drawn"] if left else []
                page = page[page["init"].isin(few)].assign(
                    title=", ".join(filter(None, title)),
                    metric=str(metric_of(shown)),
                )
                pages[_key(group, named, values)] = page, shown[shown["init"].isin(few)]
    return pages


def _crossed(runs: Runs, key: str, own: Sequence[str]) -> bool:
    """Whether every initialization was trained at every value of `key`, in at most MOST lines."""
    of_value = runs.groupby(key, dropna=False)["init"].nunique()
    whole = bool((of_value == runs["init"].nunique()).all())
    return whole and sum(1 for _ in conditions(runs, [*own, key])) <= MOST


def _key(group: pd.DataFrame, named: Sequence[str], values: Sequence[Any]) -> str:
    """Data set, model, and the keys by which a page differs from most runs of these; also a key
    that some of the runs lack, since the pages of those cannot name it.
    """
    differing = [
        (column, value)
        for column, value in zip(named, values)
        if column in LABELS[:2]
        or (group[column] == value).mean() <= MAJORITY
        or group[column].isna().any()
    ]
    return name(*zip(*differing)).replace(", ", "_").replace(" = ", "_")


IN_WORDS = ("optimizer.", "homeostasis.", "trainer.epochs", "dataset.max_train", words.SCHEDULE)


def panels(page: Page) -> list[list[str]]:
    """Both accuracies, and narrower the rates; of many populations the first, the middle and the
    last.
    """
    rates = [quantity for quantity in page["quantity"].unique() if quantity not in TITLES]
    if len(rates) > POPULATIONS:
        rates = [rates[0], rates[len(rates) // 2], rates[-1]]
    return [[quantity for quantity in TITLES for _ in range(2)] + rates]


def draw(page: Page, axes: Mapping[str, Axes]) -> None:
    """Draw a page of `data`, each quantity into its axes."""
    page = over_epochs(page, axes)
    rates = [quantity for quantity in axes if quantity not in TITLES]
    reached = page[page["quantity"].isin(TITLES)]
    _finish(axes, list(TITLES), 100.0, page, min(0.0, reached["mean"].min()))
    if (metric := of_rows(page["metric"])) != ACCURACY:
        for quantity, title in TITLES.items():
            axes[quantity].set_title(title.replace(ACCURACY.title, metric.title))
            if metric.lower:
                axes[quantity].set_ylim(0, 1.05 * reached[["mean", "high"]].max(axis=None))
    highest = page.loc[page["quantity"].isin(rates), ["mean", "high"]].max(axis=None)
    _finish(axes, rates, 1.05 * np.fmax(1.0, highest), page)
    primed = bool(page["epoch"].min() < 1)
    handles = [
        *entries(page),
        *[Patch(color=style.PRIME, label="priming, before the task")] * primed,
    ]
    for panel in axes.values():
        panel.set_xlabel("epoch")
    sheet.head(axes, handles, page)


def over_epochs(page: Page, axes: Mapping[str, Axes]) -> Page:
    """Draw a curve for each line, over epochs; returns the rows of the page that are drawn."""
    places = {line: place for place, line in enumerate(page["line"].unique())}
    page = page[page["quantity"].isin(axes)]
    for (quantity, line), rows in groups(page, ["quantity", "line"], sort=False):
        first = rows.iloc[0]
        look = style.init_look(first["init"], first["number"])
        shift = places[line] - (len(places) - 1) / 2
        marks.curve(axes[quantity], rows.rename(columns={"epoch": "x"}), look, shift)
    for panel in axes.values():
        panel.xaxis.set_major_locator(MaxNLocator(3, integer=True, steps=[1, 2, 5, 10]))
    return page


def entries(page: Page) -> list[Artist]:
    """The lines of the legend."""
    handles: list[Artist] = []
    for line, rows in page.groupby("line", sort=False):
        thin: style.Look = {"linewidth": 0.7} if rows["n"].iloc[0] == 1 else {}
        look = style.init_look(rows["init"].iloc[0], rows["number"].iloc[0])
        handles.append(sheet.legend_entry(look | thin, str(line), rows["n"].head(1)))
    return handles


def _finish(
    axes: Mapping[str, Axes], quantities: Sequence[str], top: float, page: Page, low: float = 0.0
) -> None:
    """Limits that panels of one kind share, titles, axis labels, priming."""
    first, last = page["epoch"].min(), page["epoch"].max()
    for quantity in quantities:
        panel = axes[quantity]
        panel.set_title(TITLES.get(quantity, f"{quantity.removeprefix('rate/')} rate (Hz)"))
        panel.set_xlim(min(first - 0.5, 0), last + 0.5)
        panel.set_ylim(low - 0.02 * top, 1.02 * top)
        if first < 1:
            panel.axvspan(first - 0.5, 0.5, color=style.PRIME, linewidth=0, zorder=0)


Curve = tuple[Sequence[float], Sequence[float]]
LOOKS: Mapping[str, style.Look] = {"before": {"color": "0.5"}, "after": {"color": "tab:blue"}}


def draw_proof(
    curves: Mapping[str, Curve], steps: Mapping[float, Reached], epochs: int
) -> sheet.Page:
    """The proof of a recipe: validation accuracy of `curves`, before and after, over epochs; and of
    `steps` after that many `epochs`.
    """
    with style.house_style():
        page, axes = sheet.page([["curves", "steps"]], style.COLUMN, style.ROW)
        for name, (epoch, accuracy) in curves.items():
            shown = [PERCENT * value for value in accuracy]
            axes["curves"].plot(epoch, shown, label=name, **LOOKS[name])
        axes["curves"].legend()
        axes["curves"].set(xlabel="epoch", ylabel="validation accuracy (%)", ylim=(0, PERCENT))
        values = sorted(steps)
        reached = [PERCENT * steps[value].accuracy for value in values]
        axes["steps"].plot(values, reached, "o-", color="0.2", markersize=4)
        axes["steps"].set(
            xlabel="step size", ylabel=f"after {plural(epochs, 'epoch')} (%)", xscale="log"
        )
        axes["steps"].set_ylim(0, PERCENT)
        return page
