"""A network is called: any form of input in, the activity of a whole trial out, differentiable as
any function of torch.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.func import functional_call

from fdi.config import Mistake
from fdi.data.inputs import Constant, Events, Frames, Input, bin_recordings
from fdi.engine.cpu.engine import CpuEngine, by_population
from fdi.engine.device import dense_input
from fdi.engine.reference.simulation import simulate
from fdi.snn.network import Activity, Network
from fdi.snn.objective import READOUTS, REDUCTIONS

RECORDS = ("spikes", "potentials", "free", "moments")


def call(
    network: Network, inputs: Any, record: Sequence[str] = (), readout: str | None = None,
    counts: bool = True,
) -> Activity:  # fmt: skip
    """See `fdi.snn.network.Network.activity`; without spike counts unless somebody wants them."""
    if unknown := set(record) - set(RECORDS):
        raise Mistake(f"record has {min(unknown)}; choose from {', '.join(RECORDS)}")
    if readout not in (None, *READOUTS):
        raise Mistake(f"readout = {readout!r} is unknown; choose one of {', '.join(READOUTS)}")
    given, record = _read(network, inputs), tuple(record)
    weights = _weights(network)
    leaves = [*weights.values(), *([given] if isinstance(given, Tensor) else [])]
    graded = torch.is_grad_enabled() and any(leaf.requires_grad for leaf in leaves)
    learn = network.training and bool(network.norms or network.dropout)
    options: dict[str, Any] = dict(record=record, learn=learn, readout=readout)
    outputs = None
    if _plain(leaves) and leaves[0].device.type == "cpu":
        outputs = _compiled(network, given, weights, graded, counts=counts, **options)
    return outputs or _simulated(network, given, **options)


def _simulated(
    network: Network,
    given: Tensor | Input,
    record: tuple[str, ...],
    learn: bool,
    readout: str | None,
) -> Activity:
    """By the reference engine."""
    return _read_out(simulate(network, _tensor(network, given), record, learn), readout)


def _read_out(activity: Activity, readout: str | None) -> Activity:
    """With the readout over time."""
    if readout is None:
        return activity
    return replace(activity, readout=REDUCTIONS[readout](activity.readout))


def _plain(tensors: list[Tensor]) -> bool:
    """Whether they are numbers, not what `torch.func`, `torch.jit.trace` or a compiler gives."""
    if torch.jit.is_tracing() or torch.compiler.is_compiling():
        return False
    try:
        return all(x.untyped_storage() is not None for x in tensors)
    except NotImplementedError:
        return False


def _computes(engine: CpuEngine, network: Network) -> bool:
    try:
        engine.check(network)
    except ValueError:
        return False
    return True


@cache
def _engine(threads: int) -> CpuEngine:
    return CpuEngine(threads)


os.register_at_fork(after_in_child=_engine.cache_clear)  # threads are not copied


def _compiled(
    network: Network, given: Tensor | Input, weights: dict[str, Tensor], graded: bool,
    counts: bool, **options: Any,
) -> Activity | None:  # fmt: skip
    """By the compiled engine; None if it does not compute this. If nothing can be compiled, says so
    once.
    """
    if _FAILED or not {"spikes", "potentials"}.issuperset(options["record"]):
        return None
    from numba.core.errors import NumbaError

    precisions = {weight.dtype for weight in weights.values()}
    engine = _engine(torch.get_num_threads())
    if len(precisions) > 1 or not precisions <= PRECISIONS or not _computes(engine, network):
        return None
    x = None
    if isinstance(given, Tensor):
        x = given if given.dtype in (torch.bool, torch.uint8) else _tensor(network, given)
        given = _frames(x)
    whole = graded and x is not None and x.requires_grad
    if whole and any(p.convolutional for p in network.projections):
        return None
    try:
        if not graded:
            trial = engine.trial(network, given, gradual=False, counts=counts, **options)
            return by_population(network, *trial.outputs())
        wanted = tuple(weights), dict(whole=whole, counts=counts), options, x, *weights.values()
        return by_population(network, *_Trial.apply(engine, network, given, *wanted))
    except NumbaError as error:
        _FAILED.append(error)
        line = str(error).strip().partition("\n")[0]
        what = f"the compiled engine cannot be compiled here ({line}); networks are computed by "
        warnings.warn(what + "the reference engine, which is slower", stacklevel=2)
        return None


_FAILED: list[Exception] = []
PRECISIONS = {torch.float32, torch.float64}


def _frames(x: Tensor) -> Frames:
    return Frames(x.detach().cpu().numpy().swapaxes(0, 1), currents=True)


def _weights(network: Network) -> dict[str, Tensor]:
    """What is learned, by name; a weight that two projections share has two."""
    return dict(network.named_parameters(remove_duplicate=False))


class _Trial(Function):
    """What a trial `outputs` by the compiled engine, forward and backward. The gradient of a
    gradient is that of the reference engine.
    """

    @staticmethod
    def forward(
        ctx: Any, engine: CpuEngine, network: Network, given: Input, names: tuple[str, ...],
        how: Any, options: Any, x: Tensor | None, *weights: Tensor,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        ctx.engine, ctx.network, ctx.names, ctx.options = engine, network, names, options
        ctx.given = given if x is None else None
        ctx.batch = engine.trial(network, given, **how, **options)
        ctx.save_for_backward(x, *weights)
        ctx.set_materialize_grads(False)
        return ctx.batch.outputs()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        x, *weights = ctx.saved_tensors
        none = (None,) * 6
        if torch.is_grad_enabled() or not _plain([d for d in gradients if d is not None]):
            return *none, *_differentiable(ctx, x, weights, gradients)
        given = [None if d is None else d.contiguous().numpy() for d in gradients]
        batch = ctx.engine.differentiate(ctx.batch, *given)
        by_name = {each.name: each.value for each in batch.gradients()}
        d_x = None
        if ctx.needs_input_grad[6]:
            d_x = batch.value_gradient().transpose(0, 1).reshape(x.shape)
        wanted = zip(ctx.names, ctx.needs_input_grad[7:])
        return *none, d_x, *(by_name.get(name) if asked else None for name, asked in wanted)


class _Simulated(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, given: Any, **options: Any) -> tuple[Any, ...]:
        """As the outputs of a trial."""
        a = _simulated(self.network, given, **options)
        by_name = (each.values() for each in (a.counts, a.spikes, a.potentials))
        return a.readout, *(
            torch.cat([x.flatten(axis) for x in found], axis) if found else None
            for axis, found in zip((1, 2, 2), by_name)
        )


@torch.enable_grad()
def _differentiable(
    ctx: Any, x: Tensor | None, weights: list[Tensor], gradients: tuple[Tensor | None, ...]
) -> Iterator[Tensor | None]:
    """The gradients of x and of the weights, by the reference engine, to be differentiated."""
    state = dict(zip(ctx.names, weights))
    state |= {name: x.clone() for name, x in ctx.network.named_buffers()}
    state = {f"network.{name}": x for name, x in state.items()}
    given = ctx.given if x is None else x
    outputs = functional_call(_Simulated(ctx.network), state, (given,), ctx.options)
    pairs = [(y, d) for y, d in zip(outputs, gradients) if d is not None]
    wanted = [w for w in (x, *weights) if w is not None and w.requires_grad]
    outputs, gradients = zip(*pairs)
    slopes = iter(
        torch.autograd.grad(outputs, wanted, gradients, create_graph=True, allow_unused=True)
    )
    return (next(slopes) if w is not None and w.requires_grad else None for w in (x, *weights))


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
    return dense_input(network, given)
