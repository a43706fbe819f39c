"""What the initial states of runs say: the spread of the membrane potential that their weights
imply by the theory, and how far their gradients lie above the floor of the optimizer.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fdi.analysis.bounds import unbounded
from fdi.analysis.results import READOUT, Results
from fdi.analysis.select import kept, where, with_layers

USUAL = {"init": "fluct", "init.nu": "auto", "init.alpha": 0.9}


def with_spread(runs: pd.DataFrame, results: Results) -> pd.DataFrame:
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


def of_unit_gain(runs: pd.DataFrame, results: Results) -> dict[tuple[str, str, int], float]:
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
    """By the path of the run: `gradient`, the largest `task_gradient` of a hidden population, and
    `layers`, how many there are.
    """
    probe = results.probe.assign(gradient=task_gradient(results))
    hidden = probe[probe["population"] != READOUT].groupby("path")["gradient"]
    return pd.DataFrame({"gradient": hidden.max(), "layers": hidden.size()})


def ratios(results: Results) -> pd.DataFrame:
    """By the path of the run, for the finished runs without bounds whose initial state was measured
    and whose optimizer has a floor: `gradient`, the largest element over the hidden populations of
    the gradient of their afferent weights, `floor`, above which noisy and steady gradients are
    followed, and `ratio`, one over the other.
    """
    runs = unbounded(kept(results.runs, results.runs["state"] == "done"))
    names = ["grad_task_max", "floor_steady", "floor_noisy"]
    largest = results.layers.reindex(columns=["path", *names]).groupby("path")[names].max()
    measured = largest.reindex(runs["path"]).astype(float)
    table = pd.DataFrame(
        {
            "gradient": measured["grad_task_max"],
            "floor": measured[["floor_steady", "floor_noisy"]].max(axis=1),
        }
    )
    table["ratio"] = table["gradient"] / table["floor"]
    return table[np.isfinite(table["ratio"])]
