"""Data that stay on the device: batches cut there are those cut on the CPU, and nothing waits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pretend
import pytest
import torch
from compared import as_events

from fdi.data.inputs import Constant, Events, Frames, Input
from fdi.engine.cuda import CudaEngine
from fdi.engine.cuda.kept import as_tensor, bytes_kept, copy_to
from fdi.engine.cuda.memory import SHARE, need
from fdi.snn import models
from fdi.snn.objective import Objective

STEPS, SHAPE, SAMPLES = 7, (2, 3), 8


def events(counted: bool) -> Events:
    """A slice, so that its first event is not that of the table."""
    counts = np.random.default_rng(0).poisson(0.4, (SAMPLES + 2, STEPS, *SHAPE))
    return as_events(counts, counted)[1 : SAMPLES + 1]


def values(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random((SAMPLES, *shape))


INPUTS: dict[str, Input] = {
    "events": events(False),
    "counted": events(True),
    "frames": Frames((values(STEPS, *SHAPE) * 4).astype(np.uint8)),
    "real frames": Frames(values(STEPS, *SHAPE)),
    "constant": Constant(values(*SHAPE).astype(np.float32), STEPS, 2.0, -0.3),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", INPUTS)
def test_a_batch_cut_on_the_device_is_that_of_the_cpu(kind, dtype):
    whole, indices = INPUTS[kind], np.array([5, 0, 7, 5])
    wanted = torch.from_numpy(whole.take(indices).dense(getattr(np, str(dtype)[6:])).copy())
    with pretend.Pretend():
        like = torch.zeros(1, dtype=dtype, device=pretend.device())
        kept = copy_to(whole, pretend.device())
        pretend.COUNT.waits = 0
        found = [
            as_tensor(kept.take(indices), like, SHAPE),
            as_tensor(kept.take(indices)[1:3], like, SHAPE),
            as_tensor(kept.take(indices[:0]), like, SHAPE),
            as_tensor(whole.take(indices), like, SHAPE),
        ]
        assert pretend.COUNT.waits == 0
        first, part, none, sent = (x.cpu() for x in found)
    assert torch.equal(first, wanted)
    assert torch.equal(part, wanted[:, 1:3])
    assert torch.equal(first, sent)
    assert none.shape[1] == 0


@pytest.mark.parametrize("kind", INPUTS)
def test_what_fits_into_memory_is_kept(kind):
    net, whole = models.dense(SHAPE, 2, STEPS, 5e-3, hidden=3), INPUTS[kind]
    each = bytes_kept(whole)
    room = 2 * each + 3 * need(net, STEPS)
    with pretend.Pretend():
        net = net.to(pretend.device())
        before = pretend.in_use()
        kept, said = CudaEngine(room / 2**30).keep(net, {"a": whole, "b": whole}, 3)
        assert pretend.in_use() - before == 2 * each
    assert set(kept) == {"a", "b"}
    assert said.startswith("a and b kept on the device: ")
    nothing, said = CudaEngine((room - 1) / 2**30).keep(net, {"a": whole, "b": whole}, 3)
    assert nothing == {}
    assert "a and b sent batch by batch: " in said
    assert "more than engine.memory" in said


@pytest.mark.parametrize(("samples", "stays"), [(200, True), (4000, False)])
def test_a_card_of_a_thousandth_of_8_gib_never_runs_out(samples, stays, monkeypatch):
    """8 MiB, and data in proportion: 4,000 samples would fit alone, but not beside a step."""
    rng, steps, batch = np.random.default_rng(0), 20, 40
    counts = rng.binomial(700, 0.015, samples * steps)
    indptr = np.concatenate([[0], np.cumsum(counts)])
    units = rng.integers(0, 700, indptr[-1]).astype(np.int32)
    whole = Events(indptr, units, (700,), steps)
    net, card = models.dense((700,), 2, steps, 5e-3, hidden=20), 8 * 2**20
    assert bytes_kept(whole) < SHARE * card
    with pretend.Pretend():
        monkeypatch.setattr(pretend, "ROOM", pretend.in_use() + card)
        net = net.to(pretend.device())
        engine = CudaEngine(SHARE * card / 2**30)
        kept, said = engine.keep(net, {"train": whole}, batch)
        assert bool(kept) == stays, said
        at = rng.integers(samples, size=batch)
        given: Any = kept.get("train", whole)
        engine.step(net, given.take(at), at % 2, Objective())


def test_events_of_other_units_are_not_kept():
    net, wrong = models.dense((3,), 2, STEPS, 5e-3, hidden=3), INPUTS["events"]
    with pytest.raises(ValueError, match="the network takes"):
        CudaEngine().keep(net, {"train": wrong})
