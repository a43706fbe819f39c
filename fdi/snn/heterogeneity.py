"""Neurons that differ from the start: each draws time constants of its own (Perez-Nieves, Leung,
Dragotti & Goodman 2021, Nature Communications 12:5791).
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from fdi.snn.network import Network
from fdi.snn.population import Population

BOUNDS = tuple(-0.5e-3 / math.log(decay) for decay in (2 / math.e, 0.995))
"""Shortest and longest time constant, 1.63 and 99.7 ms: the authors clip what is left after a step
of 0.5 ms to 2/e .. 0.995 (their code, clipper.py).
"""


def draw_time_constants(network: Network, rng: np.random.Generator) -> None:
    """Give each hidden neuron with a `tau_shape` k its own time constants, from the input up.

        tau ~ Gamma(k, mean / k), clipped to BOUNDS; standard deviation mean / sqrt(k)

    Those of the membrane and of each synaptic channel are independent; their means are tau_mem and
    tau_syn of the neuron, those of adaptation stay alike. Raises ValueError for a mean outside of
    the bounds, and for maps.
    Source: the authors' code (layers.py; main.py: k = 3, means of 20 and 10 ms), where the readout
    draws its own, too.
    """
    network.layers = [tuple(_drawn(p, rng) for p in layer) for layer in network.layers]


def _drawn(population: Population, rng: np.random.Generator) -> Population:
    neuron = population.neuron
    if neuron.tau_shape is None:
        return population
    if len(population.shape) > 1:
        raise ValueError(
            f"neuron.tau_shape = {neuron.tau_shape:g}: the neurons of a map ({population.name}) "
            f"share weights that fit one pair of time constants; use fully connected layers "
            f"(model=dense, recurrent or dale) or neuron.tau_shape=null"
        )
    shortest, longest = BOUNDS
    for mean in (neuron.tau_mem, *neuron.tau_syn):
        if not shortest <= mean <= longest:
            raise ValueError(
                f"neuron.tau_shape = {neuron.tau_shape:g} draws time constants of "
                f"{1e3 * shortest:.3g} to {1e3 * longest:.3g} ms, and {1e3 * mean:g} ms cannot be "
                f"their mean; use neuron.tau_shape=null"
            )
    k = neuron.tau_shape
    rows = [
        rng.gamma(k, mean / k, population.units).clip(shortest, longest)
        for mean in (neuron.tau_mem, *neuron.tau_syn)
    ]
    return replace(population, taus=tuple(tuple(row.tolist()) for row in rows))
