"""A network written by hand, as in SpyTorch: two tensors, a loop over time, neurons of its own. It
does not learn; fdi.recipe says which change helps, and proves it.

    python examples/own_loop.py
"""

from __future__ import annotations

import torch
from torch import nn

import fdi

STEPS, SAMPLES, INPUTS, HIDDEN, CLASSES = 50, 500, 50, 100, 5
BETA_M, BETA_S = 0.95, 0.9  # decay of the membrane and of the synapses in a step


class Spike(torch.autograd.Function):
    """Heaviside, with the derivative of a fast sigmoid (SuperSpike)."""

    @staticmethod
    def forward(ctx, u):
        ctx.save_for_backward(u)
        return (u > 0).float()

    @staticmethod
    def backward(ctx, gradient):
        (u,) = ctx.saved_tensors
        return gradient / (10 * u.abs() + 1) ** 2


def data() -> tuple[torch.Tensor, torch.Tensor]:
    """A spike of each input at a time that depends on the class, with a jitter; [B, T, inputs]."""
    labels = torch.arange(SAMPLES) % CLASSES
    pattern = torch.randint(STEPS, (CLASSES, INPUTS))
    times = (pattern[labels] + 2 * torch.randn(SAMPLES, INPUTS)).round().long()
    spikes = nn.functional.one_hot(times.clamp(0, STEPS - 1), STEPS)
    return spikes.transpose(1, 2).float(), labels


torch.manual_seed(0)
inputs, labels = data()
w1 = nn.Parameter(0.1 * torch.randn(INPUTS, HIDDEN) / INPUTS**0.5)
w2 = nn.Parameter(torch.randn(HIDDEN, CLASSES) / HIDDEN**0.5)


def run(spikes: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The score of each class: the largest potential of its readout; and, by name, what is to be
    described.
    """
    current, potential, out = (torch.zeros(len(spikes), HIDDEN) for _ in range(3))
    arriving, readout, trace = torch.zeros(len(spikes), CLASSES), torch.zeros(1), []
    currents, hidden = [], []
    for step in spikes.unbind(1):
        out = Spike.apply(potential - 1)
        potential = (BETA_M * potential + current) * (1 - out.detach())
        current = BETA_S * current + step @ w1
        arriving = BETA_S * arriving + out @ w2
        readout = BETA_M * readout + arriving
        trace.append(readout)
        currents.append(current)
        hidden.append(out)
    named = {"current": torch.stack(currents), "hidden spikes": torch.stack(hidden)}
    return torch.stack(trace).amax(0), named


if __name__ == "__main__":
    adam = torch.optim.Adam([w1, w2], lr=1e-4)
    print(fdi.recipe([w1, w2], (inputs, labels), simulate=run, optimizer=adam, epochs=30))
