"""Weights of convolutions in the order that the kernels read, their gradients back, and dense
currents of a whole batch.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv1d, conv2d
from torch.nn.grad import conv1d_weight, conv2d_weight

from fdi.engine.cpu.conv.plan import ConvLayout
from fdi.engine.cpu.conv.winograd import PRODUCTS, transformed


def pack(layout: ConvLayout, tables: Tensor, natural: Tensor) -> None:
    """Fill in, of each link, `tables` [source channels, ky, columns in the order of geometry,
    target channels padded] and `natural` [ky, kx, target channels, source channels padded].
    """
    for record, link in zip(layout.plan.links, layout.links):
        for projection, channel in link.parts:
            weight = _four(projection.weight.detach())
            _table_part(record, tables, projection.weight, channel).copy_(
                weight.permute(1, 2, 3, 0)[:, :, link.geometry.column_order()]
            )
            inner, columns, at = (int(record[name]) for name in ("inner", "columns", "natural_at"))
            if columns:
                if record["tiles"]:
                    taps, turned = PRODUCTS, transformed(weight)
                else:
                    taps = weight.shape[2] * weight.shape[3]
                    turned = weight.flatten(2).permute(2, 0, 1)
                block = natural[at : at + taps * inner * columns].view(taps, inner, columns)
                block[:, channel : channel + len(weight), record["low"] : record["high"]] = turned


def unpack(layout: ConvLayout, tables: Tensor) -> None:
    """Set `.grad` of every projection from gradients laid out like `tables`."""
    for record, link in zip(layout.plan.links, layout.links):
        back = np.argsort(link.geometry.column_order())
        for projection, channel in link.parts:
            part = _table_part(record, tables, projection.weight, channel)
            projection.weight.grad = (
                part[:, :, back].permute(3, 0, 1, 2).reshape(projection.weight.shape).contiguous()
            )


def _four(weight: Tensor) -> Tensor:
    """[target, source, ky, kx], also of a one-dimensional convolution."""
    return weight.unsqueeze(2) if weight.ndim == 3 else weight


def _table_part(link: np.void, tables: Tensor, weight: Tensor, channel: int) -> Tensor:
    """[source channels, ky, columns, target channels] of one projection in `tables`."""
    target, source, kh, kw = _four(weight).shape
    block = int(link["block"])
    padded = block // (kh * kw)
    start = int(link["table_at"]) + channel
    return tables.as_strided((source, kh, kw, target), (block, kw * padded, padded, 1), start)


def drive(layout: ConvLayout, values: np.ndarray, tables: np.ndarray) -> np.ndarray:
    """The dense current [B, 0 or 1, size] of the first layer that constant inputs `values` [B, 0 or
    1, input units] cause.
    """
    first, (link, *_) = layout.plan.layers[0], layout.links
    batch, rows, _ = values.shape
    positions = int(first["height"] * first["width"])
    current = np.zeros((batch, rows, positions, int(first["padded"])), values.dtype)
    for projection, channel in link.parts if rows else ():
        weight = projection.weight.detach()
        x = _images(layout, values, weight)
        out = (conv1d if weight.ndim == 3 else conv2d)(
            x, weight, stride=projection.stride or 1, padding=projection.padding
        )
        current[:, 0, :, channel : channel + len(weight)] = out.flatten(2).transpose(1, 2).numpy()
    return current.reshape(batch, rows, int(first["size"]))


def drive_gradient(
    layout: ConvLayout, values: np.ndarray, d_drive: np.ndarray, tables: np.ndarray
) -> None:
    """Add the gradient of the weights behind `drive` to `tables`."""
    first, (link, *_) = layout.plan.layers[0], layout.links
    maps = torch.from_numpy(d_drive.reshape(len(values), -1, int(first["padded"])))
    edges = (
        (int(first["width"]),)
        if link.parts[0][0].weight.ndim == 3
        else (int(first["height"]), int(first["width"]))
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
        part = _table_part(layout.plan.links[0], torch.from_numpy(tables), weight, channel)
        part += gradient.permute(1, 2, 3, 0)[:, :, link.geometry.column_order()]


def _images(layout: ConvLayout, values: np.ndarray, weight: Tensor) -> Tensor:
    height, width = layout.links[0].geometry.source
    edges = (width,) if weight.ndim == 3 else (height, width)
    return torch.from_numpy(values).reshape(len(values), weight.shape[1], *edges)
