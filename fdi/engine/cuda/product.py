"""What a projection does to many spike patterns at once, and its adjoints; [n, ...] is all steps
and samples of a trial, or one step.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.grad import conv1d_input, conv1d_weight, conv2d_input, conv2d_weight

from fdi.engine.cuda.kept import Listed
from fdi.snn.network import Projection
from fdi.snn.neuron import Population

_WEIGHT, _SOURCE = {1: conv1d_weight, 2: conv2d_weight}, {1: conv1d_input, 2: conv2d_input}


def deliver(projection: Projection, source: Tensor | Listed, kernels: bool) -> Tensor:
    """X = W S [T - 2, B, *target shape] for what is seen of a source, [T - 2, B, *shape]; by
    `kernels` if it is spikes, in time that grows with their number.
    """
    weight = projection.weight
    if isinstance(source, Listed):
        from fdi.engine.cuda.kernels import launch_sparse as launch

        given = max(0, source.steps - 2)
        w = weight.T.contiguous()
        return launch.by_events(source.lists.by_step, source.samples, w, given, source.steps)
    if kernels and (spikes := _spikes(projection, source)) is not None:
        from fdi.engine.cuda.kernels import launch_sparse as launch

        return launch.by_spikes(spikes, weight.T.contiguous())
    return projection(source.flatten(0, 1).to(weight.dtype)).unflatten(0, source.shape[:2])


def weight_gradient(
    projection: Projection, source: Tensor | Listed, d_TBN: Tensor, kernels: bool
) -> Tensor:
    """gW = sum gX S^T over steps and samples for what `deliver` gets and gX = `d_TBN`
    [T - 2, B, *target shape].
    """
    if isinstance(source, Listed):
        from fdi.engine.cuda.kernels import launch_sparse as launch

        tables, samples = source.lists.by_unit, source.samples
        return launch.gradient(tables, samples, d_TBN.flatten(2), projection.weight.shape[1]).sum(0)
    if kernels and (spikes := _spikes(projection, source)) is not None:
        from fdi.engine.cuda.kernels import launch_sparse as launch

        return launch.gradient(launch.when(spikes), None, d_TBN.flatten(2), spikes.shape[2]).sum(0)
    d = (d_TBN if len(source) == len(d_TBN) else d_TBN.sum(0, keepdim=True)).flatten(0, 1)
    flat, shape = source.flatten(0, 1).to(d.dtype), projection.weight.shape
    if not projection.convolutional:
        return d.T @ flat.flatten(1)
    return _WEIGHT[len(shape) - 2](
        flat, shape, d, stride=projection.stride, padding=projection.padding
    )


def _spikes(projection: Projection, source: Tensor) -> Tensor | None:
    """[T, B, K], int8; None if kernels do not take them."""
    if projection.convolutional or source.dtype not in (torch.bool, torch.int8):
        return None
    return source.flatten(2).contiguous().view(torch.int8)


def source_gradient(projection: Projection, shape: tuple[int, ...], d: Tensor) -> Tensor:
    """gS = W^T gX, [n, *target shape] -> [n, *shape]."""
    weight, shape = projection.weight, (len(d), *shape)
    if not projection.convolutional:
        return (d @ weight).view(shape)
    return _SOURCE[weight.ndim - 2](
        shape, weight, d, stride=projection.stride, padding=projection.padding
    )


def pool(population: Population, spikes_TBN: Tensor) -> Tensor:
    """What feed-forward targets see, [T, B, *shape] -> [T, B, *pooled shape], in the numbers of the
    spikes.
    """
    if population.pool == 1:
        return spikes_TBN
    return _windows(population, spikes_TBN).amax(_within(population))


def unpool(population: Population, spikes_TBN: Tensor, d_TBN: Tensor) -> Tensor:
    """The gradient of the spikes for the gradient of what is seen: all of it goes to the first
    maximum of a window. Nothing is scattered, which a GPU would sort for.
    """
    if population.pool == 1:
        return d_TBN
    within = _within(population)
    windows = _windows(population, spikes_TBN.view(torch.int8))
    first = windows.flatten(within[0]).argmax(-1, keepdim=True)
    places = torch.arange(population.pool ** len(within), device=d_TBN.device)
    lost = (first != places).view(windows.shape)
    d = d_TBN.new_zeros(spikes_TBN.shape)
    _windows(population, d).copy_(d_TBN[(...,) + (None,) * len(within)]).masked_fill_(lost, 0)
    return d


def _windows(population: Population, x_TBN: Tensor) -> Tensor:
    """A view, [T, B, *pooled shape, *window]; edges that fill no window are left out."""
    for axis in _within(population):
        x_TBN = x_TBN.unfold(2 + len(population.shape) + axis, population.pool, population.pool)
    return x_TBN


def _within(population: Population) -> tuple[int, ...]:
    """The axes of a window in `_windows`."""
    return tuple(range(1 - len(population.shape), 0))
