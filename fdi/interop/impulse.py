"""What one input spike does to a neuron of snnTorch, Norse, SpikingJelly or Sinabs, measured on the
neuron itself.

The libraries differ in their discretization, in whether a synapse filters the input, and in whether
the leak scales it. Instead of one formula for each model, a copy of the neuron gets a single tiny
impulse, far below threshold where it is linear, and its potential is read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from fdi.interop.neurons import Twin, Unmeasurable, twin_of

_IMPULSE = 1e-6
_TAIL = 1e-5
_BLOCK = 100
_MAX_STEPS = 5000


@dataclass(frozen=True)
class Response:
    """The PSP (`kernel`, one value per step, mean over neurons), its integrals eps_bar and eps_hat
    (s), distance theta of the threshold from rest, and, where readable, time constants (s).
    """

    eps_bar: float
    eps_hat: float
    theta: float
    tau_mem: float | None
    tau_syn: float | None
    kernel: np.ndarray


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
        raise ValueError(
            f"{type(neuron).__name__} integrates with dt = {own_dt} s, not dt = {dt} s; build it "
            f"with dt={dt}"
        )
    try:
        twin = twin_of(neuron, dt)
        kernel, rest = _impulse_response(twin)
    except (AttributeError, RuntimeError, TypeError) as error:
        raise Unmeasurable(f"cannot be driven step by step ({error})") from error
    theta = twin.threshold - rest
    if not theta > 0:
        raise Unmeasurable(
            f"threshold {twin.threshold:.3g} is not above the potential at rest {rest:.3g}"
        )
    eps_bar, eps_hat = (float(powers.sum(0).mean()) * dt for powers in (kernel, kernel.square()))
    if not (0 < eps_bar < math.inf and 0 < eps_hat < math.inf):
        raise Unmeasurable(
            f"response with the integrals eps_bar = {eps_bar:.3g} s, eps_hat = {eps_hat:.3g} s"
        )
    mean = kernel.mean(1).cpu().numpy()
    return Response(eps_bar, eps_hat, theta, twin.tau_mem, twin.tau_syn, mean)


def _impulse_response(twin: Twin) -> tuple[Tensor, float]:
    """The kernel [T, neurons] and the potential at rest; the batch is one neuron without and one
    with the impulse.
    """
    pair = (
        torch.tensor([0.0, _IMPULSE], dtype=torch.float64)
        .reshape(2, *(1,) * len(twin.shape))
        .expand(2, *twin.shape)
    )
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
