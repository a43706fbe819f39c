"""Gradient norms in the first epoch of training, layer by layer, against the target spread of the membrane potential."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from fdi.analysis.results import Results
from fdi.figures import style
from fdi.figures.shallow import RECOMMENDED
from fdi.figures.sweeps import moments, source, swept, sweeps

ABOUT = "gradient norm of each layer in the first epoch against sigma_u, and for Kaiming"
NEEDS = "runs with at least three values of init.sigma_u"
COMMAND = "fdi-run -m experiment=gradients"
SIZE = (style.COLUMN, 1.9)
BASELINE = "kaiming"
READOUT = "->readout"


def data(results: Results) -> dict[str, pd.DataFrame]:
    """Page -> a row per projection and point: projection, init, x (sigma_u; NaN for Kaiming), mean, sd, n, title, source.

    The norm is the mean over the batches of the first epoch of the task.
    """
    pages = {}
    first = results.curves[results.curves["phase"] == "task"].drop_duplicates("path")
    for (dataset, model), found in sweeps(results.runs):
        if "init.sigma_u" not in found:
            continue
        fluct = swept(found, "fluct", "init.sigma_u")
        if fluct["init.sigma_u"].nunique() < 3:
            continue
        baseline = found[found["init"] == BASELINE]
        points = pd.concat([fluct.assign(x=fluct["init.sigma_u"]), baseline.assign(x=float("nan"))])
        norms = points[["path", "x"]].merge(first, on="path")
        projections = [column for column in norms if column.startswith("grad/") and norms[column].notna().any()]
        if projections:
            table = pd.concat([moments(norms, ["init", "x"], column).assign(projection=column.removeprefix("grad/")) for column in projections])
            title = f"{dataset}, {model}: gradient norm in the first epoch, mean and sd over n = {table['n'].min()} seeds"
            pages[f"{dataset}_{model}"] = table.assign(title=title, source=source(points)).reset_index(drop=True)
    return pages


def panels(page: pd.DataFrame) -> list[list[str]]:
    """Fluctuation-driven on the left, Kaiming in a narrow panel on the right."""
    return [["fluct"] * 4 + (["baseline"] if page["x"].isna().any() else [])]


def draw(page: pd.DataFrame, axes: Mapping[str, Axes]) -> None:
    """A line for each projection, light to dark from the input up; the readout dashed."""
    names = sorted(page["projection"].unique(), key=lambda name: (name.endswith(READOUT), name.startswith("input") - 1, name))
    hidden = style.shades(len(names) - 1) if len(names) > 1 else []
    handles = []
    for name, color in zip(names, [*hidden, style.ACCENT]):
        rows = page[page["projection"] == name]
        look = {"color": color, "linestyle": "--" if name.endswith(READOUT) else "-", "marker": "o", "markersize": 3, "capsize": 1.5}
        swept, baseline = rows[rows["x"].notna()], rows[rows["x"].isna()]
        axes["fluct"].errorbar(swept["x"], swept["mean"], swept["sd"].fillna(0), **look)
        if len(baseline):
            axes["baseline"].errorbar([0], baseline["mean"], baseline["sd"].fillna(0), **look | {"linestyle": ""})
        handles.append(Line2D([], [], color=color, linestyle=look["linestyle"], marker="o", markersize=3, label=name.replace("->", " to ")))
    _finish(page, axes)
    handles.append(Patch(color=style.BAND, label="recommended"))
    style.legend(axes["fluct"].figure, handles, page["title"].iloc[0])


def _finish(page: pd.DataFrame, axes: Mapping[str, Axes]) -> None:
    shown = page.loc[page["mean"] > 0, "mean"]
    style.sigma_axis(axes["fluct"], page["x"].dropna())
    axes["fluct"].axvspan(*RECOMMENDED, color=style.BAND, linewidth=0, zorder=0)
    axes["fluct"].set_ylabel("gradient norm")
    for panel in axes.values():
        panel.set_yscale("log")
        panel.set_ylim(shown.min() / 2, shown.max() * 2)
    if "baseline" in axes:
        axes["baseline"].set_xlim(-1, 1)
        axes["baseline"].set_xticks([0], [BASELINE])
        axes["baseline"].tick_params(axis="y", which="both", labelleft=False)
