"""What the initial states of runs say: the spread of the membrane potential that their weights
imply by the theory, and how far their gradients lie above the effective floor.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fdi.analysis.collect import Runs
from fdi.analysis.conditions import where
from fdi.analysis.derived import unbounded, with_layers
from fdi.analysis.results import Results

USUAL = {"init": "fluct", "init.nu": "auto", "init.alpha": 0.9}


def with_spread(runs: Runs, results: Results) -> pd.DataFrame:
    """The runs of fluct (at its usual nu and alpha) and of gain, with `spread`, their sigma_u, and
    `layers`, the number of hidden layers.
    """
    runs = with_layers(runs)
    fluct = where(runs, USUAL)
    fluct = fluct.assign(spread=fluct["init.sigma_u"] if len(fluct) else 0.0)
    gain = where(runs, {"init": "gain"})
    unit = of_unit_gain(gain, results)
    keys = zip(gain["dataset"], gain["model"], gain["layers"])
    units = [unit.get(key, float("nan")) for key in keys]
    gain = gain.assign(spread=gain["init.gain"] * units if len(gain) else 0.0)
    return pd.concat([fluct, gain.dropna(subset="spread")])


def of_unit_gain(runs: Runs, results: Results) -> dict[tuple[str, str, int], float]:
    """(data set, model, hidden layers) -> sqrt(nu eps_hat), the sigma_u that a gain of 1 causes in
    the first hidden layer, as a mean over the `runs` with a gain.
    """
    if runs.empty or "theory_sigma_u" not in results.layers:
        return {}
    first = results.layers.drop_duplicates("path")[["path", "theory_sigma_u"]]
    measured = runs.merge(first, on="path")
    unit = measured["theory_sigma_u"] / measured["init.gain"]
    return (
        unit.groupby([measured["dataset"], measured["model"], measured["layers"]]).mean().to_dict()
    )


def task_gradient(results: Results) -> pd.Series:
    """Norm of the gradient of the task alone in each population, by the index of `results.probe`:
    measured as such, or that of an objective without bounds; NaN where bounds hide it.
    """
    free = set(unbounded(results.runs)["path"])
    probe = results.probe.reindex(columns=["path", "grad", "grad_task"])  # of no run: without
    return probe["grad_task"].fillna(probe["grad"].where(probe["path"].isin(free)))


def largest(results: Results) -> pd.DataFrame:
    """By the path of the run: `gradient`, the largest element of the gradient of the task over all
    hidden weights; `floor`, above which its optimizer follows gradients, noisy or not; `ratio`, one
    over the other; and `layers`, the number of hidden populations.
    """
    names = ["grad_task_max", "floor_steady", "floor_noisy"]
    hidden = results.layers.reindex(columns=["path", *names]).groupby("path")
    most = hidden[names].max().astype(float)
    floor = most[["floor_steady", "floor_noisy"]].max(axis=1)
    return pd.DataFrame(
        {
            "gradient": most["grad_task_max"],
            "floor": floor,
            "ratio": most["grad_task_max"] / floor.where(floor > 0),
            "layers": hidden.size(),
        }
    )


def ratios(results: Results) -> pd.DataFrame:
    """`largest` of the finished runs without bounds whose initial state was measured and whose
    optimizer has an effective floor.
    """
    runs = unbounded(results.runs[results.runs["state"] == "done"])
    table = largest(results).reindex(runs["path"])
    return table[np.isfinite(table["ratio"])]
