"""The neuron: the equations that every neuron of a population follows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Neuron:
    """A leaky integrate-and-fire neuron with current-based synapses (Rossbroich et al. 2022,
    discrete time).

        I_c[t+1] = beta_s,c I_c[t] + X_c[t],   beta_s,c = exp(-dt / tau_syn[c])
        U[t+1] = (beta_m U[t] + (1 - beta_m) sum_c sign_c I_c[t]) (1 - S[t])
        S[t] = H(U[t] - theta),   beta_m = exp(-dt / tau_mem)

    X_c[t] is what the afferent projections of synaptic channel c delivered in step t - 1. One
    channel is the usual LIF neuron; two channels with signs (+1, -1) are the current-based neuron
    of Dale networks. A neuron that does not spike is a readout.

    Times in seconds, potentials in units where U_rest = 0. `beta`: steepness of the surrogate
    derivative 1 / (beta |U - theta| + 1)^2. `u_init`: potential at the start of a trial.
    Raises ValueError for a constant that is not positive.
    """

    tau_mem: float = 20e-3
    tau_syn: tuple[float, ...] = (10e-3,)
    signs: tuple[int, ...] = (1,)
    theta: float = 1.0
    beta: float = 20.0
    u_init: float = 0.0
    spiking: bool = True

    def __post_init__(self) -> None:
        for symbol, value in (
            ("tau_mem", self.tau_mem),
            *(("tau_syn", tau) for tau in self.tau_syn),
            ("theta", self.theta),
            ("beta", self.beta),
        ):
            if not 0 < value < math.inf:
                raise ValueError(f"neuron: {symbol} = {value} must be positive and finite")
        if len(self.signs) != len(self.tau_syn):
            raise ValueError(
                f"neuron: {len(self.signs)} signs for {len(self.tau_syn)} synaptic channels; give "
                f"one each"
            )

    def decays(self, dt: float) -> tuple[float, tuple[float, ...]]:
        """(beta_m, (beta_s of each channel)) for a time step `dt` in seconds."""
        return math.exp(-dt / self.tau_mem), tuple(math.exp(-dt / tau) for tau in self.tau_syn)

    def under_dale(self, tau_inh: float) -> Neuron:
        """The same neuron with a second, inhibitory channel of time constant `tau_inh` in s."""
        return replace(self, tau_syn=(self.tau_syn[0], tau_inh), signs=(1, -1))


def lif(
    *, tau_mem: float = 20e-3, tau_syn: float = 10e-3, theta: float = 1.0, beta: float = 20.0
) -> Neuron:
    """The leaky integrate-and-fire neuron of the paper; times in seconds."""
    return Neuron(tau_mem, (tau_syn,), theta=theta, beta=beta)


def integrator(tau_mem: float, tau_syn: float, u_init: float) -> Neuron:
    """The leaky integrator of a readout, which never spikes; times in seconds."""
    return Neuron(tau_mem, (tau_syn,), u_init=u_init, spiking=False)


LIF = lif()
