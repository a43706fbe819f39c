"""Schedules of the learning rate, clipped gradients, smoothed labels."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

from fdi.snn.objective import CrossEntropy, UpperBound
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


def test_the_share_of_a_label_is_below_one():
    with pytest.raises(ValueError, match=r"^trainer.label_smoothing = 1.0 must be below 1$"):
        CrossEntropy(1.0)
