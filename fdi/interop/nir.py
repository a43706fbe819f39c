"""Trained networks in NIR, the intermediate representation that other simulators and neuromorphic
hardware read (Pedersen et al. 2024). Needs fdi-snn[nir].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from fdi.snn.network import INPUT, Network
from fdi.snn.neuron import Neuron, integrator
from fdi.snn.population import Population
from fdi.snn.projection import Projection

if TYPE_CHECKING:
    import nir

MISSING = "export to NIR needs the package nir: pip install 'fdi-snn[nir]'"


def to_nir(network: Network, *, start_at_rest: bool = False) -> nir.NIRGraph:
    """The network as a graph of Linear, Conv1d, Conv2d, Flatten, CubaLIF and, as readout, CubaLI;
    `nir.write(path, graph)` writes it.

        tau' = dt / (1 - exp(-dt / tau)),   w_in = tau_syn' / dt,   R = 1

    With these constants a reader that integrates by forward Euler at `network.dt`, and holds U at 0
    in the step after a spike, computes the equations of fdi; dt stands in the metadata. A spike
    reaches the next layer two steps later here, there in the same step. Surrogate and loss are not
    part of NIR; time constants of each neuron are.

    Raises ValueError for what NIR cannot say: recurrence and skip connections (their delay), Dale's
    law (two synaptic channels), max pooling, adaptation, subtractive reset, and a potential that
    does not start at 0, unless `start_at_rest` lets it start there.
    """
    nir = _nir()
    for population in (*network.hidden, network.readout):
        _refuse(population, start_at_rest)
    nodes: dict[str, Any] = {INPUT: nir.Input(input_type={"input": np.array(network.input_shape)})}
    edges: list[tuple[str, str]] = []
    below, shape = INPUT, network.input_shape
    for population in (*network.hidden, network.readout):
        projection = _only(network, population, below)
        chain = {}
        if not projection.convolutional and len(shape) > 1:
            chain[f"{below}.flatten"] = nir.Flatten(
                {"input": np.array(shape)}, start_dim=0, end_dim=-1
            )
        chain[projection.name] = _weights(nir, projection, shape)
        chain[population.name] = _neurons(nir, population, network.dt)
        for name, node in chain.items():
            nodes[name] = node
            edges.append((below, name))
            below = name
        shape = population.shape
    nodes["output"] = nir.Output(output_type={"output": np.array(shape)})
    return nir.NIRGraph(nodes, [*edges, (below, "output")], metadata={"dt": network.dt})


def from_nir(graph: nir.NIRGraph, dt: float | None = None) -> Network:
    """The network of a graph such as `to_nir` makes; `dt` in seconds where its metadata have none.
    Raises ValueError for any other graph.
    """
    nir = _nir()
    if dt is None and "dt" not in graph.metadata:
        raise ValueError("the graph does not say its time step; give dt in seconds")
    dt = float(graph.metadata["dt"]) if dt is None else dt
    following = dict(graph.edges)
    inputs = [name for name, node in graph.nodes.items() if isinstance(node, nir.Input)]
    if len(inputs) != 1 or len(following) != len(graph.edges):
        raise ValueError("the graph is not one chain from an input to an output")
    input_shape = tuple(map(int, graph.nodes[inputs[0]].input_type["input"]))
    layers: list[tuple[Population, ...]] = []
    projections, readout = [], None
    source, name = INPUT, following[inputs[0]]
    weights: Any = None
    while not isinstance(node := graph.nodes[name], nir.Output):
        if isinstance(node, nir.Linear | nir.Conv1d | nir.Conv2d):
            weights = node
        elif isinstance(node, nir.CubaLIF | nir.CubaLI) and weights is not None:
            population = _population(nir, name, node, dt)
            projections.append(_projection(nir, source, name, weights))
            if population.neuron.spiking:
                layers.append((population,))
            else:
                readout = population
            source, weights = name, None
        elif not isinstance(node, nir.Flatten):
            raise ValueError(f"node {name} is a {type(node).__name__}, which fdi does not read")
        name = following[name]
    if readout is None or source != readout.name:
        raise ValueError("the graph does not end in a nir.CubaLI, fdi's readout")
    return Network(input_shape, layers, readout, projections, dt)


def _nir() -> Any:
    try:
        import nir
    except ImportError:
        raise ValueError(MISSING) from None
    return nir


def _refuse(population: Population, start_at_rest: bool) -> None:
    neuron = population.neuron
    for problem, what in (
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


def _weights(nir: Any, projection: Projection, shape: tuple[int, ...]) -> Any:
    weight = projection.weight.detach().cpu().numpy()
    if not projection.convolutional:
        return nir.Linear(weight)
    kind, spatial = (nir.Conv1d, shape[1]) if weight.ndim == 3 else (nir.Conv2d, shape[1:])
    return kind(spatial, weight, projection.stride, projection.padding, 1, 1, np.zeros(len(weight)))


def _neurons(nir: Any, population: Population, dt: float) -> Any:
    neuron, ones = population.neuron, np.ones(population.shape)
    tau_mem, tau_syn = (
        dt / -np.expm1(-dt / np.array(taus)) * ones
        for taus in zip(*((n.tau_mem, n.tau_syn[0]) for n in population.neurons))
    )
    constants = {
        "tau_syn": tau_syn,
        "tau_mem": tau_mem,
        "r": ones,
        "v_leak": 0 * ones,
        "w_in": tau_syn / dt,
    }
    if not neuron.spiking:
        return nir.CubaLI(**constants)
    return nir.CubaLIF(**constants, v_threshold=neuron.theta * ones, v_reset=0 * ones)


def _population(nir: Any, name: str, node: Any, dt: float) -> Population:
    shape = tuple(node.v_leak.shape)
    scaled = np.allclose(node.w_in, node.tau_syn / dt, rtol=1e-6, atol=0)
    if not scaled or (node.r != 1).any() or node.v_leak.any():
        raise ValueError(f"{name}: fdi reads w_in = tau_syn / dt, r = 1 and v_leak = 0 only")
    differ = len(shape) == 1 and isinstance(node, nir.CubaLIF)
    taus = [
        -dt / np.log1p(-dt / (tau if differ else _constant(name, symbol, tau)))
        for symbol, tau in (("tau_mem", node.tau_mem), ("tau_syn", node.tau_syn))
    ]
    own = any(np.ptp(tau) for tau in taus)
    tau_mem, tau_syn = (float(np.mean(tau) if own else np.ravel(tau)[0]) for tau in taus)
    if isinstance(node, nir.CubaLI):
        return Population(name, shape, integrator(tau_mem, tau_syn, 0.0))
    if node.v_reset.any():
        raise ValueError(f"{name}: fdi resets to 0 only")
    neuron = Neuron(tau_mem, (tau_syn,), theta=_constant(name, "v_threshold", node.v_threshold))
    rows = tuple(tuple(tau.tolist()) for tau in taus) if own else None
    return Population(name, shape, neuron, taus=rows)


def _constant(name: str, symbol: str, values: np.ndarray) -> float:
    if np.ptp(values):
        raise ValueError(f"{name}: {symbol} differs between neurons that share it in fdi")
    return float(values.flat[0])


def _projection(nir: Any, source: str, target: str, node: Any) -> Projection:
    geometry: dict[str, Any] = {}
    if not isinstance(node, nir.Linear):
        stride, padding = np.unique(node.stride), np.unique(node.padding)
        plain = np.all(np.asarray(node.dilation) == 1) and node.groups == 1 and not node.bias.any()
        if len(stride) != 1 or len(padding) != 1 or not plain:
            raise ValueError(
                f"{source}->{target}: fdi has one stride, one padding, no dilation, no groups and "
                f"no bias"
            )
        geometry = {"stride": int(stride[0]), "padding": int(padding[0])}
    projection = Projection(source, target, node.weight.shape, **geometry)
    projection.weight.data = torch.as_tensor(node.weight)
    return projection
