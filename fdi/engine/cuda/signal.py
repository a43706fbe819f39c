"""The input of a batch on the device of the weights: events travel as indices and become dense
there.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fdi.data.inputs import Constant, Events, Frames, Input
from fdi.engine.cuda.kept import Kept, added
from fdi.engine.send import send
from fdi.snn.network import Network

_NUMPY: dict[torch.dtype, type[np.floating]] = {
    torch.float32: np.float32,
    torch.float64: np.float64,
}


def signal(network: Network, inputs: Input | Kept) -> Tensor:
    """[T, B, *shape], or [1, B, *shape] if every step is the same; small integers stay as they are
    until a product needs them.
    """
    weight = network.projections[0].weight
    if isinstance(inputs, Kept):
        x = inputs.signal(weight)
    elif isinstance(inputs, Events):
        x = _events(inputs, weight)
    elif isinstance(inputs, Constant):
        x = send(inputs.image(_NUMPY[weight.dtype]), weight.device)[None]
    else:
        x = _frames(inputs, weight)
    return x.reshape(*x.shape[:2], *network.input_shape)


def _events(events: Events, weight: Tensor) -> Tensor:
    """[T, B, units]."""
    batch, steps, size = len(events), events.steps, int(np.prod(events.shape))
    span = slice(events.indptr[0], events.indptr[-1])
    units = send(events.units[span], weight.device).long()
    lengths = send(np.diff(events.indptr), weight.device)
    row = torch.arange(batch * steps, device=weight.device).repeat_interleave(
        lengths, output_size=len(units)
    )
    place = (row % steps * batch + row // steps) * size + units
    counts = None if events.counts is None else send(events.counts[span], weight.device)
    return added(place, counts, steps * batch * size, weight).view(steps, batch, size)


def _frames(frames: Frames, weight: Tensor) -> Tensor:
    values = (
        frames.values
        if frames.values.dtype == np.uint8
        else frames.values.astype(_NUMPY[weight.dtype])
    )
    return send(values, weight.device).transpose(0, 1).contiguous()
