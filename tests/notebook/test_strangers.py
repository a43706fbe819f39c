"""fdi.recipe for networks as strangers write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from own_loop import CLASSES, INPUTS, Spike, data
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

import fdi

SAMPLES = 300


class Cells(nn.Module):
    """Layers of leaky integrate-and-fire neurons; the last one spikes, too."""

    def __init__(self, *sizes: int, scale: float = 1.0, recurrent: bool = False, **more: Any):
        super().__init__()
        torch.manual_seed(0)
        pairs = zip((INPUTS, *sizes), (*sizes, CLASSES))
        self.layers = nn.ModuleList(nn.Linear(n, m, bias=False) for n, m in pairs)
        self.within = nn.Linear(sizes[0], sizes[0], bias=False) if recurrent else None
        self.between = nn.ModuleList(more.get("between", []))
        with torch.no_grad():
            for weight in self.parameters():
                weight.mul_(scale)

    def forward(self, spikes: Tensor) -> tuple[Tensor, Tensor]:
        """Spikes and potentials of the last layer, [T, B, classes]."""
        states = [torch.zeros(()) for _ in self.layers]
        before = torch.zeros(())
        out, potentials = [], []
        for x in spikes:
            for i, layer in enumerate(self.layers):
                current = layer(x)
                if i == 0 and self.within is not None and before.ndim:
                    current = current + self.within(before)
                for part in self.between if i == 0 else ():
                    current = part(current)
                states[i] = 0.9 * states[i] + current
                x = Spike.apply(states[i] - 1)
                states[i] = states[i] - x.detach()
                before = x if i == 0 else before
            out.append(x)
            potentials.append(states[-1])
        return torch.stack(out), torch.stack(potentials)


def rate_loss(spikes: Tensor, labels: Tensor) -> Tensor:
    """As snntorch.functional.ce_rate_loss: the cross-entropy of each step, [T, B, classes]."""
    return torch.stack([cross_entropy(step, labels) for step in spikes]).mean()


def found(network: nn.Module, simulate: Callable[[Tensor], Any], given: Any = None, **options: Any):
    adam = torch.optim.Adam(network.parameters(), lr=options.pop("lr", 1e-4))
    return fdi.recipe(
        network,
        data(SAMPLES) if given is None else given,
        simulate=simulate,
        optimizer=adam,
        **{"epochs": 10, **options},
    )


def right(recipe: fdi.Recipe) -> None:
    assert recipe.state == "found", str(recipe)
    assert recipe.before is not None
    assert recipe.after is not None
    assert recipe.before + 0.2 < recipe.after > 0.6
    assert recipe.cost[0] <= 4


def batches(spikes: Tensor, labels: Tensor) -> list[tuple[Tensor, Tensor]]:
    """A loader, since T and B are told apart by the number of labels."""
    return [*zip(spikes.split(30, 1), labels.split(30))]


def test_spikes_time_first_with_a_loss_of_each_step():
    network = Cells(32)
    right(found(network, lambda x: network(x)[0], batches(*data(SAMPLES)), loss=rate_loss))


@pytest.mark.slow
def test_a_dead_network_of_four_layers():
    network = Cells(32, 32, 32, scale=0.5)
    recipe = found(network, lambda x: network(x)[0], loss=rate_loss, lr=1e-3, epochs=30)
    right(recipe)


@pytest.mark.slow
def test_spikes_batch_first():
    network = Cells(32)

    def loss(spikes: Tensor, labels: Tensor) -> Tensor:
        return rate_loss(spikes.transpose(0, 1), labels)

    given = batches(*data(SAMPLES))
    right(found(network, lambda x: network(x)[0].transpose(0, 1), given, loss=loss))


def test_the_largest_potential_as_score():
    network = Cells(32)
    right(found(network, lambda x: network(x)[1].amax(0), batches(*data(SAMPLES))))


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        {"between": [nn.Dropout(0.3)]},
        {"between": [nn.BatchNorm1d(32)]},
        {"recurrent": True},
    ],
    ids=["dropout", "batch norm", "recurrent"],
)
def test_what_else_is_in_a_network(more):
    network = Cells(32, **more)
    right(found(network, lambda x: network(x)[1].mean(0), batches(*data(SAMPLES)), lr=3e-4))


@pytest.mark.slow
def test_a_loader_of_torch_whose_samples_are_first():
    network = Cells(32)
    spikes, labels = data(SAMPLES)
    loader = DataLoader(TensorDataset(spikes.transpose(0, 1), labels), batch_size=30)
    right(found(network, lambda x: network(x.transpose(0, 1))[1].mean(0), loader))


@pytest.mark.slow
def test_another_precision():
    network = Cells(32).double()
    spikes, labels = data(SAMPLES)
    right(found(network, lambda x: network(x)[1].mean(0), batches(spikes.double(), labels)))
    assert {weight.dtype for weight in network.parameters()} == {torch.float64}


@pytest.mark.parametrize("seed", [0, *(pytest.param(s, marks=pytest.mark.slow) for s in (1, 2))])
def test_for_shuffled_labels_nothing_is_found(seed):
    network, (spikes, labels) = Cells(32), data(SAMPLES)
    order = torch.randperm(SAMPLES, generator=torch.Generator().manual_seed(seed))
    recipe = found(network, lambda x: network(x)[1].mean(0), (spikes, labels[order]))
    assert recipe.lines == []
    with pytest.raises(fdi.Mistake, match="no recipe was found"):
        recipe.apply()


@pytest.mark.slow
@pytest.mark.parametrize("dt", [None, 1e-3])
def test_a_network_of_snntorch(dt):
    snntorch = pytest.importorskip("snntorch")
    from snntorch import utils

    torch.manual_seed(0)
    layers = (nn.Linear(INPUTS, 32, bias=False), snntorch.Leaky(beta=0.9, init_hidden=True))
    network = nn.Sequential(*layers, nn.Linear(32, CLASSES, bias=False))

    def simulate(spikes: Tensor) -> Tensor:
        utils.reset(network)
        return torch.stack([network(step) for step in spikes]).mean(0)

    right(found(network, simulate, batches(*data(SAMPLES)), dt=dt))
