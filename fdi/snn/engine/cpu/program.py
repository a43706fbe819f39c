"""The two kinds of network that the engine computes, as functions with one signature each."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from fdi.snn.engine.cpu.conv import chunk as conv_chunk
from fdi.snn.engine.cpu.conv import pack as conv_pack
from fdi.snn.engine.cpu.conv import plan as conv_plan
from fdi.snn.engine.cpu.dense import chunk, pack, plan, work
from fdi.snn.network import Network


@dataclass(frozen=True)
class Program:
    """`dense_from`: see signal.signal. `together`: samples that a kernel computes at a time."""

    lay_out: Callable
    work: type
    shapes: Callable
    pack: Callable
    unpack: Callable
    drive: Callable
    drive_gradient: Callable
    run_chunk: Callable
    dense_from: float
    together: int


_DENSE = Program(
    plan.lay_out,
    work.Work,
    work.shapes,
    pack.pack,
    pack.unpack,
    pack.drive,
    pack.drive_gradient,
    chunk.run_chunk,
    0.45,
    work.BLOCK,
)
_CONV = Program(
    conv_plan.lay_out,
    conv_chunk.ConvWork,
    conv_chunk.shapes,
    conv_pack.pack,
    conv_pack.unpack,
    conv_pack.drive,
    conv_pack.drive_gradient,
    conv_chunk.run_chunk,
    math.inf,
    1,
)


def program(network: Network) -> Program:
    """Networks with a convolution are maps; all others are rows."""
    return _CONV if any(projection.convolutional for projection in network.projections) else _DENSE
