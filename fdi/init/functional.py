"""Fluctuation-driven initialization of any weight tensor, as in torch.nn.init: in place, without
gradient.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from fdi.config import Mistake
from fdi.config.parts import LONGEST_TAU, seconds
from fdi.init.theory import (
    Afferent,
    dale_exponential,
    dale_lognormal,
    normal_weights,
    psp_kernel_integrals,
)


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
    afferent = _afferent(weight, nu, tau_mem, tau_syn, dt)
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


@torch.no_grad()
def fluctuation_driven_exponential_(
    ff: Tensor,
    inh: Tensor,
    rec: Tensor | None = None,
    *,
    sigma_u: float = 1.0,
    nu: float,
    tau_mem: float,
    tau_exc: float,
    tau_inh: float,
    dt: float,
    theta: float = 1.0,
    alpha: float = 0.9,
    generator: Generator | None = None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Fill the afferent weights of one population that obeys Dale's law: mean potential 0, spread
    sigma_u in units of theta.

        W ~ Exp(lambda) >= 0

    with the rates lambda of `fdi.init.theory.dale_exponential`; the network subtracts the
    inhibitory input.
    `ff`, `rec`: excitation from below and from the same layer through synapses of time constant
    tau_exc; `inh`: inhibition, tau_inh. Each [target, source] or [target channels, source channels,
    *kernel]. `nu`: rate of the sources in Hz. Times in seconds.
    `alpha`: share of the excitatory variance that `ff` carries if there is `rec`. Returns (ff, inh,
    rec). A network has two such populations a layer, its excitatory and its inhibitory neurons.
    Raises fdi.Mistake like the theory. Source: Rossbroich et al. 2022.
    """
    afferents = _dale_afferents(ff, inh, rec, nu, (tau_mem, tau_exc, tau_inh), dt)
    lambdas = dale_exponential(*afferents, sigma_u=sigma_u * theta, alpha=alpha)
    for weight, rate in zip((ff, inh, rec), lambdas):
        if weight is not None and rate is not None:
            weight.exponential_(rate, generator=generator)
    return ff, inh, rec


@torch.no_grad()
def fluctuation_driven_lognormal_(
    ff: Tensor,
    inh: Tensor,
    rec: Tensor | None = None,
    *,
    sigma_u: float = 1.0,
    nu: float,
    tau_mem: float,
    tau_exc: float,
    tau_inh: float,
    dt: float,
    theta: float = 1.0,
    alpha: float = 0.9,
    generator: Generator | None = None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """`fluctuation_driven_exponential_` with log-normal weights.

        W ~ LogNormal(m, 1) > 0

    with the locations m of `fdi.init.theory.dale_lognormal`; the network subtracts the inhibitory
    input. Source: derived here from the conditions in Rossbroich et al. 2022.
    """
    afferents = _dale_afferents(ff, inh, rec, nu, (tau_mem, tau_exc, tau_inh), dt)
    locations = dale_lognormal(*afferents, sigma_u=sigma_u * theta, alpha=alpha)
    for weight, location in zip((ff, inh, rec), locations):
        if weight is not None and location is not None:
            weight.log_normal_(location, 1.0, generator=generator)
    return ff, inh, rec


def _afferent(weight: Tensor, nu: float, tau_mem: float, tau_syn: float, dt: float) -> Afferent:
    if weight.ndim < 2 or not weight.numel():
        raise Mistake(
            f"a weight of shape {tuple(weight.shape)} has no fan-in; give [target, source] or a "
            f"convolution's kernels"
        )
    for symbol, tau in (("tau_mem", tau_mem), ("tau_syn", tau_syn)):
        if tau > LONGEST_TAU:
            raise Mistake(seconds(symbol, tau))
    if nu * dt > 1:
        raise Mistake(
            f"nu = {nu:g} Hz is more than one spike in a step of dt = {dt:g} s; at most {1 / dt:g}"
        )
    return Afferent(weight[0].numel(), nu, *psp_kernel_integrals(tau_mem, tau_syn, dt))


def _dale_afferents(
    ff: Tensor, inh: Tensor, rec: Tensor | None, nu: float, taus: tuple[float, ...], dt: float
) -> tuple[Afferent, Afferent, Afferent | None]:
    """`taus`: of the membrane and of the synapses of excitation and inhibition."""
    tau_mem, tau_exc, tau_inh = taus
    return (
        _afferent(ff, nu, tau_mem, tau_exc, dt),
        _afferent(inh, nu, tau_mem, tau_inh, dt),
        None if rec is None else _afferent(rec, nu, tau_mem, tau_exc, dt),
    )
