"""Architectures: how populations and projections are laid out. Every builder returns a Network with
zero weights; `fdi.init` draws them.

All take `input_shape` (one sample in one time step), `classes`, `steps` and `dt` from the data set,
and the `neuron` of the hidden layers.
`delay`: how many steps after a spike a potential hears it, see fdi.snn.network.Network.
Depth is one number: `depth` layers, lists shorter than that repeat their last value, longer ones
are cut; without `depth` the longest list counts. `bias`: each hidden neuron, or map, learns a
constant input, 0 at first. `dropout`: see fdi.snn.network.Network. Few engines compute them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from fdi.config import Mistake
from fdi.config.parts import Count, Index, Layers, Share, TimeConstant
from fdi.snn.neuron import INPUT, LIF, Neuron, Population, averaged, integrator

if TYPE_CHECKING:
    from fdi.snn.network import Network, Projection


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
    """Fully connected layers of LIF neurons, each with all-to-all recurrence if `recurrent`.

    `hidden`: units per layer. `norm`: normalization of the input of each hidden layer, see
    fdi.snn.network. `readout_tau_mem`: None means the duration of the trial. Times in seconds.
    """
    layers = _rows(neuron, depth, recurrent, hidden=hidden)
    readout = _readout(classes, steps, dt, readout_tau_mem, readout_tau_syn, readout_u_init)
    network = _assemble(input_shape, layers, readout, dt, delay, skip, bias, dropout)
    if norm != "none":
        normalize(network, norm, steps)
    return network


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
    0: none). `dense`: units of fully connected layers above, each with
    all-to-all recurrence if `dense_recurrent`; `depth` does not count them. `norm`: normalization
    of the input of each hidden layer, see fdi.snn.network. Times in seconds.
    """
    within = recurrent_convolution(recurrent_kernel) if recurrent_kernel else None
    geometry = dict(pool=pool, kernel=kernel, stride=stride, padding=padding)
    layers = _maps(input_shape, neuron, depth, within, pooling, geometry, filters=filters)
    if above := [dense] if isinstance(dense, int) else list(dense or ()):
        layers += _rows(neuron, None, dense_recurrent, len(layers) + 1, dense=above)
    readout = _readout(classes, steps, dt, readout_tau_mem, readout_tau_syn, readout_u_init)
    network = _assemble(_image(input_shape), layers, readout, dt, delay, skip, bias, dropout)
    if norm != "none":
        normalize(network, norm, steps)
    return network


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
    `recurrent_excitation`. Times in seconds.
    """
    neuron = neuron.under_dale(tau_inh)
    layers = _rows(neuron, depth, True, excitatory=excitatory, inhibitory=inhibitory)
    readout = _readout(classes, steps, dt, readout_tau_mem, readout_tau_syn, readout_u_init)
    return _assemble(
        input_shape, layers, readout, dt, delay, skip, bias, dropout, recurrent_excitation
    )


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
    bias: bool = False,
    dropout: Share = 0.0,
    readout_tau_mem: TimeConstant | None = None,
    readout_tau_syn: TimeConstant = 10e-3,
    readout_u_init: float = -1e-3,
    delay: Delay = 2,
) -> Network:
    """`dale` with kernels: `excitatory` and `inhibitory` are channels over one map, every
    projection but the readout's is a convolution.

    `recurrent_kernel`: edge of the kernels within a layer (odd). Times in seconds.
    """
    neuron = neuron.under_dale(tau_inh)
    within = recurrent_convolution(recurrent_kernel)
    geometry = dict(pool=pool, kernel=kernel, stride=stride, padding=padding)
    channels = dict(excitatory=excitatory, inhibitory=inhibitory)
    layers = _maps(input_shape, neuron, depth, within, pooling, geometry, **channels)
    readout = _readout(classes, steps, dt, readout_tau_mem, readout_tau_syn, readout_u_init)
    return _assemble(
        _image(input_shape), layers, readout, dt, delay, skip, bias, dropout, recurrent_excitation
    )


Source = tuple[str, tuple[int, ...], tuple[int, ...]]  # name, shape, windows of the average
Connect = Callable[..., "Projection"]
LETTERS = {"hidden": "h", "filters": "h", "dense": "h", "excitatory": "e", "inhibitory": "i"}


class Layer(NamedTuple):
    """Populations side by side: the first one drives the layers above, a second one inhibits its
    own layer. `below` and `within` connect them to other layers and to themselves; `average`:
    windows over which the spikes of the first are averaged for the layers above.
    """

    populations: tuple[Population, ...]
    below: Connect
    within: Connect | None
    average: tuple[int, ...] = ()


def _rows(
    neuron: Neuron, depth: int | None, recurrent: bool, first: int = 1, **sizes: Sizes
) -> list[Layer]:
    """Fully connected layers, counted from `first`."""
    within = all_to_all if recurrent else None
    layers = []
    for i, units in enumerate(zip(*_per_layer(depth, **sizes)), first):
        named = zip(sizes, units)
        rows = tuple(Population(f"{LETTERS[kind]}{i}", (n,), neuron) for kind, n in named)
        layers.append(Layer(rows, all_to_all, within))
    return layers


def _maps(
    input_shape: tuple[int, ...],
    neuron: Neuron,
    depth: int | None,
    within: Connect | None,
    pooling: Pooling,
    geometry: dict[str, Sizes],
    **channels: Sizes,
) -> list[Layer]:
    """Layers of maps; `geometry`: pool, kernel, stride and padding."""
    shape, layers = _image(input_shape), []
    for i, sizes in enumerate(zip(*_per_layer(depth, **channels, **geometry)), 1):
        *numbers, window, kernel, stride, padding = sizes
        shapes = [conv_shape(shape, n, kernel, stride, padding) for n in numbers]
        names = [f"{LETTERS[kind]}{i}" for kind in channels]
        edge, average = _windows(pooling, window, names[0], shapes[0])
        maps = tuple(Population(name, of, neuron, edge) for name, of in zip(names, shapes))
        layers.append(Layer(maps, convolution(kernel, stride, padding), within, average))
        shape = averaged(maps[0].pooled_shape, average)
    return layers


def _windows(
    pooling: Pooling, edge: int, name: str, shape: tuple[int, ...]
) -> tuple[int, tuple[int, ...]]:
    """(edge of the max pooling, windows of the average pooling) behind the population `name`."""
    if pooling == "max" or edge == 1:
        return edge, ()
    _, *edges = shape
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


def _image(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with channels: (units,) is one channel of that length."""
    return (1, *shape) if len(shape) == 1 else tuple(shape)


def _per_layer(depth: int | None, **sizes: Sizes) -> list[list[int]]:
    """Each size as a list of `depth` values."""
    lists = {
        name: [value] if isinstance(value, int) else list(value) for name, value in sizes.items()
    }
    for name, values in lists.items():
        if not values or min(values) < (0 if name == "padding" else 1):
            raise Mistake(f"{name} = {values} must be positive integers, one per layer")
    depth = max(map(len, lists.values())) if depth is None else depth
    if depth < 1:
        raise Mistake(f"depth = {depth} must be at least 1")
    return [(values + values[-1:] * depth)[:depth] for values in lists.values()]


def _assemble(
    input_shape: tuple[int, ...],
    layers: Sequence[Layer],
    readout: Population,
    dt: float,
    delay: int,
    skip: bool,
    bias: bool,
    dropout: float,
    recurrent_excitation: bool = True,
) -> Network:
    """Wire each layer to the one below (and, with `skip`, to the one below that) and within itself,
    the readout to the top.
    """
    from torch import nn, zeros

    from fdi.snn.network import Network

    if not 0 <= dropout < 1:
        raise Mistake(f"dropout = {dropout} must be at least 0 and below 1")

    sources: list[Source] = [(INPUT, tuple(input_shape), ())]
    projections = []
    for i, layer in enumerate(layers):
        law = dict(nonnegative=len(layer.populations) > 1)
        below = sources[-1:] + sources[-2:-1] * (skip and i >= 2)
        for target in layer.populations:
            projections += [layer.below(source, target, **law) for source in below]
            for channel, population in enumerate(layer.populations):
                if layer.within and (channel or not law["nonnegative"] or recurrent_excitation):
                    own = (population.name, population.shape, ())
                    options = dict(law, recurrent=True, channel=channel)
                    projections.append(layer.within(own, target, **options))
        first = layer.populations[0]
        shape = averaged(first.pooled_shape, layer.average)
        sources.append((first.name, shape, layer.average))
    projections.append(all_to_all(sources[-1], readout))
    populations = [layer.populations for layer in layers]
    network = Network(input_shape, populations, readout, projections, dt, delay)
    network.dropout = dropout
    if bias:
        network.biases.update({p.name: nn.Parameter(zeros(p.shape[0])) for p in network.hidden})
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


def _projection(
    source: Source, target: Population, weight_shape: tuple[int, ...], **options: Any
) -> Projection:
    from fdi.snn.network import Projection

    name, _, average = source
    return Projection(name, target.name, weight_shape, average=average, **options)


def all_to_all(source: Source, target: Population, **options: Any) -> Projection:
    """Each unit of the source reaches each unit of the target."""
    return _projection(source, target, (target.units, math.prod(source[1])), **options)


def convolution(kernel: int, stride: int, padding: int) -> Connect:
    """Feed-forward convolutions; a source from further below gets the smallest kernel whose map has
    the target's shape.
    """

    def connect(source: Source, target: Population, **options: Any) -> Projection:
        channels, *edges = source[1]
        pairs = list(zip(edges, target.shape[1:]))
        kernels, by, margin = [kernel] * len(pairs), stride, padding
        if any((a + 2 * padding - kernel) // stride + 1 != b for a, b in pairs):
            by = max(1, min(a // b for a, b in pairs))
            margin = max(0, *(-(-((b - 1) * by + 1 - a) // 2) for a, b in pairs))
            kernels = [a + 2 * margin - (b - 1) * by for a, b in pairs]
        shape = (target.shape[0], channels, *kernels)
        return _projection(source, target, shape, stride=by, padding=margin, **options)

    return connect


def recurrent_convolution(kernel: int) -> Connect:
    """Convolutions within a layer, whose map keeps its shape."""
    if kernel % 2 == 0:
        raise Mistake(
            f"recurrent_kernel = {kernel} must be odd, so that the map keeps its shape; use "
            f"{kernel + 1}"
        )
    return convolution(kernel, 1, kernel // 2)


def conv_shape(
    shape: tuple[int, ...], filters: int, kernel: int, stride: int, padding: int
) -> tuple[int, ...]:
    """Shape (filters, *edges) of a convolution over `shape` (channels, *edges): edge' = (edge + 2
    padding - kernel) // stride + 1.
    """
    return (filters, *((edge + 2 * padding - kernel) // stride + 1 for edge in shape[1:]))
