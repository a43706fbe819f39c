"""Normalization of the input of a population: threshold-dependent batch normalization (Zheng et al.
2021), batch normalization through time (Kim & Panda 2021), layer normalization (Ba et al. 2016).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS, MOMENTUM = 1e-5, 0.1  # of torch, snnTorch and SpikingJelly


class Norm(nn.Module):
    """X' = gain (X - mean) / sqrt(var + 1e-5) + bias, X being what all projections deliver.

    kind     mean and variance over               gain and bias
    tdbn     time, samples and places of a map    of each channel; gain starts at theta
    bntt     samples and places of a map          of each channel and step; no bias
    layer    channels and places of a map         of each channel

    A unit of a dense layer is a channel; the other gains start at 1. Training takes mean and
    variance of the batch. Evaluation takes running ones where there are some: the average of the
    first ten batches, then 0.9 of the old and 0.1 of the new. `steps` of a trial, without the last
    two, whose input has no effect.

    To define another normalization, inherit from this class, override `forward` with operations of
    torch, and put it into `network.norms` under the name of a population. `kind` is its name in
    messages, parameters and buffers are trained and saved, `gain` scales what it returns; override
    `by_sample` and `check` where they are not those of `kind`.
    """

    mean: Tensor
    var: Tensor
    batches: Tensor

    def __init__(self, kind: str, shape: tuple[int, ...], steps: int, theta: float) -> None:
        super().__init__()
        self.kind, self.steps, self.places = kind, steps, math.prod(shape[1:])
        size = shape[0] * (steps if kind == "bntt" else 1)
        self.gain = nn.Parameter(torch.full((size,), theta if kind == "tdbn" else 1.0))
        self.bias = None if kind == "bntt" else nn.Parameter(torch.zeros(size))
        if kind != "layer":
            self.register_buffer("mean", torch.zeros(size))
            self.register_buffer("var", torch.ones(size))
            self.register_buffer("batches", torch.tensor(0))

    @property
    def by_sample(self) -> bool:
        """Whether each sample is normalized by itself, so that a batch may be cut into parts."""
        return self.kind == "layer"

    def check(self, batch: int) -> None:
        """Raises ValueError for a batch whose variance would be that of a single value."""
        if self.kind == "bntt" and batch * self.places == 1:
            raise ValueError(
                "model.norm=bntt: a batch of one sample has no variance; choose a "
                "trainer.batch_size that leaves no single sample, or model.norm=tdbn"
            )

    def forward(self, x_TBN: Tensor, learn: bool) -> Tensor:
        """[T, B, *shape] -> the same shape; with `learn` by the statistics of the batch, which the
        running ones follow.
        """
        steps, batch = x_TBN.shape[:2]
        if self.kind == "layer":
            x = F.group_norm(x_TBN.flatten(0, 1), 1, self.gain, self.bias, EPS)
            return x.unflatten(0, (steps, batch))
        if self.kind == "tdbn":
            return self._batch_norm(x_TBN.flatten(0, 1), learn).unflatten(0, (steps, batch))
        if steps != self.steps:
            raise ValueError(
                f"model.norm=bntt has a gain for each of {self.steps + 2} steps, and a trial has "
                f"{steps + 2}; use model.norm=tdbn"
            )
        channels = x_TBN.transpose(0, 1).flatten(1, 2)
        return self._batch_norm(channels, learn).unflatten(1, (steps, -1)).transpose(0, 1)

    def _batch_norm(self, x: Tensor, learn: bool) -> Tensor:
        if learn:
            momentum = max(MOMENTUM, 1 / (int(self.batches) + 1))
            self.batches += 1
            running = (self.mean, self.var)
            return F.batch_norm(x, *running, self.gain, self.bias, True, momentum, EPS)
        if self.batches:
            return F.batch_norm(x, self.mean, self.var, self.gain, self.bias, eps=EPS)
        return F.batch_norm(x, None, None, self.gain, self.bias, training=True, eps=EPS)
