"""The spread of the membrane potential that weights imply by the theory, before training."""

from __future__ import annotations

import pandas as pd

from fdi.analysis.results import Results
from fdi.analysis.select import where, with_layers

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
