from __future__ import annotations

import numpy as np
import pytest
import torch
from compared import spoiling

from fdi.data.dataset import stream
from fdi.data.inputs import Frames
from fdi.engine.cpu import CpuEngine
from fdi.engine.reference import ReferenceEngine
from fdi.runner import training
from fdi.runner.story import movement
from fdi.snn.models import dale
from fdi.snn.neuron import lif
from fdi.snn.objective import LowerBound, UpperBound
from fdi.track.files import read_checkpoint
from fdi.train.optimizers import SMORMS3
from fdi.train.trainer import Diverged, Progress, phases

OPTIMIZERS = {
    "smorms3": lambda p: SMORMS3(p, lr=0.5),
    "adam": lambda p: torch.optim.Adam(p, lr=0.5),
    "sgd": lambda p: torch.optim.SGD(p, lr=10.0, momentum=0.9),
}


def test_training_learns_two_manifolds(build, train):
    network = build(hidden=32)
    rows, progress = train(network, SMORMS3(network.parameters()), phases(epochs=25))
    assert rows[-1]["train/loss"] < 0.7 * rows[0]["train/loss"]
    assert progress.best_accuracy == max(row["valid/accuracy"] for row in rows) > 0.75
    assert [row["epoch"] for row in rows] == list(range(1, 26))
    assert {"rate/h1", "silent/h1", "grad/input->h1", "grad/h1->readout"} <= set(rows[0])


def test_priming_trains_the_regularizers_alone_for_as_long_as_it_says(build, train):
    stages = phases(epochs=2, upper=UpperBound(10.0, 1.2), prime_epochs=5, joint=False)
    network = build(sigma_u=3.0, hidden=32)
    readout = network.projections[-1].weight
    before, primed_readout = readout.detach().clone(), []

    def look(row):
        if row["phase"] == "prime":
            primed_readout.append(readout.detach().clone())

    optimizer = torch.optim.Adam(network.parameters(), lr=0.05, weight_decay=0.01)
    rows, _ = train(network, optimizer, stages, on_epoch=look)
    assert [row["phase"] for row in rows] == ["prime"] * 5 + ["task"] * 2
    primed, trained = rows[:5], rows[5:]
    assert all(row["train/loss"] == row["train/regularizer"] for row in primed)
    assert primed[-1]["rate/h1"] < 0.8 * primed[0]["rate/h1"]
    assert all(torch.equal(before, weight) for weight in primed_readout)
    assert not torch.equal(before, readout)
    assert all(row["train/loss"] == row["train/task"] for row in trained)


@pytest.mark.parametrize(
    ("patience", "prime_epochs"), [pytest.param(1, 2, marks=pytest.mark.slow), (2, 0)]
)
def test_training_stops_when_validation_has_not_improved_for_that_many_epochs(
    build, train, train_in_pieces, patience, prime_epochs
):
    """Also when it is stopped after each epoch, and goes on from the checkpoint."""

    def start():
        network = build(hidden=8)
        return network, SMORMS3(network.parameters(), lr=0.1), None

    form = dict(epochs=12, upper=UpperBound(10.0, 1.2), prime_epochs=prime_epochs)
    network, optimizer, _ = start()
    rows, _ = train(network, optimizer, phases(**form))
    pieces, progress, _ = train_in_pieces(start, phases(**form, patience=patience))
    whole, stopped = ([row["valid/accuracy"] for row in of] for of in (rows, pieces))
    best, waited, last = -1.0, 0, prime_epochs
    while waited < patience:
        best, waited = (whole[last], 0) if whole[last] > best else (best, waited + 1)
        last += 1
    assert len(stopped) == last < len(whole)
    assert stopped == whole[: len(stopped)]
    assert (progress.best_epoch, progress.best_accuracy) == (len(stopped) - patience, best)


@pytest.mark.parametrize("engine", [ReferenceEngine(), CpuEngine(threads=2)])
@pytest.mark.parametrize(
    "learned",
    [
        {"norm": "tdbn"},
        {"norm": "bntt"},
        pytest.param({"neuron": lif(learn_tau=True)}, marks=pytest.mark.slow),  # compiled for it
    ],
)
def test_what_is_learned_besides_weights_survives_a_stop_to_the_last_bit(
    build, train, train_in_pieces, learned, engine
):
    def start():
        network = build(hidden=8, **learned).double()
        return network, SMORMS3(network.parameters(), lr=0.1, precision="float64"), None

    never, optimizer, _ = start()
    whole, _ = train(never, optimizer, phases(epochs=3), engine=engine)
    stopped, progress, network = train_in_pieces(start, phases(epochs=3), engine=engine)
    assert stopped == whole
    for name, value in never.weights().items():
        assert torch.equal(value, network.weights()[name]), name
    assert progress.best_weights.keys() == network.weights().keys()


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_task_goes_on_with_what_the_optimizer_remembers_or_afresh(
    build, train, optimizer, fresh
):
    """As the same phases in trainings of their own, with one optimizer or a second one."""
    bound, make = UpperBound(10.0, 0.5), OPTIMIZERS[optimizer]
    stages = phases(epochs=1, upper=bound, prime_epochs=2, fresh_optimizer=fresh)
    network, again = build(sigma_u=3.0, hidden=16), build(sigma_u=3.0, hidden=16)
    train(network, make(network.parameters()), stages)
    first = make(again.parameters())
    train(again, first, stages[:1])
    train(again, make(again.parameters()) if fresh else first, phases(epochs=1, upper=bound))
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters()))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_signs_never_flip_under_dales_law(build, train, optimizer):
    network = build(model=dale, excitatory=16, inhibitory=8, depth=2)
    start = [projection.weight.detach().clone() for projection in network.projections]

    def look(done, outcome):
        for projection in network.projections:
            if projection.nonnegative:
                assert projection.weight.min() >= 0

    train(
        network,
        OPTIMIZERS[optimizer](network.parameters()),
        phases(epochs=1, lower=LowerBound(100.0, 1e-3)),
        on_batch=look,
    )
    for projection, before in zip(network.projections, start):
        assert not torch.equal(projection.weight, before)
    clamped = [
        bool((projection.weight == 0).any())
        for projection in network.projections
        if projection.nonnegative
    ]
    assert any(clamped), "steps too small to reach 0 test nothing"


def test_a_loss_that_is_not_finite_stops_the_training(build, train):
    network = build(hidden=8)
    with torch.no_grad():
        network.projections[-1].weight[0, 0] = float("nan")
    with pytest.raises(Diverged, match=r"nan in epoch 1, batch 1; lower optimizer.lr"):
        train(network, SMORMS3(network.parameters()), phases(epochs=1))


def test_a_weight_that_is_not_finite_after_the_very_last_step_stops_it_too(build, train, data):
    network = build(hidden=8)
    optimizer = SMORMS3(network.parameters())

    def step(*_) -> None:
        steps.append(1)
        if len(steps) == batches:
            with torch.no_grad():
                network.projections[0].weight[0, 0] = float("inf")

    steps, batches = [], -(-len(data.train) // 32)
    vars(optimizer)["step"] = step
    with pytest.raises(Diverged, match=r"the weights of .* are not finite after epoch 1; lower"):
        train(network, optimizer, phases(epochs=1))


def test_order_is_the_same_for_every_initialization_and_new_in_every_epoch(build, train):
    seen: dict[int, list[np.ndarray]] = {}

    class Spy(ReferenceEngine):
        def step(self, network, inputs, labels, objective):
            seen.setdefault(id(network), []).append(labels)
            return super().step(network, inputs, labels, objective)

    for sigma_u in (0.5, 1.0):
        network = build(sigma_u, hidden=8)
        optimizer = SMORMS3(network.parameters())
        train(network, optimizer, phases(epochs=2), engine=Spy(), batch_size=60, seed=3)
    first, second = seen.values()
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0], first[len(first) // 2])


def test_weights_go_by_the_names_of_their_projections(build, tmp_path):
    network, other = build(), build(0.5)
    optimizer = SMORMS3(network.parameters())
    path = tmp_path / "last.pt"
    training.save_checkpoint(path, network, optimizer, Progress(epoch=3))
    weights = torch.load(path, weights_only=True)["weights"]
    assert list(weights) == ["input->h1", "h1->readout"]
    progress = training.load_checkpoint(
        path, read_checkpoint(path), other, SMORMS3(other.parameters())
    )
    assert progress.epoch == 3
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), other.parameters()))
    with pytest.raises(ValueError, match=r"weights .* do not fit a network of \{'input->h1'"):
        other.load_weights({"input->h2": weights["input->h1"]})


@pytest.mark.parametrize(
    "make",
    [
        SMORMS3,
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
        lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.1),
    ],
)
def test_a_gradient_of_zero_is_one_as_in_torch(build, train, data, make):
    """What falls silent goes on with momentum and decay, and 0 counts in what is remembered."""
    network, plain = build(hidden=8, depth=2), build(hidden=8, depth=2)

    def silence(network, batch):
        """In the second and third batch no gradient reaches the first weights."""
        if batch in (2, 3):
            network.projections[0].weight.grad.zero_()

    train(network, make(network.parameters()), phases(epochs=1), engine=spoiling(silence))
    engine, optimizer = spoiling(silence), make(plain.parameters())
    order = stream(0, "order", 0).permutation(len(data.train))
    for start in range(0, len(order), 32):
        batch = data.train.batch(order[start : start + 32], np.random.default_rng())
        engine.step(plain, *batch, phases(epochs=1)[0].objective)
        optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), plain.parameters()))


def test_movement_by_decay_counts_apart(build, train, train_in_pieces):
    """Of a layer without any gradient, and of one with its first gradient in the second epoch."""
    batches = []

    def silence(network, batch):
        batches.append(batch)
        for projection in network.projections[: 2 if batch <= 3 else 1]:
            projection.weight.grad.zero_()

    def start():
        network = build(hidden=8, depth=2)
        return network, torch.optim.SGD(network.parameters(), lr=0.1, weight_decay=0.1), None

    initial, *_ = start()
    _, progress, network = train_in_pieces(start, phases(epochs=2), engine=spoiling(silence))
    inputs = Frames(np.ones((6, 40, 10), np.uint8))
    found = movement(network, initial, ReferenceEngine(), inputs, progress.started)
    shrunk = {"input->h1": 1 - 0.99 ** len(batches), "h1->h2": 1 - 0.99**3, "h2->readout": 0}
    assert found["decayed"] == pytest.approx(shrunk, abs=1e-6)
    moved = {name: way for name, way in found["moved"].items() if way}
    assert list(moved) == ["h1->h2", "h2->readout"]


@pytest.mark.parametrize("size", [1e-25, 1.0, 1e25])
def test_the_norm_that_is_clipped_is_that_of_float64(build, train, size):
    """A gradient keeps its direction, and has at most the norm that it is clipped to."""
    network, found = build(hidden=8), []

    def scale(network, batch):
        for weight in network.parameters():
            weight.grad.mul_(size)
        found.append([weight.grad.double() for weight in network.parameters()])

    class Look(torch.optim.SGD):
        def step(self, closure=None):
            clipped = [weight.grad.double() for weight in network.parameters()]
            norm, now = (
                torch.stack([part.norm() for part in of]).norm() for of in (found[-1], clipped)
            )
            least = torch.minimum(norm, torch.tensor(1e-3))
            torch.testing.assert_close(now, least, rtol=2e-3, atol=0, check_dtype=False)

    train(
        network,
        Look(network.parameters(), lr=0.1),
        phases(epochs=1),
        engine=spoiling(scale),
        clip=1e-3,
    )
