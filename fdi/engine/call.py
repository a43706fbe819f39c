"""A network is called: any form of input in, the activity of a whole trial out."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fdi.config import Mistake
from fdi.data.inputs import Constant, Events, Frames, Input, bin_recordings
from fdi.engine.cpu.engine import CpuEngine
from fdi.engine.cuda.engine import CudaEngine
from fdi.engine.device import dense
from fdi.engine.reference.simulation import simulate
from fdi.snn.network import Activity, Network

RECORDS = ("spikes", "potentials", "free", "moments")


def call(network: Network, inputs: Any, record: Sequence[str] = ()) -> Activity:
    """See `fdi.snn.network.Network.activity`."""
    if unknown := set(record) - set(RECORDS):
        raise Mistake(f"record has {min(unknown)}; choose from {', '.join(RECORDS)}")
    given = _read(network, inputs)
    asked = isinstance(given, Tensor) and given.requires_grad
    asked = asked or any(weight.requires_grad for weight in network.parameters())
    learn = network.training and bool(network.norms)
    if learn or (asked and torch.is_grad_enabled()):
        return simulate(network, _tensor(network, given), tuple(record), learn)
    return _fast(network, given, tuple(record))


def _fast(network: Network, given: Tensor | Input, record: tuple[str, ...]) -> Activity:
    """Without gradients, by the engine that is fast where the weights are, if it computes such a
    network.
    """
    device = network.projections[0].weight.device
    engine = CpuEngine() if device.type == "cpu" else CudaEngine()
    try:
        engine.check(network)
    except ValueError:
        with torch.no_grad():
            return simulate(network, _tensor(network, given), record)
    if isinstance(given, Tensor):
        values = given.detach().cpu().numpy().swapaxes(0, 1)
        given = Frames(np.ascontiguousarray(values), currents=True)
    return engine.simulate(network, given, record)


def _read(network: Network, inputs: Any) -> Tensor | Input:
    """A tensor [T, B, *input shape], or an input of fdi.data.inputs of that shape."""
    shape = network.input_shape
    if isinstance(inputs, Events | Frames | Constant):
        if prod(inputs.shape) != prod(shape):
            raise Mistake(f"an input of {inputs.shape}; this network sees {shape}")
        return inputs
    if isinstance(inputs, list):
        return _binned(network, inputs)
    x = inputs if isinstance(inputs, Tensor) else torch.from_numpy(np.asarray(inputs))
    if x.ndim < 3 or tuple(x.shape[2:]) != shape or not x.numel():
        wanted = ", ".join(map(str, ("T", "B", *shape)))
        raise Mistake(f"an input of {tuple(x.shape)}; it must be [{wanted}], time first")
    if x.is_complex():
        raise Mistake("a complex input; it must be real")
    return x


def _binned(network: Network, recordings: list[Any]) -> Events:
    """(times in s, units) of each sample, until the last spike."""
    try:
        pairs = [(np.asarray(t, np.float64), np.asarray(u, np.int64)) for t, u in recordings]
    except (TypeError, ValueError) as error:
        raise Mistake(
            f"a list must hold (times in s, units) of each sample ({error}); write dense input as "
            f"an array"
        ) from None
    last = max((float(t.max(initial=0)) for t, _ in pairs), default=0.0)
    for number, (t, u) in enumerate(pairs):
        size = prod(network.input_shape)
        if t.shape != u.shape or t.ndim != 1 or not (np.isfinite(t) & (t >= 0)).all():
            raise Mistake(f"sample {number}: times must be seconds from 0 on, one for each unit")
        if len(u) and not 0 <= u.min() <= u.max() < size:
            raise Mistake(f"sample {number}: units must lie in 0..{size - 1}")
    steps = int(np.floor(last / network.dt + 1e-6)) + 1
    return bin_recordings(iter(pairs), steps, network.dt, network.input_shape, "binary")


def _tensor(network: Network, given: Tensor | Input) -> Tensor:
    """[T, B, *input shape] with the device and precision of the weights."""
    if isinstance(given, Tensor):
        return given.to(network.projections[0].weight)
    return dense(network, given)
