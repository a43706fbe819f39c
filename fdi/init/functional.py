"""Fluctuation-driven initialization of any weight tensor, as in torch.nn.init: in place, without
gradient.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from fdi.config import Mistake
from fdi.config.parts import LONGEST_TAU, wrong_tau
from fdi.init.theory import Afferent, normal_weights, psp_kernel_integrals


@torch.no_grad()
def fluctuation_driven_normal_(
    weight: Tensor,
    *,
    sigma_u: float = 1.0,
    mu_u: float = 0.0,
    nu: float,
    tau_mem: float,
    tau_syn: float,
    dt: float,
    theta: float = 1.0,
    share: float = 1.0,
    fan_in: int | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """Fill `weight` so that the potential of its target neurons has mean mu_u and spread sigma_u,
    both in units of theta.

        W ~ N(mu_w, sigma_w^2),
        mu_w = mu_u theta / (fan_in nu eps_bar),
        sigma_w^2 = share (sigma_u theta)^2 / (n nu eps_hat) - mu_w^2

    `weight`: [target, source] or [target channels, source channels, *kernel]; n is its fan-in,
    weight[0].numel().
    `nu`: rate of the source in Hz. `tau_mem`, `tau_syn`, `dt` in seconds.
    `share`: part of the variance that this projection carries; the shares of all projections onto a
    neuron add up to 1 (0.9 and 0.1 for the feed-forward and the recurrent one in the paper).
    `fan_in`: synapses of a neuron in all its projections, which have one mu_w; None: these n alone.
    Returns `weight`. Raises fdi.Mistake for a share outside (0, 1], a fan_in below n, times above 1
    s, nu dt > 1, and where sigma_w^2 <= 0. Source: Rossbroich et al. 2022.
    """
    if not 0 < share <= 1:
        raise Mistake(f"share = {share} must lie in (0, 1]; 1 for a neuron's only projection")
    if weight.ndim < 2 or not weight.numel():
        raise Mistake(
            f"a weight of shape {tuple(weight.shape)} has no fan-in; give [target, source] or a "
            f"convolution's kernels"
        )
    for symbol, tau in (("tau_mem", tau_mem), ("tau_syn", tau_syn)):
        if tau > LONGEST_TAU:
            raise Mistake(wrong_tau(symbol, tau))
    if nu * dt > 1:
        raise Mistake(
            f"nu = {nu:g} Hz is more than one spike in a step of dt = {dt:g} s; at most {1 / dt:g}"
        )
    afferent = Afferent(weight[0].numel(), nu, *psp_kernel_integrals(tau_mem, tau_syn, dt))
    fraction = afferent.n / (fan_in or afferent.n)
    if fraction > 1:
        raise Mistake(
            f"fan_in = {fan_in}, the synapses of all projections, is below {afferent.n}, those of "
            f"this one"
        )
    ((mu_w, sigma_w),) = normal_weights(
        [afferent], sigma_u=share**0.5 * sigma_u * theta, mu_u=fraction * mu_u * theta
    )
    return weight.normal_(mu_w, sigma_w, generator=generator)
