"""A batch is cut so that many threads have work, and added so that they do not change a bit."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import numpy as np
import pytest
import torch
from compared import frames, weighted

from fdi.data.inputs import Frames
from fdi.engine.cpu import CpuEngine, batch, dense_layout
from fdi.engine.cpu.memory import Sum, Tables
from fdi.engine.cpu.program import Program
from fdi.engine.reference import ReferenceEngine
from fdi.snn.models import conv, dale, dense
from fdi.snn.objective import Objective

GIVEN: dict[str, Any] = dict(classes=4, steps=80, dt=2e-3)


@pytest.mark.parametrize(("hidden", "density"), [([33], 0.4), ([33, 70], 0.02)])
def test_thirty_two_threads_work_on_a_batch_of_256_at_once(monkeypatch, hidden, density):
    """On chunks of their own if a chunk has many events, else four on each."""
    network = dense((9,), hidden=hidden, recurrent=len(hidden) > 1, **GIVEN)
    x = Frames((np.random.default_rng(0).random((256, 80, 9)) < density).astype(np.uint8))
    meet, run_chunks = threading.Barrier(32, timeout=60), batch.run_chunks

    def together(*given):
        meet.wait()
        run_chunks(*given)

    labels = np.zeros(256, dtype=np.int64)
    CpuEngine(1).step(network, x, labels, Objective())
    alone = [p.weight.grad.clone() for p in network.projections]
    CpuEngine(19).step(network, x, labels, Objective())
    teams_of_two = [p.weight.grad.clone() for p in network.projections]
    monkeypatch.setattr(batch, "run_chunks", together)
    CpuEngine(32).step(network, x, labels, Objective())
    for p, wanted, also in zip(network.projections, alone, teams_of_two):
        np.testing.assert_array_equal(p.weight.grad, wanted)
        np.testing.assert_array_equal(also, wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_wide_recurrence_in_larger_blocks_changes_no_bit(monkeypatch, dtype):
    """All weights pass by once for eight samples instead of four."""
    network = dense((9,), hidden=[512, 1024], recurrent=True, **GIVEN | dict(steps=12))
    x = frames(weighted(network.to(dtype), 4), 12, 70)
    labels = np.arange(70) % 4
    found = []
    for wide in (dense_layout.WIDE, 1 << 40):
        monkeypatch.setattr(dense_layout, "WIDE", wide)
        engine = CpuEngine(2)
        blocks = Program(network).in_step(12, 12, True), Program(network).in_step(12, 6, True)
        outcome = engine.step(network, x, labels, Objective())
        found.append([p.weight.grad.clone() for p in network.projections])
        assert blocks == ((8, 4) if wide < 1 << 40 else (4, 4))
        assert all(counts.any() for counts in outcome.counts.values())
    ReferenceEngine().step(network, x, labels, Objective())
    for p, wanted, also in zip(network.projections, *found):
        np.testing.assert_array_equal(wanted, also)
        near = 1e-9 if dtype == torch.float64 else 1e-3
        np.testing.assert_allclose(wanted, p.weight.grad, rtol=near, atol=near * wanted.abs().max())


FEW: dict[str, Any] = GIVEN | dict(steps=12)


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize(
    "network",
    [
        dense((9,), hidden=[40, 70], **FEW),
        dense((9,), hidden=[40, 1024], recurrent=True, **FEW),
        dale((9,), excitatory=40, inhibitory=24, **FEW),
    ],
    ids=["dense", "recurrent", "dale"],
)
def test_adjoints_of_samples_that_a_batch_does_not_have_are_not_computed(network, samples):
    """The memory of a block has room for more, which stays as it was."""
    engine, dtype = CpuEngine(1), np.dtype(np.float32)
    memory, x = engine._memory(network), frames(weighted(network, 4), 12, samples)
    plan = memory.program.layout.plan
    with memory.work(12, 12, True, dtype) as work:
        at, rows = work.at[0], 12 + 4
        size = plan.channels * plan.total * at["block"] * rows
        adjoints = work.numbers[at["adjoints"] : at["adjoints"] + size].reshape(plan.channels, -1)
        adjoints[:] = 1
    engine.step(network, x, np.zeros(samples, np.int64), Objective())
    for p in plan.layers[:-1]:
        first, extent = p["state_at"] * at["block"] * rows, at["block"] * p["width"] * rows
        layer = adjoints[:, first : first + extent].reshape(plan.channels, at["block"], -1)
        assert (layer[:, samples:] == 1).all()
        assert (layer[:, :samples] != 1).any()


def test_who_fails_in_a_team_does_not_leave_the_others_waiting(monkeypatch):
    network = dense((9,), hidden=[33], **GIVEN)
    x = Frames((np.random.default_rng(0).random((256, 80, 9)) < 0.02).astype(np.uint8))
    run_chunks = batch.run_chunks

    def fail_once(first, *given):
        if first == 40:
            raise MemoryError
        run_chunks(first, *given)

    monkeypatch.setattr(batch, "run_chunks", fail_once)
    with pytest.raises(MemoryError):
        CpuEngine(32).step(network, x, np.zeros(256, dtype=np.int64), Objective())


def test_chunks_follow_the_batch():
    rows = Program(dense((700,), hidden=[128], **GIVEN))
    maps = Program(conv((2, 9, 9), filters=[4], **GIVEN))
    assert rows.chunk(256, 256 * 8000) == 8
    assert rows.chunk(256, 256 * 1000) == 32  # few events: a table costs more than it
    assert rows.chunk(256, 0) == 32
    assert rows.chunk(5, 5 * 8000) == 4
    assert maps.chunk(256, 1) == 8
    assert maps.chunk(32, 1) == 4


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 7])
def test_the_sum_does_not_depend_on_who_is_first(count):
    parts = np.random.default_rng(0).normal(size=(count, 9)).astype(np.float32) * 1e3
    sums = set()
    for order in itertools.islice(itertools.permutations(range(count)), 200):
        total = Sum(count, Tables(9, np.dtype(np.float32)))
        for i in order:
            table = total.table()
            table += parts[i]
            total.add(i, table)
        with total.total() as found:
            sums.add(found.tobytes())
            np.testing.assert_allclose(found, parts.sum(0), rtol=1e-4, atol=1e-3)
    assert len(sums) == 1


def test_one_thread_keeps_few_tables():
    tables = Tables(9, np.dtype(np.float32))
    total = Sum(32, tables)
    for i in range(32):
        total.add(i, total.table())
    with total.total():
        assert tables.free.qsize() <= 5
