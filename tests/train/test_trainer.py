from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from fdi.engine.cpu import CpuEngine
from fdi.engine.reference import ReferenceEngine
from fdi.runner import training
from fdi.snn.models import dale
from fdi.snn.neuron import lif
from fdi.snn.objective import LowerBound, UpperBound
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


@pytest.mark.parametrize("optimizer", ["smorms3", "adam", "sgd"])
def test_primed_within_the_bounds_is_never_primed(build, train, optimizer):
    make: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "smorms3": SMORMS3,
        "adam": lambda p: torch.optim.Adam(p, weight_decay=0.1),
        "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
    }
    trained = []
    for prime_epochs in (0, 2):
        network = build(hidden=32)
        stages = phases(epochs=2, upper=UpperBound(10.0, 100.0), prime_epochs=prime_epochs)
        rows, _ = train(network, make[optimizer](network.parameters()), stages)
        trained.append((rows[-1]["train/loss"], [w.detach() for w in network.parameters()]))
    (loss, weights), (primed_loss, primed_weights) = trained
    assert loss == primed_loss
    assert all(torch.equal(a, b) for a, b in zip(weights, primed_weights))


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
        network = build(hidden=8, **learned)
        return network, SMORMS3(network.parameters(), lr=0.1), None

    never, optimizer, _ = start()
    whole, _ = train(never, optimizer, phases(epochs=3), engine=engine)
    stopped, progress, network = train_in_pieces(start, phases(epochs=3), engine=engine)
    assert stopped == whole
    for name, value in never.weights().items():
        assert torch.equal(value, network.weights()[name]), name
    assert progress.best_weights.keys() == network.weights().keys()


@pytest.mark.parametrize("optimizer", ["smorms3", "adam", "sgd"])
def test_a_phase_starts_with_a_fresh_optimizer(build, train, optimizer):
    """Training on from a primed network is training one drawn that way, also after a stop between
    the phases.
    """
    make = OPTIMIZERS[optimizer]
    bound = UpperBound(10.0, 0.5)
    network = build(sigma_u=3.0, hidden=16)
    train(network, make(network.parameters()), phases(epochs=1, upper=bound, prime_epochs=2))

    again = build(sigma_u=3.0, hidden=16)
    first, *_ = phases(epochs=1, upper=bound, prime_epochs=2)
    train(again, make(again.parameters()), [first])
    train(again, make(again.parameters()), phases(epochs=1, upper=bound))
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
    training.save_checkpoint(tmp_path / "last.pt", network, optimizer, Progress(epoch=3))
    weights = torch.load(tmp_path / "last.pt", weights_only=True)["weights"]
    assert list(weights) == ["input->h1", "h1->readout"]
    progress = training.load_checkpoint(tmp_path / "last.pt", other, SMORMS3(other.parameters()))
    assert progress.epoch == 3
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), other.parameters()))
    with pytest.raises(ValueError, match=r"weights .* do not fit a network of \{'input->h1'"):
        other.load_weights({"input->h2": weights["input->h1"]})


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
        lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.1),
    ],
)
def test_weights_without_a_gradient_wait_with_momentum_and_decay(build, train, make):
    network = build(hidden=8, depth=2)
    links = {projection.name: projection.weight for projection in network.projections}
    batches: list[dict[str, torch.Tensor]] = []

    class FallsSilent(ReferenceEngine):
        """From the second batch on, no gradient reaches the first weights."""

        def step(self, *given):
            outcome = super().step(*given)
            if batches:
                links["input->h1"].grad.zero_()
            return outcome

    def remember(done, outcome):
        batches.append({name: weight.detach().clone() for name, weight in links.items()})

    drawn = links["input->h1"].detach().clone()
    optimizer, engine = make(network.parameters()), FallsSilent()
    train(network, optimizer, phases(epochs=1), on_batch=remember, engine=engine)
    first, last = batches[0], batches[-1]
    assert (first["input->h1"] != drawn).any()  # there is momentum, and it would move them
    torch.testing.assert_close(last["input->h1"], first["input->h1"], rtol=0, atol=0)
    assert (last["h1->h2"] != first["h1->h2"]).any()
