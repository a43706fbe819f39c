"""Weights from a source to a target population."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_CONVOLUTION = {1: F.conv1d, 2: F.conv2d}


class Projection(nn.Module):
    """X = W S: what a source's spikes deliver to one synaptic channel of the target, dense or as a
    convolution.

    `weight`: [target units, source units], or [target channels, source channels, *kernel] with
    `stride` and `padding` for a convolution.
    `recurrent`: the source is in the target's own layer (it is then seen without pooling).
    `channel`: index into the target's synaptic channels. `nonnegative`: Dale's law, the channel
    carries the sign.
    """

    def __init__(
        self,
        source: str,
        target: str,
        weight_shape: tuple[int, ...],
        *,
        recurrent: bool = False,
        channel: int = 0,
        nonnegative: bool = False,
        stride: int | None = None,
        padding: int = 0,
    ) -> None:
        super().__init__()
        self.source, self.target = source, target
        self.recurrent, self.channel, self.nonnegative = recurrent, channel, nonnegative
        self.stride, self.padding = stride, padding
        self.weight = nn.Parameter(torch.zeros(weight_shape))

    @property
    def name(self) -> str:
        return f"{self.source}->{self.target}"

    @property
    def convolutional(self) -> bool:
        return self.stride is not None

    @property
    def fan_in(self) -> int:
        """Number of synapses of one target neuron, border effects aside."""
        return self.weight[0].numel()

    def forward(self, spikes: Tensor) -> Tensor:
        """[B, *source shape] -> [B, *target shape]."""
        if self.stride is not None:
            return _CONVOLUTION[self.weight.ndim - 2](
                spikes, self.weight, stride=self.stride, padding=self.padding
            )
        return F.linear(spikes.flatten(1), self.weight)

    def extra_repr(self) -> str:
        conv = f", stride={self.stride}, padding={self.padding}" if self.convolutional else ""
        return (
            f"{self.name}, {tuple(self.weight.shape)}, channel={self.channel}, "
            f"recurrent={self.recurrent}{conv}"
        )
