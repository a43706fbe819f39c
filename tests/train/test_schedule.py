"""Schedules of the learning rate, clipped gradients, smoothed labels."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.optim import lr_scheduler

from fdi.engine.cpu import loss
from fdi.engine.cpu.kernels.jit import kernel
from fdi.snn.objective import CrossEntropy, Objective, UpperBound
from fdi.train.optimizers import SMORMS3
from fdi.train.trainer import Schedule, phases

EPOCHS, BATCH, BATCHES = 4, 32, 6
RULES: dict[str, Any] = {
    "cosine": partial(lr_scheduler.CosineAnnealingLR, T_max=EPOCHS),
    "one_cycle": partial(
        lr_scheduler.OneCycleLR,
        max_lr=0.1,
        epochs=EPOCHS,
        steps_per_epoch=BATCHES,
        cycle_momentum=False,
    ),
    "plateau": partial(lr_scheduler.ReduceLROnPlateau, patience=0, threshold=0.5),
    "steps": partial(lr_scheduler.MultiStepLR, milestones=[1, 3]),
}
OPTIMIZERS = {
    "smorms3": lambda p: SMORMS3(p, lr=0.1),
    "adam": lambda p: torch.optim.Adam(p, lr=0.1),
}


def test_the_learning_rate_of_an_epoch_is_that_of_its_last_batch(build, train, data):
    assert -(-len(data.train) // BATCH) == BATCHES
    rates = {}
    for rule in ("cosine", "one_cycle"):
        network = build(hidden=16)
        optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
        rows, _ = train(network, optimizer, phases(epochs=EPOCHS), schedule=Schedule(RULES[rule]))
        rates[rule] = [row["lr"] for row in rows]
    wanted = [0.05 * (1 + math.cos(math.pi * epoch / EPOCHS)) for epoch in range(EPOCHS)]
    np.testing.assert_allclose(rates["cosine"], wanted, rtol=1e-12)
    assert max(rates["one_cycle"]) > 0.09
    assert rates["one_cycle"][-1] == pytest.approx(0.1 / 25 / 1e4)


def test_without_a_schedule_there_is_no_such_column(build, train):
    network = build(hidden=16)
    rows, _ = train(network, SMORMS3(network.parameters()), phases(epochs=1))
    assert "lr" not in rows[0]


def test_a_schedule_starts_with_the_task(build, train):
    network = build(hidden=16)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
    stages = phases(epochs=EPOCHS, upper=UpperBound(1.0, 0.1), prime_epochs=3, joint=False)
    rows, _ = train(network, optimizer, stages, schedule=Schedule(RULES["cosine"]))
    assert [row["lr"] for row in rows[:4]] == [0.1] * 4
    assert rows[4]["lr"] < 0.1


@pytest.mark.parametrize(
    ("rule", "optimizer", "prime_epochs"),
    [  # each rule is in the fast tests, and each optimizer with and without priming
        pytest.param(rule, optimizer, primed, marks=[pytest.mark.slow] * (i != 2 * j + k))
        for i, rule in enumerate(RULES)
        for j, optimizer in enumerate(OPTIMIZERS)
        for k, primed in enumerate([0, 2])
    ],
)
def test_a_stopped_training_goes_on_to_the_last_bit(
    build, train, train_in_pieces, rule, optimizer, prime_epochs
):
    def start():
        network = build(hidden=16)
        return network, OPTIMIZERS[optimizer](network.parameters()), Schedule(RULES[rule])

    stages = phases(epochs=EPOCHS, upper=UpperBound(1.0, 0.1), prime_epochs=prime_epochs)
    whole, made, schedule = start()
    wanted, _ = train(whole, made, stages, schedule=schedule, clip=0.5)
    rows, _, network = train_in_pieces(start, stages, clip=0.5)
    assert rows == wanted
    assert all(torch.equal(network.weights()[k], w) for k, w in whole.weights().items())
    assert len({row["lr"] for row in wanted}) > 1


def test_a_clipped_gradient_is_no_longer_than_that(build, train, data):
    network = build(hidden=16)
    before = [p.detach().clone() for p in network.parameters()]
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    train(network, optimizer, phases(epochs=1), batch_size=len(data.train), clip=1e-3)
    moved = [p.detach() - old for p, old in zip(network.parameters(), before)]
    assert math.sqrt(sum(float(m.square().sum()) for m in moved)) == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("readout", ["max", "mean", "last"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_the_loss_written_by_hand_is_torchs_and_its_slope_the_difference_quotient(
    readout, smoothing
):
    classes, width, steps, label, weight, h = 5, 8, 7, 2, 0.3, 1e-6
    u = np.random.default_rng(0).normal(size=(steps + 1, width))
    objective = Objective(readout, loss=CrossEntropy(smoothing))

    def torchs(values: np.ndarray) -> float:
        logits = objective.logits(torch.from_numpy(values[1:, None, :classes]))
        target = torch.tensor([label])
        return float(F.cross_entropy(logits, target, label_smoothing=smoothing))

    peak, slope = np.zeros(width), np.ones(width)
    mode = {"max": loss.MAX, "mean": loss.MEAN, "last": loss.LAST}[readout]
    found, _ = kernel(loss.task.py_func)(u, classes, label, mode, weight, smoothing, peak, slope)
    assert found == pytest.approx(torchs(u), rel=1e-12)
    assert not slope[classes:].any()
    for k in range(classes):
        step = steps if readout != "max" else 1 + int(u[1:, k].argmax())
        up, down = u.copy(), u.copy()
        up[step, k] += h
        down[step, k] -= h
        quotient = weight * (torchs(up) - torchs(down)) / (2 * h)
        assert slope[k] == pytest.approx(quotient, rel=1e-6, abs=1e-9)


def test_equal_maxima_share_the_gradient_as_in_torch():
    u = np.random.default_rng(0).normal(size=(8, 16)).round(1)
    u[[2, 4, 7], 3] = u[[1, 7], 0] = 9.0
    readout = torch.tensor(u[1:, None, :5], requires_grad=True)
    F.cross_entropy(Objective("max").logits(readout), torch.tensor([2])).backward()
    peak, slope = np.zeros(16), np.zeros(16)
    kernel(loss.task.py_func)(u, 5, 2, loss.MAX, 1.0, 0.0, peak, slope)
    found = np.where(u[1:, :5] == peak[:5], slope[:5], 0)
    assert readout.grad is not None
    np.testing.assert_allclose(found, readout.grad[:, 0].numpy(), rtol=1e-12, atol=1e-15)


def test_the_share_of_a_label_is_below_one():
    with pytest.raises(ValueError, match=r"^trainer.label_smoothing = 1.0 must be below 1$"):
        CrossEntropy(1.0)
