"""CUDA graphs on the pretended GPU: what is captured is computed on other batches, to the last bit,
with few launches; and what changes in shape is refused.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import needs
import numpy as np
import pretend
import pytest
import torch
from test_kernels import OBJECTIVE, STEPS, batch, gradients, network

from fdi.data.inputs import Events
from fdi.engine.cuda import CudaEngine, engine
from fdi.snn import models
from fdi.snn.objective import Objective

BATCH = 3


@pytest.fixture(autouse=True)
def graphs(monkeypatch) -> None:
    pretended_graphs(monkeypatch)


def pretended_graphs(monkeypatch) -> None:
    """On the pretended GPU."""
    monkeypatch.setattr(torch.cuda, "CUDAGraph", pretend.Graph)
    monkeypatch.setattr(torch.cuda, "graph", pretend.capture)
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    monkeypatch.setattr(engine, "CAPTURING", {"cuda", pretend.DEVICE})


def trained(net, x, labels, objectives, graphs: bool, kernels: Any):
    """Outcomes and gradients of steps on batches of three, and the last, of two samples."""
    order, found = np.random.default_rng(0).permutation(len(x)), []
    with pretend.Pretend():
        net, mine = net.to(pretend.device()), CudaEngine(kernels=kernels, graphs=graphs)
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        if graphs:
            mine.plan(net, STEPS, BATCH, {"train": x}, {})
        kept: Any = mine.keep(net, {"train": x}, BATCH)[0]["train"]
        pretend.COUNT.captured = pretend.COUNT.replayed = 0
        for objective in objectives:
            for i in range(0, len(x), BATCH):
                at = order[i : i + BATCH]
                pretend.COUNT.kernels = pretend.COUNT.waits = 0
                outcome = mine.step(net, kept.take(at), labels[at], objective)
                launches = pretend.COUNT.kernels, pretend.COUNT.waits
                found.append((outcome.task, *outcome.sums, *gradients(net)))
                optimizer.step()
    return found, launches


@pytest.mark.parametrize(
    ("kind", "given", "kernels"),
    [
        ("dense", "frames", "off"),
        ("conv_recurrent", "constant", "off"),
        pytest.param("recurrent", "events", "on", marks=(needs.kernels, pytest.mark.slow)),
        pytest.param("dale", "counted", "on", marks=(needs.kernels, pytest.mark.slow)),
    ],
)
def test_a_graph_computes_other_batches_to_the_last_bit(kind, given, kernels, few_programs):
    net = network(kind)
    x, labels = batch(net, given, samples=14)
    objectives = [OBJECTIVE, Objective("max")]
    wanted, _ = trained(network(kind), x, labels, objectives, False, kernels)
    assert pretend.COUNT.captured == pretend.COUNT.replayed == 0
    found, _ = trained(net, x, labels, objectives, True, kernels)
    # of five batches of an objective the first and the last, a smaller one, are no replays
    assert (pretend.COUNT.captured, pretend.COUNT.replayed) == (2, 6)
    for one, other in zip(found, wanted, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_replayed_step_is_five_launches_and_one_wait():
    net = network("dense")
    x, labels = batch(net, samples=9)
    assert trained(net, x, labels, [OBJECTIVE], True, "off")[1] == (5, 1)
    assert trained(network("dense"), x, labels, [OBJECTIVE], False, "off")[1][0] > 30


def test_what_cannot_be_captured_is_refused(monkeypatch):
    net = models.dense((7,), 3, STEPS, 5e-3, hidden=5).to("cpu")
    x, _ = batch(net, samples=5)
    events, _ = batch(net, "events", samples=5)
    assert isinstance(events, Events)
    normed = models.dense((7,), 3, STEPS, 5e-3, hidden=5, norm="layer")
    monkeypatch.setattr(engine, "CAPTURING", {"cpu"})
    refused: list[tuple[CudaEngine, Any, dict[str, Any], str]] = [
        (CudaEngine(kernels="off"), net, {"train": events}, "each batch has another number"),
        (CudaEngine(kernels="off"), normed, {"train": x}, "normalization is left to autograd"),
        (CudaEngine(), net, {}, "train is transformed on the CPU"),
        (CudaEngine(1e-5), net, {"train": x}, "are more than engine.memory = 1e-05 GiB"),
    ]
    for mine, built, splits, why in refused:
        mine.graphs = True
        with pytest.raises(ValueError, match=f"engine.graphs=true does not work here: .*{why}"):
            mine.plan(built, STEPS, BATCH, splits, {})
    monkeypatch.setattr(engine, "CAPTURING", {"cuda"})
    with pytest.raises(ValueError, match="it needs a GPU of NVIDIA; leave it out"):
        CudaEngine(graphs=True).plan(net, STEPS, BATCH, {"train": x}, {})


@pytest.mark.slow
def test_a_run_with_graphs_has_the_numbers_of_one_without(start):
    given = ["probe=none", "trainer.epochs=2", "trainer.batch_size=3", "model.hidden=5"]
    expected, _ = start("pretended", "dense", "frames", *given, name="without")
    pretend.COUNT.captured = pretend.COUNT.replayed = 0
    found, directory = start("pretended", "dense", "frames", *given, "engine.graphs=true")
    assert (pretend.COUNT.captured, pretend.COUNT.replayed) == (1, 5)
    assert "steps of 3 samples as a CUDA graph" in (directory / "run.json").read_text()
    same = {key: value for key, value in expected.items() if "second" not in key}
    assert same == {key: value for key, value in found.items() if "second" not in key}
