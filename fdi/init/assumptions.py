"""What the theory assumes of a neuron: that its potential is the filtered input, from which spikes
and adaptation take nothing off.
"""

from __future__ import annotations

import math

from fdi.snn.neuron import ALIF, AdaptiveThreshold, AdLIF, Neuron

SHIFT = 0.25
"""Of the threshold: how far reset and adaptation may lower the mean potential."""


def shift(neuron: Neuron, rate: float, dt: float) -> dict[str, float]:
    """By how much, in units of theta, the mean potential lies below the theory at `rate` Hz,
    in linear approximation.

        subtractive reset:  nu dt beta_m / (1 - beta_m)
        alif:  a nu dt / ((1 - beta_a) theta)
        adlif:  a / (1 + a) of the potential at threshold, and b nu dt / ((1 - beta_w) theta)
        adaptive_threshold:  b nu dt / ((1 - beta_a) theta), by which the threshold rises
    """
    spikes, shares = rate * dt, {}
    if neuron.reset == "subtract":
        shares["subtractive reset"] = spikes / math.expm1(dt / neuron.tau_mem)
    if isinstance(neuron, ALIF):
        pull = neuron.a * spikes / -math.expm1(-dt / neuron.tau_ada)
        shares["adaptation"] = pull / neuron.theta
    if isinstance(neuron, AdLIF):
        pull = neuron.b * spikes / -math.expm1(-dt / neuron.tau_w)
        shares["adaptation"] = abs(neuron.a / (1 + neuron.a)) + pull / neuron.theta
    if isinstance(neuron, AdaptiveThreshold):
        rise = neuron.b * spikes / -math.expm1(-dt / neuron.tau_ada)
        shares["the rise of the threshold"] = rise / neuron.theta
    return shares


def warning(name: str, neuron: Neuron, rate: float, dt: float) -> str | None:
    """A sentence if the theory does not hold for population `name` at this rate, else nothing."""
    large = {what: by for what, by in shift(neuron, rate, dt).items() if by > SHIFT}
    if not large:
        return None
    terms = " and ".join(f"{what} ({by:.2g} theta)" for what, by in large.items())
    return (
        f"{name}: the theory leaves out what {terms} takes off the mean at {rate:.3g} Hz; "
        f"trust the measured columns"
    )
