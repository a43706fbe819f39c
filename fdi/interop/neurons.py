"""Neurons of snnTorch, Norse, SpikingJelly and Sinabs, and what one input spike does to them,
measured on the neuron itself.

The libraries differ in their discretization, in whether a synapse filters the input, and in whether
the leak scales it. Instead of one formula for each model, a copy of the neuron gets a single tiny
impulse, far below threshold where it is linear, and its potential is read. None of the libraries is
imported here: the module and the name of a base class tell.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from fdi.config import Mistake
from fdi.init.theory import Response

LIBRARIES = "snnTorch, Norse, SpikingJelly or Sinabs"
_IMPULSE = 1e-6
_TAIL = 1e-5
_BLOCK = 100
_MAX_STEPS = 5000

_NEURON_BASES = {
    "snntorch": ("LIF",),
    "norse": ("SNNCell", "SNNRecurrentCell", "SNN", "SNNRecurrent"),
    "spikingjelly": ("BaseNode", "SimpleBaseNode"),
    "sinabs": ("LIF", "ALIF"),
}

_OTHER_NEURONS = (  # where others are defined, or what they inherit from
    "snntorch._neurons",
    "spikingjelly.activation_based.neuron",
    "norse.torch.module.coba_lif",
    "norse.torch.module.lif_correlation",
    "sinabs.layers.stateful_layer",
)


Step = Callable[[Tensor], Tensor]


class Twin(NamedTuple):
    """A copy of a neuron that can be driven: `threshold`, `tau_mem` (s) where it can be read,
    `shape` of the neurons with constants of their own, and `step`, which takes the input of a
    time step and returns the potential after it, both [batch, *shape].
    """

    threshold: float
    tau_mem: float | None
    shape: tuple[int, ...]
    step: Step


class Unmeasurable(Mistake):
    """A neuron has no threshold, or no response with the integrals that the theory needs."""


class NotSpiking(Unmeasurable):
    """A neuron has no threshold, like that of a readout."""


def library(module: nn.Module) -> str | None:
    """Name of the library if `module` is one of its neurons."""
    for base in type(module).__mro__:
        root = base.__module__.partition(".")[0]
        if base.__name__ in _NEURON_BASES.get(root, ()):
            return root
    return None


def is_neuron(module: nn.Module) -> bool:
    """Whether it is a neuron of these libraries, also one that is not measured."""
    return bool(library(module)) or any(
        f"{base.__module__}.".startswith(f"{package}.")
        for base in type(module).__mro__
        for package in _OTHER_NEURONS
    )


def over_time(neuron: nn.Module) -> int | None:
    """Which axis of the input of a call is time; None if a call is one step."""
    bases = {base.__name__ for base in type(neuron).__mro__}
    return {
        "snntorch": None,
        "norse": None if bases & {"SNNCell", "SNNRecurrentCell"} else 0,
        "spikingjelly": 0 if getattr(neuron, "step_mode", "s") == "m" else None,
        "sinabs": 1,
    }[library(neuron) or ""]


def dimensions(neuron: Any) -> int:
    """How many axes of the input of a call are time and batch."""
    many = library(neuron) and over_time(neuron) is not None
    return 2 if many and not hasattr(neuron, "num_timesteps") else 1


def bring_to_rest(neuron: Any) -> None:
    """Bring the state that it keeps to rest."""
    for name in ("reset_mem", "reset_states", "reset"):
        if callable(rest := getattr(neuron, name, None)):
            rest()
            return


def _driven(neuron: Any, potential: str, **settings: Any) -> tuple[Any, Step]:
    """A copy at rest with these settings, and its step, `forward` without hooks of others."""
    bring_to_rest(neuron)
    twin = copy.deepcopy(neuron).cpu().double()
    for name, value in settings.items():
        setattr(twin, name, value)

    def step(x: Tensor) -> Tensor:
        twin.forward(x)
        found: Tensor = getattr(twin, potential)
        return found

    return twin, step


def _snntorch(neuron: Any, dt: float) -> Twin:
    twin, step = _driven(neuron, "mem", init_hidden=True, recurrent=nn.Identity())
    alpha = getattr(twin, "alpha", None)
    constants = [twin.beta, twin.threshold] + ([] if alpha is None else [alpha])
    shape = tuple(torch.broadcast_shapes((1,), *(constant.shape for constant in constants)))
    return Twin(_mean(twin.threshold), _mean(-dt / twin.beta.log()), shape, step)


def _norse(neuron: Any, dt: float) -> Twin:
    parameters = getattr(neuron.p, "lif", neuron.p)
    if not hasattr(parameters, "v_th"):
        raise NotSpiking("has no threshold")
    device = torch.as_tensor(parameters.v_th).device
    twin = copy.deepcopy(neuron)
    twin.record_states = False
    if hasattr(twin, "input_weights"):
        twin.hidden_size = 1
        twin.input_weights = nn.Parameter(torch.ones(1, 1, dtype=torch.float64, device=device))
        twin.recurrent_weights = nn.Parameter(torch.zeros(1, 1, dtype=torch.float64, device=device))
    whole = over_time(neuron) is not None
    state = None

    def step(x: Tensor) -> Tensor:
        nonlocal state
        _, state = twin.forward((x[None] if whole else x).to(device), state)
        return getattr(state, "lif", state).v

    inverse = getattr(parameters, "tau_mem_inv", None)
    tau_mem = None if inverse is None else 1 / _mean(inverse)
    return Twin(_mean(parameters.v_th), tau_mem, (1,), step)


def _spikingjelly(neuron: Any, dt: float) -> Twin:
    if "s" not in neuron.supported_step_mode():
        raise Unmeasurable("cannot be driven step by step (it has no single-step mode)")
    twin, step = _driven(neuron, "v", step_mode="s", store_v_seq=False)
    tau_mem = _mean(twin.tau) * dt if hasattr(twin, "tau") else None
    return Twin(_mean(twin.v_threshold), tau_mem, (1,), step)


def _sinabs(neuron: Any, dt: float) -> Twin:
    if neuron.spike_fn is None:
        raise NotSpiking("has no threshold")
    if hasattr(neuron, "rec_connect"):
        raise Unmeasurable("its recurrent weights are not known here")
    squeezed = hasattr(neuron, "num_timesteps")  # takes batch and time as one axis
    pair = dict(batch_size=2, num_timesteps=1) if squeezed else {}
    twin, step = _driven(neuron, "v_mem", record_states=False, **pair)
    tau_mem = None if twin.tau_mem is None else _mean(twin.tau_mem) * dt
    take = step if squeezed else lambda x: step(x[:, None])
    return Twin(_mean(twin.spike_threshold), tau_mem, (1,), take)


def _mean(value: Tensor | float) -> float:
    return float(torch.as_tensor(value).double().mean())


_TWINS = {
    "snntorch": _snntorch,
    "norse": _norse,
    "spikingjelly": _spikingjelly,
    "sinabs": _sinabs,
}


@torch.no_grad()
def measure(neuron: nn.Module, dt: float) -> Response:
    """Drive a copy of `neuron` with one impulse and integrate its response.

        k[t] = (U[t] with the impulse - U[t] without) / impulse,
        eps_bar = sum_t k[t] dt,
        eps_hat = sum_t k[t]^2 dt

    until 100 steps in a row stay below 1e-5 of the peak; neurons with constants of their own are
    averaged. The state of `neuron` is reset. Raises Unmeasurable for a neuron that does not spike,
    leak or respond, and ValueError for a time step other than the neuron's own.
    """
    own_dt = getattr(neuron, "dt", dt)
    if not math.isclose(own_dt, dt):
        raise Mistake(
            f"{type(neuron).__name__} integrates with dt = {own_dt} s, not dt = {dt} s; build it "
            f"with dt={dt}"
        )
    try:
        twin = _TWINS[library(neuron) or ""](neuron, dt)
        kernel, rest = _impulse_response(twin)
    except (AttributeError, RuntimeError, TypeError) as error:
        raise Unmeasurable(f"cannot be driven step by step ({error})") from error
    theta = twin.threshold - rest
    if not theta > 0:
        raise Unmeasurable(
            f"threshold {twin.threshold:.3g} is not above the potential at rest {rest:.3g}"
        )
    columns = kernel.T.cpu().numpy()
    responses = [
        Response(float(k.sum()) * dt, float(k @ k) * dt, theta, twin.tau_mem, k) for k in columns
    ]
    eps_bar, eps_hat = (
        sum(each) / len(responses) for each in zip(*((r.eps_bar, r.eps_hat) for r in responses))
    )
    if not (0 < eps_bar < math.inf and 0 < eps_hat < math.inf):
        raise Unmeasurable(
            f"response with the integrals eps_bar = {eps_bar:.3g} s, eps_hat = {eps_hat:.3g} s"
        )
    each = tuple(responses) if len(responses) > 1 else ()
    return replace(
        responses[0], eps_bar=eps_bar, eps_hat=eps_hat, kernel=columns.mean(0), each=each
    )


def _impulse_response(twin: Twin) -> tuple[Tensor, float]:
    """The kernel [T, neurons] and the potential at rest; the batch is one neuron without and one
    with the impulse.
    """
    pair = torch.zeros(2, *twin.shape, dtype=torch.float64)
    pair[1] = _IMPULSE
    kernel: list[Tensor] = []
    for t in range(_MAX_STEPS):
        quiet, driven = twin.step(pair if t == 0 else torch.zeros_like(pair))
        kernel.append(((driven - quiet) / _IMPULSE).flatten())
        if len(kernel) % _BLOCK == 0:
            response = torch.stack(kernel)
            if response[-_BLOCK:].abs().max() <= _TAIL * response.abs().max():
                return response, float(quiet.mean())
    raise Unmeasurable(
        f"response does not decay within {_MAX_STEPS} steps: without leak the potential has no "
        f"stationary spread"
    )
