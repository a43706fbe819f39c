"""Networks in NIR, the intermediate representation that other simulators and neuromorphic hardware
read (Pedersen et al. 2024): those of fdi written, and those of fdi and of others read. Needs
fdi-snn[nir].
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor, nn

from fdi.config import Mistake
from fdi.snn.network import INPUT, Network, Projection
from fdi.snn.neuron import Constants, Neuron, Population, Reset, averaged, integrator

if TYPE_CHECKING:
    import nir

NO_CHAIN = "the graph is not one chain from an input to an output"
MISSING = "NIR needs the package nir, 1.0.6 or later: pip install 'fdi-snn[nir]'"
AT_ONCE = 1e-3  # tau_syn in steps of a neuron without a synapse: exp(-1000) is 0
SHORTEST, LONGEST = 1e-6, 1e3  # s, time constants of the neurons that every engine computes
NO_LEAK = 1e6  # tau_mem in steps of a neuron without leak: 0.1 % is lost in 1000 steps
READOUT = "readout"  # key of metadata, and name of a readout that a graph does not have


def package() -> Any:
    """nir. Raises fdi.Mistake where it is not installed."""
    try:
        import nir
    except ImportError:
        raise Mistake(MISSING) from None
    return nir


def to_nir(
    network: Network,
    *,
    start_at_rest: bool = False,
    reset_at_once: bool = False,
    readout: bool = True,
) -> nir.NIRGraph:
    """The network as a graph of Linear, Affine, Conv1d, Conv2d, AvgPool2d, Flatten, CubaLIF and, as
    readout, CubaLI; `nir.write(path, graph)` writes it.

        tau' = dt / (1 - exp(-dt / tau)),   w_in = tau_syn' / dt,   R = tau_mem' / dt,
        W' = W dt / tau_mem'

    With these constants a reader that integrates by forward Euler at `network.dt` computes the
    equations of fdi: with delay=0 in the same steps, with delay=2 three steps a layer earlier, two
    in the readout. dt, delay and reset stand in the metadata, which `from_nir` reads. Surrogate and
    loss are not part of NIR; time constants of each neuron are.

    `readout=False` leaves out the readout's neurons, which many readers do not know: the
    graph ends in its weights, the input of each class in each step, and the metadata have the time
    constants that `from_nir` gives it back.

    Raises fdi.Mistake for what NIR cannot express: recurrence and biases with delay=2, skip
    connections, Dale's law (two synaptic channels), normalization, max pooling, adaptation,
    subtractive reset, a potential that stays at 0 in the step after a spike (reset=zero), unless
    `reset_at_once` lets it rise there, and one that does not start at 0, unless `start_at_rest`
    lets it start there.
    """
    nir = package()
    learned = network.learned()
    hidden = [
        replace(p, neuron=replace(p.neuron, tau_mem=learned[p.name])) if p.name in learned else p
        for p in network.hidden
    ]
    populations = (*hidden, network.readout)
    for population in populations if readout else hidden:
        _refuse(network, population, start_at_rest, reset_at_once)
    nodes: dict[str, Any] = {INPUT: nir.Input(input_type={"input": np.array(network.input_shape)})}
    edges: list[tuple[str, str]] = []
    below, shape = INPUT, network.input_shape
    for population in populations:
        written = readout or population is not network.readout
        gain = _gain(population, network.dt) if written else np.ones(1)
        projection, own = _onto(network, population, below)
        chain, shape = _between(nir, projection, shape)
        bias = network.biases.get(population.name)
        chain[projection.name] = _written_weights(nir, projection, bias, shape, gain)
        if written:
            chain[population.name] = _written_neurons(nir, population, network.dt)
        for name, node in chain.items():
            nodes[name] = node
            edges.append((below, name))
            below = name
        shape = population.shape
        if own:
            nodes[own.name] = _written_weights(nir, own, None, shape, gain)
            edges += [(below, own.name), (own.name, below)]
    nodes["output"] = nir.Output(output_type={"output": np.array(shape)})
    metadata = {"dt": network.dt, "delay": network.delay, "reset": hidden[0].neuron.reset}
    if not readout:
        neuron = network.readout.neuron
        metadata |= {f"{READOUT}_tau_mem": neuron.tau_mem, f"{READOUT}_tau_syn": neuron.tau_syn[0]}
    return nir.NIRGraph(nodes, [*edges, (below, "output")], metadata=metadata)


def _between(
    nir: Any, projection: Projection, shape: tuple[int, ...]
) -> tuple[dict[str, Any], tuple[int, ...]]:
    """The nodes in front of the weights of a projection, and the shape that these take."""
    chain, source = {}, projection.source
    if projection.average:
        if len(projection.average) == 1:
            raise Mistake(
                f"{source}: NIR averages over two dimensions, not over one; export a network "
                f"without"
            )
        window = np.array(projection.average)
        chain[f"{source}.average"] = nir.AvgPool2d(window, window, np.zeros(2, int))
        shape = averaged(shape, projection.average)
    if not projection.convolutional and len(shape) > 1:
        chain[f"{source}.flatten"] = nir.Flatten({"input": np.array(shape)}, 0, -1)
    return chain, shape


def _refuse(
    network: Network, population: Population, start_at_rest: bool, reset_at_once: bool
) -> None:
    neuron = population.neuron
    for problem, what in (
        (population.name in network.norms, "normalization of what arrives in each step"),
        (
            network.delay and population.name in network.biases,
            "a bias that reaches all layers at once, as with model.delay=2",
        ),
        (population.pool > 1, "max pooling"),
        (len(neuron.tau_syn) > 1, "two synaptic channels"),
        (isinstance(neuron, Driven), "v_leak and v_reset as fdi computes them"),
        (type(neuron) is not Neuron, f"adaptation ({type(neuron).__name__})"),
        (neuron.spiking and neuron.reset == "subtract", f"reset {neuron.reset}"),
    ):
        if problem:
            raise Mistake(f"{population.name}: NIR cannot say {what}; export a network without")
    if neuron.spiking and neuron.reset == "zero" and not reset_at_once:
        raise Mistake(
            f"{population.name}: NIR cannot say that U stays at 0 in the step after a spike "
            f"(neuron.reset=zero); train with neuron.reset=at_once, or let it rise there, which "
            f"gives more spikes: to_nir(network, reset_at_once=True)"
        )
    if neuron.u_init and not start_at_rest:
        raise Mistake(
            f"{population.name}: NIR cannot say that U starts at {neuron.u_init}; train with "
            f"model.readout_u_init=0, or let it start at 0: to_nir(network, start_at_rest=True)"
        )


def _onto(
    network: Network, population: Population, source: str
) -> tuple[Projection, Projection | None]:
    """The projection onto a population from the layer below, and that from itself."""
    own = None
    for projection in network.afferents(population.name):
        if projection.source == source:
            below = projection
        elif projection.source != population.name:
            raise Mistake(f"{projection.name}: fdi writes no skip connections; export without")
        elif network.delay or projection.convolutional:
            raise Mistake(
                f"{projection.name}: NIR has no time step, so it cannot say that spikes come back "
                f"two steps later; train a fully connected network with model.delay=0"
            )
        else:
            own = projection
    return below, own


def _gain(population: Population, dt: float) -> np.ndarray:
    """dt / tau_mem' of each neuron, or of all."""
    return -np.expm1(-dt / np.array([neuron.tau_mem for neuron in population.neurons]))


def _written_weights(
    nir: Any,
    projection: Projection,
    bias: Tensor | None,
    shape: tuple[int, ...],
    gain: np.ndarray,
) -> Any:
    weight = projection.weight.detach().cpu().numpy()
    added = np.zeros(len(weight)) if bias is None else bias.detach().cpu().numpy() * gain
    weight = weight * gain.reshape(-1, *(1,) * (weight.ndim - 1)).astype(weight.dtype)
    if not projection.convolutional:
        return nir.Linear(weight) if bias is None else nir.Affine(weight, added)
    kind, spatial = (nir.Conv1d, shape[1]) if weight.ndim == 3 else (nir.Conv2d, shape[1:])
    return kind(spatial, weight, projection.stride, projection.padding, 1, 1, added)


def _written_neurons(nir: Any, population: Population, dt: float) -> Any:
    neuron, ones = population.neuron, np.ones(population.shape)
    tau_mem, tau_syn = (
        dt / -np.expm1(-dt / np.array(taus)) * ones
        for taus in zip(*((n.tau_mem, n.tau_syn[0]) for n in population.neurons))
    )
    constants = {
        "tau_syn": tau_syn,
        "tau_mem": tau_mem,
        "r": tau_mem / dt,
        "v_leak": 0 * ones,
        "w_in": tau_syn / dt,
    }
    if not neuron.spiking:
        return nir.CubaLI(**constants)
    return nir.CubaLIF(**constants, v_threshold=neuron.theta * ones, v_reset=0 * ones)


@dataclass(frozen=True)
class Driven(Neuron):
    """A neuron that leaks to v_leak and is reset to v_reset, as a graph may have them.

        D[t] = (1 - beta_m) (I[t] + v_leak);   v_reset S[t] more in U[t+1] with reset "zero",
        beta_m v_reset S[t] with "at_once"

    Without `leak`, beta_m is 1 but for the gain of D. Time constants may be those of a graph that
    counts time in steps.
    """

    v_leak: float = 0.0
    v_reset: float = 0.0
    leak: bool = True

    def __post_init__(self) -> None:
        """Time constants need no range here: those of a graph that counts in steps are long."""
        for name, value in (("tau_mem", self.tau_mem), ("theta", self.theta)):
            if not 0 < value < math.inf:
                raise Mistake(f"neuron: {name} = {value} must be positive and finite")

    def step(
        self, u: Tensor, s: Tensor, current: Tensor, state: tuple[Tensor, ...], c: Constants
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        c = c if self.leak else c._replace(beta_m=1.0)
        after = self.after(u, s, c.gain * (current + self.v_leak), c)
        left = {"zero": 1.0, "at_once": c.beta_m, "subtract": 0.0}[self.reset]
        return after + left * self.v_reset * s.detach(), state


class _Weights(NamedTuple):
    """Nodes with weights, the shape that they give, their bias, and their geometry: average, and
    stride and padding of a convolution.
    """

    name: str
    values: np.ndarray
    bias: np.ndarray
    shape: tuple[int, ...]
    geometry: dict[str, Any]


def from_nir(
    graph: nir.NIRGraph,
    dt: float | None = None,
    *,
    delay: int | None = None,
    reset: Reset | None = None,
) -> Network:
    """The network of a graph: Linear, Affine, Conv1d and Conv2d, SumPool2d and AvgPool2d in front
    of them, Flatten, LIF, CubaLIF and IF, each with weights to itself if it is recurrent, and a LI
    or CubaLI at the end, fdi's readout.

        tau = -dt / log(1 - dt / tau'),   W = W' r w_in dt / tau_syn'

    The constants ' of the graph are read as steps of forward Euler at `dt` in seconds, which its
    metadata may say; r and w_in go into the weights, which is exact. IF becomes a
    `Driven` without leak, r dt its gain.

    A graph says neither the `delay` of a spike nor what follows a `reset`. Where its metadata do
    not say them, and you do not, they are as other libraries have them: delay=0, a spike is heard
    in the same step, or in the next one if it is fed back, and reset="at_once"; a graph that was
    trained with a subtractive reset needs reset="subtract". Potentials start at 0. The reference
    engine computes these, biases and `Driven`; the engines that are fast in training need delay=2
    and reset="zero" or "subtract". Populations are called as their nodes, with _ for dots.

    A graph that ends in weights gets a readout with the time constants that its metadata say, as
    `to_nir(readout=False)` writes them, or else tau_mem = 20 ms and tau_syn = 10 ms. One that ends
    in spikes gets a readout that counts them, one unit for each neuron.

    Values may be arrays or tensors. Raises fdi.Mistake, which names the node, for what fdi does not
    compute: other nodes, graphs within graphs, branches, cycles of several populations,
    thresholds, v_leak or v_reset that differ within a layer, and what is no finite number or does
    not fit together.
    """
    nir = package()
    metadata = graph.metadata or {}
    dt = metadata.get("dt") if dt is None else dt
    if dt is None:
        raise Mistake("the graph does not say its time step; give dt in seconds")
    dt = _seconds("dt", dt)
    delay = sum(_whole("metadata", "delay", metadata.get("delay", 0))) if delay is None else delay
    reset = _word(metadata.get("reset", "at_once")) if reset is None else reset
    (first, *others), own = _chain(nir, graph)
    said = (graph.nodes[first].input_type or {}).get("input")
    shape = tuple(_whole(first, "its shape", said))
    if not shape or min(shape) < 1:
        raise Mistake(f"node {first} has the shape {shape}")
    reader = _Reader(nir, dt, delay, reset, shape)
    for name in others:
        reader.read(name, graph.nodes[name])
        if name in own:
            reader.feed_back(own[name], graph.nodes[own[name]])
    return reader.network(shape, metadata).eval()


def _chain(nir: Any, graph: nir.NIRGraph) -> tuple[list[str], dict[str, str]]:
    """The names of the nodes from the input to the last before the output; and of the weights from
    a population to itself, by population.
    """
    edges = _edges(nir, graph)
    own: dict[str, str] = {}
    for name in graph.nodes:
        before, after = ({a for a, b in edges if b == name}, {b for a, b in edges if a == name})
        if before == after and len(before) == 1:
            (population,) = before
            if population in own:
                raise Mistake(f"node {population} has two nodes of weights to itself")
            own[population] = name
    edges = {(a, b) for a, b in edges if not {a, b} & set(own.values())}
    following = dict(edges)
    names = [name for name, node in graph.nodes.items() if isinstance(node, nir.Input)]
    if len(names) != 1 or len(following) != len(edges):
        raise Mistake(NO_CHAIN)
    for _ in graph.nodes:
        if names[-1] not in following:
            raise Mistake(f"the graph ends at {names[-1]} without an output")
        names.append(following[names[-1]])
        if isinstance(graph.nodes[names[-1]], nir.Output):
            return names[:-1], own
    raise Mistake(NO_CHAIN)


def _edges(nir: Any, graph: nir.NIRGraph) -> set[tuple[str, str]]:
    try:
        edges = {(before, after) for before, after in graph.edges}
        unknown = {name for edge in edges for name in edge} - set(graph.nodes)
    except (TypeError, ValueError):
        raise Mistake("the edges of the graph are not pairs of names") from None
    if unknown:
        raise Mistake(f"the graph has an edge of {min(map(ascii, unknown))}, and no such node")
    for name, node in graph.nodes.items():
        if not name.isprintable():
            raise Mistake(f"the name of node {name!a} does not fit a line")
        if isinstance(node, nir.NIRGraph):
            raise Mistake(f"node {name} is a graph in the graph; write its nodes into the graph")
    return edges


@dataclass
class _Reader:
    """Populations and projections of the nodes read so far, which give `shape`; `weights`: of the
    last node, while their neurons are still to come; `pool`: edge of the windows of the last node,
    while weights are still to come, and by what their average is multiplied.
    """

    nir: Any
    dt: float
    delay: int
    reset: Reset
    shape: tuple[int, ...]
    source: str = INPUT
    weights: _Weights | None = None
    pool: tuple[str, int, int] | None = None
    gain: np.ndarray | None = None
    readout: Population | None = None
    layers: list[tuple[Population, ...]] = field(default_factory=list)
    projections: list[Projection] = field(default_factory=list)
    biases: dict[str, Tensor] = field(default_factory=dict)

    def read(self, name: str, node: Any) -> None:
        nir, kind = self.nir, type(node).__name__
        if isinstance(node, nir.Flatten):
            if self.weights is not None:
                raise Mistake(f"node {name} flattens currents; fdi flattens spikes only")
        elif isinstance(node, nir.Linear | nir.Affine | nir.Conv1d | nir.Conv2d):
            if self.weights is not None or self.readout is not None:
                raise Mistake(f"node {name} follows {self.source} without neurons between them")
            self.weights = _weights(nir, name, node, self.shape, self.pool)
            self.pool = None
        elif isinstance(node, nir.SumPool2d | nir.AvgPool2d):
            if self.weights is not None or self.pool is not None:
                raise Mistake(f"node {name} pools what is not spikes, which fdi does not")
            self.pool = _pool(nir, name, node, self.shape)
        elif isinstance(node, nir.LIF | nir.CubaLIF | nir.IF | nir.LI | nir.CubaLI):
            if self.weights is None:
                raise Mistake(f"node {name} ({kind}) has no weights of its own in front")
            self._neurons(name, node, self.weights)
        else:
            raise Mistake(f"node {name} is a {kind}, which fdi does not read")

    def feed_back(self, name: str, node: Any) -> None:
        """Weights from the last population to itself."""
        if self.weights is not None or not self.layers or self.gain is None:
            raise Mistake(f"node {name} feeds back what is not spikes")
        population, nir = self.layers[-1][0], self.nir
        if not isinstance(node, nir.Linear | nir.Affine) or len(population.shape) > 1:
            raise Mistake(f"node {name} feeds back otherwise than by Linear or Affine")
        weights = _weights(nir, name, node, population.shape, None)
        target = population.name
        self._project(target, target, weights, self.gain, recurrent=True)

    def network(self, input_shape: tuple[int, ...], metadata: dict[str, Any]) -> Network:
        if self.pool is not None:
            raise Mistake(f"node {self.pool[0]} pools, and no weights follow")
        if self.readout is None and self.weights is not None:
            tau_mem, tau_syn = (
                _seconds(key := f"{READOUT}_{tau}", metadata.get(key, default))
                for tau, default in (("tau_mem", 20e-3), ("tau_syn", 10e-3))
            )
            ones = np.ones(self.weights.shape)
            self.readout = Population(
                READOUT, self.weights.shape, integrator(tau_mem, tau_syn, 0.0)
            )
            self._project(self.source, READOUT, self.weights, ones)
        if self.readout is None:
            if not self.layers:
                raise Mistake("the graph has no neurons")
            units = self.layers[-1][0].units
            counter = _neuron(NO_LEAK * self.dt, AT_ONCE * self.dt, spiking=False)
            self.readout = Population(READOUT, (units,), counter)
            ones = np.eye(units, dtype=np.float32) / np.float32(-np.expm1(-1 / NO_LEAK))
            counted = _Weights(READOUT, ones, np.zeros(units), (units,), {})
            self._project(self.source, READOUT, counted, np.ones(units))
        network = Network(
            input_shape, self.layers, self.readout, self.projections, self.dt, self.delay
        )
        network.biases.update({name: nn.Parameter(bias) for name, bias in self.biases.items()})
        wide = any(values.dtype == torch.float64 for values in network.parameters())
        return network.double() if wide else network

    def _project(
        self, source: str, target: str, weights: _Weights, gain: np.ndarray, recurrent: bool = False
    ) -> None:
        projection, bias = _projection(source, target, weights, gain, recurrent)
        self.projections.append(projection)
        if np.any(bias):
            self.biases[target] = torch.as_tensor(bias) + self.biases.get(target, 0.0)

    def _neurons(self, node_name: str, node: Any, weights: _Weights) -> None:
        name = node_name.replace(".", "_")  # which torch allows in no name of a parameter
        taken = {INPUT, *dir(nn.ParameterDict), *(p.name for (p,) in self.layers)}
        if name in taken or (
            name == READOUT and not isinstance(node, self.nir.LI | self.nir.CubaLI)
        ):
            raise Mistake(f"node {node_name}: fdi has another of that name; rename it")
        population, gain = _population(self.nir, name, node, weights.shape, self.dt)
        self._project(self.source, name, weights, gain)
        constants: dict[str, Any] = {"leak": False} if isinstance(node, self.nir.IF) else {}
        constants |= {
            symbol: float(
                _of_each(name, symbol, getattr(node, symbol), weights.shape, False).flat[0]
            )
            for symbol in ("v_leak", "v_reset")
            if np.any(_array(name, symbol, getattr(node, symbol, 0)))
        }
        if constants:
            known = {f.name: getattr(population.neuron, f.name) for f in fields(population.neuron)}
            population = replace(population, neuron=Driven(**known | constants))
        if population.neuron.spiking:
            population = replace(population, neuron=replace(population.neuron, reset=self.reset))
            self.layers.append((population,))
        else:
            self.readout = population
        self.source, self.shape, self.weights, self.gain = name, population.shape, None, gain


def _array(name: str, symbol: str, values: Any) -> np.ndarray:
    """Finite numbers of a node, also those of a tensor."""
    try:
        found = np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values)
    except (TypeError, ValueError):  # lists of several lengths
        found = np.array(None)
    if found.dtype.kind not in "iuf" or not np.isfinite(found).all():
        raise Mistake(f"node {name}: {symbol} must be finite numbers")
    return found


def _whole(name: str, symbol: str, values: Any) -> list[int]:
    found = np.ravel(_array(name, symbol, values))
    if np.any((found != np.rint(found)) | (found < 0)):
        raise Mistake(f"node {name}: {symbol} must be whole numbers from 0 on")
    return [int(n) for n in found]


def _seconds(symbol: str, value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise Mistake(f"{symbol} = {ascii(value)[:40]} must be a time in seconds above 0")
    return seconds


def _word(reset: Any) -> Reset:
    word: Any = reset.decode() if isinstance(reset, bytes) else reset
    if word not in get_args(Reset):
        raise Mistake(f"reset = {ascii(word)[:40]} must be one of {', '.join(get_args(Reset))}")
    return word


def _neuron(tau_mem: float, tau_syn: float, **constants: Any) -> Neuron:
    usual = min(tau_mem, tau_syn) >= SHORTEST and max(tau_mem, tau_syn) <= LONGEST
    return (Neuron if usual else Driven)(tau_mem, (tau_syn,), **constants)


def _pool(nir: Any, name: str, node: Any, shape: tuple[int, ...]) -> tuple[str, int, int]:
    edges, strides, padding = (
        set(_whole(name, symbol, getattr(node, symbol)))
        for symbol in ("kernel_size", "stride", "padding")
    )
    if len(edges) != 1 or strides != edges or edges == {0} or padding - {0}:
        raise Mistake(f"node {name}: fdi reads square windows side by side, without padding")
    (edge,) = edges
    if len(shape) != 3 or any(n % edge for n in shape[1:]):
        raise Mistake(f"node {name}: windows of {edge} do not divide {shape}")
    return name, edge, edge**2 if isinstance(node, nir.SumPool2d) else 1


def _weights(
    nir: Any,
    name: str,
    node: Any,
    shape: tuple[int, ...],
    pool: tuple[str, int, int] | None,
) -> _Weights:
    """With the pooling in front of it."""
    values = _array(name, "weight", node.weight)
    values = values.astype(
        np.float64 if values.dtype in (np.float64, np.longdouble) else np.float32
    )
    kinds = {nir.Conv1d: 3, nir.Conv2d: 4}
    wanted = next((n for kind, n in kinds.items() if isinstance(node, kind)), 2)
    if values.ndim != wanted or not values.size:
        raise Mistake(f"node {name}: weights of shape {values.shape}, {wanted} dimensions expected")
    bias = _array(name, "bias", getattr(node, "bias", 0.0))
    if bias.shape not in ((), (1,), (len(values),)):
        raise Mistake(f"node {name}: bias of shape {bias.shape} for {len(values)} neurons or maps")
    bias = np.broadcast_to(bias, len(values))
    _, edge, factor = pool or ("", 1, 1)
    average = (edge, edge) if edge > 1 else ()
    pooled, values = averaged(shape, average), values * factor
    takes = math.prod(pooled) if wanted == 2 else pooled[0]
    if values.shape[1] != takes or (wanted > 2 and wanted != len(shape) + 1):
        what = "values" if wanted == 2 else "maps"
        raise Mistake(f"node {name} takes {values.shape[1]} {what}, and gets {pooled}")
    edges, geometry = ([], {}) if wanted == 2 else _convolution(name, node, pooled, values)
    return _Weights(name, values, bias, (len(values), *edges), {"average": average} | geometry)


def _convolution(
    name: str, node: Any, shape: tuple[int, ...], values: np.ndarray
) -> tuple[list[int], dict[str, Any]]:
    """The edges of its maps, and how it moves."""
    if isinstance(node.padding, str):
        raise Mistake(f"node {name}: padding = {node.padding}; give it as a number")
    stride, padding, dilation = (
        sorted(set(_whole(name, symbol, getattr(node, symbol))))
        for symbol in ("stride", "padding", "dilation")
    )
    plain = dilation == [1] and node.groups == 1
    if len(stride) != 1 or stride == [0] or len(padding) != 1 or not plain:
        raise Mistake(f"node {name}: fdi has one stride, one padding, no dilation and no groups")
    edges = [
        (n + 2 * padding[0] - kernel) // stride[0] + 1
        for n, kernel in zip(shape[1:], values.shape[2:])
    ]
    if min(edges) < 1:
        raise Mistake(f"node {name}: its kernel of {values.shape[2:]} is larger than {shape[1:]}")
    return edges, {"stride": stride[0], "padding": padding[0]}


def _population(
    nir: Any, name: str, node: Any, shape: tuple[int, ...], dt: float
) -> tuple[Population, np.ndarray]:
    """The neurons, and by what the weights in front of each are multiplied."""
    cuba, spiking = (
        isinstance(node, nir.CubaLIF | nir.CubaLI),
        isinstance(node, nir.LIF | nir.CubaLIF | nir.IF),
    )
    gain = _of_each(name, "r", node.r, shape, True)
    if isinstance(node, nir.IF):
        taus = [np.full(shape, NO_LEAK * dt), np.full(shape, AT_ONCE * dt)]
        gain = gain * dt / -np.expm1(-1 / NO_LEAK)
    else:
        own = len(shape) == 1 and spiking  # time constants of each neuron
        symbols = ("tau_mem", "tau_syn") if cuba else ("tau",)
        steps = [_of_each(name, symbol, getattr(node, symbol), shape, own) for symbol in symbols]
        if min(tau.min() for tau in steps) <= dt:
            raise Mistake(f"node {name}: a time constant is not above dt = {dt:g} s")
        taus = [-dt / np.log1p(-dt / tau) for tau in steps]
        if cuba:
            gain = gain * _of_each(name, "w_in", node.w_in, shape, True) * dt / steps[1]
        else:
            taus.append(np.full(shape, AT_ONCE * dt))
    differ = any(np.ptp(tau) for tau in taus)
    tau_mem, tau_syn = (float(np.mean(tau) if differ else tau.flat[0]) for tau in taus)
    if not spiking:
        return Population(name, shape, _neuron(tau_mem, tau_syn, spiking=False)), gain
    theta = _of_each(name, "v_threshold", node.v_threshold, shape, False)
    neuron = _neuron(tau_mem, tau_syn, theta=float(theta.flat[0]))
    rows = tuple(tuple(tau.tolist()) for tau in taus) if differ else None
    return Population(name, shape, neuron, taus=rows), gain


def _of_each(
    name: str, symbol: str, values: Any, shape: tuple[int, ...], may_differ: bool
) -> np.ndarray:
    """A constant of each neuron. Raises fdi.Mistake where it differs and may not."""
    values = _array(name, symbol, values).astype(np.float64)
    try:
        values = np.broadcast_to(values.flat[0] if values.size == 1 else values, shape)
    except ValueError:
        raise Mistake(f"node {name}: {symbol} of shape {values.shape} for {shape}") from None
    if not may_differ and np.ptp(values):
        raise Mistake(f"node {name}: {symbol} differs between neurons that share it in fdi")
    return values


def _projection(
    source: str, target: str, weights: _Weights, gain: np.ndarray, recurrent: bool
) -> tuple[Projection, np.ndarray]:
    """With the gain of its neurons, which those of a channel must share, in the weights, and in the
    bias.
    """
    rows = gain.reshape(len(weights.values), -1)
    if np.ptp(rows, axis=1).any():
        raise Mistake(f"node {target}: r and w_in differ between neurons that share weights")
    shape = (-1, *(1,) * (weights.values.ndim - 1))
    with np.errstate(over="ignore"):
        values = weights.values * rows[:, 0].reshape(shape).astype(weights.values.dtype)
    if not np.isfinite(values).all():
        raise Mistake(f"node {weights.name}: its weights times the gain of {target} are too large")
    projection = Projection(
        source, target, weights.values.shape, recurrent=recurrent, **weights.geometry
    )
    projection.weight.data = torch.as_tensor(values)
    return projection, (weights.bias * rows[:, 0]).astype(values.dtype)
