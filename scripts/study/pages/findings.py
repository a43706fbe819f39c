"""Tables of docs/findings.md and docs/comparisons.md."""

from __future__ import annotations

from itertools import pairwise

import pandas as pd

from fdi.analysis import zoo
from fdi.analysis.choice import learning_threshold
from fdi.analysis.collect import ACCURACY
from fdi.analysis.conditions import BASELINE, where
from fdi.analysis.derived import COLUMNS, MODES, RESET, modes, unbounded, with_layers
from fdi.analysis.results import Results
from fdi.analysis.statistics import PERCENT, Comparison, correct, paired, summary
from fdi.figures import words
from fdi.figures.catalogue import FIGURES, pages_of
from fdi.figures.sweeps import in_sweep
from fdi.study import floor
from fdi.study.circumstances import EPS, SIZE, plain_networks
from fdi.study.contrasts import contrast_of, training_of_run
from fdi.study.evidence import NETWORK, STATES
from fdi.study.predict import predictors
from pages.tables import (
    accuracy,
    alike,
    cell,
    difference,
    having,
    listed,
    markdown,
    unmeasured,
    versus,
    with_interval,
)

INITS = ("kaiming", "fluct")
LEAST = 3  # seeds: a single run decides nothing


def floors(measured: Results) -> str:
    """For each network the finding of its figure, and accuracy by depth and eps."""
    parts = []
    for page in pages_of(floor, measured).values():
        single = page[page["part"] == "ratio"]
        depth = page[page["part"] == "depth"]
        depth = depth.assign(
            eps=-depth["eps"], cell=[cell(row) for row in depth.to_dict("records")]
        )
        table = depth.pivot(index=["init", "optimizer", "eps"], columns="x", values="cell").fillna(
            ""
        )
        table.columns = [f"{x:.0f} layer{'s' if x > 1 else ''}" for x in table]
        lines = table.reset_index()
        lines["eps"] = lines["eps"].map(lambda eps: f"{-eps:.0e}")
        title = f"**{page['network'].iloc[0]}**: ratios from {single['x'].min():.0e} to"
        parts.append(
            f"{title} {single['x'].max():.0e}. {page['finding'].iloc[0]}.\n\n{markdown(lines)}"
        )
    return "\n".join(parts) or unmeasured(floor.COMMAND)


def followed(measured: Results) -> str:
    """How many runs learn whose initial gradient lies above the effective floor, and how
    many below, in a line for each network; and how many random networks a lower eps lets learn.
    """
    pages = pages_of(floor, measured).values()
    lines = [f"* {page['network'].iloc[0]}: {page['finding'].iloc[0]}\n" for page in pages]
    return "".join([*lines, _let_learn(measured)]) or unmeasured(floor.COMMAND)


USUAL = {"smorms3": EPS, "adam": 1e-8}  # eps


def _let_learn(measured: Results) -> str:
    """Of the random networks that learn from Kaiming weights at no step, how many do with a lower
    eps, by the validation accuracies that chose the steps.
    """
    members, grid = zoo.members(measured), measured.csv(f"{zoo.ROWS}_grid")
    if members.empty or grid.empty:
        return ""
    base = members[(members["init"] == BASELINE) & (members["setting"] == "common")]
    base = base.assign(usual=zoo.optimizers(base).map(USUAL)).dropna(subset=["usual"])
    tried = grid[grid["init"] == BASELINE].merge(base[["zoo", "network", "usual", "classes"]])
    tried["learns"] = tried["accuracy"] >= learning_threshold(tried["classes"])
    lower = tried["optimizer.eps"] < tried["usual"]
    usual, less = (tried[of].groupby(["zoo", "network"])["learns"].any() for of in (~lower, lower))
    silent = usual[~usual].index
    states = measured.csv(f"{zoo.ROWS}_states")
    least = states[states["init"] == BASELINE].groupby(["zoo", "network"])["grad_task_max"].min()
    return (
        f"* random networks with SMORMS3 or Adam: of {len(silent)} that learn from Kaiming weights "
        f"at no step, a lower eps lets {less.reindex(silent, fill_value=False).sum()} learn; "
        f"{(least.reindex(silent) == 0).sum()} of them have a layer whose gradient is exactly 0\n"
    )


def one_layer(measured: Results) -> str:
    """A row per kind of bounds, of networks of one layer: both initializations, and their
    difference.
    """
    rows = []
    for page in pages_of(FIGURES["bounds"], measured).values():
        network = page["network"].iloc[0]
        for (layers, mode), group in page.groupby(["layers", "x"], sort=False):
            by_init = {row["init"]: row for row in group.to_dict("records")}
            if not set(INITS) <= set(by_init) or layers > 1:
                continue
            rows.append(
                {
                    "network": f"{network}, 1 layer",
                    "epochs": f"{group['longest'].iloc[0]:.0f}",
                    "bounds": mode,
                    **{init: cell(by_init[init]) for init in INITS},
                    "fluct minus kaiming": versus(by_init["fluct"]),
                    "order": (network, MODES.index(mode)),
                }
            )
    rows.sort(key=lambda row: row["order"])
    table = pd.DataFrame(rows)
    return markdown(table.drop(columns="order")) if rows else unmeasured(FIGURES["bounds"].COMMAND)


def interacting(measured: Results) -> str:
    """How far both bounds change the lead of fluctuation-driven over Kaiming weights in a network
    of one layer: the difference of two paired differences, over the seeds that all four have.
    """
    runs = with_layers(measured.runs)
    done = (runs["state"] == "done") & in_sweep(runs, "bounds")
    runs = runs[done & (runs["layers"] == 1)].assign(bounds=modes)
    lines = []
    for (dataset, model, epochs), of in runs.groupby(["dataset", "model", "trainer.epochs"]):
        one = alike(of[of["bounds"].isin(["none", "both"])], ["bounds", "init"])
        reached = PERCENT * one.pivot(index="seed", columns=["bounds", "init"], values=ACCURACY)
        leads = reached.xs("fluct", axis=1, level=1) - reached.xs("kaiming", axis=1, level=1)
        leads = leads.dropna()
        found = paired(leads["both"], leads["none"])
        lines.append(
            f"{dataset}, {model}, {epochs:.0f} epochs: both bounds change the lead by "
            f"{difference(found)} (points, n = {found.n} seeds).\n"
        )
    return "\n".join(lines) or unmeasured(FIGURES["bounds"].COMMAND)


def lowered(measured: Results) -> str:
    """What Kaiming weights reach without bounds, a row per network and a column per eps, from
    that of the authors on.
    """
    rows = []
    for page in pages_of(floor, measured).values():
        page = page[(page["part"] == "depth") & (page["init"] == BASELINE)]
        page = page[(page["optimizer"] == "SMORMS3") & (page["eps"] <= EPS)]
        page = page.sort_values("eps", ascending=False)
        for layers, of in page.groupby("x"):
            name = f"{page['network'].iloc[0]}, {words.layers(layers)}"
            several = [row for row in of.to_dict("records") if row["n"] >= LEAST]
            rows.append({"network": name} | {f"eps {row['eps']:.0e}": cell(row) for row in several})
    return listed(rows, floor.COMMAND)


PRIMED = {
    "none": "none",
    "joint": "in the loss",
    "prime": "primed",
    f"prime{RESET}": "primed, then optimizer state reset",
    "prime + joint": "primed, then in the loss",
    f"prime + joint{RESET}": "primed, optimizer state reset, then in the loss",
}
"""Homeostasis -> words."""


def primed(measured: Results) -> str:
    """What each way to use activity regularization reaches, beside none, by network and
    initialization, where each has LEAST seeds. Which are decided is said of the claims they speak
    for: here the interval of each difference is its own.
    """
    runs = with_layers(having(measured.runs, "init.sigma_u", *SIZE))
    of = in_sweep(runs, "restore") | in_sweep(runs, "restore_conv")
    runs = runs[of & (runs["state"] == "done")]
    runs = runs.assign(way=COLUMNS["homeostasis"].of(runs))
    rows, fresh, keys = [], "", [*NETWORK, "init", "init.sigma_u"]
    for (*_, init, sigma_u), one in runs.groupby(keys, dropna=False):
        ways = {way: part for way, part in one.groupby("way") if part["seed"].nunique() >= LEAST}
        if "none" not in ways or len(ways) == 1:
            continue
        for way in (way for way in PRIMED if way in ways):
            found = _difference(ways[way], ways["none"])
            rows.append(
                {
                    "network": training_of_run(one.iloc[0].to_dict()),
                    "from": init if pd.isna(sigma_u) else f"{init}, sigma_U = {sigma_u:g}",
                    "activity regularization": PRIMED[way],
                    "test accuracy (%)": accuracy(ways[way]),
                    "beside none": "" if way == "none" else with_interval(found),
                }
            )
        if {"prime", f"prime{RESET}"} <= {*ways}:
            found = _difference(ways[f"prime{RESET}"], ways["prime"])
            fresh += f"\n{rows[-1]['network']}, from {init}: optimizer state reset after priming, "
            fresh += f"against kept, {difference(found)}, n = {found.n}.\n"
    return listed(rows, "fdi-run -m experiment=restore") + fresh


def _difference(one: pd.DataFrame, other: pd.DataFrame) -> Comparison:
    found = contrast_of(one, other)
    assert found
    return found.difference


def beside_stork(measured: Results) -> str:
    """What five layers reach in training here and in the authors' library, by initialization and
    bounds, in the last epoch that is known of both, and the rates of their hidden layers then.
    """
    theirs = measured.csv("stork")
    if theirs.empty:
        return unmeasured("python scripts/twin.py experiment=restore model.depth=5")
    runs = with_layers(having(measured.runs, "init.sigma_u", *SIZE))
    runs = runs[in_sweep(runs, "restore") & (runs["layers"] == 5)]
    runs = runs[runs["init.sigma_u"].isna() | runs["init.sigma_u"].eq(1.0)]
    runs = runs.assign(homeostasis=COLUMNS["homeostasis"].of)[["path", "homeostasis"]]
    ours = measured.curves_of(runs).merge(runs, on="path")
    keys = ["init", "homeostasis"]
    same = [*keys, "seed", "epoch"]
    both = theirs.merge(ours, on=same, suffixes=(" there", ""), validate="one_to_one")
    rows = []
    for (init, way), of in both.groupby(keys, sort=False):
        last = of[of["epoch"] == of["epoch"].max()]
        here, there = (PERCENT * last[f"train/accuracy{where}"] for where in ("", " there"))
        rates = [
            last[[f"rate/h{layer}{where}" for layer in range(1, 6)]] for where in ("", " there")
        ]
        row = {"from": init, "activity regularization": PRIMED[way], "epoch": last["epoch"].iloc[0]}
        for name, reached, rate in zip(("fdi", "stork"), (here, there), rates):
            found, mean = summary(reached), rate.mean()
            within = found._replace(low=max(found.low, 0.0), high=min(found.high, PERCENT))
            row[f"{name}, training accuracy (%)"] = cell(within._asdict())
            row[f"rates in {name} (Hz)"] = f"{mean.min():.2g} to {mean.max():.2g}"
        rows.append(row | {"fdi minus stork": with_interval(paired(here, there))})
    return listed(rows)


BROUGHT = {
    ("kaiming", None): "Kaiming",
    ("homeostatic", "bounds"): "the same, brought to the authors' rates by their bounds",
    ("homeostatic", "fluctuations"): "the same, centred and scaled to a spread of 1",
    ("fluct", None): "fluctuation-driven",
}
STATE = {
    "rate (Hz)": "rate",
    "mean potential (thresholds)": "free_mean",
    "its spread": "free_sigma",
    "Fano factor": "fano",
    "classes known from counts (%)": "decoded",
}


def brought(measured: Results) -> str:
    """What networks reach from weights that bounds, or scaling, brought to a target before the
    task, and their states then, from the least to the largest of the hidden layers. Differences
    are to the row above, and corrected for all rows.
    """
    runs = with_layers(measured.runs)
    runs = runs[in_sweep(runs, "homeostatic") & (runs["state"] == "done")]
    if runs.empty:
        return unmeasured("fdi-run -m experiment=homeostatic")
    of = {
        (init, rule): runs[(runs["init"] == init) & (runs["init.rule"].eq(rule) | (rule is None))]
        for init, rule in BROUGHT
    }
    reached = [PERCENT * part.set_index("seed")[ACCURACY] for part in of.values()]
    pairs = [None, *(paired(*a.align(b, join="inner")) for b, a in pairwise(reached))]
    rows = []
    for (name, part), found in zip(of.items(), correct(pairs, [0] * len(pairs))):
        states = measured.probe[measured.probe["id"].isin(part["id"])]
        layers = states.groupby("population")[[*STATE.values()]].mean()
        layers["decoded"] *= PERCENT
        rows.append(
            {
                "weights": BROUGHT[name],
                "test accuracy (%)": accuracy(part),
                "to the row above": "" if found is None else difference(found),
                **{
                    title: f"{layers[key].min():.2g} to {layers[key].max():.2g}"
                    for title, key in STATE.items()
                    if layers[key].notna().any()
                },
            }
        )
    return markdown(pd.DataFrame(rows).fillna(""))


def predicting(measured: Results) -> str:
    """A table of the quantities, for runs without bounds and with them."""
    parts = []
    for with_bounds in (False, True):
        quantities = predictors(measured, with_bounds).sort_values("auc", ascending=False)
        table = pd.DataFrame(
            {
                "quantity of the initial state": quantities["quantity"],
                "area under the curve": [_area(row) for row in quantities.to_dict("records")],
                "held-out threshold": quantities["held_out"].map(_share),
                "rank correlation": [
                    f"{_share(rank)} in {n} networks"
                    for rank, n in zip(quantities["rank"], quantities["ranked"])
                ],
            }
        )
        kind = "With bounds" if with_bounds else "Without bounds"
        parts.append(f"{kind} on the activity:\n\n{markdown(table)}")
    return "\n".join(parts)


def _area(row: dict) -> str:
    if not row["networks"]:
        return "not measurable here"
    known = pd.notna(row["low"])
    interval = f" ({row['low']:.2f}..{row['high']:.2f})" if known else ""
    return f"{row['auc']:.2f}{interval}, {row['networks']} networks"


def _share(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.2f}"


def stepping(measured: Results) -> str:
    """A row per network and step size of SGD, which has no eps and takes steps as small as the
    gradient, without bounds: the accuracy from each initialization.
    """
    runs = unbounded(plain_networks(with_layers(measured.runs)))
    runs = runs[runs["optimizer._target_"].str.endswith(".SGD") & (runs["state"] == "done")]
    rows = []
    for (dataset, model, layers, epochs, lr), network in runs.groupby(
        ["dataset", "model", "layers", "trainer.epochs", "optimizer.lr"]
    ):
        row = {
            "network": f"{dataset}, {model}, {words.layers(layers)}, {epochs:.0f} epochs",
            "step size": f"{lr:g}",
        }
        rows.append(
            row | {name: accuracy(where(network, values)) for name, values in STATES.items()}
        )
    return listed(rows, f"{floor.COMMAND} optimizer=sgd")
