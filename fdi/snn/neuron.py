"""The neurons by the names that a configuration gives them."""

from __future__ import annotations

from typing import Any

from fdi.config.ranges import AboveMinusOne, NotNegative, Positive, TimeConstant
from fdi.snn.adaptive import ALIF, AdaptiveThreshold, AdLIF
from fdi.snn.leaky import Constants, Neuron, Reset, Surrogate
from fdi.snn.surrogate import SURROGATES, steepness

__all__ = [
    "ALIF",
    "LIF",
    "AdLIF",
    "AdaptiveThreshold",
    "Constants",
    "Neuron",
    "Reset",
    "Surrogate",
    "adaptive_threshold",
    "adlif",
    "alif",
    "integrator",
    "lif",
]


def lif(
    *,
    tau_mem: TimeConstant = 20e-3,
    tau_syn: TimeConstant = 10e-3,
    tau_shape: Positive | None = None,
    learn_tau: bool = False,
    theta: Positive = 1.0,
    reset: Reset = "zero",
    surrogate: Surrogate = "superspike",
    beta: Positive | None = None,
) -> Neuron:
    """The leaky integrate-and-fire neuron of the paper; times in seconds, `beta`: None takes the
    published steepness of the surrogate, `tau_shape`: None gives all neurons the same constants,
    `learn_tau`: training changes tau_mem.
    """
    return _made(Neuron, **locals())


def alif(
    *,
    tau_mem: TimeConstant = 20e-3,
    tau_syn: TimeConstant = 10e-3,
    tau_shape: Positive | None = None,
    learn_tau: bool = False,
    theta: Positive = 1.0,
    reset: Reset = "zero",
    surrogate: Surrogate = "superspike",
    beta: Positive | None = None,
    tau_ada: TimeConstant = 100e-3,
    a: NotNegative = 0.1,
) -> Neuron:
    """The authors' adaptive neuron, otherwise as `lif`."""
    return _made(ALIF, **locals())


def adlif(
    *,
    tau_mem: TimeConstant = 20e-3,
    tau_syn: TimeConstant = 10e-3,
    tau_shape: Positive | None = None,
    learn_tau: bool = False,
    theta: Positive = 1.0,
    reset: Reset = "subtract",
    surrogate: Surrogate = "superspike",
    beta: Positive | None = None,
    tau_w: TimeConstant = 120e-3,
    a: AboveMinusOne = 0.1,
    b: NotNegative = 0.2,
) -> Neuron:
    """The adaptive neuron of Bittar & Garner (2022), otherwise as `lif`."""
    return _made(AdLIF, **locals())


def adaptive_threshold(
    *,
    tau_mem: TimeConstant = 20e-3,
    tau_syn: TimeConstant = 10e-3,
    tau_shape: Positive | None = None,
    learn_tau: bool = False,
    theta: Positive = 1.0,
    reset: Reset = "subtract",
    surrogate: Surrogate = "triangle",
    beta: Positive | None = None,
    tau_ada: TimeConstant = 200e-3,
    b: NotNegative = 0.8,
    t_ref: NotNegative = 5e-3,
) -> Neuron:
    """The neuron of Bellec et al. (2018), otherwise as `lif`."""
    return _made(AdaptiveThreshold, **locals())


def integrator(tau_mem: float, tau_syn: float, u_init: float) -> Neuron:
    """The leaky integrator of a readout, which never spikes; times in seconds."""
    return Neuron(tau_mem, (tau_syn,), u_init=u_init, spiking=False)


def _made(
    kind: type[Neuron], *, tau_syn: float, surrogate: str, beta: float | None, **constants: Any
) -> Neuron:
    if beta is None:  # Neuron refuses the surrogates that are unknown
        beta = steepness(surrogate) if surrogate in SURROGATES else 1.0
    return kind(tau_syn=(tau_syn,), surrogate=surrogate, beta=beta, **constants)


LIF = lif()
