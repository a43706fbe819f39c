"""Neurons of snnTorch, Norse, SpikingJelly and Sinabs: which library they are from, and how a copy
is driven step by step. None of the libraries is imported here: the module and the name of a base
class tell.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

_NEURON_BASES = {
    "snntorch": ("LIF",),
    "norse": ("SNNCell", "SNNRecurrentCell", "SNN", "SNNRecurrent"),
    "spikingjelly": ("BaseNode", "SimpleBaseNode"),
    "sinabs": ("LIF", "ALIF"),
}


class Twin(NamedTuple):
    """A copy of a neuron that can be driven: `threshold`, time constants (s) where they can be
    read, `shape` of the neurons with constants of their own, and `step`, which takes the input of a
    time step and returns the potential after it, both [batch, *shape].
    """

    threshold: float
    tau_mem: float | None
    tau_syn: float | None
    shape: tuple[int, ...]
    step: Callable[[Tensor], Tensor]


class Unmeasurable(ValueError):
    """A neuron has no threshold, or no response with the integrals that the theory needs."""


def library(module: nn.Module) -> str | None:
    """Name of the library if `module` is one of its neurons."""
    for base in type(module).__mro__:
        root = base.__module__.partition(".")[0]
        if base.__name__ in _NEURON_BASES.get(root, ()):
            return root
    return None


def twin_of(neuron: nn.Module, dt: float) -> Twin:
    """A copy of one of their neurons; resets its state. Raises Unmeasurable for one that does not
    spike or cannot be driven.
    """
    return _TWINS[library(neuron) or ""](neuron, dt)


def _snntorch(neuron: Any, dt: float) -> Twin:
    neuron.reset_mem()
    twin = copy.deepcopy(neuron).cpu().double()
    twin.init_hidden = True
    twin.recurrent = nn.Identity()
    alpha = getattr(twin, "alpha", None)
    constants = [twin.beta, twin.threshold] + ([] if alpha is None else [alpha])
    shape = tuple(torch.broadcast_shapes((1,), *(constant.shape for constant in constants)))

    def step(x: Tensor) -> Tensor:
        twin(x)
        return twin.mem

    tau_syn = None if alpha is None else _mean(-dt / alpha.log())
    return Twin(_mean(twin.threshold), _mean(-dt / twin.beta.log()), tau_syn, shape, step)


def _norse(neuron: Any, dt: float) -> Twin:
    parameters = getattr(neuron.p, "lif", neuron.p)
    if not hasattr(parameters, "v_th"):
        raise Unmeasurable("has no threshold")
    device = torch.as_tensor(parameters.v_th).device
    twin = copy.deepcopy(neuron)
    twin.record_states = False
    if hasattr(twin, "input_weights"):
        twin.hidden_size = 1
        twin.input_weights = nn.Parameter(torch.ones(1, 1, dtype=torch.float64, device=device))
        twin.recurrent_weights = nn.Parameter(torch.zeros(1, 1, dtype=torch.float64, device=device))
    over_time = not any(
        base.__name__ in ("SNNCell", "SNNRecurrentCell") for base in type(twin).__mro__
    )
    state = None

    def step(x: Tensor) -> Tensor:
        nonlocal state
        _, state = twin((x[None] if over_time else x).to(device), state)
        return getattr(state, "lif", state).v

    tau_mem, tau_syn = (
        1 / _mean(getattr(parameters, inverse)) if hasattr(parameters, inverse) else None
        for inverse in ("tau_mem_inv", "tau_syn_inv")
    )
    return Twin(_mean(parameters.v_th), tau_mem, tau_syn, (1,), step)


def _spikingjelly(neuron: Any, dt: float) -> Twin:
    neuron.reset()
    twin = copy.deepcopy(neuron).cpu().double()
    if "s" not in twin.supported_step_mode():
        raise Unmeasurable("cannot be driven step by step (it has no single-step mode)")
    twin.step_mode = "s"
    twin.store_v_seq = False

    def step(x: Tensor) -> Tensor:
        twin(x)
        return twin.v

    tau_mem = _mean(twin.tau) * dt if hasattr(twin, "tau") else None
    return Twin(_mean(twin.v_threshold), tau_mem, None, (1,), step)


def _sinabs(neuron: Any, dt: float) -> Twin:
    if neuron.spike_fn is None:
        raise Unmeasurable("has no threshold")
    if hasattr(neuron, "rec_connect"):
        raise Unmeasurable("its recurrent weights are not known here")
    neuron.reset_states()
    twin = copy.deepcopy(neuron).cpu().double()
    twin.record_states = False
    squeezed = hasattr(twin, "num_timesteps")  # takes batch and time as one axis

    def step(x: Tensor) -> Tensor:
        twin(x if squeezed else x[:, None])
        return twin.v_mem

    if squeezed:
        twin.batch_size, twin.num_timesteps = 2, 1
    tau_mem, tau_syn = (
        None if tau is None else _mean(tau) * dt for tau in (twin.tau_mem, twin.tau_syn)
    )
    return Twin(_mean(twin.spike_threshold), tau_mem, tau_syn, (1,), step)


def _mean(value: Tensor | float) -> float:
    return float(torch.as_tensor(value).double().mean())


_TWINS = {
    "snntorch": _snntorch,
    "norse": _norse,
    "spikingjelly": _spikingjelly,
    "sinabs": _sinabs,
}
