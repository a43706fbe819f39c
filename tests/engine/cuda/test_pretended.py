"""The whole way of a run on a GPU, on the pretended one: it refuses what a GPU refuses, and the
numbers are those of the CPU.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pretend
import pytest
import torch

from fdi.engine.cuda.memory import usable_memory
from fdi.track import record
from fdi.track.files import CHECKPOINT

MATRIX = [  # each model and each of the other values; where weights are measured, on the device
    ("dense", "lsuv", "frames", "prime", "adam"),
    ("recurrent", "fluct_calibrated", "events", "joint", "smorms3"),
    ("conv", "fluct_calibrated", "frames", "prime", "sgd"),
    ("conv_recurrent", "fluct_calibrated", "constant", "joint", "adam"),
    ("dale", "fluct_lognormal", "events", "prime", "smorms3"),
    ("dale_conv", "fluct_calibrated", "frames", "joint", "sgd"),
]


def options(model: str, init: str, kind: str, homeostasis: str, optimizer: str) -> list[str]:
    prime = ["homeostasis.prime_epochs=1"] if homeostasis == "prime" else []
    given = [f"init={init}", f"homeostasis={homeostasis}", f"optimizer={optimizer}", *prime]
    if optimizer == "smorms3":  # else the rounding of a small gradient becomes a whole step
        given.append("optimizer.eps=1e-2")
    if model.startswith("dale") and kind != "events":  # else such a small layer stays silent
        given.append("init.nu=15")
    return given


def assert_equal_runs(start, model, init, kind, homeostasis, optimizer):
    given = options(model, init, kind, homeostasis, optimizer)
    found = []
    for where in ("cpu", "pretended"):
        result, directory = start(where, model, kind, *given)
        found.append((result, pd.read_csv(directory / "metrics.csv"), weights(directory)))
    (expected, curves, ours), (result, other_curves, others) = found
    for key, value in expected.items():
        if isinstance(value, float) and key != "seconds":
            assert result[key] == pytest.approx(value, rel=1e-4, abs=1e-5), key
    assert result["rates"] == pytest.approx(expected["rates"], rel=1e-5)
    timed = [name for name in map(str, curves) if name.startswith("seconds")]
    pd.testing.assert_frame_equal(
        curves.drop(columns=timed), other_curves.drop(columns=timed), rtol=1e-4, atol=1e-5
    )
    for name, weight in ours.items():
        np.testing.assert_allclose(others[name], weight, rtol=1e-3, atol=1e-5, err_msg=name)


def weights(directory) -> dict[str, np.ndarray]:
    state = torch.load(directory / CHECKPOINT, weights_only=True)
    return {name: weight.numpy() for name, weight in state["weights"].items()}


def test_a_run_has_the_numbers_of_the_cpu(start):
    assert_equal_runs(start, "conv", "orthogonal", "constant", "joint", "sgd")


@pytest.mark.slow
@pytest.mark.parametrize("cell", MATRIX, ids="-".join)
def test_every_run_has_the_numbers_of_the_cpu(start, cell):
    assert_equal_runs(start, *cell)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["cuda", "reference"])
def test_a_killed_run_goes_on_as_if_never_killed(start, engine, monkeypatch):
    given = ["init=fluct", "probe=none", f"engine={engine}", "trainer.epochs=2"]
    _, whole = start("pretended", "recurrent", "events", *given, name="whole")
    from fdi.runner import training

    save = training.save_checkpoint

    def kill(*arguments):
        save(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "save_checkpoint", kill)
    with pytest.raises(KeyboardInterrupt):
        start("pretended", "recurrent", "events", *given, name="killed")
    monkeypatch.setattr(training, "save_checkpoint", save)
    _, resumed = start("pretended", "recurrent", "events", *given, name="killed")
    for name, weight in weights(whole).items():
        np.testing.assert_array_equal(weights(resumed)[name], weight)


@pytest.mark.parametrize(
    ("kind", "room", "optimizer"),
    [
        ("events", True, "adam"),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                ("frames", False, "sgd"),
                ("constant", True, "smorms3"),
                ("events", False, "sgd"),
                ("frames", True, "smorms3"),
                ("constant", False, "adam"),
            )
        ),
    ],
)
def test_a_training_step_waits_twice(start, kind, room, optimizer, monkeypatch, capsys):
    from fdi.engine.cuda import CudaEngine, kept

    begun, step = [], CudaEngine.step
    monkeypatch.setattr(
        CudaEngine, "step", lambda *given: begun.append(pretend.COUNT.waits) or step(*given)
    )
    if not room:
        monkeypatch.setattr(kept, "bytes_kept", lambda whole: 2**40)
    given = ["probe=none", f"optimizer={optimizer}", "trainer.epochs=2", "trainer.batch_size=3"]
    start("pretended", "dense", kind, "model.hidden=5", *given)
    # between steps of an epoch, but the first, which makes tables that stay
    assert [*np.diff(begun[1:3]), *np.diff(begun[3:])] == [2, 2, 2]
    told = "kept on the device: " if room else "sent batch by batch: "
    assert f"train and valid and test {told}" in capsys.readouterr().out


def test_the_pretended_gpu_refuses_what_a_gpu_refuses():
    with pretend.Pretend():
        x = torch.ones(3, device=pretend.device())
        with pytest.raises(RuntimeError, match="same device"):
            x + torch.ones(3)
        with pytest.raises(RuntimeError, match="generator"):
            x.normal_(generator=torch.Generator())
        with pytest.raises((TypeError, RuntimeError), match="numpy"):
            x.numpy()
        assert (x + torch.tensor(1.0)).sum().item() == 6
        assert x[torch.tensor([0, 2])].cpu().tolist() == [1, 1]


def test_the_pretended_gpu_counts_what_waits_for_a_gpu():
    def waits(work) -> int:
        before = pretend.COUNT.waits
        work()
        return pretend.COUNT.waits - before

    with pretend.Pretend():
        y, x = torch.ones(3), torch.ones(3, device=pretend.device())
        assert waits(lambda: y.to(x.device, non_blocking=True)) == 0
        assert waits(lambda: y.to(x.device)) == waits(lambda: x.cpu()) == waits(x.sum().item) == 1
        assert waits(lambda: x.copy_(y, non_blocking=True)) == 0
        assert waits(lambda: x.copy_(y)) == waits(lambda: y.copy_(x, non_blocking=True)) == 1
        assert waits(lambda: x[torch.tensor([0, 2])]) == waits(lambda: x[x > 0]) == 1
        assert waits(lambda: x + x[x.long()]) == 0


def test_a_gpu_without_room_is_one_line(start, monkeypatch):
    def full(*_, **__):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.\n...")

    monkeypatch.setattr("fdi.engine.reference.simulation.simulate", full)
    with pytest.raises(MemoryError, match=r"device cuda is out of memory; lower engine\.memory"):
        start("pretended", "dense", "events", "probe=none")


@pytest.mark.slow
def test_what_a_step_needs_is_said_before_training(start, capsys):
    given = ["engine.memory=0.000014", "probe=none"]
    start("pretended", "recurrent", "events", *given)
    told = capsys.readouterr().out
    assert "GiB by count, in 3 parts of 2 samples" in told


@pytest.mark.slow
def test_a_run_keeps_the_memory_that_was_free_when_it_began(start, monkeypatch):

    given = ["init=fluct", "optimizer=adam", "trainer.epochs=1", "probe=none"]
    monkeypatch.setattr("fdi.engine.cuda.memory.usable_memory", lambda memory, device: 0.0005)
    _, directory = start("pretended", "dense", "events", *given)
    record.change(directory, state="interrupted", result=None)
    monkeypatch.setattr("fdi.engine.cuda.memory.usable_memory", lambda memory, device: memory)
    start("pretended", "dense", "events", *given)
    run = record.whole(directory)
    (again,) = run.resumed
    assert run.origin["memory"] == again["memory"] == 0.0005
    assert run.origin["plan"] == again["plan"]


@pytest.mark.parametrize(("free", "memory"), [(10, 8.0), (20, 10.0)])
def test_a_step_takes_less_than_what_is_free(monkeypatch, free, memory):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free * 2**30, 80 * 2**30))
    assert usable_memory(10.0, torch.device("cuda")) == memory
    assert usable_memory(10.0, torch.device("cpu")) == 10.0
