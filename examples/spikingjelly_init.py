"""Fluctuation-driven initialization of a SpikingJelly network: three hidden layers that are silent
by default, and not afterwards.

Without biases, as in the paper: the default ones make neurons fire that get no input at all.

    pip install fdi-snn spikingjelly
    python examples/spikingjelly_init.py
"""

from __future__ import annotations

from itertools import pairwise

import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

from fdi import initialize

DT = 1e-3  # s a step
NU = 15.0  # Hz, rate of each input
SIGMA_U = (
    0.8  # in units of the threshold; here 0.5 lets the rates die out with depth, 1 lets them grow
)
INPUTS, HIDDEN, CLASSES, STEPS, BATCH = 700, 128, 20, 500, 32


def build() -> nn.Sequential:
    """LIF neurons with tau_mem = 20 ms (20 steps), and a layer without neuron as a readout."""
    sizes = [INPUTS, HIDDEN, HIDDEN, HIDDEN]
    layers = [
        (layer.Linear(n, m, bias=False), neuron.LIFNode(tau=20e-3 / DT)) for n, m in pairwise(sizes)
    ]
    network = nn.Sequential(
        *(part for pair in layers for part in pair), layer.Linear(HIDDEN, CLASSES)
    )
    functional.set_step_mode(network, "m")
    return network


@torch.no_grad()
def hidden_rates(network: nn.Sequential, spikes: torch.Tensor) -> list[float]:
    """Mean rate of each hidden layer in Hz; `spikes` is [T, B, inputs]."""
    functional.reset_net(network)
    rates = []
    for i in range(3):
        spikes = network[2 * i + 1](network[2 * i](spikes))
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
    print("rates in Hz, PyTorch's default:   ", "  ".join(f"{rate:6.2f}" for rate in before))
    print("rates in Hz, fluctuation-driven:  ", "  ".join(f"{rate:6.2f}" for rate in after))
    return before, after


if __name__ == "__main__":
    main()
