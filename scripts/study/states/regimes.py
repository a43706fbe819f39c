"""Three regimes of a neuron with 500 Poisson inputs: sub-threshold, fluctuation-driven,
mean-driven.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from fdi.engine.reference import ReferenceEngine
from fdi.init.theory import psp_kernel_integrals
from fdi.snn.models import dense
from states.tools import generator, histogram, poisson_input, raster, rows

INPUTS, NU, DT, NEURONS = 500, 20.0, 1e-3, 128
TRIALS, STEPS, SHOWN = 4, 5000, 500
REGIMES = {
    "sub-threshold": (0.0, 0.2),
    "fluctuation-driven": (0.0, 0.7),
    "mean-driven": (2.0, 0.2),
}  # mu_u, sigma_u
EDGES = np.arange(0, 201, 5.0)  # ms


def simulate() -> pd.DataFrame:
    """Columns part, regime, x, y.

    Parts: trace (x s, y U in units of theta), spikes, intervals (x ms, y density), mu_u, sigma_u,
    rate (Hz) and cv, the coefficient of variation of the intervals of a neuron, mean over neurons
    with at least 5 of them.
    """
    inputs = poisson_input(np.random.default_rng(2), TRIALS, STEPS, INPUTS, NU, DT)
    return pd.concat(
        [part for name in REGIMES for part in _regime(name, inputs)], ignore_index=True
    )


def _regime(name: str, inputs) -> list[pd.DataFrame]:
    mu_u, sigma_u = REGIMES[name]
    network = dense((INPUTS,), 2, STEPS, DT, hidden=NEURONS)
    eps_bar, eps_hat = psp_kernel_integrals(20e-3, 10e-3, DT)
    mu_w = mu_u / (INPUTS * NU * eps_bar)
    sigma_w = math.sqrt(sigma_u**2 / (INPUTS * NU * eps_hat) - mu_w**2)
    network.projections[0].weight.data.normal_(mu_w, sigma_w, generator=generator(2))
    activity = ReferenceEngine().simulate(network, inputs, record=("spikes", "potentials", "free"))
    spikes, potential = activity.spikes["h1"].numpy(), activity.potentials["h1"].numpy()
    means = activity.free["h1"].numpy().mean((0, 1))
    neuron = int(
        np.argmin(
            np.abs(means - mu_u) + np.abs(spikes[:SHOWN, 0].sum(0) - spikes.mean() * SHOWN) / 10
        )
    )
    intervals = [
        np.diff(np.nonzero(train)[0]) * DT * 1e3
        for trial in spikes.swapaxes(0, 1)
        for train in trial.T
    ]
    several = [gaps for gaps in intervals if len(gaps) >= 5]
    cv = np.mean([gaps.std() / gaps.mean() for gaps in several]) if several else np.nan
    pooled = np.concatenate(intervals)
    labels = {"regime": name}
    return [
        rows(np.arange(SHOWN) * DT, potential[:SHOWN, 0, neuron], part="trace", **labels),
        raster(spikes[:SHOWN, 0, [neuron]], DT, part="spikes", **labels),
        *([histogram(pooled, EDGES, part="intervals", **labels)] if several else []),
        *(
            rows([0], value, part=part, **labels)
            for part, value in (("mu_u", mu_u), ("sigma_u", sigma_u), ("cv", cv))
        ),
        rows([0], spikes.mean() / DT, part="rate", **labels),
    ]
