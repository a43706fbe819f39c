"""What a projection does to many spike patterns at once, and its adjoints; [n, ...] is all steps
and samples of a trial, or one step.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor
from torch.nn.grad import conv1d_input, conv1d_weight, conv2d_input, conv2d_weight

from fdi.snn.population import Population
from fdi.snn.projection import Projection

_POOL = {1: F.max_pool1d, 2: F.max_pool2d}
_WEIGHT, _SOURCE = {1: conv1d_weight, 2: conv2d_weight}, {1: conv1d_input, 2: conv2d_input}


def weight_gradient(projection: Projection, source: Tensor, d: Tensor) -> Tensor:
    """gW = sum_n gX S^T for spikes [n, *source shape] and gX = `d` [n, *target shape]."""
    if not projection.convolutional:
        return d.T @ source.flatten(1)
    shape = projection.weight.shape
    return _WEIGHT[len(shape) - 2](
        source, shape, d, stride=projection.stride, padding=projection.padding
    )


def source_gradient(projection: Projection, shape: tuple[int, ...], d: Tensor) -> Tensor:
    """gS = W^T gX, [n, *target shape] -> [n, *shape]."""
    weight, shape = projection.weight, (len(d), *shape)
    if not projection.convolutional:
        return (d @ weight).view(shape)
    return _SOURCE[weight.ndim - 2](
        shape, weight, d, stride=projection.stride, padding=projection.padding
    )


def pool(population: Population, spikes_TBN: Tensor, dtype) -> Tensor:
    """What feed-forward targets see, [T, B, *shape] -> [T, B, *pooled shape], truth values."""
    if population.pool == 1:
        return spikes_TBN
    pooled = _POOL[len(population.shape) - 1](spikes_TBN.flatten(0, 1).to(dtype), population.pool)
    return pooled.bool().unflatten(0, spikes_TBN.shape[:2])


def unpool(population: Population, spikes_TBN: Tensor, d_TBN: Tensor) -> Tensor:
    """The gradient of the spikes for the gradient of what is seen: all of it goes to the first
    maximum of a window.
    """
    if population.pool == 1:
        return d_TBN
    spikes = spikes_TBN.flatten(0, 1).to(d_TBN.dtype)
    _, winner = _POOL[len(population.shape) - 1](spikes, population.pool, return_indices=True)
    d = spikes.zero_().flatten(2).scatter_(2, winner.flatten(2), d_TBN.flatten(0, 1).flatten(2))
    return d.view(spikes_TBN.shape)
