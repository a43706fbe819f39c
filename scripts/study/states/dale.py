"""A layer that obeys Dale's law: 128 excitatory and 32 inhibitory neurons, 100 excitatory Poisson
inputs of 15.8 Hz.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fdi.engine.reference import ReferenceEngine
from fdi.init.fluct import Fluct, FluctLognormal
from fdi.init.strategy import draw_weights
from fdi.snn.models import dale
from fdi.snn.network import Network
from states.tools import free_potential, generator, histogram, poisson_input, raster, rows

INPUTS, NU, DT, TRIALS, STEPS, SHOWN, WARM = 100, 15.8, 2e-3, 8, 500, 200, 50
STRATEGIES = {"fluct": Fluct(), "fluct_lognormal": FluctLognormal()}
KINDS = {"input->e1": "input to E", "e1->e1": "E to E", "i1->e1": "I to E"}
BINS = 40


def simulate() -> pd.DataFrame:
    """Columns init, part, kind, x, y.

    Parts: raster (x s, y unit), trace of the free potential of an E neuron (x s; kinds excitation,
    inhibition, sum), balance (mean excitation x and inhibition y of each E neuron), weights (x
    weight, y density).
    """
    inputs = poisson_input(np.random.default_rng(3), TRIALS, STEPS, INPUTS, NU, DT)
    return pd.concat(
        [part for init in STRATEGIES for part in _state(init, inputs)], ignore_index=True
    )


def _state(init: str, inputs) -> list[pd.DataFrame]:
    network = dale((INPUTS,), 2, STEPS, DT)
    engine = ReferenceEngine()
    draw_weights(
        network, STRATEGIES[init], Fluct(), nu_input=NU, measure=None, generator=generator(3)
    )
    activity = engine.simulate(network, inputs, record=("spikes",))
    spikes = {"input": inputs.dense()} | {
        name: trace.numpy() for name, trace in activity.spikes.items()
    }
    excitation, inhibition = _drives(network, spikes)
    means = [drive[WARM:].mean((0, 1)) for drive in (excitation, inhibition)]
    neuron = int(np.argmin(np.abs(means[0] - means[1])))
    shown, time = slice(WARM, WARM + SHOWN), np.arange(SHOWN) * DT
    traces = {"excitation": excitation, "inhibition": -inhibition, "sum": excitation - inhibition}
    parts = [
        rows(time, trace[shown, 0, neuron], part="trace", kind=kind)
        for kind, trace in traces.items()
    ]
    parts += [
        raster(spikes[name][shown, 0], DT, part="raster", kind=kind)
        for name, kind in (("e1", "E"), ("i1", "I"))
    ]
    parts += [rows(*means, part="balance", kind="neurons")]
    for projection in network.projections:
        if projection.name in KINDS:
            weight = projection.weight.detach().numpy()
            edges = np.linspace(0, np.quantile(weight, 0.99), BINS + 1)
            parts.append(histogram(weight, edges, part="weights", kind=KINDS[projection.name]))
    return [part.assign(init=init) for part in parts]


def _drives(network: Network, spikes: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Free potentials that excitation and inhibition cause in E neurons, both positive, [T, B,
    N].
    """
    population = network.hidden[0]
    currents = [0.0, 0.0]
    for projection in network.afferents(population.name):
        currents[projection.channel] = (
            currents[projection.channel]
            + spikes[projection.source] @ projection.weight.detach().numpy().T
        )
    excitation, inhibition = (
        free_potential(current, population.neuron.tau_mem, tau_syn, network.dt)
        for current, tau_syn in zip(currents, population.neuron.tau_syn)
    )
    return excitation, inhibition
