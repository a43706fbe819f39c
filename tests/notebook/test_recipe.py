"""fdi.recipe for networks in their own training loop, with torch and numpy alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import fdi

STEPS, INPUTS, HIDDEN, CLASSES = 20, 12, 16, 3


class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u):
        ctx.save_for_backward(u)
        return (u > 0).float()

    @staticmethod
    def backward(ctx, grad):
        return grad / (10 * ctx.saved_tensors[0].abs() + 1) ** 2


def data(samples: int = 90, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """[T, B, inputs]: classes are told apart by who spikes."""
    chance = np.random.default_rng(seed)
    labels = np.arange(samples) % CLASSES
    rates = np.where(np.arange(INPUTS) // 4 == labels[:, None], 0.4, 0.05)
    spikes = chance.random((STEPS, samples, INPUTS)) < rates
    return torch.as_tensor(spikes, dtype=torch.float32), torch.as_tensor(labels)


def loop(hidden: float = 0.5):
    """A hand-written network: its weights, and its loop over time."""
    torch.manual_seed(0)
    w1 = nn.Parameter(hidden * torch.randn(INPUTS, HIDDEN))
    w2 = nn.Parameter(0.1 * torch.randn(HIDDEN, CLASSES))

    def run(inputs: torch.Tensor) -> torch.Tensor:
        u, out = torch.zeros(inputs.shape[1], HIDDEN), torch.zeros(inputs.shape[1], CLASSES)
        for step in inputs:
            spikes = Spike.apply(u - 1)
            u = 0.9 * u * (1 - spikes.detach()) + step @ w1
            out = out + spikes @ w2 / len(inputs)
        return out

    return [w1, w2], run


def test_a_hand_written_loop_needs_only_its_weights_and_gets_a_larger_step():
    weights, run = loop()
    adam = torch.optim.Adam(weights, lr=1e-4)
    before = [w.detach().clone() for w in weights]
    found = fdi.recipe(weights, data(), simulate=run, optimizer=adam, epochs=20)
    assert found.state == "found"
    assert "its step is too small" in found.cause
    assert found.before is not None
    assert found.after is not None
    assert found.before < 0.6 < 0.85 < found.after
    assert all(torch.equal(a, b) for a, b in zip(before, weights)), "all is as it was"
    assert (adam.param_groups[0]["lr"], len(adam.state)) == (1e-4, 0)
    left, right = found.draw().axes
    assert list(left.lines[1].get_ydata()) == [100 * value for value in found.curves["after"]]
    assert set(right.lines[0].get_xdata()) == {*found.steps} > {1e-4}
    found.apply()
    assert f"lr={adam.param_groups[0]['lr']:g}" in found.lines[0]
    again = fdi.recipe(weights, data(), simulate=run, optimizer=adam, epochs=20)
    assert again.state in ("found", "learns")


def test_what_a_trial_names_is_described_as_it_is_in_the_beginning():
    inputs, labels = data(90)
    w = nn.Parameter(torch.zeros(INPUTS, CLASSES))
    spikes = torch.zeros(STEPS, len(labels), 4)
    spikes[:3, :, 0] = 1  # one of four neurons fires three times a sample

    def run(given: torch.Tensor):
        named = {"h1": spikes[:, : given.shape[1]], "i1": torch.tensor([[0.5], [1.5]])}
        return given.mean(0) @ w, named

    found = fdi.recipe([w], (inputs, labels), simulate=run, optimizer=torch.optim.SGD([w], lr=1.0))
    assert found.seen[:2] == [
        "h1: 0.75 spikes a neuron and sample, 75% of neurons silent",
        "i1: mean 1, standard deviation 0.71",
    ]
    assert found.seen[2].startswith("largest gradients ")
    assert str(found).startswith("as it is: h1: ")


def test_the_step_of_all_groups_changes_alike_and_eps_where_its_floor_is_near():
    weights, run = loop()
    groups = [{"params": [weights[0]], "lr": 1e-4}, {"params": [weights[1]], "lr": 1e-3}]
    adam = torch.optim.Adam(groups)
    fdi.recipe(weights, data(), simulate=run, optimizer=adam, epochs=20).apply()
    first, second = (group["lr"] for group in adam.param_groups)
    assert second == pytest.approx(10 * first)
    assert first > 1e-4

    weights, run = loop()
    adam = torch.optim.Adam(weights, lr=2e-2, eps=10.0)
    found = fdi.recipe(weights, data(), simulate=run, optimizer=adam, epochs=20, trainings=0.2)
    assert found.lines[0].startswith("in each group of the optimizer, eps=")
    assert "does not follow" in found.cause


@pytest.mark.parametrize("hidden", [0.5, 1e-3])
def test_a_loss_of_another_size_leads_to_the_same_recipe(hidden, capsys):
    """What guessing costs is asked of the loss, and is not that of the cross-entropy."""

    def found(unit: float) -> tuple[str, str]:
        weights, run = loop(hidden)
        adam = torch.optim.Adam(weights, lr=1e-6, eps=unit * 1e-24)

        def loss(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return unit * nn.functional.cross_entropy(scores, labels)

        found = fdi.recipe(weights, data(), simulate=run, optimizer=adam, loss=loss, epochs=10)
        found.seen.clear()  # gradients have the size of the loss
        return str(found), capsys.readouterr().out

    assert found(2.0**-10) == found(1.0)


def test_norms_and_dropout_are_told_where_accuracy_is_measured():
    network = nn.Sequential(nn.Linear(INPUTS, CLASSES), nn.Dropout(0.5), nn.Identity().eval())
    sgd = torch.optim.SGD(network.parameters(), lr=1.0)
    seen = []

    def run(spikes: torch.Tensor) -> torch.Tensor:
        seen.append((torch.is_grad_enabled(), network[1].training))
        return network(spikes.mean(0))

    fdi.recipe(network, data(), simulate=run, optimizer=sgd, epochs=5, trainings=0.2)
    assert {training for grad, training in seen if grad} == {True}
    assert (False, False) in seen
    assert [module.training for module in network] == [True, True, False]


def test_validation_chooses_whatever_the_test_samples_say():
    weights, run = loop()
    adam = torch.optim.Adam(weights, lr=1e-4)
    inputs, labels = data(30, 1)
    other = (inputs, (labels + 1) % CLASSES)
    found = fdi.recipe(weights, data(), simulate=run, optimizer=adam, epochs=20, test=other)
    assert found.state == "found"
    assert found.after is not None
    assert found.after < 0.2
    assert "not borne out" in str(found)


def test_nothing_is_made_up_where_no_gradient_gets_through():
    weights, _ = loop()
    adam = torch.optim.Adam(weights, lr=1e-4)

    def blind(inputs: torch.Tensor) -> torch.Tensor:
        return torch.zeros(inputs.shape[1], CLASSES) + 0 * sum(w.sum() for w in weights)

    found = fdi.recipe(weights, data(), simulate=blind, optimizer=adam, epochs=5)
    assert (found.state, found.lines, found.after) == ("not found", [], None)
    with pytest.raises(fdi.Mistake, match="no recipe was found"):
        found.apply()


def test_what_cannot_learn_is_refused_before_anything_runs():
    weights, run = loop()
    inputs, labels = data()
    adam = torch.optim.Adam(weights)
    other = torch.optim.Adam(loop()[0])
    for y, optimizer, epochs, line in (
        (labels, adam, 0, "epochs = 0 must be at least 1"),
        (labels, other, 5, "holds none of the network's tensors"),
        (0 * labels, adam, 5, "there is nothing to tell apart"),
    ):
        with pytest.raises(fdi.Mistake, match=line):
            fdi.recipe(weights, (inputs, y), simulate=run, optimizer=optimizer, epochs=epochs)


def test_which_axis_holds_samples_is_not_guessed():
    weights, run = loop()
    inputs, labels = data(STEPS)
    adam = torch.optim.Adam(weights)
    with pytest.raises(fdi.Mistake, match="which of them are samples cannot be told"):
        fdi.recipe(weights, (inputs, labels), simulate=run, optimizer=adam)
    batches = [(inputs[:, i::10], labels[i::10]) for i in range(10)]
    fdi.recipe(weights, batches, simulate=run, optimizer=adam, epochs=2, trainings=0.2)


def test_words_are_the_runs_of_the_command(tmp_path):
    x, y = data()
    found = fdi.recipe(
        "engine=reference",
        data=(x.transpose(0, 1).numpy().astype(np.uint8), y.numpy()),
        results=tmp_path,
        optimizer="adam",
        **{"optimizer.lr": 0.2, "trainer.epochs": 5, "model.hidden": 16, "trainer.readout": "mean"},
    )
    assert found.folder is not None
    assert found.folder.is_relative_to(tmp_path)
    assert str(found).startswith("cause: ")
    with pytest.raises(fdi.Mistake, match="is a command"):
        found.apply()
