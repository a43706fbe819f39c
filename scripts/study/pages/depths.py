"""What docs/comparisons.md says of networks of many layers."""

from __future__ import annotations

import pandas as pd

from fdi.analysis.collect import ACCURACY
from fdi.analysis.conditions import best, newest
from fdi.analysis.derived import guesses, with_layers
from fdi.analysis.results import Results
from fdi.analysis.statistics import PERCENT, Comparison, correct, paired
from fdi.figures import words
from fdi.figures.catalogue import FIGURES
from pages.tables import alike, difference, having, listed

HOW_DEEP = FIGURES["how_deep"]
IDENTITY, STEP, FROZEN = "init.identity", "optimizer.lr", '["hidden"]'


def how_deep(measured: Results) -> str:
    """A row for each data set and initialization, a column for each number of layers: test accuracy
    in percent at the step size that validation chooses (mean, lowest and highest of n seeds), and
    this step; `guessing` where no run is better than that, - where there is none.
    """
    runs = _done(measured)
    rows, depths = [], sorted(runs["layers"].unique())
    for (data, init, identity), of_state in runs.groupby(["dataset", "init", IDENTITY]):
        row = {"data": data, "init": init, "identity": identity}
        for layers in depths:
            of_depth = of_state[of_state["layers"] == layers]
            row[words.layers(layers)] = _cell(_chosen(of_depth)) if len(of_depth) else "-"
        rows.append(row)
    return listed(rows, HOW_DEEP.COMMAND)


def controls(measured: Results) -> str:
    """A row for each initialization and number of layers: the same with hidden layers that learn
    and with frozen ones, each at its own step, and their difference over paired seeds, with its
    interval corrected for all rows.
    """
    state = ["dataset", "layers", "init", IDENTITY]
    sides = [dict([*_done(measured, of).groupby(state)]) for of in ("[]", FROZEN)]
    keys = [key for key in sides[1] if key in sides[0]]
    pairs = [[_chosen(side[key]).set_index("seed") for side in sides] for key in keys]
    found = correct([_difference(*pair) for pair in pairs], [0] * len(pairs))
    rows = [
        {
            "network": f"{data}, {words.layers(layers)}",
            "init": init,
            "identity": identity,
            "hidden layers learn": _cell(learn),
            "hidden layers frozen": _cell(frozen),
            "difference": difference(each),
        }
        for (data, layers, init, identity), (learn, frozen), each in zip(keys, pairs, found)
    ]
    return listed(rows, HOW_DEEP.COMMAND)


def _done(measured: Results, frozen: str = "[]") -> pd.DataFrame:
    """The finished runs of the experiment with these populations frozen."""
    only = HOW_DEEP.figure.only | {"trainer.frozen": [frozen]}
    runs = with_layers(having(measured.runs, IDENTITY, *only))
    for key, value in only.items():
        runs = runs[runs[key].isin(value if isinstance(value, list) else [value])]
    identity = [f"{share:g}" if share >= 0 else "-" for share in runs[IDENTITY]]
    return newest(runs.assign(**{IDENTITY: identity})[runs["state"] == "done"])


def _chosen(runs: pd.DataFrame) -> pd.DataFrame:
    """Those at the step size that validation chooses, of one number of layers."""
    return alike(best(runs, ["layers"], STEP), ["layers"])


def _difference(learn: pd.DataFrame, frozen: pd.DataFrame) -> Comparison:
    both = (PERCENT * (learn[ACCURACY] - frozen[ACCURACY])).dropna()
    return paired(both, 0 * both).within(PERCENT)


def _cell(chosen: pd.DataFrame) -> str:
    found = PERCENT * chosen[ACCURACY]
    spread = f" ({found.min():.1f}..{found.max():.1f})" if len(found) > 1 else ""
    guessing = ", guessing" if all(guesses(chosen)) else ""
    return f"{found.mean():.1f}{spread}, n = {len(found)}, at {chosen[STEP].iloc[0]:g}{guessing}"
