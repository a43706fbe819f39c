"""Fluctuation-driven initialization of a Norse network: three hidden layers that are silent by
default, and not afterwards.

Without biases, as in the paper: the default ones make neurons fire that get no input at all.

    pip install fdi-snn norse
    python examples/norse_init.py
"""

from __future__ import annotations

import norse.torch as norse
import torch
from torch import nn

from fdi import initialize

DT = 1e-3  # s a step
NU = 15.0  # Hz, rate of each input
SIGMA_U = (
    0.8  # in units of the threshold; here 0.5 lets the rates die out with depth, 1 lets them grow
)
INPUTS, HIDDEN, CLASSES, STEPS, BATCH = 700, 128, 20, 500, 32


def build() -> norse.SequentialState:
    """LIF neurons with tau_mem = 20 ms and tau_syn = 10 ms, the last of them recurrent, and a leaky
    integrator as a readout.
    """
    constants = norse.LIFParameters(
        tau_mem_inv=torch.tensor(1 / 20e-3), tau_syn_inv=torch.tensor(1 / 10e-3)
    )
    return norse.SequentialState(
        nn.Linear(INPUTS, HIDDEN, bias=False),
        norse.LIF(constants, dt=DT),
        nn.Linear(HIDDEN, HIDDEN, bias=False),
        norse.LIF(constants, dt=DT),
        norse.LIFRecurrent(HIDDEN, HIDDEN, constants, dt=DT),
        nn.Linear(HIDDEN, CLASSES),
        norse.LI(dt=DT),
    )


@torch.no_grad()
def hidden_rates(network: norse.SequentialState, spikes: torch.Tensor) -> list[float]:
    """Mean rate of each hidden layer in Hz; `spikes` is [T, B, inputs]."""
    rates = []
    for part in list(network)[:5]:
        if isinstance(part, nn.Linear):
            spikes = part(spikes)
        else:
            spikes, _ = part(spikes)
            rates.append(float(spikes.mean()) / DT)
    return rates


def main() -> tuple[list[float], list[float]]:
    torch.manual_seed(0)
    spikes = (torch.rand(STEPS, BATCH, INPUTS) < NU * DT).float()
    network = build()
    before = hidden_rates(network, spikes)
    for row in initialize(network, "fluct", sigma_u=SIGMA_U, batch=spikes, dt=DT):
        print(row)
    after = hidden_rates(network, spikes)
    print("rates in Hz, the default:         ", "  ".join(f"{rate:6.2f}" for rate in before))
    print("rates in Hz, fluctuation-driven:  ", "  ".join(f"{rate:6.2f}" for rate in after))
    return before, after


if __name__ == "__main__":
    main()
