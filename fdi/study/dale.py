"""Dale's law: excitation and inhibition balance, weights have one sign, and networks of them
learn.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from fdi.analysis.collect import Page, Pages, Runs
from fdi.analysis.conditions import accuracies, groups, moments
from fdi.analysis.results import Results
from fdi.config.metric import in_percent
from fdi.figures import marks, sheet, style, sweeps, words
from fdi.study import looks

PLACE, TITLE = 16, "Dale's law"
ABOUT = (
    "networks that obey Dale's law: spikes, balance of excitation and inhibition, weights; "
    "learning curves"
)
NEEDS = "a simulation, or runs of model=dale"
COMMAND = "python scripts/study/simulate_states.py dale; fdi-run -m experiment=dale"
SIZE = (style.COLUMN, 1.3)
CELLS = {"E": looks.EXCITATION, "I": looks.INHIBITION}
TRACES = {"excitation": looks.EXCITATION, "inhibition": looks.INHIBITION, "sum": "black"}
KINDS: dict[str, style.Look] = {
    "input to E": {"color": style.GREY, "linestyle": "-"},
    "E to E": {"color": looks.EXCITATION, "linestyle": "--"},
    "I to E": {"color": looks.INHIBITION, "linestyle": ":"},
}
LAWS = {"fluct": "exponential", "fluct_lognormal": "log-normal"}
FREE: style.Look = {"linestyle": ":", "alpha": 0.55}  # of networks without the law
MODELS = {"dale": "recurrent", "dale_conv": "conv_recurrent"}  # with the law, without it


def data(results: Results) -> Pages:
    """Page "" -> the table of scripts/study/states/dale.py; the other pages: see `_runs`."""
    simulated = results.csv("dale")
    return ({"": (simulated, None)} if len(simulated) else {}) | _runs(results)


def panels(page: Page) -> list[list[str]]:
    """Of the simulation: raster, traces, and beside them weights and balance of both laws."""
    if "title" in page:
        return _panels_of_runs(page)
    inits = list(page["init"].unique())
    return [
        ["raster", "raster", *(f"weights {init}" for init in inits)],
        ["trace", "trace", *(f"balance {init}" for init in inits)],
    ]


def draw(page: Page, axes: Mapping[str, Axes]) -> None:
    """Draw a simulated state or runs."""
    if "title" in page:
        _draw_runs(page, axes)
        return
    for init, rows in groups(page, "init", sort=False):
        _weights(axes[f"weights {init}"], rows[rows["part"] == "weights"])
        _balance(axes[f"balance {init}"], rows[rows["part"] == "balance"], init)
        axes[f"weights {init}"].set_title(f"{LAWS[init]} weights")
    first = page[page["init"] == page["init"].iloc[0]]
    _raster(axes["raster"], first[first["part"] == "raster"])
    _traces(axes["trace"], first[first["part"] == "trace"])
    handles = [Line2D([], [], color=color, label=kind) for kind, color in TRACES.items()]
    handles += [Line2D([], [], **look, label=f"weights, {kind}") for kind, look in KINDS.items()]
    sheet.above(
        axes["raster"].figure,
        handles,
        f"Do excitation and inhibition balance when weights have one sign? Mean inhibition is "
        f"{_shares(page)} of mean excitation",
        "one layer that obeys Dale's law, before training, for two laws of the weights",
    )


def _shares(page: Page) -> str:
    """Mean inhibition over mean excitation, for each law of the weights."""
    rows = page[page["part"] == "balance"].groupby("init", sort=False)[["x", "y"]].mean()
    return words.several([in_percent(share) for share in rows["y"] / rows["x"]])


def _raster(axes: Axes, rows: pd.DataFrame) -> None:
    offset = {"E": 0, "I": rows.loc[rows["kind"] == "E", "y"].max() + 5}
    for kind, spikes in groups(rows, "kind", sort=False):
        axes.scatter(
            spikes["x"], spikes["y"] + offset[kind], s=1.2, color=CELLS[kind], linewidths=0
        )
    kinds = {kind: spikes["y"].mean() + offset[kind] for kind, spikes in groups(rows, "kind")}
    axes.set_yticks(list(kinds.values()), list(kinds))
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, 0.4)
    axes.set_xticklabels([])
    axes.set_title("spikes of excitatory (E) and inhibitory (I) neurons")


def _traces(axes: Axes, rows: pd.DataFrame) -> None:
    for kind, trace in groups(rows, "kind", sort=False):
        axes.plot(trace["x"], trace["y"], color=TRACES[kind], linewidth=0.9)
    axes.axhline(1, color="black", linestyle="--", linewidth=0.6)
    axes.set_xlim(0, 0.4)
    axes.set_xlabel("time (s)")
    axes.set_ylabel("U (threshold)")
    axes.set_title("free potential of one E neuron and its parts")


def _weights(axes: Axes, rows: pd.DataFrame) -> None:
    for kind, shown in groups(rows, "kind", sort=False):
        axes.plot(shown["x"], shown["y"], **KINDS[kind])
    axes.set_yscale("log")
    axes.set_xlabel("W (threshold)")
    axes.set_ylabel("density")


def _balance(axes: Axes, rows: pd.DataFrame, init: str) -> None:
    axes.scatter(rows["x"], rows["y"], s=4, color=style.color(init), linewidths=0, alpha=0.7)
    top = 1.05 * max(rows["x"].max(), rows["y"].max())
    axes.plot([0, top], [0, top], color="black", linewidth=0.8, linestyle=":", zorder=1)
    axes.set_xlim(0, top)
    axes.set_ylim(0, top)
    axes.set_title("a dot per neuron")
    axes.set_xlabel("mean excitation")
    axes.set_ylabel("mean inhibition")


def _runs(results: Results) -> Pages:
    """Page -> a row per part and point: part, init, x, mean, sd, n, title.

    Parts: curve (validation accuracy in % over epochs), rate (initial, in Hz, by population), sigma
    (test accuracy in % over sigma_u), free (the same without the law: x is sigma_u, NaN for
    Kaiming).
    """
    pages: Pages = {}
    runs = results.runs[results.runs["model"].isin(MODELS)]
    for (dataset, model), members in sweeps.sweeps(runs, lambda runs: runs["init"].nunique() >= 2):
        chosen = sweeps.usual(members)
        curves = results.curves_of(chosen).astype({"init": str})
        curve = moments(
            curves[curves["phase"] == "task"], ["init", "epoch"], "valid/accuracy", 100, 100
        ).rename(columns={"epoch": "x"})
        probe = results.layers.merge(chosen[["path"]], on="path")
        rate = moments(probe, ["init", "population"], "rate").rename(columns={"population": "x"})
        states = sweeps.initial_states(members)
        sigma = accuracies(states, ["init", "sigma_u"]).rename(columns={"sigma_u": "x"})
        free = _without(results.runs, members)
        without = free.iloc[:0]
        if len(free):
            without = moments(free, ["init", "sigma_u"], "test_accuracy_last", 100, 100)
            without = without.rename(columns={"sigma_u": "x"})
        parts = {
            "curve": curve,
            "rate": rate,
            "sigma": sigma.dropna(subset="x"),
            "free": without,
        }
        table = pd.concat(
            [rows.assign(part=part) for part, rows in parts.items() if len(rows)], ignore_index=True
        )
        page = table.assign(
            finding=_finding(parts["sigma"], parts["free"], curve),
            title=words.trained(chosen),
        )
        paths = pd.concat([part["path"] for part in (chosen, states, free)])
        pages[f"{dataset}_{model}"] = page, results.runs[results.runs["path"].isin(paths)]
    return pages


def _finding(sigma: pd.DataFrame, free: pd.DataFrame, curve: pd.DataFrame) -> str:
    """The best mean under the law and without it."""
    best = sigma if len(sigma) else curve[curve["x"] == curve["x"].max()]
    top = best.iloc[best["mean"].argmax()]
    law = f"At best {top['mean']:.0f} % ({words.init(top['init'])})"
    without = f", without Dale's law {free['mean'].max():.0f} %" if len(free) else ""
    return f"Do networks that obey Dale's law learn? {law}{without}"


def _panels_of_runs(page: Page) -> list[list[str]]:
    """Curves, rates, and the accuracy over sigma_u if it was varied."""
    return [["curve", "curve", "rate", *(["sigma"] * 2 * ("sigma" in set(page["part"])))]]


def _draw_runs(page: Page, axes: Mapping[str, Axes]) -> None:
    """A colour for each initialization; dotted and light: without the law."""
    rows = {str(part): rows_of for part, rows_of in groups(page, "part")}
    inits = list(rows["curve"]["init"].unique())
    for init in inits:
        curve = rows["curve"][rows["curve"]["init"] == init]
        curve = curve.assign(x=curve["x"].astype(float))
        shift = inits.index(init) - (len(inits) - 1) / 2
        marks.curve(axes["curve"], curve, style.init_look(init), shift)
    _rates(axes["rate"], rows["rate"], inits)
    handles = [
        sheet.legend_entry(style.init_look(init), words.init(init), members["n"])
        for init, members in groups(rows["curve"], "init")
    ]
    if "sigma" in axes:
        handles += _sigma(
            axes["sigma"], rows["sigma"], rows.get("free", pd.DataFrame(columns=["init", "x"]))
        )
    axes["curve"].set_ylim(0, 103)
    axes["curve"].set_xlim(0)
    axes["curve"].set_title("validation accuracy (%)")
    axes["curve"].set_xlabel("epoch")
    sheet.head(axes, handles, page)


def _without(runs: Runs, members: pd.DataFrame) -> pd.DataFrame:
    """The runs of networks without the law, on the same data set and for as many epochs."""
    first = members.iloc[0]
    same = (
        (runs["dataset"] == first["dataset"])
        & (runs["model"] == MODELS[first["model"]])
        & (runs["epochs"] == first["epochs"])
    )
    for _, free in sweeps.sweeps(
        runs[same & runs["init"].isin(["fluct", "kaiming"])], lambda runs: True
    ):
        return sweeps.initial_states(free)
    return runs.iloc[:0]


def _rates(axes: Axes, rows: pd.DataFrame, inits: list[str]) -> None:
    places = {name: i for i, name in enumerate(rows["x"].unique())}
    for i, init in enumerate(inits):
        shown = rows[rows["init"] == init]
        marks.points(
            axes,
            shown.assign(x=shown["x"].map(places) + 0.25 * (i - (len(inits) - 1) / 2)),
            style.init_look(init, line=False),
        )
    axes.set_xticks(list(places.values()), list(places))
    axes.set_xlim(-0.6, len(places) - 0.4)
    marks.from_zero(axes)
    axes.set_title("initial rate (Hz)")
    axes.set_xlabel("excitatory, inhibitory")


def _sigma(axes: Axes, rows: pd.DataFrame, free: pd.DataFrame) -> list[Line2D]:
    handles = []
    for init, line in groups(rows, "init"):
        joined = line["x"].nunique() > 2  # two points make no line
        marks.points(axes, line, style.init_look(init, line=joined))
    for init, line in groups(free, "init"):
        look = style.init_look(init) | FREE
        if line["x"].isna().all():
            marks.level(axes, line.iloc[0], look)
            look["marker"] = ""
        else:
            marks.points(axes, line, look)
        handles.append(Line2D([], [], **look, label=f"{words.init(init)}, without Dale's law"))
    looks.sigma_axis(axes, pd.concat([rows["x"], free["x"].dropna()]).astype(float))
    marks.percent(axes, pd.concat([rows, free]))
    axes.set_title("test accuracy (%)")
    return handles
