"""Networks in NIR, the intermediate representation that other simulators and neuromorphic hardware
read (Pedersen et al. 2024): those of fdi written, and those of fdi and of others read. Needs
fdi-snn[nir].
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch

from fdi.snn.network import INPUT, Network, Projection
from fdi.snn.neuron import Neuron, Population, integrator

if TYPE_CHECKING:
    import nir

Scale = Literal["neuron", "weights"]

NO_CHAIN = "the graph is not one chain from an input to an output"
MISSING = "NIR needs the package nir: pip install 'fdi-snn[nir]'"
AT_ONCE = 1e-3  # tau_syn in steps of a neuron without a synapse: exp(-1000) is 0


def package() -> Any:
    """nir. Raises ValueError where it is not installed."""
    try:
        import nir
    except ImportError:
        raise ValueError(MISSING) from None
    return nir


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
        chain[projection.name] = _written_weights(nir, projection, shape, gain)
        if written:
            chain[population.name] = _written_neurons(nir, population, network.dt, gain)
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


def _written_weights(
    nir: Any, projection: Projection, shape: tuple[int, ...], gain: np.ndarray | None
) -> Any:
    weight = projection.weight.detach().cpu().numpy()
    if gain is not None:
        weight = weight * gain.reshape(-1, *(1,) * (weight.ndim - 1)).astype(weight.dtype)
    if not projection.convolutional:
        return nir.Linear(weight)
    kind, spatial = (nir.Conv1d, shape[1]) if weight.ndim == 3 else (nir.Conv2d, shape[1:])
    return kind(spatial, weight, projection.stride, projection.padding, 1, 1, np.zeros(len(weight)))


def _written_neurons(nir: Any, population: Population, dt: float, gain: np.ndarray | None) -> Any:
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


class _Weights(NamedTuple):
    """A node with weights, the shape that it gives, and its geometry as a convolution."""

    name: str
    values: np.ndarray
    shape: tuple[int, ...]
    geometry: dict[str, Any]


def from_nir(graph: nir.NIRGraph, dt: float | None = None) -> Network:
    """The network of a graph: Linear, Affine, Conv1d and Conv2d with a bias of 0, Flatten, LIF and
    CubaLIF, and a LI or CubaLI at the end, fdi's readout.

        tau = -dt / log(1 - dt / tau'),   W = W' r w_in dt / tau_syn'

    The constants ' of the graph are read as steps of forward Euler at `dt` in seconds, which its
    metadata may say; r and w_in go into the weights. fdi holds U at 0 in the step after a spike,
    and delivers a spike two steps later, where other libraries do neither. Raises ValueError, which
    names the node, for what fdi does not compute: other nodes, cycles, biases, v_leak and v_reset
    other than 0, thresholds that differ within a layer, a graph that ends in spikes.
    """
    nir = package()
    if dt is None and "dt" not in graph.metadata:
        raise ValueError("the graph does not say its time step; give dt in seconds")
    dt = float(graph.metadata["dt"]) if dt is None else dt
    first, *others = _chain(nir, graph)
    shape = tuple(int(n) for n in np.ravel(graph.nodes[first].input_type["input"]))
    reader = _Reader(nir, dt, shape)
    for name in others:
        reader.read(name, graph.nodes[name])
    return reader.network(shape)


def _chain(nir: Any, graph: nir.NIRGraph) -> list[str]:
    """The names of the nodes from the input to the last before the output."""
    following = dict(graph.edges)
    names = [name for name, node in graph.nodes.items() if isinstance(node, nir.Input)]
    if len(names) != 1 or len(following) != len(set(graph.edges)):
        raise ValueError(NO_CHAIN)
    for _ in graph.nodes:
        if names[-1] not in following:
            raise ValueError(f"the graph ends at {names[-1]} without an output")
        names.append(following[names[-1]])
        if isinstance(graph.nodes[names[-1]], nir.Output):
            return names[:-1]
    raise ValueError(NO_CHAIN)


@dataclass
class _Reader:
    """Populations and projections of the nodes read so far, which give `shape`; `weights`: of the
    last node, while their neurons are still to come.
    """

    nir: Any
    dt: float
    shape: tuple[int, ...]
    source: str = INPUT
    weights: _Weights | None = None
    readout: Population | None = None
    layers: list[tuple[Population, ...]] = field(default_factory=list)
    projections: list[Projection] = field(default_factory=list)

    def read(self, name: str, node: Any) -> None:
        nir, kind = self.nir, type(node).__name__
        if isinstance(node, nir.Flatten):
            if self.weights is not None:
                raise ValueError(f"node {name} flattens currents; fdi flattens spikes only")
        elif isinstance(node, nir.Linear | nir.Affine | nir.Conv1d | nir.Conv2d):
            if self.weights is not None or self.readout is not None:
                raise ValueError(f"node {name} follows {self.source} without neurons between them")
            self.weights = _weights(nir, name, node, self.shape)
        elif isinstance(node, nir.LIF | nir.CubaLIF | nir.LI | nir.CubaLI):
            if self.weights is None:
                raise ValueError(f"node {name} ({kind}) has no weights of its own in front")
            population, gain = _population(nir, name, node, self.weights.shape, self.dt)
            self.projections.append(_projection(self.source, name, self.weights, gain))
            if population.neuron.spiking:
                self.layers.append((population,))
            else:
                self.readout = population
            self.source, self.shape, self.weights = name, population.shape, None
        else:
            raise ValueError(f"node {name} is a {kind}, which fdi does not read")

    def network(self, input_shape: tuple[int, ...]) -> Network:
        if self.readout is None:
            end = self.weights.name if self.weights else self.source
            raise ValueError(
                f"the graph ends in {end}; fdi reads a potential out: let a nir.LI or nir.CubaLI "
                f"follow weights at its end"
            )
        return Network(input_shape, self.layers, self.readout, self.projections, self.dt)


def _weights(nir: Any, name: str, node: Any, shape: tuple[int, ...]) -> _Weights:
    if np.any(getattr(node, "bias", 0)):
        raise ValueError(f"node {name} has a bias, which fdi does not have; train it without")
    values = np.asarray(node.weight)
    if isinstance(node, nir.Linear | nir.Affine):
        if values.shape[1] != np.prod(shape):
            raise ValueError(f"node {name} takes {values.shape[1]} values, and gets {shape}")
        return _Weights(name, values, (len(values),), {})
    if isinstance(node.padding, str):
        raise ValueError(f"node {name}: padding = {node.padding}; give it as a number")
    stride, padding = np.unique(node.stride), np.unique(node.padding)
    plain = np.all(np.asarray(node.dilation) == 1) and node.groups == 1
    if len(stride) != 1 or len(padding) != 1 or not plain:
        raise ValueError(f"node {name}: fdi has one stride, one padding, no dilation and no groups")
    geometry = {"stride": int(stride[0]), "padding": int(padding[0])}
    edges = [
        (n + 2 * geometry["padding"] - kernel) // geometry["stride"] + 1
        for n, kernel in zip(shape[1:], values.shape[2:])
    ]
    return _Weights(name, values, (len(values), *edges), geometry)


def _population(
    nir: Any, name: str, node: Any, shape: tuple[int, ...], dt: float
) -> tuple[Population, np.ndarray]:
    """The neurons, and by what the weights in front of each are multiplied."""
    for symbol in ("v_leak", "v_reset"):
        if np.any(getattr(node, symbol, 0)):
            raise ValueError(f"node {name}: {symbol} is not 0, which it is in fdi")
    cuba = isinstance(node, nir.CubaLIF | nir.CubaLI)
    spiking = isinstance(node, nir.LIF | nir.CubaLIF)
    own = len(shape) == 1 and spiking  # time constants of each neuron
    given = (("tau_mem", node.tau_mem), ("tau_syn", node.tau_syn)) if cuba else (("tau", node.tau),)
    steps = [_of_each(name, symbol, tau, shape, own) for symbol, tau in given]
    if min(tau.min() for tau in steps) <= dt:
        raise ValueError(f"node {name}: a time constant is not above dt = {dt:g} s")
    taus = [-dt / np.log1p(-dt / tau) for tau in steps]
    gain = _of_each(name, "r", node.r, shape, True)
    if cuba:
        gain = gain * _of_each(name, "w_in", node.w_in, shape, True) * dt / steps[1]
    else:
        taus.append(np.full(shape, AT_ONCE * dt))
    differ = any(np.ptp(tau) for tau in taus)
    tau_mem, tau_syn = (float(np.mean(tau) if differ else tau.flat[0]) for tau in taus)
    if not spiking:
        return Population(name, shape, integrator(tau_mem, tau_syn, 0.0)), gain
    theta = _of_each(name, "v_threshold", node.v_threshold, shape, False)
    neuron = Neuron(tau_mem, (tau_syn,), theta=float(theta.flat[0]))
    rows = tuple(tuple(tau.tolist()) for tau in taus) if differ else None
    return Population(name, shape, neuron, taus=rows), gain


def _of_each(
    name: str, symbol: str, values: Any, shape: tuple[int, ...], may_differ: bool
) -> np.ndarray:
    """A constant of each neuron. Raises ValueError where it differs and may not."""
    values = np.asarray(values, dtype=np.float64)
    values = np.broadcast_to(values.flat[0] if values.size == 1 else values, shape)
    if not may_differ and np.ptp(values):
        raise ValueError(f"node {name}: {symbol} differs between neurons that share it in fdi")
    return values


def _projection(source: str, target: str, weights: _Weights, gain: np.ndarray) -> Projection:
    """With the gain of its neurons, which those of a channel must share, in the weights."""
    rows = gain.reshape(len(weights.values), -1)
    if np.ptp(rows, axis=1).any():
        raise ValueError(f"node {target}: r and w_in differ between neurons that share weights")
    shape = (-1, *(1,) * (weights.values.ndim - 1))
    projection = Projection(source, target, weights.values.shape, **weights.geometry)
    values = weights.values * rows[:, 0].reshape(shape).astype(weights.values.dtype)
    projection.weight.data = torch.as_tensor(values)
    return projection
