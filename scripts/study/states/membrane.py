"""The theory: 700 Poisson inputs of 15.8 Hz, as in SHD, onto 256 neurons whose weights aim at xi =
1, 2, 3.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fdi.engine.reference import ReferenceEngine
from fdi.init.functional import fluctuation_driven_normal_
from fdi.snn.models import dense
from states.tools import generator, histogram, poisson_input, raster, rows

INPUTS, NU, DT, NEURONS = 700, 15.8, 2e-3, 256
TRIALS, STEPS, SHOWN = 16, 500, 250
# of the free potential of the neuron whose trace is shown, in units of sigma_u: it spikes for every
# xi
PEAK = 3.2
EDGES = np.linspace(-4, 4, 81)
WEIGHT_EDGES = np.linspace(-0.6, 0.6, 61)


def simulate() -> pd.DataFrame:
    """Columns part, xi, kind, x, y.

    Parts: raster (x s, y input unit), weights, trace (x s, y U in units of theta), spikes,
    histogram (of U), number. Kinds of histogram:
    `own`, free of reset and around each neuron's own mean; `free`, of reset; `reset`, as simulated.
    """
    inputs = poisson_input(np.random.default_rng(1), TRIALS, STEPS, INPUTS, NU, DT)
    parts = [raster(inputs.values[0, :SHOWN, :60], DT, part="raster", xi=0, kind="input")]
    for xi in (1, 2, 3):
        parts += _state(xi, inputs)
    return pd.concat(parts, ignore_index=True)


def _state(xi: int, inputs) -> list[pd.DataFrame]:
    network = dense((INPUTS,), 2, STEPS, DT, hidden=NEURONS)
    weight = network.projections[0].weight
    fluctuation_driven_normal_(
        weight, sigma_u=1 / xi, nu=NU, tau_mem=20e-3, tau_syn=10e-3, dt=DT, generator=generator(1)
    )
    activity = ReferenceEngine().simulate(network, inputs, record=("spikes", "potentials", "free"))
    warm = slice(50, None)  # 0.1 s, until the potential is stationary
    free, potential, spikes = (
        trace["h1"].numpy() for trace in (activity.free, activity.potentials, activity.spikes)
    )
    means = free[warm].mean((0, 1))
    neuron = int(
        np.argmin(
            np.abs(means) / free[warm].std((0, 1)) + np.abs(free[:SHOWN, 0].max(0) * xi - PEAK)
        )
    )
    time = np.arange(SHOWN) * DT
    labels = {"xi": xi}
    return [
        histogram(weight.detach(), WEIGHT_EDGES, part="weights", kind="drawn", **labels),
        rows(time, free[:SHOWN, 0, neuron], part="trace", kind="free", **labels),
        rows(time, potential[:SHOWN, 0, neuron], part="trace", kind="reset", **labels),
        raster(spikes[:SHOWN, 0, [neuron]], DT, part="spikes", kind="reset", **labels),
        histogram(free[warm] - means, EDGES, part="histogram", kind="own", **labels),
        histogram(free[warm], EDGES, part="histogram", kind="free", **labels),
        histogram(potential[warm], EDGES, part="histogram", kind="reset", **labels),
        rows([0], float(weight.detach().std()), part="number", kind="sigma_w", **labels),
        rows([0], free[warm].std(), part="number", kind="pooled", **labels),
        rows([0], spikes[warm].mean() / DT, part="number", kind="rate", **labels),
    ]
