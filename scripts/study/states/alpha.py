"""Does a recurrent layer get the shares of variance that alpha asks for? 128 recurrent neurons, 100
Poisson inputs of 15.8 Hz.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fdi.engine.reference import ReferenceEngine
from fdi.init.fluct import Fluct
from fdi.init.strategy import draw_weights
from fdi.snn.models import dense
from states.tools import free_potential, generator, poisson_input

INPUTS, NU, DT, NEURONS, TRIALS, STEPS, WARM = 100, 15.8, 2e-3, 128, 4, 500, 50
ALPHAS = (0.1, 0.3, 0.5, 0.7, 0.9, 0.97)


def simulate() -> pd.DataFrame:
    """Columns nu (auto or propagate), alpha, seed, share, sigma_u, rate.

    share: measured feed-forward share of the variance of the free potential; sigma_u: its spread,
    units of theta; rate in Hz.
    """
    return pd.DataFrame(
        [
            _state(nu, alpha, seed)
            for nu in ("auto", "propagate")
            for alpha in ALPHAS
            for seed in range(5)
        ]
    )


def _state(nu: str, alpha: float, seed: int) -> dict[str, object]:
    inputs = poisson_input(np.random.default_rng(seed), TRIALS, STEPS, INPUTS, NU, DT)
    network = dense((INPUTS,), 2, STEPS, DT, hidden=NEURONS, recurrent=True)
    engine, strategy = ReferenceEngine(), Fluct(nu=nu, alpha=alpha)

    def measure(drawn):
        return engine.simulate(drawn, inputs, record=("moments", "spikes", "free"))

    draw_weights(
        network, strategy, strategy, nu_input=NU, measure=measure, generator=generator(seed)
    )
    activity = measure(network)
    sources = {"input": inputs.dense(), "h1": activity.spikes["h1"].numpy()}
    variance = {
        projection.recurrent: free_potential(
            sources[projection.source] @ projection.weight.detach().numpy().T, 20e-3, 10e-3, DT
        )[WARM:]
        .var(0)
        .mean()
        for projection in network.afferents("h1")
    }
    share = variance[False] / (variance[False] + variance[True])
    spread = activity.free["h1"].numpy()[WARM:].var((0, 1)).mean() ** 0.5
    return {
        "nu": nu,
        "alpha": alpha,
        "seed": seed,
        "share": share,
        "sigma_u": spread,
        "rate": sources["h1"][WARM:].mean() / DT,
    }
