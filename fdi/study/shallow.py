"""One hidden layer: what the target spread of the membrane potential does to accuracy and rate,
beside the baselines.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from fdi.analysis.collect import Page, Pages, Runs
from fdi.analysis.conditions import accuracies, groups, moments
from fdi.analysis.results import Results
from fdi.figures import marks, sheet, style, words
from fdi.figures.sweeps import levels, sweeps, swept, usual
from fdi.study import looks
from fdi.study.published import published

PLACE, TITLE = 3, "One hidden layer"
ABOUT = (
    "accuracy and rates against sigma_U, one hidden layer; the baselines stand at the spread "
    "that their weights imply"
)
NEEDS = "runs with at least three values of init.sigma_u"
COMMAND = "fdi-run -m experiment=shallow"
SIZE = (style.COLUMN, 1.5)
TITLES = {
    "accuracy": "test accuracy (%)",
    "before": "rate before training (Hz)",
    "after": "rate after training (Hz)",
}
XI = (0.9, 3.1)  # the range of xi that is shown where runs of fluct_mu vary it
RECOMMENDED = (1 / 3, 1)  # sigma_u, in units of the threshold
STAR: style.Look = {"color": "none", "marker": "*", "markeredgecolor": "black", "markersize": 7}


def data(results: Results) -> Pages:
    """Page -> a row per quantity and point: init, x (sigma_u: the target, or what the weights of a
    baseline imply), mean, sd, n, low, high, of the accuracy versus and verdict (against kaiming).

    The same in all rows: title, chance (%), published (%) and quoted (its source).
    """
    pages: Pages = {}
    shallow = results.runs[results.runs.filter(like="rate/").notna().sum(axis=1) == 1]
    for (dataset, model), group in sweeps(shallow, spreads):
        group = _measured(group, results.probe)
        aimed = {
            init: swept(group, init, "init.sigma_u")
            for init in group["init"].unique()
            if init != "fluct_mu" and levels(group, "init.sigma_u", init)
        }
        fluct = aimed["fluct"]
        others = usual(group[~group["init"].isin([*aimed, "fluct_mu"])]).copy()
        others = others.assign(x=others.groupby("init")["implied"].transform("mean"))
        points = pd.concat(
            [*(runs.copy().assign(x=runs["init.sigma_u"]) for runs in aimed.values()), others]
        )
        table = pd.concat(
            [
                accuracies(points, ["init", "x"]).assign(quantity="accuracy"),
                *(
                    moments(points, ["init", "x"], quantity).assign(quantity=quantity)
                    for quantity in ("before", "after")
                ),
            ],
            ignore_index=True,
        )
        table = pd.concat([table, _against_xi(group, fluct)], ignore_index=True)
        first = {str(column): value for column, value in fluct.iloc[0].items()}
        quoted = published(first | {"init.sigma_u": 1.0}, 1)
        page = table.assign(
            finding=_finding(table),
            title=words.trained(fluct),
            chance=100 / fluct["classes"].iloc[0],
            published=100 * quoted[0].accuracy if quoted else float("nan"),
            quoted=str(quoted[0]) if quoted else None,
        )
        shifted = group[group["init"] == "fluct_mu"]
        pages[f"{dataset}_{model}"] = page, pd.concat([points, shifted])
    return pages


def _finding(table: pd.DataFrame) -> str:
    """The sigma_u with the highest accuracy, and the best baseline."""
    rows = table[table["quantity"] == "accuracy"]
    fluct = rows[rows["init"] == "fluct"]
    others = rows[~rows["init"].str.startswith("fluct")]
    top = fluct.loc[fluct["mean"].idxmax()]
    where = " with a mean of 0" * bool(table["quantity"].eq("xi").any())
    text = f"Which spread trains best? Accuracy{where} is highest, {top['mean']:.0f} %, at "
    text += f"$\\sigma_U$ = {top['x']:.2g}"
    if len(others):
        best = others.loc[others["mean"].idxmax()]
        text += f"; {words.init(best['init'])}, the best baseline: {best['mean']:.0f} %"
    return text


def spreads(runs: Runs) -> bool:
    """Whether the runs of fluct have at least three values of sigma_u, all else being equal."""
    return (
        levels(runs, "init.sigma_u", "fluct") >= 3
        and levels(swept(runs, "fluct", "init.sigma_u"), "init.sigma_u") >= 3
    )


def panels(page: Page) -> list[list[str]]:
    """Accuracy and rates, and the accuracy against xi if there are means other than 0."""
    if "xi" in set(page["quantity"]):
        return [["accuracy", "xi"], ["before", "after"]]
    return [["accuracy", "before", "after"]]


def draw(page: Page, axes: Mapping[str, Axes]) -> None:
    """A line over sigma_u, a point for each baseline, a star for what was published."""
    swept = page[page["quantity"] != "xi"]
    for quantity, title in TITLES.items():
        panel = axes[quantity]
        looks.sigma_axis(panel, swept["x"])
        panel.axvspan(*RECOMMENDED, color=looks.BAND, linewidth=0, zorder=0)
        for init, rows in groups(page[page["quantity"] == quantity], "init"):
            marks.points(panel, rows, style.init_look(init, line=len(rows) > 2))
        panel.set_title(title)
        marks.from_zero(panel)
    first = page.iloc[0]
    marks.percent(axes["accuracy"], swept[swept["quantity"] == "accuracy"], first["chance"])
    near = axes["accuracy"].get_ylim()[0] <= first["chance"]
    if "xi" in axes:
        _draw_xi(axes["xi"], page[page["quantity"] == "xi"])
    handles: list[Artist] = [
        sheet.legend_entry(
            style.init_look(init, line=rows["x"].nunique() > 2), words.init(init), rows["n"]
        )
        for init, rows in groups(swept, "init")
    ]
    handles += [
        Patch(color=looks.BAND, label="recommended"),
        *([Line2D([], [], color=style.GREY, linestyle=":", label="chance")] if near else []),
    ]
    if pd.notna(first["published"]):
        axes["accuracy"].plot(1, first["published"], **STAR)
        source = first["quoted"].partition("[")[2].partition("]")[0]
        label = f"published [{source}]"
        handles.append(Line2D([], [], **STAR, label=label))
        page = page.assign(title=f"{first['title']}; published: {first['quoted']}")
    sheet.head(axes, handles, page)


def _against_xi(runs: Runs, fluct: pd.DataFrame) -> pd.DataFrame:
    """Accuracy against xi = (theta - mu_u)/sigma_u, a line for each mu_u; empty without runs of
    fluct_mu.
    """
    shifted, fluct = runs[runs["init"] == "fluct_mu"].copy(), fluct.copy()
    if shifted.empty:
        return pd.DataFrame()
    shifted = shifted.assign(x=shifted["init.xi"], mu_u=shifted["init.mu_u"])
    centred = fluct.assign(x=1 / fluct["init.sigma_u"], mu_u=0.0)
    points = pd.concat([shifted, centred[centred["x"].between(*XI)]])
    return moments(points, ["init", "mu_u", "x"], "accuracy", most=100).assign(quantity="xi")


def _draw_xi(axes: Axes, rows: pd.DataFrame) -> None:
    for number, (mu_u, line) in enumerate(groups(rows, "mu_u")):
        look = style.init_look(line["init"].iloc[0], number)
        marks.points(axes, line, look | {"label": f"$\\mu_U$ = {mu_u:g}"})
    axes.set_title("test accuracy (%) by distance to threshold")
    axes.set_xlabel("$\\xi = (\\theta - \\mu_U) / \\sigma_U$")
    axes.set_xlim(*XI)
    axes.set_xticks(sorted(rows.loc[rows["mu_u"] != 0, "x"].unique()))
    marks.percent(axes, rows)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))


def _measured(runs: Runs, probe: pd.DataFrame) -> pd.DataFrame:
    """The runs with accuracy (%), rate `after` training, and what the probe says: `implied` spread
    and rate `before`.
    """
    probe = probe.reindex(columns=["path", "theory_sigma_u", "rate"]).rename(
        columns={"theory_sigma_u": "implied", "rate": "before"}
    )
    after = runs.filter(like="rate/").max(axis=1)
    return runs.assign(accuracy=100 * runs["test_accuracy_last"], after=after).merge(
        probe, on="path", how="left"
    )
