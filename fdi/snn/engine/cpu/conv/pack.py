"""Weights of convolutions in the order that the kernels read, their gradients back, and dense
currents of a whole batch.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv1d, conv2d
from torch.nn.grad import conv1d_weight, conv2d_weight

from fdi.snn.engine.cpu.conv.plan import ConvLayout, Link


def pack(layout: ConvLayout, dtype: torch.dtype) -> tuple[np.ndarray, np.ndarray]:
    """(tables, natural): of each link [source channels, ky, columns in the order of geometry,
    target channels padded], and [ky, kx, target channels, source channels padded]; then the
    readout's [codes, width] and [classes, pooled map].
    """
    tables, natural = (
        torch.zeros(layout.table_size, dtype=dtype),
        torch.zeros(max(1, layout.natural_size), dtype=dtype),
    )
    for q, link in enumerate(layout.links):
        for projection, channel in link.parts:
            weight = _four(projection.weight.detach())
            _table_part(layout, q, link, tables, projection.weight, channel).copy_(
                weight.permute(1, 2, 3, 0)[:, :, link.geometry.column_order()]
            )
            inner, columns = int(layout.plan.inner[q]), int(layout.plan.columns[q])
            if columns:
                taps = weight.shape[2] * weight.shape[3]
                block = natural[link.natural_at : link.natural_at + taps * inner * columns].view(
                    taps, inner, columns
                )
                low, high = int(layout.plan.low[q]), int(layout.plan.high[q])
                block[:, channel : channel + len(weight), low:high] = weight.flatten(2).permute(
                    2, 0, 1
                )
    weight = layout.readout.weight.detach()
    rows, maps = _readout_part(layout, tables), _readout_map(layout, weight)
    rows.copy_(maps.permute(1, 2, 0))
    at, size = int(layout.plan.readout[3]), int(layout.plan.pooled[-1])
    padded = int(layout.plan.padded[-1])
    block = natural[at : at + len(weight) * size].view(len(weight), size // padded, padded)
    block[:, :, : maps.shape[2]] = maps
    return tables.numpy(), natural.numpy()


def unpack(layout: ConvLayout, tables: np.ndarray) -> None:
    """Set `.grad` of every projection from gradients laid out like `tables`."""
    flat = torch.from_numpy(tables)
    for q, link in enumerate(layout.links):
        back = np.argsort(link.geometry.column_order())
        for projection, channel in link.parts:
            part = _table_part(layout, q, link, flat, projection.weight, channel)
            projection.weight.grad = (
                part[:, :, back].permute(3, 0, 1, 2).reshape(projection.weight.shape).contiguous()
            )
    weight = layout.readout.weight
    weight.grad = _readout_part(layout, flat).permute(2, 1, 0).reshape(weight.shape).contiguous()


def _four(weight: Tensor) -> Tensor:
    """[target, source, ky, kx], also of a one-dimensional convolution."""
    return weight.unsqueeze(2) if weight.ndim == 3 else weight


def _table_part(
    layout: ConvLayout, q: int, link: Link, tables: Tensor, weight: Tensor, channel: int
) -> Tensor:
    """[source channels, ky, columns, target channels] of one projection in `tables`."""
    target, source, kh, kw = _four(weight).shape
    block = int(layout.plan.block[q])
    padded = block // (kh * kw)
    return tables.as_strided(
        (source, kh, kw, target), (block, kw * padded, padded, 1), link.table_at + channel
    )


def _readout_map(layout: ConvLayout, weight: Tensor) -> Tensor:
    """[classes, positions, visible channels] of the readout's weight."""
    return weight.view(len(weight), int(layout.plan.visible[-1]), -1).permute(0, 2, 1)


def _readout_part(layout: ConvLayout, tables: Tensor) -> Tensor:
    """[positions, visible channels, classes] of the readout in `tables`."""
    plan = layout.plan
    classes, width, at, _ = plan.readout.tolist()
    positions = int(plan.pooled[-1] // plan.padded[-1])
    return tables.as_strided(
        (positions, int(plan.visible[-1]), classes), (width << int(plan.shift[-1]), width, 1), at
    )


def drive(layout: ConvLayout, values: np.ndarray, tables: np.ndarray) -> np.ndarray:
    """The dense current [B, 0 or 1, size] of the first layer that constant inputs `values` [B, 0 or
    1, input units] cause.
    """
    plan, (link, *_) = layout.plan, layout.links
    batch, rows, _ = values.shape
    current = np.zeros(
        (batch, rows, int(plan.height[0] * plan.width[0]), int(plan.padded[0])), values.dtype
    )
    for projection, channel in link.parts if rows else ():
        weight = projection.weight.detach()
        x = _images(layout, values, weight)
        out = (conv1d if weight.ndim == 3 else conv2d)(
            x, weight, stride=projection.stride, padding=projection.padding
        )
        current[:, 0, :, channel : channel + len(weight)] = out.flatten(2).transpose(1, 2).numpy()
    return current.reshape(batch, rows, int(plan.size[0]))


def drive_gradient(
    layout: ConvLayout, values: np.ndarray, d_drive: np.ndarray, tables: np.ndarray
) -> None:
    """Add the gradient of the weights behind `drive` to `tables`."""
    plan, (link, *_) = layout.plan, layout.links
    maps = torch.from_numpy(d_drive.reshape(len(values), -1, int(plan.padded[0])))
    edges = (
        (int(plan.width[0]),)
        if link.parts[0][0].weight.ndim == 3
        else (int(plan.height[0]), int(plan.width[0]))
    )
    for projection, channel in link.parts:
        weight = projection.weight
        g = (
            maps[:, :, channel : channel + len(weight)]
            .transpose(1, 2)
            .reshape(len(values), len(weight), *edges)
        )
        function = conv1d_weight if weight.ndim == 3 else conv2d_weight
        x = _images(layout, values, weight)
        gradient = _four(
            function(x, weight.shape, g, stride=projection.stride, padding=projection.padding)
        )
        part = _table_part(layout, 0, link, torch.from_numpy(tables), weight, channel)
        part += gradient.permute(1, 2, 3, 0)[:, :, link.geometry.column_order()]


def _images(layout: ConvLayout, values: np.ndarray, weight: Tensor) -> Tensor:
    height, width = layout.links[0].geometry.source
    edges = (width,) if weight.ndim == 3 else (height, width)
    return torch.from_numpy(values).reshape(len(values), weight.shape[1], *edges)
