"""A neuron of one's own, as a description that every engine computes from:
fdi-run --config-dir PATH/examples/own/conf neuron=own_izhikevich

    W[t+1] = beta_w W[t] + (1 - beta_w) b U[t] + d S[t],   beta_w = exp(-dt / tau_w)
    D[t] = (1 - beta_m) (I[t] + U[t]^2 / u_c - W[t])   (Izhikevich 2007)
"""

from dataclasses import dataclass
from typing import Literal

from fdi.snn.neuron import Neuron, by_name


@dataclass(frozen=True)
class Izhikevich(Neuron):
    DRIVE = "gain * (current + u**2 / u_c - W)"
    STATE = {"W": "exp(-dt / tau_w) * W + (1 - exp(-dt / tau_w)) * b * u + d * s"}

    reset: Literal["constant"] = "constant"
    u_c: float = 0.2
    u_reset: float = 0.1
    tau_w: float = 30e-3
    b: float = -0.1
    d: float = 0.1


izhikevich = by_name(Izhikevich)
