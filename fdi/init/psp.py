"""The postsynaptic potential (PSP) of one spike, and the two integrals of it that the theory
needs.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np


def psp_kernel(tau_mem: float, tau_syn: float, dt: float) -> np.ndarray:
    """Response of the membrane to one spike through a weight of 1, as the simulator computes it.

        k[t+1] = beta_m k[t] + (1 - beta_m) beta_s^t,   k[0] = 0,
        beta_m = exp(-dt / tau_mem),   beta_s = exp(-dt / tau_syn),   hence
        k[t] = (1 - beta_m) (beta_m^t - beta_s^t) / (beta_m - beta_s)

    computed without cancellation where the two decays are close. Times in seconds. Returns float64
    [T] with T = int(10 max(tau_mem, tau_syn) / dt), in units of potential. Raises ValueError for a
    time that is not positive and finite, and for a dt too long to see any response.
    Source: Rossbroich et al. 2022 and the authors' code.
    """
    for symbol, value in (("tau_mem", tau_mem), ("tau_syn", tau_syn), ("dt", dt)):
        if not (0 < value < math.inf):
            raise ValueError(f"{symbol} = {value} must be a positive, finite time in seconds")
    slow = max(tau_mem, tau_syn)
    steps = int(10 * slow / dt)
    if steps < 2:
        raise ValueError(
            f"dt = {dt} s leaves no response of tau_mem = {tau_mem} s and tau_syn = {tau_syn} s; "
            f"use a dt below {slow} s"
        )
    t = np.arange(steps)
    gap = dt * abs(1 / tau_mem - 1 / tau_syn)
    ratio = np.expm1(-gap * t) / math.expm1(-gap) if gap else t.astype(np.float64)
    return -math.expm1(-dt / tau_mem) * np.exp(-dt / slow * (t - 1)) * ratio


def psp_kernel_integrals(tau_mem: float, tau_syn: float, dt: float) -> tuple[float, float]:
    """Integrals of the PSP and of its square at the simulator's time step.

        eps_bar = sum_t k[t] dt,   eps_hat = sum_t k[t]^2 dt

    Times in seconds, both results in seconds. Raises ValueError like `psp_kernel`.
    Source: Rossbroich et al. 2022 and the authors' code, which use the discrete kernel (at dt = 2
    ms eps_hat is 22 % above its limit).
    """
    return _integrals(tau_mem, tau_syn, dt)


@lru_cache(maxsize=1024)  # of a function within: it would hide the arguments from type checkers
def _integrals(tau_mem: float, tau_syn: float, dt: float) -> tuple[float, float]:
    kernel = psp_kernel(tau_mem, tau_syn, dt)
    return float(kernel.sum() * dt), float(np.square(kernel).sum() * dt)


def constant_input_rate(mean_square: float, tau_mem: float, tau_syn: float, dt: float) -> float:
    """Rate in Hz at which Poisson spikes would spread the potential as much as a constant analogue
    input x does in its steady state.

        Var(U) = n sigma_w^2 E[x^2] / (1 - beta_s)^2 = n sigma_w^2 nu eps_hat,   hence
        nu = E[x^2] / ((1 - beta_s)^2 eps_hat)

    The spread of a constant input is over neurons and images, not over time. Source: derived here.
    """
    return mean_square / (
        math.expm1(-dt / tau_syn) ** 2 * psp_kernel_integrals(tau_mem, tau_syn, dt)[1]
    )
