"""fdi.recipe for networks in their own training loop, with torch and numpy alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from own_loop import CLASSES, HIDDEN, INPUTS, STEPS, Spike, data
from torch import nn

import fdi


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


def test_a_hand_written_loop_needs_only_its_weights_and_gets_a_larger_step(capsys):
    weights, run = loop()
    adam = torch.optim.Adam(weights, lr=3e-4)
    before = [w.detach().clone() for w in weights]
    found = fdi.recipe(weights, data(), simulate=run, optimizer=adam, epochs=20)
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("at most 4 trainings of 20 epochs, about ")
    assert len(told) <= 8
    assert found.state == "found"
    assert "a step that is too small" in found.cause
    assert found.cost[0] <= 4
    assert found.before is not None
    assert found.after is not None
    assert found.before < 0.6 < 0.85 < found.after
    assert all(torch.equal(a, b) for a, b in zip(before, weights)), "all is as it was"
    assert (adam.param_groups[0]["lr"], len(adam.state)) == (3e-4, 0)
    left, right = found.draw().axes
    assert list(left.lines[1].get_ydata()) == [100 * value for value in found.curves["after"]]
    assert set(right.lines[0].get_xdata()) == {*found.steps} > {3e-4}
    found.apply()
    applied = [adam.param_groups[0]["lr"], *(w.detach().clone() for w in weights)]
    adam.param_groups[0]["lr"] = 3e-4
    with torch.no_grad():
        for weight, old in zip(weights, before):
            weight.copy_(old)
    for line in found.lines:
        exec(line, {"optimizer": adam, "network": weights})
    assert adam.param_groups[0]["lr"] == pytest.approx(applied[0], rel=0.01)
    assert all(torch.equal(a, b) for a, b in zip(applied[1:], weights)), "the lines do the same"
    again = fdi.recipe(weights, data(), simulate=run, optimizer=adam, epochs=20)
    assert again.state != "unknown"


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
    groups = [{"params": [weights[0]], "lr": 3e-4}, {"params": [weights[1]], "lr": 3e-3}]
    adam = torch.optim.Adam(groups)
    fdi.recipe(weights, data(), simulate=run, optimizer=adam, epochs=20).apply()
    first, second = (group["lr"] for group in adam.param_groups)
    assert second == pytest.approx(10 * first)
    assert first > 3e-4

    weights, run = loop()
    adam = torch.optim.Adam(weights, lr=2e-6, eps=10.0)
    found = fdi.recipe(weights, data(), simulate=run, optimizer=adam, epochs=20)
    assert any("group['eps'] = " in line for line in found.lines)
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
        return str(found), capsys.readouterr().out.partition("\n")[2]  # without the time

    assert found(2.0**-10) == found(1.0)


def test_norms_and_dropout_are_told_where_accuracy_is_measured():
    network = nn.Sequential(nn.Linear(INPUTS, CLASSES), nn.Dropout(0.5), nn.Identity().eval())
    sgd = torch.optim.SGD(network.parameters(), lr=1.0)
    seen = []

    def run(spikes: torch.Tensor) -> torch.Tensor:
        seen.append((torch.is_grad_enabled(), network[1].training))
        return network(spikes.mean(0))

    fdi.recipe(network, data(), simulate=run, optimizer=sgd, epochs=5)
    assert {training for grad, training in seen if grad} == {True}
    assert (False, False) in seen
    assert [module.training for module in network] == [True, True, False]


def test_a_recipe_that_its_proof_refutes_is_not_applied():
    """The held out samples, here with other names of the classes, are not those of the choice."""
    weights, run = loop()
    adam = torch.optim.Adam(weights, lr=3e-4)
    inputs, labels = data(900)
    order = torch.as_tensor(np.random.default_rng(0).permutation(900))
    batches = [(inputs[:, rows], labels[rows]) for rows in order.split(30)]
    batches = [(x, (y + (i % 5 == 1)) % CLASSES) for i, (x, y) in enumerate(batches)]
    found = fdi.recipe(weights, batches, simulate=run, optimizer=adam, epochs=5)
    assert found.after is not None
    assert found.after < 0.2
    assert (found.state, found.lines) == ("refuted", [])
    assert found.cost[0] <= 4
    assert "cause: refuted: " in str(found)
    with pytest.raises(fdi.Mistake, match="could be applied: refuted: "):
        found.apply()
    assert adam.param_groups[0]["lr"] == 3e-4


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
    fdi.recipe(weights, batches, simulate=run, optimizer=adam, epochs=2)


def told(
    scores, loss=nn.functional.cross_entropy, given=None, optimizer=torch.optim.Adam, **options
) -> fdi.Recipe:
    """Of a linear readout, [T, B, classes], made into `scores`."""
    torch.manual_seed(0)
    w = nn.Parameter(0.1 * torch.randn(INPUTS, CLASSES))
    return fdi.recipe(
        [w],
        data() if given is None else given,
        simulate=lambda inputs: scores(inputs @ w),
        optimizer=optimizer([w], lr=1e-2),
        loss=loss,
        **{"epochs": 5, **options},
    )


@pytest.mark.parametrize(
    ("axes", "back", "layout"),
    [
        ((0, 1, 2), (0, 1, 2), "[T, B, classes]"),
        ((1, 0, 2), (1, 0, 2), "[B, T, classes]"),
        ((1, 2, 0), (2, 0, 1), "[B, classes, T]"),
    ],
)
def test_scores_of_each_step_are_summed_over_time_and_the_loss_gets_them_all(axes, back, layout):
    def loss(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        steps = scores.permute(back)
        assert steps.shape == (STEPS, len(labels), CLASSES)
        return nn.functional.cross_entropy(steps.sum(0), labels).reshape(1)

    found = told(lambda steps: steps.permute(axes), loss)
    assert found.seen.pop(0) == f"scores {layout}, summed over time to tell classes"
    assert str(found) == str(told(lambda steps: steps.sum(0)))


@pytest.mark.parametrize(
    ("scores", "options", "line"),
    [
        (
            lambda s: s[:1].expand(54, -1, -1),
            {},
            r"may be \[T, B, classes\] or \[B, T, classes\]; ",
        ),
        (
            lambda s: s[:CLASSES].transpose(0, 1),
            {},
            r"may be \[B, T, classes\] or \[B, classes, T\]; ",
        ),
        (
            lambda s: s[..., :2],
            {},
            r"\(20, 54, 2\) for 54 samples of 3 classes, which are not \[B, ",
        ),
        (lambda s: s.sum(0)[:, :1], {}, r"\(54, 1\) for 54 samples of 3 classes"),
        (lambda s: s.sum((0, 2)), {}, r"shape \(54,\)"),
        (
            lambda s: {"out": s.sum(0)},
            {},
            "simulate returned something of type dict; return the scores",
        ),
        (lambda s: (s.sum(0), s), {}, "returned a tuple of Tensor, Tensor; return the scores"),
        (lambda s: s.sum(0).detach(), {}, "loss has no gradient"),
        (
            lambda s: s.sum(0),
            {"loss": nn.CrossEntropyLoss(reduction="none")},
            r"loss returned a tensor of shape \(54,\) .*; return one number",
        ),
        (
            lambda s: s.sum(0),
            {"given": (data()[0], nn.functional.one_hot(data()[1]).float())},
            r"labels: a tensor of shape \(90, 3\) .* is not a class number",
        ),
        (lambda s: s.sum(0), {"given": (data()[0], data()[1] - 1)}, "is not a class number"),
        (lambda s: s.sum(0), {"given": (data()[0], data()[1] / 2)}, "is not a class number"),
        (
            lambda s: s.sum(0),
            {"given": (data()[0], ["a", "b"])},
            "a list of str, str is not a class",
        ),
        (lambda s: s.sum(0), {"given": 1}, "data: something of type int is no batch"),
        (lambda s: s.sum(0), {"given": (data()[0][0, :, 0], data()[1][:7])}, "inputs of shape"),
        (lambda s: s.sum(0), {"optimizer": torch.optim.LBFGS}, "LBFGS takes several looks"),
        (lambda s: s.sum(0), {"given": [{"x": 1, "y": 2}]}, "of type dict is no batch; give pairs"),
        (lambda s: s.sum(0), {"given": [(*data(), 1)]}, "a tuple of Tensor, .* is no batch"),
    ],
)
def test_what_cannot_be_counted_is_refused_before_anything_is_trained(
    scores, options, line, capsys
):
    with pytest.raises(fdi.Mistake, match=line) as refused:
        told(scores, **options)
    assert "\n" not in str(refused.value)
    assert "\n" not in capsys.readouterr().out.strip()


@pytest.mark.parametrize(
    ("dtype", "tried"), [(torch.float32, {1e-16}), (torch.float64, {1e-16, 1e-24, 1e-36, 1e-60})]
)
def test_with_no_eps_that_is_tried_does_a_step_of_adam_grow_without_limit(dtype, tried):
    w = nn.Parameter(torch.ones(INPUTS, CLASSES, dtype=dtype))
    adam = torch.optim.Adam([w], lr=1e-3)
    floors = set()

    def blind(inputs: torch.Tensor) -> torch.Tensor:
        floors.add(adam.param_groups[0]["eps"])
        return 1e-12 * inputs.mean(0).to(dtype) @ w + torch.eye(CLASSES)[0]

    fdi.recipe([w], data(), simulate=blind, optimizer=adam, epochs=5)
    assert floors - {1e-8} == tried
    for eps in floors:
        for gradient in 10.0 ** np.arange(3, -31, -1):
            v = nn.Parameter(torch.zeros(1, dtype=dtype))
            v.grad = torch.full_like(v, gradient)
            torch.optim.Adam([v], lr=1e-3, eps=eps).step()
            assert v.abs().item() < 1.1e-3, f"eps {eps} at a gradient of {gradient}"


def test_of_an_optimizer_without_eps_none_is_missed():
    found = told(lambda steps: steps.sum(0), optimizer=torch.optim.SGD)
    assert "eps" not in str(found).partition("cause: ")[2]


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
    assert found.steps
    with pytest.raises(fdi.Mistake, match="is a command" if found.lines else "no recipe"):
        found.apply()
    if found.proof:
        assert len(found.draw().axes) == 2
