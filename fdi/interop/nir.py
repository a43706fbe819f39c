"""Trained networks in NIR, the intermediate representation that other simulators and neuromorphic
hardware read (Pedersen et al. 2024). Needs fdi-snn[nir].
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fdi.interop.nir_read import from_nir, package
from fdi.snn.network import INPUT, Network
from fdi.snn.neuron import Neuron
from fdi.snn.population import Population
from fdi.snn.projection import Projection

if TYPE_CHECKING:
    import nir

__all__ = ["from_nir", "to_nir"]

Scale = Literal["neuron", "weights"]


def to_nir(
    network: Network,
    *,
    start_at_rest: bool = False,
    scale: Scale = "neuron",
    readout: bool = True,
) -> nir.NIRGraph:
    """The network as a graph of Linear, Conv1d, Conv2d, Flatten, CubaLIF and, as readout, CubaLI;
    `nir.write(path, graph)` writes it.

        tau' = dt / (1 - exp(-dt / tau)),   w_in = tau_syn' / dt,   R = 1

    With these constants a reader that integrates by forward Euler at `network.dt`, and holds U at 0
    in the step after a spike, computes the equations of fdi; dt stands in the metadata. A spike
    reaches the next layer two steps later here, there in the same step. Surrogate and loss are not
    part of NIR; time constants of each neuron are.

    `scale`: where the factor dt / tau_mem' of the input stands: in the "neuron", or in its
    "weights", with R = tau_mem' / dt, as SpikingJelly and snnTorch want it; the equations are the
    same. `readout=False` leaves out the readout's neurons, which many readers do not know: the
    graph ends in its weights, the input of each class in each step.

    Raises ValueError for what NIR cannot express: recurrence and skip connections (their delay),
    Dale's law (two synaptic channels), normalization, max pooling, adaptation, subtractive reset,
    and a potential that does not start at 0, unless `start_at_rest` lets it start there.
    """
    nir = package()
    if scale not in ("neuron", "weights"):
        raise ValueError(f"scale = {scale!r} must be 'neuron' or 'weights'")
    learned = network.learned()
    hidden = [
        replace(p, neuron=replace(p.neuron, tau_mem=learned[p.name])) if p.name in learned else p
        for p in network.hidden
    ]
    populations = (*hidden, network.readout)
    for population in populations if readout else hidden:
        _refuse(population, population.name in network.norms, start_at_rest)
    nodes: dict[str, Any] = {INPUT: nir.Input(input_type={"input": np.array(network.input_shape)})}
    edges: list[tuple[str, str]] = []
    below, shape = INPUT, network.input_shape
    for population in populations:
        written = readout or population is not network.readout
        gain = _gain(population, network.dt) if scale == "weights" and written else None
        projection = _only(network, population, below)
        chain = {}
        if not projection.convolutional and len(shape) > 1:
            chain[f"{below}.flatten"] = nir.Flatten(
                {"input": np.array(shape)}, start_dim=0, end_dim=-1
            )
        chain[projection.name] = _weights(nir, projection, shape, gain)
        if written:
            chain[population.name] = _neurons(nir, population, network.dt, gain)
        for name, node in chain.items():
            nodes[name] = node
            edges.append((below, name))
            below = name
        shape = population.shape
    nodes["output"] = nir.Output(output_type={"output": np.array(shape)})
    return nir.NIRGraph(nodes, [*edges, (below, "output")], metadata={"dt": network.dt})


def _refuse(population: Population, normalized: bool, start_at_rest: bool) -> None:
    neuron = population.neuron
    for problem, what in (
        (normalized, "normalization of what arrives in each step"),
        (population.pool > 1, "max pooling"),
        (len(neuron.tau_syn) > 1, "two synaptic channels"),
        (type(neuron) is not Neuron, f"adaptation ({type(neuron).__name__})"),
        (neuron.spiking and neuron.reset != "zero", f"reset {neuron.reset}"),
    ):
        if problem:
            raise ValueError(f"{population.name}: NIR cannot say {what}; export a network without")
    if neuron.u_init and not start_at_rest:
        raise ValueError(
            f"{population.name}: NIR cannot say that U starts at {neuron.u_init}; train with "
            f"model.readout_u_init=0, or let it start at 0: to_nir(network, start_at_rest=True)"
        )


def _only(network: Network, population: Population, source: str) -> Projection:
    """The one projection onto a population, from the layer below."""
    for projection in network.afferents(population.name):
        if projection.source != source:
            raise ValueError(
                f"{projection.name}: NIR has no time step, so it cannot say the delay of "
                f"recurrence and skip connections; export a feed-forward network"
            )
    return network.afferents(population.name)[0]


def _gain(population: Population, dt: float) -> np.ndarray:
    """dt / tau_mem' of each neuron, or of all."""
    return -np.expm1(-dt / np.array([neuron.tau_mem for neuron in population.neurons]))


def _weights(
    nir: Any, projection: Projection, shape: tuple[int, ...], gain: np.ndarray | None
) -> Any:
    weight = projection.weight.detach().cpu().numpy()
    if gain is not None:
        weight = weight * gain.reshape(-1, *(1,) * (weight.ndim - 1)).astype(weight.dtype)
    if not projection.convolutional:
        return nir.Linear(weight)
    kind, spatial = (nir.Conv1d, shape[1]) if weight.ndim == 3 else (nir.Conv2d, shape[1:])
    return kind(spatial, weight, projection.stride, projection.padding, 1, 1, np.zeros(len(weight)))


def _neurons(nir: Any, population: Population, dt: float, gain: np.ndarray | None) -> Any:
    neuron, ones = population.neuron, np.ones(population.shape)
    tau_mem, tau_syn = (
        dt / -np.expm1(-dt / np.array(taus)) * ones
        for taus in zip(*((n.tau_mem, n.tau_syn[0]) for n in population.neurons))
    )
    constants = {
        "tau_syn": tau_syn,
        "tau_mem": tau_mem,
        "r": ones if gain is None else ones / gain,
        "v_leak": 0 * ones,
        "w_in": tau_syn / dt,
    }
    if not neuron.spiking:
        return nir.CubaLI(**constants)
    return nir.CubaLIF(**constants, v_threshold=neuron.theta * ones, v_reset=0 * ones)
