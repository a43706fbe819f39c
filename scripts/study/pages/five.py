"""The five claims of docs/findings.md, each a sentence, a number, a figure and its limit, and the
claims of the paper in a short table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd

from fdi.analysis import zoo
from fdi.analysis.best import DECIDED, each_at_its_best
from fdi.analysis.results import Results
from fdi.figures.catalogue import FIGURES
from fdi.study import floor
from fdi.study.claims import claims
from fdi.study.predict import predictors
from pages.claims import shares
from pages.findings import KINDS, both_floors
from pages.headline import ONE, between, largest, name, span
from pages.tables import cell, markdown, unmeasured, versus

LEAST = 1e-44  # eps in float32
RATIO = "largest gradient over the optimizer's floor"


class Claim(NamedTuple):
    """`number`: what was measured, with n; `limit`: what it does not say."""

    sentence: str
    number: str
    picture: str
    limit: str


def five(measured: Results) -> str:
    """Each claim with its figure; only what was measured is said."""
    found = [
        *_best(measured),
        *_deep(measured),
        *_floor(measured),
        *_bounds(measured),
        *_foretold(measured),
    ]
    parts = [
        f"### {i}. {claim.sentence}\n\n{claim.number}\n\n"
        f"![{claim.sentence}](figures/{claim.picture}.png)\n\n*Limit:* {claim.limit}\n"
        for i, claim in enumerate(found, 1)
    ]
    return "\n".join(parts) or unmeasured(FIGURES["best"].COMMAND)


def _best(measured: Results) -> Iterator[Claim]:
    """The lead of fluctuation-driven weights, each at its best and in common."""
    table = each_at_its_best(measured)
    if table.empty:
        return
    rows = table[(table["init"] == ONE) & table["difference"].notna()]
    of = {setting: rows[rows["setting"] == setting] for setting in ("common", "best")}
    if any(part.empty for part in of.values()):
        return
    decided = {key: part[part["verdict"].isin(DECIDED)] for key, part in of.items()}
    if any(part.empty for part in decided.values()):
        return
    best, common = of["best"], of["common"]
    undecided = best.drop(decided["best"].index)
    others = ", ".join(f"{between(row)} in {name(row)}" for _, row in undecided.iterrows())
    rest = f" Undecided: {others}." if others else ""
    networks = "; ".join(name(row) for _, row in best.iterrows())
    yield Claim(
        f"Each at its best, fluctuation-driven and Kaiming weights differ by "
        f"{span(decided['best']['difference'])} where it is decided, at one common step size by "
        f"{span(decided['common']['difference'])}",
        f"With the step size and the floor of the optimizer that suit each, the difference is "
        f"decided in {len(decided['best'])} of {len(best)} networks, largest {largest(best)}."
        f"{rest} At the step size that all have in common, it is decided in "
        f"{len(decided['common'])} of {len(common)}. Step and floor were chosen on validation "
        f"with seeds of their own ([table](comparisons.md#each-at-its-best)).",
        "first",
        f"{len(best)} networks so far, without bounds on the activity: {networks}.",
    )


def _deep(measured: Results) -> Iterator[Claim]:
    """How many runs stay at chance at the usual settings."""
    rows = {row["state"]: row for row in shares(measured)}
    kaiming, fluct = (rows.get(state) for state in ("kaiming", "fluct, sigma_U = 1"))
    if kaiming is None or fluct is None or not kaiming["deep"] or not fluct["deep"]:
        return
    yield Claim(
        "At the usual step size and eps, most deep networks do not learn from Kaiming weights",
        f"With the authors' optimizer (SMORMS3, step size 5e-3, eps 1e-16) and 4 hidden layers or "
        f"more, {kaiming['stuck']} of {kaiming['deep']} runs from Kaiming weights stay at chance, "
        f"and {fluct['stuck']} of {fluct['deep']} from fluctuation-driven weights "
        f"([table](comparisons.md#how-many-runs-stay-at-chance)).",
        "depth_digits_conv",
        "this step size and this eps, few epochs (6 to 50), and no normalization. Networks that "
        "fdi refuses to draw (12 convolutions, where a layer falls silent) are not counted.",
    )


def _floor(measured: Results) -> Iterator[Claim]:
    """What a lowered eps alone does, in the network with the most seeds."""
    rows = [row for row in both_floors(measured) if KINDS[1] in row]
    pages = floor.data(measured)
    if not rows or not pages:
        return
    usual, lifted = KINDS[1:]
    row = max(
        rows,
        key=lambda row: (
            min(row[usual]["n"], row[lifted]["n"]),
            row[lifted]["mean"] - row[usual]["mean"],
        ),
    )
    counts = ". ".join(
        f"On {page['network'].iloc[0]}, {page['finding'].iloc[0]}" for page in pages.values()
    )
    yield Claim(
        "The floor of the optimizer decides whether a silent network learns",
        f"Optimizers do not follow gradients below a floor that their eps sets. Lowering eps and "
        f"nothing else takes {name(pd.Series(row))}, from Kaiming weights, from "
        f"{cell(row[usual])}, to {cell(row[lifted])} (eps {row[lifted]['optimizer.eps']:.0e}"
        f"{', which needs float64' if row[lifted]['optimizer.eps'] < LEAST else ''}). "
        f"{counts} "
        f"([tables](comparisons.md#the-floor-of-the-optimizer)).",
        "floor_digits_conv",
        f"whether a network learns at all at a step size of 5e-3, not how fast or how well. Single "
        f"seeds fail above the floor. {_dropped(measured)}",
    )


def _dropped(measured: Results) -> str:
    """How many runs with a lowered floor have hidden layers that never moved."""
    runs = measured.runs
    links = [c for c in runs if c.startswith("moved/") and not c.endswith("->readout")]
    low = runs[(runs["optimizer.eps"] < 1e-16) & runs[links].notna().any(axis=1)]
    still = int((low[links] == 0).any(axis=1).sum())
    return (
        f"In {still} of {len(low)} runs with an eps below 1e-16 some hidden layers never moved: "
        f"until numerics 3 fdi dropped gradients below about 3e-23, which the optimizer follows. "
        f"These runs are to be repeated, and so are twelve convolutions, whose gradients are as "
        f"small; what they say of networks that do not learn is open."
    )


def _bounds(measured: Results) -> Iterator[Claim]:
    """The difference in one hidden layer, with bounds on the activity and without."""
    for page in FIGURES["bounds"].data(measured).values():
        rows = page[(page["layers"] == 1) & (page["init"] == ONE)].set_index("x")
        if not {"none", "both"} <= set(rows.index):
            continue
        without, with_both = (_row(rows, mode) for mode in ("none", "both"))
        if without["verdict"] != "undecided" or with_both["verdict"] == "undecided":
            continue
        yield Claim(
            "With one hidden layer, long training leaves a decided difference only with bounds "
            "on the activity",
            f"On {page['network'].iloc[0]}, after {page['longest'].iloc[0]:.0f} epochs, "
            f"fluctuation-driven minus Kaiming weights: {versus(with_both)} with both bounds "
            f"(n = {with_both['n']}), {versus(without)} without (n = {without['n']}). The lower "
            f"bound lowers both means, that from Kaiming weights more "
            f"([table](comparisons.md#bounds-on-the-activity)).",
            "bounds_randman_dense",
            "a step size of 5e-3 and one data set; with so few seeds, differences of one or two "
            "points remain possible. After 15 epochs the initial states still differ: one learns "
            "faster.",
        )


def _row(rows: pd.DataFrame, mode: str) -> Mapping[Any, Any]:
    return rows.loc[mode].to_dict()


def _foretold(measured: Results) -> Iterator[Claim]:
    """How well the initial gradient tells which runs learn."""
    quantities = predictors(measured, False).set_index("quantity")
    if RATIO not in quantities.index or not quantities.loc[RATIO, "networks"]:
        return
    row = quantities.loc[RATIO]
    judged = zoo.judged(zoo.members(measured))
    random = (
        f" On {judged['network'].nunique()} random networks, of any optimizer and step size, the "
        f"area under the curve of its verdict is {zoo.area(judged):.2f}."
        if len(judged)
        else ""
    )
    yield Claim(
        "A measurement of seconds tells which of these networks will not learn",
        f"Of two runs of a network, of which one learns, the one that learns has the larger ratio "
        f"of gradient to floor with a probability of {row['auc']:.2f} "
        f"({row['low']:.2f}..{row['high']:.2f}, n = {row['networks']:.0f} networks), before any "
        f"training; `fdi-run probe=only` shows it "
        f"([table](comparisons.md#what-predicts-which-networks-learn)).",
        "gradients_randman_dense",
        "below the floor few networks learned; above it, a network may still fail: steps that are "
        "too large or too small for the weights, activity that is too strong, and bounds that act "
        f"at the start stop it as well. The probe names them, too.{random}",
    )


def paper(measured: Results) -> str:
    """A row for each claim of the paper: its verdict, how many comparisons are for it, and how many
    judge nothing.
    """
    table = claims(measured)[["claim", "status", "for it", "set aside"]]
    return markdown(table.rename(columns={"claim": "claim of the paper", "status": "here"}))
