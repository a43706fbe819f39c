"""The result in three sentences, for the README."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from fdi.analysis.results import Results
from fdi.figures.catalogue import FIGURES
from fdi.study import floor
from fdi.study.circumstances import STANDARD
from pages.tables import unmeasured

USUAL_EPS = 1e-16  # of SMORMS3 [Rossbroich et al. 2022, authors' code]
LEARNS = 2.0  # times guessing, at least
INITS = ["kaiming", "fluct"]
NETWORK = ("digits", "conv")  # data set and architecture
SHALLOW = ("randman", "dense")


def headline(measured: Results) -> str:
    """Who learns at the usual settings, what a lower floor of the optimizer changes, and what the
    bounds do in one layer; only what was measured is said.
    """
    lines = [*_deep(floor.data(measured)), *_shallow(FIGURES["bounds"].data(measured))]
    return "".join(f"{i}. {line}\n" for i, line in enumerate(lines, 1)) or unmeasured()


def _deep(pages: dict[str, pd.DataFrame]) -> Iterator[str]:
    page = pages.get("_".join(NETWORK))
    if page is None:
        return
    name = STANDARD["optimizer._target_"].rpartition(".")[2]
    rows = page[(page["part"] == "depth") & (page["optimizer"] == name)]
    chance = rows["chance"].iloc[0]
    at_usual = rows[rows["eps"] == USUAL_EPS].pivot(index="x", columns="init", values=["mean", "n"])
    usual = at_usual["mean"].reindex(columns=INITS)
    apart = usual[(usual["fluct"] > LEARNS * chance) & (usual["kaiming"] <= LEARNS * chance)]
    if len(apart):
        seeds = at_usual["n"].loc[apart.index, INITS].min(axis=1)
        depth = seeds[seeds == seeds.max()].index.max()
        yield (
            f"**Deep networks** learn from fluctuation-driven weights at the usual settings of the "
            f"optimizer and not from Kaiming weights: convolutions of {depth:.0f} layers on real "
            f"digits reach {_cell(rows, 'fluct', depth, USUAL_EPS)} against "
            f"{_cell(rows, 'kaiming', depth, USUAL_EPS)}, where guessing gives {chance:.0f} %."
        )
    kaiming = rows[(rows["init"] == "kaiming") & (rows["mean"] > LEARNS * chance)]
    fails = usual.index[usual["kaiming"] <= LEARNS * chance]
    mended = kaiming[kaiming["x"].isin(fails)]
    if len(mended):
        best = mended.sort_values(["n", "x", "mean"]).iloc[-1]  # most seeds, then deepest
        yield (
            f"**The reason is the optimizer's floor**: Kaiming weights start with gradients so "
            f"small that its eps hides them. With eps lowered from {USUAL_EPS:.0e} to "
            f"{best['eps']:.0e} and no bounds on the activity, {best['x']:.0f} such layers reach "
            f"{_cell(rows, 'kaiming', best['x'], best['eps'])} from Kaiming weights."
        )


def _cell(rows: pd.DataFrame, init: str, depth: float, eps: float) -> str:
    row = rows[(rows["init"] == init) & (rows["x"] == depth) & (rows["eps"] == eps)].iloc[0]
    interval = "" if pd.isna(row["low"]) else f"{row['low']:.1f}..{row['high']:.1f}, "
    return f"{row['mean']:.1f} % ({interval}n = {row['n']})"


def _shallow(pages: dict[str, pd.DataFrame]) -> Iterator[str]:
    page = pages.get("_".join(SHALLOW))
    if page is None:
        return
    rows = page[page["layers"] == page["layers"].min()]
    fluct = rows[(rows["init"] == "fluct") & rows["versus"].notna()].set_index("x")
    if "none" in fluct.index and "both" in fluct.index:
        free, both = fluct.loc["none"], fluct.loc["both"]
        yield (
            f"**One hidden layer**: on Randman, after {free['longest']:.0f} epochs, "
            f"fluctuation-driven minus Kaiming is {_difference(both)} with the paper's bounds on "
            f"the activity and {_difference(free)} without them."
        )


def _difference(row: pd.Series) -> str:
    return (
        f"{row['versus']:+.1f} points ({row['versus_low']:+.1f}..{row['versus_high']:+.1f}, "
        f"n = {row['versus_n']:.0f}: {row['verdict']})"
    )
