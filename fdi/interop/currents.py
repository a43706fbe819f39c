"""What arrives at the neurons of a network of another library during a run, and the potential that
it causes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from scipy.signal import oaconvolve
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from fdi.init.strategy import Unreachable
from fdi.init.theory import spread, trial
from fdi.interop.neurons import Response, over_time
from fdi.interop.wiring import Population


class Recording:
    """Input currents of populations, [T, B, *shape], and, with `spikes`, what they emit, while it
    is entered.
    """

    def __init__(self, populations: Sequence[Population], spikes: bool = False) -> None:
        self._currents: dict[Population, list[Tensor]] = {p: [] for p in populations}
        self._feedback: dict[Population, dict[int, Tensor]] = {p: {} for p in populations}
        self._spikes: dict[Population, list[Tensor]] = {p: [] for p in populations}
        self._calls: dict[nn.Module, int] = {}
        self._hooks: list[RemovableHandle] = []
        self._with_spikes = spikes

    def __enter__(self) -> Recording:
        of_module: dict[nn.Module, list[Population]] = {}
        for population in self._currents:
            of_module.setdefault(population.module, []).append(population)
        for module, places in of_module.items():
            self._watch(module, places)
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def current(self, population: Population) -> np.ndarray:
        """Raises Unreachable if the neuron was not called."""
        calls = self._currents[population]
        if not calls:
            raise Unreachable(
                f"{population.name} is not called when the batch is simulated; check `simulate`"
            )
        current = _over_time(calls, population.module)
        if feedback := self._feedback[population]:
            current = current + _over_time(list(feedback.values()), population.module)
        return current

    def spikes(self, population: Population) -> np.ndarray:
        return _over_time(self._spikes[population], population.module)

    def _watch(self, module: nn.Module, places: list[Population]) -> None:
        self._calls[module] = 0

        def here() -> list[Population]:
            return [p for p in places if not p.calls or self._calls[module] in p.calls]

        def enter(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self._calls[module] += 1
            given = args[0] if args else next(iter(kwargs.values()))
            for population in here():
                self._currents[population].append(given.detach())

        def leave(_: nn.Module, args: Any, out: Any) -> None:
            for population in here():
                emitted = out[0] if isinstance(out, tuple) else out
                self._spikes[population].append(emitted.detach())

        def fed_back(_: nn.Module, args: Any, out: Tensor) -> None:
            for population in here():  # in each step once: snnTorch asks for it more than once
                self._feedback[population][self._calls[module]] = out.detach()

        self._hooks.append(module.register_forward_pre_hook(enter, with_kwargs=True))
        if self._with_spikes:
            self._hooks.append(module.register_forward_hook(leave))
        if isinstance(recurrent := getattr(module, "recurrent", None), nn.Module):
            self._hooks.append(recurrent.register_forward_hook(fed_back))


def free_potential(current: np.ndarray, response: Response) -> np.ndarray:
    """U = k * I without reset, in units of theta; [T, B, *shape]."""
    kernel = response.kernel[: len(current)].reshape(-1, *(1,) * (current.ndim - 1))
    return oaconvolve(current, kernel, axes=0)[: len(current)] / response.theta


def measured_spread(
    potential: np.ndarray, response: Response, normalized: bool, analogue: bool
) -> float:
    """See `fdi.init.theory.spread`. `analogue`: the neurons hear an analogue input."""
    means = potential.mean(0)
    of = None if normalized else trial(response.kernel, len(potential))
    over_samples = analogue and potential.ndim > 2
    return spread(means.mean(0), potential.var(0).mean(0), means.var(0), of, over_samples)


def simulated(populations: Sequence[Population], simulate: Callable[[], object]) -> Recording:
    """The currents of one run."""
    with Recording(populations) as recording:
        simulate()
    return recording


def _over_time(calls: list[Tensor], neuron: Any) -> np.ndarray:
    """[T, ...] from calls with a step each, or with many."""
    axis = over_time(neuron)
    if axis is None:
        steps = torch.stack(calls)
    elif hasattr(neuron, "num_timesteps"):  # of Sinabs: batch and time in one axis
        unflat = [c.unflatten(0, (neuron.batch_size, neuron.num_timesteps)) for c in calls]
        steps = torch.cat([c.swapaxes(0, 1) for c in unflat])
    else:
        steps = torch.cat([c.swapaxes(0, axis) for c in calls])
    return steps.float().cpu().numpy()
