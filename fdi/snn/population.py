"""A population of leaky integrate-and-fire neurons."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Population:
    """Neurons that share their constants (Rossbroich et al. 2022, discrete time).

        I_c[t+1] = beta_s,c I_c[t] + X_c[t],            beta_s,c = exp(-dt / tau_syn[c])
        U[t+1] = (beta_m U[t] + (1 - beta_m) sum_c sign_c I_c[t]) (1 - S[t]),
        beta_m = exp(-dt / tau_mem)
        S[t] = H(U[t] - theta)

    X_c[t] is what the afferent projections of synaptic channel c delivered in step t - 1. One
    channel is the usual LIF neuron; two channels with signs (+1, -1) are the current-based neuron
    of Dale networks. A population that does not spike is a readout.

    `shape`: (units,) or (channels, length) or (channels, height, width). Times in seconds,
    potentials in units where U_rest = 0.
    `pool`: edge of the max-pooling window that feed-forward targets see the spikes through.
    """

    name: str
    shape: tuple[int, ...]
    tau_mem: float
    tau_syn: tuple[float, ...]
    signs: tuple[int, ...] = (1,)
    theta: float = 1.0
    beta: float = 20.0
    u_init: float = 0.0
    pool: int = 1
    spiking: bool = True

    def __post_init__(self) -> None:
        for symbol, value in (
            ("tau_mem", self.tau_mem),
            *(("tau_syn", tau) for tau in self.tau_syn),
            ("theta", self.theta),
        ):
            if not value > 0:
                raise ValueError(f"population {self.name}: {symbol} = {value} must be positive")
        if min(self.shape, default=0) < 1:
            advice = "use smaller kernels, strides or pools, more padding, or fewer layers"
            raise ValueError(
                f"population {self.name}: shape {self.shape} leaves no neuron; {advice}"
            )
        if len(self.signs) != len(self.tau_syn):
            raise ValueError(
                f"population {self.name}: {len(self.signs)} signs for {len(self.tau_syn)} synaptic "
                f"channels; give one each"
            )
        if self.pool > 1 and min(self.shape[1:], default=0) < self.pool:
            raise ValueError(
                f"population {self.name}: a pooling window of {self.pool} does not fit into shape "
                f"{self.shape}"
            )

    @property
    def units(self) -> int:
        return math.prod(self.shape)

    @property
    def pooled_shape(self) -> tuple[int, ...]:
        """What feed-forward targets see."""
        return (
            self.shape
            if self.pool == 1
            else (self.shape[0], *(edge // self.pool for edge in self.shape[1:]))
        )

    def decays(self, dt: float) -> tuple[float, tuple[float, ...]]:
        """(beta_m, (beta_s of each channel)) for a time step `dt` in seconds."""
        return math.exp(-dt / self.tau_mem), tuple(math.exp(-dt / tau) for tau in self.tau_syn)
