"""Architectures: how populations and projections are laid out. Every builder returns a Network with
zero weights; `fdi.init` draws them.

All take `input_shape` (one sample in one time step), `classes`, `steps` and `dt` from the data set,
and the `neuron` of the hidden layers. Times are in seconds.
`delay` and `dropout`: see fdi.snn.network.Network. `norm`: normalization of the input of each
hidden layer, see fdi.snn.network.Norm. `readout_tau_mem`: None means the duration of the trial.
Depth is one number: `depth` layers, lists shorter than that repeat their last value, longer ones
are cut; without `depth` the longest list counts. `bias`: each hidden neuron, or map, learns a
constant input, 0 at first. Few engines compute `bias` and `dropout`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from fdi.config import Mistake
from fdi.config.parts import Count, Index, Layers, Share, TimeConstant
from fdi.snn.neuron import INPUT, LIF, Neuron, Population, Shape, averaged, convolved, integrator

if TYPE_CHECKING:
    from fdi.snn.network import Network


Sizes = Count | Sequence[Count]
Margins = Index | Sequence[Index]
Normalization = Literal["none", "tdbn", "bntt", "layer"]
Pooling = Literal["max", "average"]
Delay = Literal[0, 2]


def dense(
    input_shape: tuple[int, ...],
    classes: int,
    steps: int,
    dt: float,
    neuron: Neuron = LIF,
    *,
    hidden: Sizes = 128,
    depth: Layers | None = None,
    recurrent: bool = False,
    skip: bool = False,
    norm: Normalization = "none",
    bias: bool = False,
    dropout: Share = 0.0,
    readout_tau_mem: TimeConstant | None = None,
    readout_tau_syn: TimeConstant = 10e-3,
    readout_u_init: float = -1e-2,
    delay: Delay = 2,
) -> Network:
    """Fully connected layers of LIF neurons, `hidden` units each, with all-to-all recurrence if
    `recurrent`.
    """
    layers = _flat([neuron], depth, (0,) * recurrent, hidden=hidden)
    readout = _readout(classes, steps, dt, readout_tau_mem, readout_tau_syn, readout_u_init)
    return _assemble(input_shape, layers, readout, dt, delay, skip, bias, dropout, norm, steps)


def conv(
    input_shape: tuple[int, ...],
    classes: int,
    steps: int,
    dt: float,
    neuron: Neuron = LIF,
    *,
    filters: Sizes = (16, 32, 64),
    kernel: Sizes = 3,
    stride: Sizes = 1,
    padding: Margins = 1,
    depth: Layers | None = None,
    pool: Sizes = 1,
    pooling: Pooling = "max",
    recurrent_kernel: Index = 0,
    dense: Sizes | None = None,
    dense_recurrent: bool = False,
    skip: bool = False,
    norm: Normalization = "none",
    bias: bool = False,
    dropout: Share = 0.0,
    readout_tau_mem: TimeConstant | None = None,
    readout_tau_syn: TimeConstant = 10e-3,
    readout_u_init: float = -1e-3,
    delay: Delay = 2,
) -> Network:
    """Convolutional layers of LIF neurons over (channels, length) or (channels, height, width);
    (units,) is read as one channel.

    `pool`: edge of the window behind each layer (1: none) of which the layers above see the
    maximum or, with `pooling`, the average. `recurrent_kernel`: edge of the recurrent kernels (odd;
    0: none). `dense`: units of fully connected layers above, each with all-to-all recurrence if
    `dense_recurrent`; `depth` does not count them.
    """
    within = (recurrent_kernel, (0,) * bool(recurrent_kernel))
    geometry = dict(pool=pool, kernel=kernel, stride=stride, padding=padding)
    layers = _maps(input_shape, [neuron], depth, within, pooling, geometry, filters=filters)
    if above := [dense] if isinstance(dense, int) else list(dense or ()):
        layers += _flat([neuron], None, (0,) * dense_recurrent, len(layers) + 1, dense=above)
    readout = _readout(classes, steps, dt, readout_tau_mem, readout_tau_syn, readout_u_init)
    shape = _image(input_shape)
    return _assemble(shape, layers, readout, dt, delay, skip, bias, dropout, norm, steps)


def dale(
    input_shape: tuple[int, ...],
    classes: int,
    steps: int,
    dt: float,
    neuron: Neuron = LIF,
    *,
    excitatory: Sizes = 128,
    inhibitory: Sizes = 32,
    depth: Layers | None = None,
    recurrent_excitation: bool = True,
    skip: bool = False,
    tau_inh: TimeConstant = 20e-3,
    tau_mem_inh: TimeConstant | None = None,
    bias: bool = False,
    dropout: Share = 0.0,
    readout_tau_mem: TimeConstant | None = None,
    readout_tau_syn: TimeConstant = 10e-3,
    readout_u_init: float = -1e-3,
    delay: Delay = 2,
) -> Network:
    """Layers of an excitatory and an inhibitory population that obey Dale's law; the excitatory one
    drives what is above.

    Within a layer inhibition reaches both populations, and so does excitation if
    `recurrent_excitation`. `tau_inh`: of inhibitory synapses; `tau_mem_inh`: of the membranes of
    inhibitory neurons, None: that of `neuron`.
    """
    kinds, within = _under_dale(neuron, tau_inh, tau_mem_inh), (0, 1)[not recurrent_excitation :]
    layers = _flat(kinds, depth, within, excitatory=excitatory, inhibitory=inhibitory)
    readout = _readout(classes, steps, dt, readout_tau_mem, readout_tau_syn, readout_u_init)
    return _assemble(input_shape, layers, readout, dt, delay, skip, bias, dropout)


def dale_conv(
    input_shape: tuple[int, ...],
    classes: int,
    steps: int,
    dt: float,
    neuron: Neuron = LIF,
    *,
    excitatory: Sizes = (16, 32),
    inhibitory: Sizes = (4, 8),
    kernel: Sizes = 3,
    stride: Sizes = 1,
    padding: Margins = 1,
    depth: Layers | None = None,
    pool: Sizes = 1,
    pooling: Pooling = "max",
    recurrent_kernel: Index = 5,
    recurrent_excitation: bool = True,
    skip: bool = False,
    tau_inh: TimeConstant = 20e-3,
    tau_mem_inh: TimeConstant | None = None,
    bias: bool = False,
    dropout: Share = 0.0,
    readout_tau_mem: TimeConstant | None = None,
    readout_tau_syn: TimeConstant = 10e-3,
    readout_u_init: float = -1e-3,
    delay: Delay = 2,
) -> Network:
    """`dale` with kernels: `excitatory` and `inhibitory` are channels over one map, every
    projection but the readout's is a convolution. `recurrent_kernel`: edge of the kernels within a
    layer (odd).
    """
    kinds = _under_dale(neuron, tau_inh, tau_mem_inh)
    within = (recurrent_kernel, (0, 1)[not recurrent_excitation :])
    geometry = dict(pool=pool, kernel=kernel, stride=stride, padding=padding)
    channels = dict(excitatory=excitatory, inhibitory=inhibitory)
    layers = _maps(input_shape, kinds, depth, within, pooling, geometry, **channels)
    readout = _readout(classes, steps, dt, readout_tau_mem, readout_tau_syn, readout_u_init)
    return _assemble(_image(input_shape), layers, readout, dt, delay, skip, bias, dropout)


def _under_dale(neuron: Neuron, tau_inh: float, tau_mem_inh: float | None) -> tuple[Neuron, Neuron]:
    """Excitatory and inhibitory neurons; these have a membrane of their own unless it is None."""
    neuron = neuron.under_dale(tau_inh)
    return neuron, neuron if tau_mem_inh is None else replace(neuron, tau_mem=tau_mem_inh)


Connect = Callable[[Shape, Population], tuple[Shape, dict[str, int]]]
LETTERS = {"hidden": "h", "filters": "h", "dense": "h", "excitatory": "e", "inhibitory": "i"}


class Layer(NamedTuple):
    """Populations side by side: the first one drives the layers above, a second one inhibits its
    own layer. `below` connects them to other layers, `within` those at the places `recurrent` to
    their own; `average`: windows over which the spikes of the first are averaged for the layers
    above.
    """

    populations: tuple[Population, ...]
    below: Connect
    within: Connect
    recurrent: Sequence[int]
    average: Shape = ()


def _flat(
    neurons: Sequence[Neuron],
    depth: int | None,
    recurrent: Sequence[int],
    first: int = 1,
    **sizes: Sizes,
) -> list[Layer]:
    """Fully connected layers, counted from `first`."""
    layers = []
    for i, units in enumerate(zip(*_per_layer(depth, **sizes)), first):
        named = zip(sizes, units, neurons)
        rows = tuple(Population(f"{LETTERS[kind]}{i}", (n,), neuron) for kind, n, neuron in named)
        layers.append(Layer(rows, all_to_all, all_to_all, recurrent))
    return layers


def _maps(
    input_shape: Shape,
    neurons: Sequence[Neuron],
    depth: int | None,
    within: tuple[int, Sequence[int]],
    pooling: Pooling,
    geometry: dict[str, Sizes],
    **channels: Sizes,
) -> list[Layer]:
    """Layers of maps; `within`: edge of the recurrent kernels, and places of those that have some;
    `geometry`: pool, kernel, stride and padding.
    """
    edge, recurrent = within
    if recurrent and edge % 2 == 0:
        advice = f"so that the map keeps its shape; use {edge + 1}"
        raise Mistake(f"recurrent_kernel = {edge} must be odd, {advice}")
    shape, layers = _image(input_shape), []
    for i, sizes in enumerate(zip(*_per_layer(depth, **channels, **geometry)), 1):
        *numbers, window, kernel, stride, padding = sizes
        edges = [convolved(n, kernel, stride, padding) for n in shape[1:]]
        names = [f"{LETTERS[kind]}{i}" for kind in channels]
        pool, average = _windows(pooling, window, names[0], edges)
        named = zip(names, numbers, neurons)
        maps = tuple(Population(name, (n, *edges), neuron, pool) for name, n, neuron in named)
        below, own = convolution(kernel, stride, padding), convolution(edge, 1, edge // 2)
        layers.append(Layer(maps, below, own, recurrent, average))
        shape = averaged(maps[0].pooled_shape, average)
    return layers


def _windows(pooling: Pooling, edge: int, name: str, edges: Sequence[int]) -> tuple[int, Shape]:
    """(edge of the max pooling, windows of the average pooling) behind the population `name`."""
    if pooling == "max" or edge == 1:
        return edge, ()
    if any(size % edge for size in edges):
        raise Mistake(
            f"pool = {edge}: average pooling leaves no neuron out, and the map of {name} has edges "
            f"of {' and '.join(map(str, edges))}; use windows that divide them, another stride or "
            f"padding, or pooling=max"
        )
    return 1, (edge,) * len(edges)


def _readout(
    classes: int, steps: int, dt: float, tau_mem: float | None, tau_syn: float, u_init: float
) -> Population:
    tau_mem = steps * dt if tau_mem is None else tau_mem
    return Population("readout", (classes,), integrator(tau_mem, tau_syn, u_init))


def _image(shape: Shape) -> Shape:
    """The shape with channels: (units,) is one channel of that length."""
    return (1, *shape) if len(shape) == 1 else tuple(shape)


def _per_layer(depth: int | None, **sizes: Sizes) -> list[list[int]]:
    """Each size as a list of `depth` values."""
    lists = [[value] if isinstance(value, int) else list(value) for value in sizes.values()]
    depth = max(map(len, lists)) if depth is None else depth
    return [(values + values[-1:] * depth)[:depth] for values in lists]


def _assemble(
    input_shape: Shape,
    layers: Sequence[Layer],
    readout: Population,
    dt: float,
    delay: int,
    skip: bool,
    bias: bool,
    dropout: float,
    norm: Normalization = "none",
    steps: int = 0,
) -> Network:
    """Wire each layer to the one below (and, with `skip`, to the one below that) and within itself,
    the readout to the top.
    """
    from torch import nn, zeros

    from fdi.snn.network import Network, Projection

    sources: list[tuple[str, Shape, Shape]] = [(INPUT, tuple(input_shape), ())]  # with its average
    projections: list[Projection] = []

    def project(
        connect: Connect, source: tuple[str, Shape, Shape], target: Population, **options: Any
    ) -> None:
        name, shape, average = source
        weights, geometry = connect(shape, target)
        options |= geometry
        projections.append(Projection(name, target.name, weights, average=average, **options))

    for i, layer in enumerate(layers):
        dale = len(layer.populations) > 1
        for target in layer.populations:
            for source in sources[-1:] + sources[-2:-1] * (skip and i >= 2):
                project(layer.below, source, target, nonnegative=dale)
            for channel in layer.recurrent:
                sender = layer.populations[channel]
                options = dict(nonnegative=dale, recurrent=True, channel=channel)
                project(layer.within, (sender.name, sender.shape, ()), target, **options)
        first = layer.populations[0]
        shape = averaged(first.pooled_shape, layer.average)
        sources.append((first.name, shape, layer.average))
    project(all_to_all, sources[-1], readout)
    populations = [layer.populations for layer in layers]
    network = Network(input_shape, populations, readout, projections, dt, delay)
    network.dropout = dropout
    if bias:
        network.biases.update({p.name: nn.Parameter(zeros(p.shape[0])) for p in network.hidden})
    if norm != "none":
        normalize(network, norm, steps)
    return network


def normalize(network: Network, kind: str, steps: int) -> None:
    """Put a normalization of its own in front of each hidden population; `steps` of a trial. Raises
    ValueError for recurrence and Dale's law.
    """
    from fdi.snn.network import Norm

    if network.biases:
        raise Mistake(f"model.norm={kind} takes model.bias away again; set model.bias=false")
    for projection in network.projections:
        for problem, why in (
            (projection.recurrent, "takes all steps at once, and recurrence one after the other"),
            (projection.nonnegative, "makes weights of both signs out of those of Dale's law"),
        ):
            if problem:
                raise Mistake(
                    f"model.norm={kind} {why} ({projection.name}); use model.norm=none, or "
                    f"model=dense or conv"
                )
    for p in network.hidden:
        network.norms[p.name] = Norm(kind, p.shape, max(0, steps - network.delay), p.neuron.theta)


def all_to_all(shape: Shape, target: Population) -> tuple[Shape, dict[str, int]]:
    """The shape of weights from each unit of a source of this shape to each of the target."""
    return (target.units, math.prod(shape)), {}


def convolution(kernel: int, stride: int, padding: int) -> Connect:
    """The shape and geometry of convolutions; a source from further below gets the smallest kernel
    whose map has the target's shape.
    """

    def connect(shape: Shape, target: Population) -> tuple[Shape, dict[str, int]]:
        channels, *edges = shape
        pairs = list(zip(edges, target.shape[1:]))
        kernels, by, margin = [kernel] * len(pairs), stride, padding
        if any(convolved(a, kernel, stride, padding) != b for a, b in pairs):
            by = max(1, min(a // b for a, b in pairs))
            margin = max(0, *(-(-((b - 1) * by + 1 - a) // 2) for a, b in pairs))
            kernels = [a + 2 * margin - (b - 1) * by for a, b in pairs]
        return (target.shape[0], channels, *kernels), {"stride": by, "padding": margin}

    return connect
