"""What arrives at the neurons of a network of another library during a run, and the potential that
it causes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.utils.hooks import RemovableHandle

from fdi.init.strategy import Unreachable
from fdi.init.theory import Response
from fdi.interop.neurons import library, over_time
from fdi.interop.wiring import Population, Weights
from fdi.snn.network import Moments


class Recording:
    """What arrives at populations, what they emit, and what `weights` hear, [T, B, ...], while it
    is entered.
    """

    def __init__(self, populations: Sequence[Population], weights: Sequence[Weights] = ()) -> None:
        self._given: dict[Any, list[Tensor]] = {key: [] for key in (*populations, *weights)}
        self._feedback: dict[Population, dict[int, Tensor]] = {p: {} for p in populations}
        self._emitted: dict[Population, list[Tensor]] = {p: [] for p in populations}
        self._hooks: list[RemovableHandle] = []

    def __enter__(self) -> Recording:
        for key, given in self._given.items():
            if isinstance(key, Population):
                self._hear(key.module, given)
                self._watch(key)
            elif key.attribute == "weight":
                for layer in key.layers:
                    self._hear(layer, given)
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def current(self, population: Population) -> Tensor:
        """Raises Unreachable if the neuron was not called."""
        calls, neuron = self._given[population], cast(Any, population.module)
        if not calls:
            raise Unreachable(
                f"{population.label} is not called when the batch is simulated; check `simulate`"
            )
        current = _over_time(calls, neuron)
        if feedback := self._feedback[population]:
            current = current + _over_time(list(feedback.values()), neuron)
        if hasattr(neuron, "recurrent_weights"):  # of Norse, which keeps all weights inside
            before = self.spikes(population).roll(1, 0)
            before[0] = 0
            inside = (neuron.input_weights, neuron.recurrent_weights)
            into, within = (weight.detach().float().cpu() for weight in inside)
            current = linear(current, into) + linear(before, within)
        return current

    def spikes(self, population: Population) -> Tensor:
        return _over_time(self._emitted[population], population.module)

    def heard(self, weights: Weights, target: Population, like: Tensor) -> Tensor | None:
        """The input of weights onto a neuron that hears `like`, [T, B, ...]; None if it does not
        show which of its numbers belong to which step.
        """
        if weights in target.own:
            return None if weights.inside else _over_time(self._given[target], target.module)
        calls, steps, batch = self._given[weights], *like.shape[:2]
        axis = over_time(target.module)
        if axis is None:
            return torch.stack(calls) if len(calls) == steps else None
        order = (steps, batch) if axis == 0 else (batch, steps)
        x = torch.cat(calls, axis)
        if x.shape[:2] != order:
            if len(x) != steps * batch:
                return None
            x = x.unflatten(0, order)
        return x.swapaxes(0, axis)

    def _hear(self, module: nn.Module, given: list[Tensor]) -> None:
        def enter(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            x = args[0] if args else next(iter(kwargs.values()))
            given.append(x.detach().float().cpu())

        self._hooks.append(module.register_forward_pre_hook(enter, with_kwargs=True))

    def _watch(self, population: Population) -> None:
        given, module = self._given[population], population.module

        def leave(_: nn.Module, args: Any, out: Any) -> None:
            emitted = out[0] if isinstance(out, tuple) else out
            self._emitted[population].append(emitted.detach().float().cpu())

        def fed_back(_: nn.Module, args: Any, out: Tensor) -> None:
            # in each step once: snnTorch asks for it more than once
            self._feedback[population][len(given)] = out.detach().float().cpu()

        self._hooks.append(module.register_forward_hook(leave))
        if isinstance(recurrent := getattr(module, "recurrent", None), nn.Module):
            self._hooks.append(recurrent.register_forward_hook(fed_back))


AT_ONCE = 2**21  # numbers that are transformed at once


def moments(current: Tensor, neuron: Response, neurons: Sequence[Response] = ()) -> Moments:
    """Of U = k * I without reset, for I [T, B, *shape]; `neurons`: each unit's own, where they
    differ.
    """
    kernels = [torch.from_numpy(each.kernel[: len(current)]) for each in neurons or [neuron]]
    k = torch.nn.utils.rnn.pad_sequence(kernels).unsqueeze(1)  # [T, 1, units]
    size = 2 ** (len(current) + len(k) - 2).bit_length()
    spectrum = torch.fft.rfft(k, size, dim=0)
    means, variances = [], []
    flat = current.double().flatten(2) if current.ndim > 2 else current.double()[..., None]
    for part in flat.split(max(1, AT_ONCE // flat[:, 0].numel()), 1):
        u = torch.fft.irfft(torch.fft.rfft(part, size, dim=0) * spectrum, size, dim=0)
        u = u[: len(current)]
        means.append(u.mean(0))
        variances.append(u.var(0, correction=0))
    shape = current.shape[2:]
    mean, temporal = torch.cat(means), torch.cat(variances)
    found = (mean.mean(0), temporal.mean(0), mean.var(0, correction=0))
    free = [each.reshape(shape) for each in found]
    return Moments(*[torch.full_like(free[0], torch.nan)] * 3, *free)


def _over_time(calls: list[Tensor], neuron: Any) -> Tensor:
    """[T, ...] from calls with a step each, or with many."""
    axis = over_time(neuron) if library(neuron) else (0 if len(calls) == 1 else None)
    if axis is None:
        return torch.stack(calls)
    if hasattr(neuron, "num_timesteps"):  # of Sinabs: batch and time in one axis
        calls = [c.unflatten(0, (neuron.batch_size, neuron.num_timesteps)) for c in calls]
    return torch.cat([c.swapaxes(0, axis) for c in calls])
