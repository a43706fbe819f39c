"""What a probe says the optimizer follows moves, or the run says what ate the step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from compared import spoiling
from making import SMALL

import fdi
from fdi.engine.cpu import CpuEngine
from fdi.engine.reference import ReferenceEngine
from fdi.init.fluct import Fluct
from fdi.init.probe import follow_gradients, probe_populations
from fdi.init.verdict import unmoved
from fdi.snn.objective import Objective
from fdi.train.optimizers import SMORMS3
from fdi.train.trainer import Trainer, phases

ENGINES = {"reference": ReferenceEngine, "cpu": lambda: CpuEngine(threads=1)}


def optimizer_of(network, lr=5e-3):
    return SMORMS3(network.parameters(), lr=lr, eps=1e-60, precision="float64")


@pytest.fixture
def followed(build, data, train):
    """Trains an epoch from a network whose least hidden gradient is `size`, with an engine that
    does to each gradient what `spoil` does; returns what did not move, how far each did, and the
    probe.
    """

    def fit(size: float, engine="cpu", spoil=lambda network: None, optimizer=optimizer_of):
        network, initial = build(hidden=12, depth=3), build(hidden=12, depth=3)
        inputs, labels = data.train.batch(np.arange(64), np.random.default_rng(0))
        given = (ENGINES[engine](), inputs, labels, Objective(), Fluct(), data.nu)
        least = min(row["grad_task_max"] for row in probe_populations(network, *given)[:-1])
        with torch.no_grad():
            network.projections[-1].weight.mul_(size / least)
        initial.load_weights(network.weights())
        rows = probe_populations(network, *given)
        rule = optimizer(network)
        follow_gradients(rows, rule)

        spoiled = spoiling(lambda network, batch: spoil(network), ENGINES[engine])
        (trained,), _ = train(network, rule, phases(epochs=1), engine=spoiled)
        moved = {
            name: float((weight.double() - initial.weights()[name].double()).norm())
            for name, weight in network.weights().items()
        }
        return unmoved(rows, network, initial.weights(), trained, "smorms3"), moved, rows

    return fit


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("size", [1e-5, 1e-25, 1e-30])
def test_a_gradient_above_the_floor_moves_its_weights_however_small(followed, engine, size):
    still, moved, rows = followed(size, engine)
    assert not still
    assert all(distance > 1e-3 for distance in moved.values())
    assert min(row["grad_task_max"] for row in rows[:-1]) == pytest.approx(size, rel=0.5)


@pytest.mark.parametrize(
    ("engine", "size", "layer"),
    [*(("cpu", size, layer) for size in (1e-25, 1e-30) for layer in range(3)),
     ("reference", 1e-30, 1)],
)  # fmt: skip
def test_a_gradient_that_is_dropped_in_one_layer_is_found(followed, engine, size, layer):
    def drop(network):
        network.projections[layer].weight.grad.zero_()

    still, moved, _ = followed(size, engine, drop)
    assert list(still) == [f"h{layer + 1}"]
    assert "it was 0 in each step of training" in still[f"h{layer + 1}"]
    assert sum(distance < 1e-6 for distance in moved.values()) == 1


def test_what_ate_the_step_is_said(followed):
    def shrink(network):
        network.projections[0].weight.grad.clamp_(-1e-36, 1e-36)

    still, *_ = followed(1e-25, spoil=shrink)
    assert "below the effective floor" in still["h1"]
    still, *_ = followed(1e-5, optimizer=lambda network: optimizer_of(network, lr=1e-12))
    assert "are lost in rounding" in still["h2"]

    def hold(network):
        for projection in network.projections:
            projection.weight.grad.clamp_(-1e-36, 1e-36)

    still, *_ = followed(
        1e-5, spoil=hold, optimizer=lambda network: torch.optim.SGD(network.parameters(), lr=0.1)
    )
    assert "nothing that fdi knows explains it" in still["h1"]


def unmoved_of(run: fdi.Trained) -> dict[str, str]:
    found: dict[str, str] = (run.result or {}).get("unmoved", {})
    return found


ADAMW = {"_target_": "torch.optim.AdamW", "lr": 0.01, "weight_decay": 0.1}


@pytest.mark.parametrize(
    "words",
    [
        {"optimizer": "adam", "+optimizer": ADAMW},
        {"homeostasis.prime_epochs": 1, "trainer.epochs": 1},
    ],
    ids=str,
)
def test_a_run_finds_it_under_weight_decay_and_after_priming(here, monkeypatch, words):
    """Weight decay moves what has no gradient; behind priming the task begins elsewhere."""
    step = Trainer._gradients

    def dropped(self, inputs, labels, objective, *given):
        outcome = step(self, inputs, labels, objective, *given)
        if objective.task_weight:
            self.network.projections[0].weight.grad.zero_()
        return outcome

    assert not unmoved_of(fdi.run(**SMALL | words))
    monkeypatch.setattr(Trainer, "_gradients", dropped)
    found = unmoved_of(fdi.run(**SMALL | words, results="dropped"))
    assert list(found) == ["h1"]
    assert "it was 0 in each step of training" in found["h1"]


@pytest.mark.parametrize("fresh", [False, True])
def test_what_the_optimizer_remembers_of_priming_may_eat_a_step(here, fresh):
    low = {"optimizer.eps": 1e-60, "optimizer.precision": "float64", "model.depth": 4}
    primed = {"homeostasis.prime_epochs": 1, "homeostasis.joint": False}
    words = SMALL | low | primed | {"init": "kaiming", "homeostasis.fresh_optimizer": fresh}
    found = unmoved_of(fdi.run(**words))
    assert bool(found) is not fresh
    assert all("divides by the gradients of priming" in why for why in found.values())
