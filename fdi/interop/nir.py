"""Networks in NIR, the intermediate representation that other simulators and neuromorphic hardware
read (Pedersen et al. 2024): those of fdi written, and those of fdi and of others read. Needs
fdi-snn[nir].
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor, nn

from fdi.config import Mistake
from fdi.init.theory import time_in_seconds
from fdi.snn.network import INPUT, Network, Projection
from fdi.snn.neuron import Neuron, Population, Reset, averaged, convolved, integrator

if TYPE_CHECKING:
    import nir

    from fdi.snn.neuron import Constants, Shape, State, Step

AT_ONCE = 1e-3  # tau_syn in steps of a neuron without a synapse: exp(-1000) is 0
SHORTEST, LONGEST = 1e-6, 1e3  # s, time constants of the neurons that every engine computes
NO_LEAK = 1e6  # tau_mem in steps of a neuron without leak: 0.1 % is lost in 1000 steps
WEIGHTS = ("Linear", "Affine", "Conv1d", "Conv2d")
ORDER = (
    "a layer is SumPool2d or AvgPool2d, Flatten, weights, and LIF, CubaLIF or IF, in this order, "
    "with LI or CubaLI at the end"
)
READOUT = "readout"  # key of metadata, and name of a readout that a graph does not have
START = f"{READOUT}_u_init"  # key of metadata


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
    in the readout. dt, delay, reset and where the readout starts stand in the metadata, which
    `from_nir` reads. Surrogate and loss are not part of NIR; time constants of each neuron are.

    `readout=False` leaves out the readout's neurons, which many readers do not know: the
    graph ends in its weights, the input of each class in each step, and the metadata have the time
    constants that `from_nir` gives it back.

    Raises fdi.Mistake for what NIR cannot express: recurrence and biases with delay=2, skip
    connections, Dale's law (two synaptic channels), normalization, max pooling, adaptation,
    subtractive reset, a potential that stays at 0 in the step after a spike (reset=zero), unless
    `reset_at_once` lets it rise there, and one that does not start at 0, unless `start_at_rest`
    lets it start there.
    """
    try:
        import nir
    except ImportError:
        needed = "NIR needs the package nir, 1.0.6 or later: pip install 'fdi-snn[nir]'"
        raise Mistake(needed) from None
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
        tau_mem = np.array([neuron.tau_mem for neuron in population.neurons])
        gain = -np.expm1(-network.dt / tau_mem) if written else np.ones(1)
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
    if start := network.readout.neuron.u_init:
        metadata[START] = start
    if not readout:
        neuron = network.readout.neuron
        metadata |= {f"{READOUT}_tau_mem": neuron.tau_mem, f"{READOUT}_tau_syn": neuron.tau_syn[0]}
    return nir.NIRGraph(nodes, [*edges, (below, "output")], metadata=metadata)


def _cannot(name: str, what: str, instead: str = "export a network without") -> Mistake:
    return Mistake(f"{name}: NIR cannot say {what}; {instead}")


def _between(nir: Any, projection: Projection, shape: Shape) -> tuple[dict[str, Any], Shape]:
    """The nodes in front of the weights of a projection, and the shape that these take."""
    chain, source = {}, projection.source
    if len(projection.average) == 1:
        raise _cannot(source, "averages over one dimension, only over two")
    if projection.average:
        window = np.array(projection.average)
        chain[f"{source}.average"] = nir.AvgPool2d(window, window, np.zeros(2, int))
        shape = averaged(shape, projection.average)
    if not projection.convolutional and len(shape) > 1:
        chain[f"{source}.flatten"] = nir.Flatten({"input": np.array(shape)}, 0, -1)
    return chain, shape


def _refuse(
    network: Network, population: Population, start_at_rest: bool, reset_at_once: bool
) -> None:
    neuron, name = population.neuron, population.name
    bias = network.delay and name in network.biases
    for problem, what in (
        (name in network.norms, "normalization of what arrives in each step"),
        (bias, "a bias that reaches all layers at once, as with model.delay=2"),
        (population.pool > 1, "max pooling"),
        (len(neuron.tau_syn) > 1, "two synaptic channels"),
        (isinstance(neuron, Driven), "v_leak and v_reset as fdi computes them"),
        (type(neuron) is not Neuron, f"adaptation ({type(neuron).__name__})"),
        (neuron.spiking and neuron.reset == "subtract", f"reset {neuron.reset}"),
    ):
        if problem:
            raise _cannot(name, what)
    if neuron.spiking and neuron.reset == "zero" and not reset_at_once:
        raise _cannot(
            name,
            "that U stays at 0 in the step after a spike (neuron.reset=zero)",
            "train with neuron.reset=at_once, or let it rise there, which gives more spikes: "
            "to_nir(network, reset_at_once=True)",
        )
    if neuron.u_init and not start_at_rest:
        raise _cannot(
            name,
            f"that U starts at {neuron.u_init}",
            "train with model.readout_u_init=0, or let it start at 0: "
            "to_nir(network, start_at_rest=True)",
        )


def _onto(
    network: Network, population: Population, source: str
) -> tuple[Projection, Projection | None]:
    """The projection onto a population from the layer below, and that from itself."""
    by_source = {projection.source: projection for projection in network.afferents(population.name)}
    below, own = by_source.pop(source), by_source.pop(population.name, None)
    if by_source:
        name = next(iter(by_source.values())).name
        raise Mistake(f"{name}: fdi writes no skip connections; export a network without")
    if own and (network.delay or own.convolutional):
        raise _cannot(
            own.name,
            "that spikes come back two steps later, since it has no time step",
            "train a fully connected network with model.delay=0",
        )
    return below, own


def _written_weights(
    nir: Any,
    projection: Projection,
    bias: Tensor | None,
    shape: Shape,
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
    constants = dict(
        tau_syn=tau_syn, tau_mem=tau_mem, r=tau_mem / dt, v_leak=0 * ones, w_in=tau_syn / dt
    )
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

    def step(self, u: Tensor, s: Tensor, current: Tensor, state: State, c: Constants) -> Step:
        c = c if self.leak else c._replace(beta_m=1.0)
        after = self.after(u, s, c.gain * (current + self.v_leak), c)
        left = {"zero": 1.0, "at_once": c.beta_m, "subtract": 0.0}[self.reset]
        return after + left * self.v_reset * s.detach(), state


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
    trained with a subtractive reset needs reset="subtract". Potentials start at 0, that of the
    readout where the metadata say. The reference engine computes these, biases and `Driven`; the
    engines that are fast in training need delay=2 and reset="zero" or "subtract". Populations are
    called as their nodes, with _ for dots.

    A graph that ends in weights gets a readout with the time constants that its metadata say, as
    `to_nir(readout=False)` writes them, or else tau_mem = 20 ms and tau_syn = 10 ms. One that ends
    in spikes gets a readout that counts them, one unit for each neuron.

    Values may be arrays or tensors. Raises fdi.Mistake, which names the node, for what fdi does not
    compute: other nodes, such as graphs within graphs, branches, cycles of several populations,
    thresholds, v_leak or v_reset that differ within a layer, and what is no finite number or does
    not fit together.
    """
    metadata = graph.metadata if isinstance(graph.metadata, dict) else {}
    dt = metadata.get("dt") if dt is None else dt
    if dt is None:
        raise Mistake("the graph does not say its time step; give dt in seconds")
    dt = time_in_seconds("dt", dt)
    delay = _one_of("delay", (0, 2), metadata.get("delay", 0) if delay is None else delay)
    given = metadata.get("reset", "at_once") if reset is None else reset
    chain, own = _chain(graph)
    first = chain[0]
    said = first.of.input_type
    shape = tuple(first.whole("its shape", said.get("input") if isinstance(said, dict) else None))
    first.must(shape and min(shape) > 0, f"its shape {shape} has no values")
    reader = _Reader(dt, _one_of("reset", get_args(Reset), given), shape)
    for before, node in pairwise(chain):
        reader.add(node, before.name)
        if node.name in own:
            reader.feed_back(own[node.name])
    reader.end(metadata)
    start = metadata.get(START, 0.0)
    if not (isinstance(start, int | float) and math.isfinite(start)):
        raise Mistake(f"{START} = {ascii(start)[:40]} must be a finite number")
    readout = replace(reader.readout, neuron=replace(reader.readout.neuron, u_init=float(start)))
    network = Network(shape, reader.layers, readout, reader.projections, dt, delay)
    network.biases.update({name: nn.Parameter(bias) for name, bias in reader.biases.items()})
    wide = any(values.dtype == torch.float64 for values in network.parameters())
    return (network.double() if wide else network).eval()


def _one_of(symbol: str, known: tuple[Any, ...], value: Any) -> Any:
    word = value.decode() if isinstance(value, bytes) else value
    for each in known:
        if np.array_equal(each, word):
            return each
    raise Mistake(f"{symbol} = {ascii(word)[:40]} must be one of {', '.join(map(str, known))}")


class _Node(NamedTuple):
    """A node of a graph, and what it holds where that fits."""

    name: str
    of: Any

    @property
    def kind(self) -> str:
        return type(self.of).__name__

    def must(self, fits: object, what: str) -> None:
        """The one rule: raises fdi.Mistake, which names the node, where something does not fit."""
        if not fits:
            raise Mistake(f"node {self.name}: {what}")

    def numbers(self, symbol: str, default: Any = None) -> np.ndarray:
        """Finite ones, also those of a tensor."""
        values = getattr(self.of, symbol, default)
        try:
            numbers = np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values)
        except (TypeError, ValueError):  # lists of several lengths
            numbers = np.array(None)
        fits = numbers.dtype.kind in "iuf" and np.isfinite(numbers).all()
        self.must(fits, f"{symbol} must be finite numbers")
        return numbers

    def whole(self, symbol: str, default: Any = None) -> list[int]:
        numbers = np.ravel(self.numbers(symbol, default))
        fits = np.all((numbers == np.rint(numbers)) & (numbers >= 0))
        self.must(fits, f"{symbol} must be whole numbers from 0 on")
        return [int(n) for n in numbers]

    def same(self, symbol: str) -> int:
        """A whole number in all directions."""
        found = set(self.whole(symbol))
        self.must(len(found) == 1, f"{symbol} must be the same in all directions")
        return found.pop()

    def each(self, symbol: str, shape: Shape, may_differ: bool = True) -> np.ndarray:
        """A constant of each neuron."""
        values = self.numbers(symbol).astype(np.float64)
        try:
            values = np.broadcast_to(values.flat[0] if values.size == 1 else values, shape)
        except ValueError:
            self.must(False, f"{symbol} of shape {values.shape} for {shape}")
        alike = may_differ or not np.ptp(values)
        self.must(alike, f"{symbol} differs between neurons that share it in fdi")
        return values


def _chain(graph: nir.NIRGraph) -> tuple[list[_Node], dict[str, _Node]]:
    """The nodes from the input to the last before the output; and by the name of a population the
    weights from it to itself.
    """
    edges, nodes = _edges(graph)
    own: dict[str, _Node] = {}
    for name, node in nodes.items():
        before, after = ({a for a, b in edges if b == name}, {b for a, b in edges if a == name})
        if before == after and len(before) == 1:
            (population,) = before
            nodes[population].must(population not in own, "it has two nodes of weights to itself")
            own[population] = node
    within = {node.name for node in own.values()}
    edges = {edge for edge in edges if within.isdisjoint(edge)}
    following = dict(edges)
    chain = [node for node in nodes.values() if node.kind == "Input"]
    if len(chain) != 1 or len(following) != len(edges):
        raise Mistake("the graph is not one chain from an input to an output")
    while chain[-1].kind != "Output":
        name = chain[-1].name
        if name not in following:
            raise Mistake(f"the graph ends at {name} without an output")
        chain.append(nodes[following.pop(name)])
    return chain[:-1], own


def _edges(graph: nir.NIRGraph) -> tuple[set[tuple[str, str]], dict[str, _Node]]:
    try:
        edges = {(before, after) for before, after in graph.edges}
        unknown = {name for edge in edges for name in edge} - set(graph.nodes)
    except (TypeError, ValueError):
        raise Mistake("the edges of the graph are not pairs of names") from None
    if unknown:
        raise Mistake(f"the graph has an edge of {min(map(ascii, unknown))}, and no such node")
    if strange := [n for n in graph.nodes if not (isinstance(n, str) and n.isprintable())]:
        raise Mistake(f"the name of node {strange[0]!a} does not fit a line")
    return edges, {name: _Node(name, node) for name, node in graph.nodes.items()}


class _Weights(NamedTuple):
    """Weights that wait for their neurons, with the shape that they give, their bias, and their
    geometry: average, and stride and padding of a convolution.
    """

    node: _Node
    values: np.ndarray
    bias: np.ndarray
    shape: Shape
    geometry: dict[str, Any]


@dataclass
class _Reader:
    """Populations and projections of the nodes read so far, the last of which is `source` and gives
    `shape`, with the `gain` of its weights. `pool`: edge of the windows of the last node, and by
    what their average is multiplied, while `weights` are still to come, as their neurons are behind
    them.
    """

    dt: float
    reset: Reset
    shape: Shape
    source: str = INPUT
    pool: tuple[int, int] | None = None
    weights: Any = None
    gain: np.ndarray = field(default_factory=lambda: np.ones(1))
    layers: list[tuple[Population, ...]] = field(default_factory=list)
    readout: Any = None
    projections: list[Projection] = field(default_factory=list)
    biases: dict[str, Tensor] = field(default_factory=dict)

    def add(self, node: _Node, before: str) -> None:
        places: tuple[tuple[tuple[str, ...], object, Any], ...] = (
            (("SumPool2d", "AvgPool2d"), not (self.weights or self.pool), self._pools),
            (("Flatten",), not self.weights, lambda _: None),
            (WEIGHTS, not (self.weights or self.readout), self._weighs),
            (("LIF", "CubaLIF", "IF", "LI", "CubaLI"), self.weights, self._fires),
        )
        taken = [take for kinds, fits, take in places if fits and node.kind in kinds]
        node.must(taken, f"fdi reads no {node.kind} behind {before}; {ORDER}")
        taken[0](node)

    def feed_back(self, node: _Node) -> None:
        """Weights from the last population to itself."""
        row = self.layers and self.source == self.layers[-1][0].name and len(self.shape) == 1
        fits = row and not self.weights and node.kind in WEIGHTS[:2]
        node.must(fits, "fdi feeds the spikes of a row of neurons back, by Linear or Affine")
        self._project(self.source, self._weights(node), recurrent=True)

    def end(self, metadata: dict[str, Any]) -> None:
        """A readout for a graph without one."""
        if self.readout is not None:
            return
        if self.weights is not None:
            times = ((f"{READOUT}_tau_mem", 20e-3), (f"{READOUT}_tau_syn", 10e-3))
            tau_mem, tau_syn = (time_in_seconds(k, metadata.get(k, usual)) for k, usual in times)
            neuron, self.gain = integrator(tau_mem, tau_syn, 0.0), np.ones(self.weights.shape)
        elif self.layers and not self.pool:
            units = self.layers[-1][0].units
            neuron = _neuron(NO_LEAK * self.dt, AT_ONCE * self.dt, spiking=False)
            ones = np.eye(units, dtype=np.float32) / np.float32(-np.expm1(-1 / NO_LEAK))
            node = _Node(READOUT, None)
            self.weights = _Weights(node, ones, np.zeros(units), (units,), {})
            self.gain = np.ones(units)
        else:
            raise Mistake(f"the graph ends behind {self.source}, without weights or neurons")
        self.readout = Population(READOUT, self.weights.shape, neuron)
        self._project(READOUT, self.weights)

    def _pools(self, node: _Node) -> None:
        edge = node.same("kernel_size")
        plain = edge and node.same("stride") == edge and not node.same("padding")
        node.must(plain, "fdi reads square windows side by side, without padding")
        divides = len(self.shape) == 3 and not any(n % edge for n in self.shape[1:])
        node.must(divides, f"windows of {edge} do not divide {self.shape}")
        self.pool = edge, edge**2 if node.kind == "SumPool2d" else 1

    def _weighs(self, node: _Node) -> None:
        self.weights, self.pool = self._weights(node), None

    def _weights(self, node: _Node) -> _Weights:
        """With the pooling in front of them."""
        edge, factor = self.pool or (1, 1)
        values = node.numbers("weight")
        wide = values.dtype in (np.float64, np.longdouble)
        values = values.astype(np.float64 if wide else np.float32)
        wanted = {"Conv1d": 3, "Conv2d": 4}.get(node.kind, 2)
        fits = values.ndim == wanted and values.size
        node.must(fits, f"weights of shape {values.shape}, {wanted} dimensions expected")
        bias, n = node.numbers("bias", 0.0), len(values)
        fits = bias.shape in ((), (1,), (n,))
        node.must(fits, f"bias of shape {bias.shape} for {n} neurons or maps")
        average = (edge, edge) if edge > 1 else ()
        pooled, values = averaged(self.shape, average), values * factor
        what, takes = ("values", math.prod(pooled)) if wanted == 2 else ("maps", pooled[0])
        fits = values.shape[1] == takes and wanted in (2, len(pooled) + 1)
        node.must(fits, f"takes {values.shape[1]} {what}, and gets {pooled}")
        edges, geometry = ((), {}) if wanted == 2 else _convolution(node, pooled, values)
        geometry["average"] = average
        return _Weights(node, values, np.broadcast_to(bias, n), (n, *edges), geometry)

    def _fires(self, node: _Node) -> None:
        name = node.name.replace(".", "_")  # which torch allows in no name of a parameter
        taken = {INPUT, *dir(nn.ParameterDict), *(p.name for (p,) in self.layers)}
        ends = node.kind in ("LI", "CubaLI")
        free = name not in taken and (ends or name != READOUT)
        node.must(free, "fdi has another of that name; rename it")
        population, self.gain = self._population(name, node, self.weights.shape, not ends)
        self._project(name, self.weights)
        self.readout = population if ends else None
        self.layers += [] if ends else [(population,)]
        self.source, self.shape, self.weights = name, population.shape, None

    def _population(
        self, name: str, node: _Node, shape: Shape, spiking: bool
    ) -> tuple[Population, np.ndarray]:
        """The neurons, and by what the weights in front of each are multiplied."""
        dt, gain = self.dt, node.each("r", shape)
        extra: dict[str, Any] = {}
        if node.kind == "IF":
            extra["leak"], taus = False, [np.full(shape, NO_LEAK * dt)]
            gain = gain * dt / -np.expm1(-1 / NO_LEAK)
        else:
            cuba = node.kind in ("CubaLIF", "CubaLI")
            own = len(shape) == 1 and spiking  # time constants of each neuron
            symbols = ("tau_mem", "tau_syn") if cuba else ("tau",)
            steps = [node.each(symbol, shape, own) for symbol in symbols]
            node.must(min(map(np.min, steps)) > dt, f"a time constant is not above dt = {dt:g} s")
            taus = [-dt / np.log1p(-dt / tau) for tau in steps]
            if cuba:
                gain = gain * node.each("w_in", shape) * dt / steps[1]
        taus += [np.full(shape, AT_ONCE * dt)] * (2 - len(taus))
        for symbol in ("v_leak", "v_reset"):
            if np.any(node.numbers(symbol, 0)):
                extra[symbol] = float(node.each(symbol, shape, False).flat[0])
        if spiking:
            theta = float(node.each("v_threshold", shape, False).flat[0])
            extra |= {"theta": theta, "reset": self.reset}
        differ = any(np.ptp(tau) for tau in taus)
        means = (float(np.mean(tau) if differ else tau.flat[0]) for tau in taus)
        rows = tuple(tuple(tau.tolist()) for tau in taus) if differ else None
        return Population(name, shape, _neuron(*means, spiking=spiking, **extra), taus=rows), gain

    def _project(self, target: str, weights: _Weights, recurrent: bool = False) -> None:
        """With the gain of the neurons, which those of a channel must share, in the weights, and in
        the bias.
        """
        node, values, bias, _, geometry = weights
        rows = self.gain.reshape(len(values), -1)
        alike = not np.ptp(rows, axis=1).any()
        node.must(alike, f"r and w_in of {target} differ between neurons that share weights")
        with np.errstate(over="ignore"):
            shape = (-1, *(1,) * (values.ndim - 1))
            values = values * rows[:, 0].reshape(shape).astype(values.dtype)
        node.must(np.isfinite(values).all(), f"weights times the gain of {target} are too large")
        projection = Projection(self.source, target, values.shape, recurrent=recurrent, **geometry)
        projection.weight.data = torch.as_tensor(values)
        self.projections.append(projection)
        added = (bias * rows[:, 0]).astype(values.dtype)
        if np.any(added):
            self.biases[target] = torch.as_tensor(added) + self.biases.get(target, 0.0)


def _neuron(tau_mem: float, tau_syn: float, **constants: Any) -> Neuron:
    """A `Driven` one where it has to be."""
    usual = min(tau_mem, tau_syn) >= SHORTEST and max(tau_mem, tau_syn) <= LONGEST
    plain = usual and constants.keys().isdisjoint(("leak", "v_leak", "v_reset"))
    return (Neuron if plain else Driven)(tau_mem, (tau_syn,), **constants)


def _convolution(node: _Node, shape: Shape, values: np.ndarray) -> tuple[list[int], dict[str, Any]]:
    """The edges of its maps, and how it moves."""
    stride, padding = node.same("stride"), node.same("padding")
    plain = stride and node.same("dilation") == 1 and node.same("groups") == 1
    node.must(plain, "fdi has one stride, one padding, no dilation and no groups")
    edges = [convolved(n, k, stride, padding) for n, k in zip(shape[1:], values.shape[2:])]
    node.must(min(edges) > 0, f"its kernel of {values.shape[2:]} is larger than {shape[1:]}")
    return edges, {"stride": stride, "padding": padding}
