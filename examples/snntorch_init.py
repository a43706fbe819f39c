"""Fluctuation-driven initialization of an snnTorch network: three hidden layers that are silent by
default, active afterwards, and equally active when calibrated on a batch.

Without biases, as in the paper: the default ones make neurons fire that get no input at all.

    pip install fdi-snn snntorch
    python examples/snntorch_init.py
"""

from __future__ import annotations

from itertools import pairwise

import snntorch as snn
import torch
from torch import nn

from fdi import initialize

DT = 1e-3  # s a step
NU = 15.0  # Hz, rate of each input
SIGMA_U = (
    0.8  # in units of the threshold; here 0.5 lets the rates die out with depth, 1 lets them grow
)
INPUTS, HIDDEN, CLASSES, STEPS, BATCH = 700, 128, 20, 250, 16


def build() -> nn.Sequential:
    """Leaky neurons with tau_mem = 20 ms, and a layer without neuron as a readout."""
    beta = float(torch.exp(torch.tensor(-DT / 20e-3)))
    sizes = [INPUTS, HIDDEN, HIDDEN, HIDDEN]
    layers = [
        (nn.Linear(n, m, bias=False), snn.Leaky(beta, init_hidden=True)) for n, m in pairwise(sizes)
    ]
    return nn.Sequential(*(part for layer in layers for part in layer), nn.Linear(HIDDEN, CLASSES))


@torch.no_grad()
def hidden_rates(network: nn.Sequential, spikes: torch.Tensor) -> list[float]:
    """Mean rate of each hidden layer in Hz; `spikes` is [T, B, inputs]."""
    for neuron in network[1::2]:
        neuron.reset_mem()
    counts = [0.0, 0.0, 0.0]
    for x in spikes:
        for i in range(3):
            x = network[2 * i + 1](network[2 * i](x))
            counts[i] += float(x.mean())
    return [count / (STEPS * DT) for count in counts]


def main() -> tuple[list[float], list[float], list[float]]:
    torch.manual_seed(0)
    spikes = (torch.rand(STEPS, BATCH, INPUTS) < NU * DT).float()
    network = build()
    before = hidden_rates(network, spikes)
    for row in initialize(network, "fluct", sigma_u=SIGMA_U, batch=spikes, dt=DT):
        print(row)
    after = hidden_rates(network, spikes)
    report = initialize(network, sigma_u=SIGMA_U, batch=spikes, dt=DT)
    print("measured sigma_u, calibrated:     ", *(f"{row.sigma_u:7.2f}" for row in report[:3]))
    calibrated = hidden_rates(network, spikes)
    print("rates in Hz, PyTorch's default:   ", "  ".join(f"{rate:6.2f}" for rate in before))
    print("rates in Hz, fluctuation-driven:  ", "  ".join(f"{rate:6.2f}" for rate in after))
    print("rates in Hz, calibrated:          ", "  ".join(f"{rate:6.2f}" for rate in calibrated))
    return before, after, calibrated


if __name__ == "__main__":
    main()
