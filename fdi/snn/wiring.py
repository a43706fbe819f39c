"""Wiring: which projections an architecture has, and how one is laid out between two
populations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from fdi.snn.population import INPUT, Population

if TYPE_CHECKING:
    from fdi.snn.network import Network, Projection

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
) -> Network:
    """Wire each layer to the one below (and, with `skip`, to the one below that) and within itself,
    as `feedforward` and `recurrent` say for it; the readout to the top.

    The first population of a layer drives the layers above; a second one inhibits its own layer.
    """
    from fdi.snn.network import Network

    sources: list[Source] = [
        (INPUT, tuple(input_shape)),
        *((layer[0].name, layer[0].pooled_shape) for layer in layers),
    ]
    projections = []
    for i, layer in enumerate(layers):
        law, within = dict(nonnegative=len(layer) > 1), recurrent[i]
        below = [sources[i]] + ([sources[i - 1]] if skip and i >= 2 else [])
        for target in layer:
            projections += [feedforward[i](source, target, i, **law) for source in below]
            if within is None:
                continue
            for channel, population in enumerate(layer):
                if len(layer) == 1 or channel == 1 or recurrent_excitation:
                    source = (population.name, population.shape)
                    projections.append(
                        within(source, target, i, recurrent=True, channel=channel, **law)
                    )
    projections.append(all_to_all(sources[-1], readout))
    return Network(input_shape, layers, readout, projections, dt)


def normalize(network: Network, kind: str, steps: int) -> None:
    """Put a normalization of its own in front of each hidden population; `steps` of a trial. Raises ValueError for recurrence and Dale's law.
    """
    from fdi.snn.norm import Norm

    for projection in network.projections:
        for problem, why in (
            (projection.recurrent, "takes all steps at once, and recurrence one after the other"),
            (projection.nonnegative, "makes weights of both signs out of those of Dale's law"),
        ):
            if problem:
                raise ValueError(
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
        raise ValueError(
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
