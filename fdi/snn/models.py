"""Architectures: how populations and projections are laid out. Every builder returns a Network with
zero weights; `fdi.init` draws them.

All take `input_shape` (one sample in one time step), `classes`, `steps` and `dt` from the data set,
and the `neuron` of the hidden layers.
Depth is one number: `depth` layers, lists shorter than that repeat their last value, longer ones
are cut; without `depth` the longest list counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from fdi.config import Mistake
from fdi.config.parts import Count, Index, Layers, TimeConstant
from fdi.snn.neuron import INPUT, LIF, Neuron, Population, averaged, integrator

if TYPE_CHECKING:
    from fdi.snn.network import Network, Projection


Sizes = Count | Sequence[Count]
Margins = Index | Sequence[Index]
Normalization = Literal["none", "tdbn", "bntt", "layer"]
Pooling = Literal["max", "average"]


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
    readout_tau_mem: TimeConstant | None = None,
    readout_tau_syn: TimeConstant = 10e-3,
    readout_u_init: float = -1e-2,
) -> Network:
    """Fully connected layers of LIF neurons, each with all-to-all recurrence if `recurrent`.

    `hidden`: units per layer. `norm`: normalization of the input of each hidden layer, see
    fdi.snn.network. `readout_tau_mem`: None means the duration of the trial. Times in seconds.
    """
    (sizes,) = _per_layer(depth, hidden=hidden)
    layers = [(Population(f"h{i}", (n,), neuron),) for i, n in enumerate(sizes, 1)]
    readout = _readout(classes, steps, dt, readout_tau_mem, readout_tau_syn, readout_u_init)
    network = _assemble(
        input_shape,
        layers,
        readout,
        dt,
        [all_to_all] * len(layers),
        [all_to_all if recurrent else None] * len(layers),
        skip,
    )
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
    readout_tau_mem: TimeConstant | None = None,
    readout_tau_syn: TimeConstant = 10e-3,
    readout_u_init: float = -1e-3,
) -> Network:
    """Convolutional layers of LIF neurons over (channels, length) or (channels, height, width);
    (units,) is read as one channel.

    `pool`: edge of the window behind each layer (1: none) of which the layers above see the
    maximum or, with `pooling`, the average. `recurrent_kernel`: edge of the recurrent kernels (odd;
    0: none). `dense`: units of fully connected layers above, each with
    all-to-all recurrence if `dense_recurrent`; `depth` does not count them. `norm`: normalization
    of the input of each hidden layer, see fdi.snn.network. Times in seconds.
    """
    shape = _image(input_shape)
    layers: list[tuple[Population, ...]] = []
    geometry, averages = [], []
    sizes = _per_layer(
        depth, filters=filters, pool=pool, kernel=kernel, stride=stride, padding=padding
    )
    for i, (n, window, *kernels) in enumerate(zip(*sizes), 1):
        shape = conv_shape(shape, n, *kernels)
        edge, windows = _windows(pooling, window, f"h{i}", shape)
        population = Population(f"h{i}", shape, neuron, edge)
        layers.append((population,))
        geometry.append(kernels)
        averages.append(windows)
        shape = averaged(population.pooled_shape, windows)
    above = [dense] if isinstance(dense, int) else list(dense or ())
    if min(above, default=1) < 1:
        raise Mistake(f"dense = {above} must be positive integers, one per layer")
    maps = len(layers)
    layers += [(Population(f"h{maps + i}", (n,), neuron),) for i, n in enumerate(above, 1)]
    readout = _readout(classes, steps, dt, readout_tau_mem, readout_tau_syn, readout_u_init)
    within = [recurrent_convolution(recurrent_kernel) if recurrent_kernel else None] * maps
    within += [all_to_all if dense_recurrent else None] * len(above)
    below = [convolution(geometry)] * maps + [all_to_all] * len(above)
    network = _assemble(
        _image(input_shape), layers, readout, dt, below, within, skip, averages=averages
    )
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
    readout_tau_mem: TimeConstant | None = None,
    readout_tau_syn: TimeConstant = 10e-3,
    readout_u_init: float = -1e-3,
) -> Network:
    """Layers of an excitatory and an inhibitory population that obey Dale's law; the excitatory one
    drives what is above.

    Within a layer inhibition reaches both populations, and so does excitation if
    `recurrent_excitation`. Times in seconds.
    """
    neuron = neuron.under_dale(tau_inh)
    sizes = zip(*_per_layer(depth, excitatory=excitatory, inhibitory=inhibitory))
    layers = [
        (Population(f"e{i}", (n_exc,), neuron), Population(f"i{i}", (n_inh,), neuron))
        for i, (n_exc, n_inh) in enumerate(sizes, 1)
    ]
    readout = _readout(classes, steps, dt, readout_tau_mem, readout_tau_syn, readout_u_init)
    return _assemble(
        input_shape,
        layers,
        readout,
        dt,
        [all_to_all] * len(layers),
        [all_to_all] * len(layers),
        skip,
        recurrent_excitation,
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
    readout_tau_mem: TimeConstant | None = None,
    readout_tau_syn: TimeConstant = 10e-3,
    readout_u_init: float = -1e-3,
) -> Network:
    """`dale` with kernels: `excitatory` and `inhibitory` are channels over one map, every
    projection but the readout's is a convolution.

    `recurrent_kernel`: edge of the kernels within a layer (odd). Times in seconds.
    """
    neuron = neuron.under_dale(tau_inh)
    shape, layers, geometry, averages = _image(input_shape), [], [], []
    sizes = _per_layer(
        depth,
        excitatory=excitatory,
        inhibitory=inhibitory,
        pool=pool,
        kernel=kernel,
        stride=stride,
        padding=padding,
    )
    for i, (n_exc, n_inh, window, *kernels) in enumerate(zip(*sizes), 1):
        edge, windows = _windows(pooling, window, f"e{i}", conv_shape(shape, n_exc, *kernels))
        layer = tuple(
            Population(f"{kind}{i}", conv_shape(shape, n, *kernels), neuron, edge)
            for kind, n in (("e", n_exc), ("i", n_inh))
        )
        layers.append(layer)
        geometry.append(kernels)
        averages.append(windows)
        shape = averaged(layer[0].pooled_shape, windows)
    readout = _readout(classes, steps, dt, readout_tau_mem, readout_tau_syn, readout_u_init)
    recurrent = recurrent_convolution(recurrent_kernel)
    return _assemble(
        _image(input_shape),
        layers,
        readout,
        dt,
        [convolution(geometry)] * len(layers),
        [recurrent] * len(layers),
        skip,
        recurrent_excitation,
        averages,
    )


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


Source = tuple[str, tuple[int, ...]]
Connect = Callable[..., "Projection"]


def _assemble(
    input_shape: tuple[int, ...],
    layers: Sequence[tuple[Population, ...]],
    readout: Population,
    dt: float,
    feedforward: list[Connect],
    recurrent: list[Connect | None],
    skip: bool,
    recurrent_excitation: bool = True,
    averages: Sequence[tuple[int, ...]] = (),
) -> Network:
    """Wire each layer to the one below (and, with `skip`, to the one below that) and within itself,
    as `feedforward` and `recurrent` say for it; the readout to the top.

    The first population of a layer drives the layers above; a second one inhibits its own layer.
    `averages`: windows over which the spikes of each layer are averaged for those above.
    """
    from fdi.snn.network import Network

    windows = [(), *averages, *[()] * (len(layers) - len(averages))]
    sources: list[Source] = [
        (INPUT, tuple(input_shape)),
        *(
            (layer[0].name, averaged(layer[0].pooled_shape, of))
            for layer, of in zip(layers, windows[1:])
        ),
    ]
    projections = []
    for i, layer in enumerate(layers):
        law, within = dict(nonnegative=len(layer) > 1), recurrent[i]
        below = [i, i - 1] if skip and i >= 2 else [i]
        for target in layer:
            projections += [
                feedforward[i](sources[k], target, i, average=windows[k], **law) for k in below
            ]
            if within is None:
                continue
            for channel, population in enumerate(layer):
                if len(layer) == 1 or channel == 1 or recurrent_excitation:
                    source = (population.name, population.shape)
                    projections.append(
                        within(source, target, i, recurrent=True, channel=channel, **law)
                    )
    projections.append(all_to_all(sources[-1], readout, average=windows[-1]))
    return Network(input_shape, layers, readout, projections, dt)


def normalize(network: Network, kind: str, steps: int) -> None:
    """Put a normalization of its own in front of each hidden population; `steps` of a trial. Raises
    ValueError for recurrence and Dale's law.
    """
    from fdi.snn.network import Norm

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
        network.norms[p.name] = Norm(kind, p.shape, max(0, steps - 2), p.neuron.theta)


def _projection(
    source: str, target: str, weight_shape: tuple[int, ...], **options: Any
) -> Projection:
    from fdi.snn.network import Projection

    return Projection(source, target, weight_shape, **options)


def all_to_all(source: Source, target: Population, layer: int = 0, **options: Any) -> Projection:
    """Each unit of the source reaches each unit of the target."""
    name, shape = source
    return _projection(name, target.name, (target.units, math.prod(shape)), **options)


def convolution(geometry: Sequence[Sequence[int]]) -> Connect:
    """Feed-forward convolutions; a source from further below gets the smallest kernel whose map has
    the target's shape.
    """

    def connect(source: Source, target: Population, layer: int, **options: Any) -> Projection:
        name, shape = source
        kernel, stride, padding = geometry[layer]
        edges = list(zip(shape[1:], target.shape[1:]))
        if any((a + 2 * padding - kernel) // stride + 1 != b for a, b in edges):
            stride = max(1, min(a // b for a, b in edges))
            padding = max(0, *(-(-((b - 1) * stride + 1 - a) // 2) for a, b in edges))
            kernels = [a + 2 * padding - (b - 1) * stride for a, b in edges]
        else:
            kernels = [kernel] * len(edges)
        return _projection(
            name,
            target.name,
            (target.shape[0], shape[0], *kernels),
            stride=stride,
            padding=padding,
            **options,
        )

    return connect


def recurrent_convolution(kernel: int) -> Connect:
    """Convolutions within a layer, whose map keeps its shape."""
    if kernel % 2 == 0:
        raise Mistake(
            f"recurrent_kernel = {kernel} must be odd, so that the map keeps its shape; use "
            f"{kernel + 1}"
        )

    def connect(source: Source, target: Population, layer: int, **options: Any) -> Projection:
        name, shape = source
        window = (kernel,) * (len(shape) - 1)
        return _projection(
            name,
            target.name,
            (target.shape[0], shape[0], *window),
            stride=1,
            padding=kernel // 2,
            **options,
        )

    return connect


def conv_shape(
    shape: tuple[int, ...], filters: int, kernel: int, stride: int, padding: int
) -> tuple[int, ...]:
    """Shape (filters, *edges) of a convolution over `shape` (channels, *edges): edge' = (edge + 2
    padding - kernel) // stride + 1.
    """
    return (filters, *((edge + 2 * padding - kernel) // stride + 1 for edge in shape[1:]))
