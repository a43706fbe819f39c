"""Architectures: how populations and projections are laid out. Every builder returns a Network with
zero weights; `fdi.init` draws them.

All take `input_shape` (one sample in one time step), `classes`, `steps` and `dt` from the data set,
and the `neuron` of the hidden layers.
Depth is one number: `depth` layers, lists shorter than that repeat their last value, longer ones
are cut; without `depth` the longest list counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from fdi.config.ranges import Count, Index, Layers, TimeConstant
from fdi.snn.neuron import LIF, Neuron, integrator
from fdi.snn.population import Population
from fdi.snn.wiring import (
    all_to_all,
    _assemble,
    conv_shape,
    convolution,
    normalize,
    recurrent_convolution,
)

if TYPE_CHECKING:
    from fdi.snn.network import Network

Sizes = Count | Sequence[Count]
Margins = Index | Sequence[Index]
Normalization = Literal["none", "tdbn", "bntt", "layer"]


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
    fdi.snn.norm. `readout_tau_mem`: None means the duration of the trial. Times in seconds.
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

    `pool`: edge of the max-pooling window behind each layer (1: none). `recurrent_kernel`: edge of
    the recurrent kernels (odd; 0: none). `dense`: units of fully connected layers above, each with
    all-to-all recurrence if `dense_recurrent`; `depth` does not count them. `norm`: normalization
    of the input of each hidden layer, see fdi.snn.norm. Times in seconds.
    """
    shape = _image(input_shape)
    layers, geometry = [], []
    sizes = _per_layer(
        depth, filters=filters, pool=pool, kernel=kernel, stride=stride, padding=padding
    )
    for i, (n, window, *kernels) in enumerate(zip(*sizes), 1):
        population = Population(f"h{i}", conv_shape(shape, n, *kernels), neuron, window)
        layers.append((population,))
        geometry.append(kernels)
        shape = population.pooled_shape
    above = [dense] if isinstance(dense, int) else list(dense or ())
    if min(above, default=1) < 1:
        raise ValueError(f"dense = {above} must be positive integers, one per layer")
    maps = len(layers)
    layers += [(Population(f"h{maps + i}", (n,), neuron),) for i, n in enumerate(above, 1)]
    readout = _readout(classes, steps, dt, readout_tau_mem, readout_tau_syn, readout_u_init)
    within = [recurrent_convolution(recurrent_kernel) if recurrent_kernel else None] * maps
    within += [all_to_all if dense_recurrent else None] * len(above)
    below = [convolution(geometry)] * maps + [all_to_all] * len(above)
    network = _assemble(_image(input_shape), layers, readout, dt, below, within, skip)
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
    shape, layers, geometry = _image(input_shape), [], []
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
        layer = tuple(
            Population(f"{kind}{i}", conv_shape(shape, n, *kernels), neuron, window)
            for kind, n in (("e", n_exc), ("i", n_inh))
        )
        layers.append(layer)
        geometry.append(kernels)
        shape = layer[0].pooled_shape
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
    )


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
            raise ValueError(f"{name} = {values} must be positive integers, one per layer")
    depth = max(map(len, lists.values())) if depth is None else depth
    if depth < 1:
        raise ValueError(f"depth = {depth} must be at least 1")
    return [(values + values[-1:] * depth)[:depth] for values in lists.values()]
