"""A contrastive loss of one's own on the hidden potentials of a network of fdi, which its compiled
engine computes and differentiates, beside the same network and loop in snnTorch.

Two views of a sample, with jitter and lost spikes, are to be alike, and unlike all others of the
batch (NT-Xent, Chen et al. 2020). No label is used; afterwards nearest neighbours have the same.

    pip install fdi-snn snntorch
    python examples/contrastive.py
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from fdi import initialize
from fdi.snn import models

STEPS, DT, INPUTS, HIDDEN, CLASSES = 100, 2e-3, 100, [128, 64], 10
BATCH, UPDATES, LR, TEMPERATURE = 64, 100, 1e-3, 0.1
TAU_MEM, TAU_SYN = 20e-3, 10e-3
Embed = Callable[[Tensor], Tensor]


def samples(n: int, patterns: Tensor) -> tuple[Tensor, Tensor]:
    """Times in steps of four spikes of each input, [n, INPUTS, 4], and labels."""
    labels = torch.randint(CLASSES, (n,))
    return patterns[labels] + 3 * torch.randn(n, INPUTS, 4), labels


def view(times: Tensor) -> Tensor:
    """[T, B, INPUTS]: with another jitter, and without a quarter of the spikes."""
    times = (times + 3 * torch.randn(times.shape)).round().long().clamp(0, STEPS - 1)
    kept = (torch.rand(times.shape) < 0.75).float()
    x = torch.zeros(*times.shape[:2], STEPS).scatter_(2, times, kept)
    return x.permute(2, 0, 1).contiguous()


def contrast(z: Tensor) -> Tensor:
    """NT-Xent of embeddings [2 B, units]; the i-th and the (B + i)-th are of one sample."""
    n = len(z)
    likeness = normalize(z) @ normalize(z).T / TEMPERATURE
    likeness = likeness.masked_fill(torch.eye(n, dtype=torch.bool), -math.inf)
    return cross_entropy(likeness, torch.arange(n).roll(n // 2))


class OfSnnTorch(nn.Module):
    """The same two layers."""

    def __init__(self) -> None:
        import snntorch

        super().__init__()
        sizes, decays = [INPUTS, *HIDDEN], [math.exp(-DT / tau) for tau in (TAU_SYN, TAU_MEM)]
        self.layers = nn.ModuleList(nn.Linear(n, m, bias=False) for n, m in zip(sizes, HIDDEN))
        self.neurons = nn.ModuleList(
            snntorch.Synaptic(*decays, threshold=1.0, reset_mechanism="zero", init_hidden=True)
            for _ in HIDDEN
        )

    def forward(self, x: Tensor) -> Tensor:
        for neuron in self.neurons:
            neuron.reset_mem()
        means = []
        for s in x:
            for layer, neuron in zip(self.layers, self.neurons):
                s = neuron(layer(s))
            means.append(self.neurons[-1].mem)
        return torch.stack(means).mean(0)


def of_fdi() -> tuple[nn.Module, Embed]:
    network = models.dense((INPUTS,), CLASSES, STEPS, DT, hidden=HIDDEN)

    def embed(x: Tensor) -> Tensor:
        return network.activity(x, ("potentials",)).potentials["h2"].mean(0)

    return network, embed


def neighbours(embed: Embed, train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]) -> float:
    """Share of test samples whose nearest training sample has their label."""
    with torch.no_grad():
        one, other = (normalize(embed(view(times))) for times, _ in (train, test))
    return float((train[1][(other @ one.T).argmax(1)] == test[1]).float().mean())


def train(network: nn.Module, embed: Embed) -> tuple[float, float, float]:
    """Milliseconds of an update, and accuracy of the neighbours before and after."""
    torch.manual_seed(0)
    patterns = STEPS * torch.rand(CLASSES, INPUTS, 4)
    splits = samples(200, patterns), samples(200, patterns)
    initialize(network, sigma_u=0.8, batch=view(splits[0][0]), dt=DT, simulate=network)
    before, seconds = neighbours(embed, *splits), []
    adam = torch.optim.Adam(network.parameters(), LR)
    for _ in range(UPDATES):
        times, _ = samples(BATCH, patterns)
        x, start = torch.cat([view(times), view(times)], 1), time.perf_counter()
        adam.zero_grad()
        contrast(embed(x)).backward()
        adam.step()
        seconds.append(time.perf_counter() - start)
    return 1e3 * median(seconds), before, neighbours(embed, *splits)


def main() -> None:
    theirs = OfSnnTorch()
    for name, parts in (("fdi", of_fdi()), ("snnTorch", (theirs, theirs))):
        ms, before, after = train(*parts)
        print(f"{name:10}{ms:7.1f} ms an update, neighbours {before:.1%} -> {after:.1%}")


if __name__ == "__main__":
    main()
