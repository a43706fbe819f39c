"""From a target spread of the membrane potential to weights, and back. Plain floats: no tensors, no
networks.

The free membrane potential (no reset) of a neuron with independent Poisson inputs is shot noise. An
afferent projection of n synapses with weights W and presynaptic rate nu adds n nu eps_bar E[W] to
its mean and n nu eps_hat E[W^2] to its variance (Rossbroich et al. 2022). The variance is the one
over time, averaged over draws of the weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from fdi.config import Mistake


def time_in_seconds(symbol: str, value: Any) -> float:
    """Raises fdi.Mistake for what is none, or not positive and finite."""
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise Mistake(f"{symbol} = {value!a:.40} must be a positive, finite time in seconds")
    return seconds


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
        time_in_seconds(symbol, value)
    slow = max(tau_mem, tau_syn)
    steps = int(10 * slow / dt)
    if steps < 2:
        raise Mistake(
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


class Trial(NamedTuple):
    """What a trial of T = `steps` time steps from rest shows of the potential of a neuron with the
    response k to a spike, C[m] = sum_{j<=m} k[j] and S[m] = sum_{j<=m} k[j]^2.

        course = C / <C>                   of a constant mean, in units of its mean over the trial
        rise = <course^2> - 1              its variance over the trial
        level = <C> / C[inf]               the mean over the trial of a constant potential, and
        share = (<S> - <C^2> / T) / S[inf] the variance over it of what independent spikes cause,
                                           both in units of the steady state

    `course`: [T]; `mean`: <C>; numbers, or arrays over neurons. Exact for a constant and for
    independent spikes. Source: derived here.
    """

    course: Any
    mean: Any
    rise: Any
    level: Any
    share: Any


def trial(kernel: np.ndarray, steps: int) -> Trial:
    """`kernel`: k from the step of a spike on."""
    seen = np.pad(kernel, (0, max(0, steps - len(kernel))))[:steps]
    if not seen.any():
        raise Mistake(f"steps = {steps}: no spike reaches the membrane in them; give more")
    rising = np.cumsum(seen)
    mean, square = float(rising.mean()), float(np.square(rising).mean())
    shown = float(np.cumsum(np.square(seen)).mean()) - square / steps
    level, share = mean / float(kernel.sum()), shown / float(np.square(kernel).sum())
    return Trial(rising / mean, mean, square / mean**2 - 1, level, share)


def response(tau_mem: float, tau_syn: float, dt: float, delay: int = 2) -> np.ndarray:
    """`psp_kernel` from the step on in which a source spikes: with `delay=2` the spike arrives at
    the synapses in the next one, and at the membrane another step later.
    """
    return np.concatenate([[0.0], psp_kernel(tau_mem, tau_syn, dt)])[2 - delay :]


@dataclass(frozen=True, eq=False)
class Response:
    """A neuron as its potential after one spike through a weight of 1 shows it, in place of a
    fdi.snn.neuron.Neuron.

    `kernel`: [T] from the step of the spike on, `eps_bar` and `eps_hat` its integrals in s, `theta`
    the distance of the threshold from rest; means over neurons with constants of their own, of
    which `each` has the responses. `tau_mem` in s, None where it is not known.
    """

    eps_bar: float
    eps_hat: float
    theta: float
    tau_mem: float | None
    kernel: np.ndarray
    each: tuple[Response, ...] = ()
    spiking: bool = True
    signs: tuple[int, ...] = (1,)


def integrals(neuron: Any, channel: int, dt: float) -> tuple[float, float]:
    """eps_bar and eps_hat of a neuron in s, of its time constants or as measured."""
    if isinstance(neuron, Response):
        return neuron.eps_bar, neuron.eps_hat
    return psp_kernel_integrals(neuron.tau_mem, neuron.tau_syn[channel], dt)


def trial_of(neuron: Any, channel: int, dt: float, steps: int, delay: int) -> Trial:
    """What a trial shows of a neuron; `delay` of its network."""
    if isinstance(neuron, Response):
        return trial(neuron.kernel, steps)
    return _trial_of(neuron.tau_mem, neuron.tau_syn[channel], dt, steps, delay)


@lru_cache(maxsize=1024)
def _trial_of(tau_mem: float, tau_syn: float, dt: float, steps: int, delay: int) -> Trial:
    return trial(response(tau_mem, tau_syn, dt, delay), steps)


def scaling(neuron: Any, dt: float) -> float:
    """What the membrane scales its input by: 1 - beta_m in fdi's neurons."""
    if isinstance(neuron, Response):
        return float(neuron.kernel[np.flatnonzero(neuron.kernel)[0]])
    return -math.expm1(-dt / neuron.tau_mem)


def spread(
    mean: Any, temporal: Any, across: Any, trial: Any, analogue: bool, risen: Any = None
) -> float:
    """The spread sigma_U of the potentials U of neurons j in samples b apart from the mean of each
    neuron, which is constant but for its rise from rest; as a trial without end would show it.

        spikes:    sigma_U^2 = mean_j ((<Var_t U_jb>_b - rise mean_j^2) / share)
        analogue:  sigma_U^2 = mean_j (<Var_t U_jb>_b - rise <<U_jb>_t^2>_b + across_j / level^2)

    with mean_j = <U_jb>_tb and across_j = Var_b(<U_jb>_t). An `analogue` input may be constant in a
    trial; its spread is over time and samples. `mean`, `temporal` and `across` are arrays of numpy
    or torch over neurons, `trial` a Trial of numbers or of such arrays; None behind a
    normalization, where all is shown. `risen`: in place of rise mean_j^2.
    """
    if trial is None:
        own = temporal + across if analogue else temporal
    else:
        own = temporal - (trial.rise * mean**2 if risen is None else risen)
        if analogue:
            own = own + across * (trial.level**-2 - trial.rise)
        else:
            own = own / trial.share
    return math.sqrt(max(0.0, float(own.mean())))


@dataclass(frozen=True)
class Afferent:
    """One projection onto a neuron: fan-in n, presynaptic rate nu (Hz) and the integrals of its PSP
    eps_bar, eps_hat (s).

    `recurrent`: the source lies in the target's own layer. Raises ValueError for a rate that is not
    positive and finite.
    """

    n: int
    nu: float
    eps_bar: float
    eps_hat: float
    recurrent: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.nu < math.inf:
            advice = "estimate it from the training set"
            raise Mistake(f"rate nu = {self.nu} Hz must be positive and finite; {advice}")

    @property
    def mean_gain(self) -> float:
        """n nu eps_bar: mean of U per unit of E[W]."""
        return self.n * self.nu * self.eps_bar

    @property
    def variance_gain(self) -> float:
        """n nu eps_hat: variance of U per unit of E[W^2]."""
        return self.n * self.nu * self.eps_hat


def sigma_u_from_xi(mu_u: float, xi: float) -> float:
    """Spread that puts the threshold xi > 0 standard deviations above the mean, both in units of
    theta.

        sigma_u = (1 - mu_u) / xi,   recommended 1 <= xi <= 3

    Raises ValueError for mu_u >= 1, where it is the mean that causes the spikes. Source: Rossbroich
    et al. 2022.
    """
    if not mu_u < 1:
        raise Mistake(
            f"mu_u = {mu_u} must lie below theta = 1.0: at or above it the mean causes the "
            f"spikes, not the fluctuations"
        )
    return (1 - mu_u) / xi


def variance_shares(recurrent: Sequence[bool], alpha: float) -> list[float]:
    """Share of the variance for each of K_ff feed-forward and K_rec recurrent afferents
    (`recurrent` tells which is which).

        feed-forward: alpha / K_ff,   recurrent: (1 - alpha) / K_rec

    and 1 / K each if all are of one kind; 0 < alpha < 1. Source: Rossbroich et al. 2022.
    """
    k_rec = sum(recurrent)
    k_ff = len(recurrent) - k_rec
    if not (k_ff and k_rec):
        return [1 / len(recurrent)] * len(recurrent)
    return [(1 - alpha) / k_rec if own else alpha / k_ff for own in recurrent]


def normal_weights(
    afferents: Sequence[Afferent], *, sigma_u: float, mu_u: float = 0.0, alpha: float = 0.9
) -> list[tuple[float, float]]:
    """The (mu_w, sigma_w) of each afferent of a population whose free potential is to have mean
    mu_u and spread sigma_u.

        mu_w = mu_u / sum_j n_j nu_j eps_bar_j   (the same for all),
        sigma_w,i^2 = share_i sigma_u^2 / (n_i nu_i eps_hat_i) - mu_w^2

    with share_i from `variance_shares`. Raises ValueError where sigma_w^2 <= 0.
    Source: Rossbroich et al. 2022, there with one rate for all afferents.
    """
    _check_sigma_u(sigma_u)
    mu_w = mu_u / sum(afferent.mean_gain for afferent in afferents)
    shares = variance_shares([afferent.recurrent for afferent in afferents], alpha)
    weights = []
    for afferent, share in zip(afferents, shares):
        variance = share * sigma_u**2
        sigma_w_squared = variance / afferent.variance_gain - mu_w**2
        if not sigma_w_squared > 0:
            raise Mistake(
                f"sigma_w^2 = {sigma_w_squared:.3g} for n = {afferent.n}, nu = {afferent.nu} Hz "
                f"and mu_w = {mu_w:.3g}: the mean weight alone causes more than the wanted "
                f"variance {variance:.3g}; take mu_u closer to 0, a larger sigma_u (a smaller xi) "
                f"or more inputs"
            )
        weights.append((mu_w, math.sqrt(sigma_w_squared)))
    return weights


def dale_scales(
    ff: Afferent,
    inh: Afferent,
    rec: Afferent | None = None,
    *,
    second_moment: float,
    sigma_u: float,
    alpha: float = 0.9,
) -> tuple[float, float, float]:
    """Scales (s_ff, s_inh, s_rec) of weights W_i = s_i Z >= 0 of a population that obeys Dale's
    law, whose shape Z, with E[Z^2] = `second_moment`, is the same for the three projections:

        exponential: W_i ~ Exp(1 / s_i), 2;   log-normal: W_i ~ LogNormal(log s_i, 1), e^2

    With m_i = n_i nu_i eps_bar_i and v_i = n_i nu_i eps_hat_i, excitation and inhibition cancel,
    whatever E[Z] is (a); the spread is sigma_u (b); and feed-forward and recurrent excitation have
    shares alpha and 1 - alpha (c):

        (a) m_ff s_ff + m_rec s_rec = m_inh s_inh
        (b) E[Z^2] (v_ff s_ff^2 + v_rec s_rec^2 + v_inh s_inh^2) = sigma_u^2
        (c) v_ff s_ff^2 / (v_rec s_rec^2) = alpha / (1 - alpha)

    (c) gives s_rec / s_ff, then (a) s_inh / s_ff, then (b) s_ff; without recurrent excitation
    s_rec = 0. Source: Rossbroich et al. 2022; the log-normal one derived here from its conditions.
    """
    _check_sigma_u(sigma_u)
    if rec is None:
        rec_ratio = rec_mean = rec_variance = 0.0
    else:
        rec_ratio = math.sqrt((1 - alpha) * ff.variance_gain / (alpha * rec.variance_gain))
        rec_mean, rec_variance = rec.mean_gain, rec.variance_gain
    inh_ratio = (ff.mean_gain + rec_mean * rec_ratio) / inh.mean_gain
    variance = second_moment * (
        ff.variance_gain + rec_variance * rec_ratio**2 + inh.variance_gain * inh_ratio**2
    )
    ff_scale = sigma_u / math.sqrt(variance)
    return ff_scale, inh_ratio * ff_scale, rec_ratio * ff_scale


def _check_sigma_u(sigma_u: float) -> None:
    if not 0 < sigma_u < math.inf:
        raise Mistake(
            f"sigma_u = {sigma_u} must be positive and finite; theta / 3 to theta is recommended"
        )
