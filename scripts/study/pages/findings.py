"""Tables of docs/findings.md and docs/comparisons.md."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from fdi.analysis.collect import ACCURACY
from fdi.analysis.conditions import where
from fdi.analysis.derived import (
    COLUMNS,
    FRESH,
    HANDED_ON,
    MODES,
    modes,
    unbounded,
    with_layers,
)
from fdi.analysis.results import Results
from fdi.analysis.statistics import PERCENT, correct, paired
from fdi.figures import words
from fdi.figures.catalogue import FIGURES
from fdi.figures.sweeps import of_sweep
from fdi.study import floor
from fdi.study.circumstances import by_authors, plain, standard
from fdi.study.evidence import STATES
from fdi.study.predict import predictors
from pages.tables import (
    accuracy,
    alike,
    averaged,
    cell,
    difference,
    having,
    listed,
    markdown,
    unmeasured,
    versus,
)

INITS = ("kaiming", "fluct")
LEAST = 3  # seeds: a single run decides nothing
USUAL, LOW = 1e-16, 1e-18  # eps of SMORMS3: the authors', and lowered ones


def floors(measured: Results) -> str:
    """For each network the finding of its figure, and accuracy by depth and floor."""
    parts = []
    for page in floor.data(measured).values():
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
    """How many runs learn whose initial gradient lies above the floor of the optimizer, and how
    many below, in a line for each network.
    """
    pages = floor.data(measured).values()
    lines = [f"* {page['network'].iloc[0]}: {page['finding'].iloc[0]}\n" for page in pages]
    return "".join(lines) or unmeasured(floor.COMMAND)


def bounded(measured: Results, most: int = 99) -> str:
    """A row per depth, up to `most` layers, and kind of bounds: both initial states, and their
    difference.
    """
    rows = []
    for page in FIGURES["bounds"].data(measured).values():
        network = page["network"].iloc[0]
        for (layers, mode), group in page.groupby(["layers", "x"], sort=False):
            by_init = {row["init"]: row for row in group.to_dict("records")}
            if not set(INITS) <= set(by_init) or layers > most:
                continue
            rows.append(
                {
                    "network": f"{network}, {layers} layer{'s' if layers > 1 else ''}",
                    "epochs": f"{group['longest'].iloc[0]:.0f}",
                    "bounds": mode,
                    **{init: cell(by_init[init]) for init in INITS},
                    "fluct minus kaiming": versus(by_init["fluct"]),
                    "order": (network, layers, MODES.index(mode)),
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
    done = (runs["state"] == "done") & of_sweep(runs, "bounds")
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


KINDS = ("usual eps, bounds", "usual eps, no bounds", "lowered eps, no bounds")


def mended(measured: Results) -> str:
    """What Kaiming weights reach at the usual floor, with the authors' bounds and without any, and
    at a lowered one without bounds, everything else as usual; networks that were run at both
    floors with LEAST seeds.
    """
    rows = [
        {
            "network": row["network"],
            "epochs": f"{row['trainer.epochs']:.0f}",
            **{kind: cell(row[kind]) for kind in KINDS if kind in row},
            "lowered to": f"{row[KINDS[2]]['optimizer.eps']:.0e}",
        }
        for row in both_floors(measured)
        if all(row[kind]["n"] >= LEAST for kind in KINDS[1:] if kind in row)
    ]
    columns = ["network", "epochs", *KINDS, "lowered to"]
    table = pd.DataFrame(rows).reindex(columns=columns).fillna("")
    shown = table.sort_values("network", key=lambda names: names.map(_in_order))
    return markdown(shown) if rows else unmeasured(floor.COMMAND)


def both_floors(measured: Results) -> list[dict[str, Any]]:
    """Networks from Kaiming weights that were run with the usual eps and with a lowered one: what
    each of KINDS reached, as in `averaged`.
    """
    runs = _usual(measured)
    runs = runs[runs["init"] == INITS[0]]
    eps, free = _eps(runs), modes(runs) == "none"
    usual = np.isclose(eps, USUAL, rtol=1e-3, atol=0)
    chosen = (runs.index.isin(by_authors(runs).index), usual & free, (eps < LOW) & free)
    runs = runs.assign(cut=runs["dataset.max_train"].fillna(0))
    keys = ["dataset", "cut", "model", "layers", "trainer.epochs"]
    networks: dict[tuple, dict[str, Any]] = {}
    for kind, rows in zip(KINDS, chosen):
        reached = averaged(runs[rows], [*keys, "optimizer.eps"])
        reached = reached.sort_values(["n", "optimizer.eps"], ascending=[True, False])
        for row in reached.drop_duplicates(keys, keep="last").to_dict("records"):  # most seeds
            layers = f"{row['layers']} layer{'s' if row['layers'] > 1 else ''}"
            cut = f" ({row['cut']:,.0f} samples)" if row["cut"] else ""
            name = f"{row['dataset']}{cut}, {row['model']}, {layers}"
            place = tuple(row[key] for key in keys)
            networks.setdefault(place, row | {"network": name})[kind] = row
    return [row for row in networks.values() if KINDS[2] in row and {*row} & {*KINDS[:2]}]


def _usual(measured: Results) -> pd.DataFrame:
    """Finished runs at the usual step size and surrogate gradient, with nothing added."""
    runs = standard(measured.runs)
    return with_layers(runs[runs["state"] == "done"])


def _eps(runs: pd.DataFrame) -> pd.Series:
    """That of SMORMS3, NaN for other optimizers."""
    ours = runs["optimizer._target_"].str.endswith(".SMORMS3")
    return runs["optimizer.eps"].fillna(USUAL).where(ours)


def _in_order(name: str) -> tuple[str, int]:
    network, _, layers = name.rpartition(", ")
    return network, int(layers.split()[0])


NETWORK = ("dataset", "model", "layers", "trainer.epochs")
PRIMED = {
    "none": "none",
    "joint": "in the loss",
    "prime": "primed",
    f"prime{FRESH}": "primed, then a fresh optimizer",
    "prime + joint": "primed, then in the loss",
    f"prime + joint{FRESH}": "primed, then in the loss, a fresh optimizer",
}
"""Homeostasis -> words."""


def primed(measured: Results) -> str:
    """What each way to use bounds on the activity reaches, beside none, by network and initial
    state, of networks with primed runs of LEAST seeds. Intervals are corrected for all rows. Then
    what a fresh optimizer changes.
    """
    runs = with_layers(having(measured.runs, "init.sigma_u", "homeostasis.fresh_optimizer"))
    runs = runs[(runs["state"] == "done") & (runs["numerics"] >= HANDED_ON)]
    runs = runs.assign(way=COLUMNS["homeostasis"].of(runs), accuracy=PERCENT * runs[ACCURACY])
    several = runs[runs["way"] == "prime"].groupby(["init", *NETWORK])["seed"].nunique()
    networks = {key[1:] for key in several[several >= LEAST].index}
    rows, pairs, fresh = [], [], ""
    keys = [*NETWORK, "init", "init.sigma_u"]
    for key, of in runs.groupby(keys, dropna=False):
        by_seed = {
            way: alike(part, keys).set_index("seed")["accuracy"] for way, part in of.groupby("way")
        }
        if key[:4] not in networks or len(by_seed.get("none", ())) < LEAST:
            continue
        for way in (way for way in PRIMED if way in by_seed):
            own, base = by_seed[way].align(by_seed["none"], join="inner")
            pairs.append(paired(own, base) if way != "none" else None)
            rows.append(
                {
                    "network": f"{key[0]}, {key[1]}, {words.layers(key[2])}, {key[3]:.0f} epochs",
                    "from": key[4] if pd.isna(key[5]) else f"{key[4]}, sigma_U = {key[5]:g}",
                    "bounds": PRIMED[way],
                    "test accuracy (%)": accuracy(of[of["way"] == way]),
                }
            )
        if f"prime{FRESH}" in by_seed:
            one, other = by_seed[f"prime{FRESH}"].align(by_seed["prime"], join="inner")
            fresh += f"\nFrom {key[4]} weights, a fresh optimizer beside the one that is kept: "
            fresh += f"{difference(paired(one, other))}, n = {len(one)}.\n"
    for row, found in zip(rows, correct(pairs, [0] * len(pairs))):
        row["beside none"] = "" if found is None else difference(found)
    return listed(rows, "fdi-run -m experiment=restore") + fresh


BROUGHT = {
    ("kaiming", None): "Kaiming",
    ("homeostatic", "bounds"): "the same, brought to the authors' rates by their bounds",
    ("homeostatic", "fluctuations"): "the same, centred and scaled to a spread of 1",
    ("fluct", None): "fluctuation-driven",
}
STATE = {
    "mean potential (thresholds)": "free_mean",
    "Fano factor": "fano",
    "classes known from counts (%)": "decoded",
}


def brought(measured: Results) -> str:
    """What networks reach from weights that bounds, or scaling, brought to a target before the
    task, and their states then, from the least to the largest of the hidden layers. Differences
    are to the row above, and corrected for all rows.
    """
    runs = with_layers(measured.runs)
    runs = runs[of_sweep(runs, "homeostatic") & (runs["state"] == "done")]
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
    """A row per network and step size of SGD, which has no floor and takes steps as small as the
    gradient, without bounds: the accuracy from each initial state.
    """
    runs = unbounded(plain(with_layers(measured.runs)))
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
