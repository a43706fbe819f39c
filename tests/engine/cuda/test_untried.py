"""Devices that nobody has tried, pretended: mps knows no float64 and has no kernels."""

from __future__ import annotations

import pretend
import pytest
import torch
from omegaconf import DictConfig

from fdi.engine.cuda import fused
from fdi.runner import build


@pytest.fixture(autouse=True)
def mps(monkeypatch):
    why = fused.nowhere(torch.device("mps"))
    monkeypatch.setattr(pretend, "FLOATS", {torch.float32})
    monkeypatch.setattr(fused, "nowhere", lambda device: why)


@pytest.mark.parametrize(
    ("model", "kind", "engine"),
    [
        ("recurrent", "events", "auto"),
        ("conv", "constant", "auto"),
        pytest.param("dale_conv", "frames", "auto", marks=pytest.mark.slow),
        ("dense", "events", "reference"),
    ],
)
def test_they_compute_what_the_cpu_does(start, capsys, model, kind, engine):
    given = ["init=fluct", "optimizer=adam", "trainer.epochs=1", f"engine={engine}"]
    expected, _ = start("cpu", model, kind, *given)
    result, _ = start("mps", model, kind, *given)
    told = " ".join(capsys.readouterr().out.split())
    assert f"engine {'cuda' if engine == 'auto' else engine}, device mps" in told
    assert "fdi has never run on such a device; tried here, 0 of " in told
    assert ("in plain torch: the kernels are for GPUs of NVIDIA" in told) == (engine == "auto")
    assert result["rates"] == pytest.approx(expected["rates"], rel=1e-5)
    assert result["test_loss_last"] == pytest.approx(expected["test_loss_last"], rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "given",
    [
        ["neuron.tau_shape=3", "engine=reference"],
        pytest.param(["neuron.learn_tau=true"], marks=pytest.mark.slow),
        pytest.param(["model.norm=bntt"], marks=pytest.mark.slow),
        ["model.norm=layer", "init=fluct_calibrated"],
    ],
)
def test_what_is_not_plain_runs_there_too(start, given):
    given = ["init=kaiming", "trainer.epochs=1", *given]
    expected, _ = start("cpu", "dense", "frames", *given)
    result, _ = start("mps", "dense", "frames", *given)
    assert result["rates"] == pytest.approx(expected["rates"], rel=1e-5)


def test_float64_is_refused(start):
    with pytest.raises(ValueError, match="precision=float64 does not run on device=mps"):
        start("mps", "dense", "events", "optimizer=smorms3", "optimizer.precision=float64")


def test_wrong_numbers_are_refused_before_training(start, monkeypatch):
    lost = {torch.ops.aten.sub_}

    def compute(func, args, kwargs):
        return args[0] if func.overloadpacket in lost else right(func, args, kwargs)

    right = pretend.compute
    monkeypatch.setattr(pretend, "compute", compute)
    with pytest.raises(ValueError, match=r"device = mps: \d+ of \d+ spikes differ.*use device=cpu"):
        start("mps", "dense", "events", "init=fluct", "probe=none")


@pytest.mark.parametrize(("device", "kind"), [("mps", "MPS"), ("xpu", "XPU"), ("xpu:1", "XPU")])
def test_without_one_that_is_a_line(device, kind):
    with pytest.raises(ValueError, match=f"device = {device}: PyTorch finds no {kind} device here"):
        build.device(DictConfig({"device": device}))


def test_the_second_of_two_is_found(monkeypatch):
    monkeypatch.setattr(torch.xpu, "device_count", lambda: 2)
    assert build.device(DictConfig({"device": "xpu:1"})) == torch.device("xpu", 1)
    with pytest.raises(ValueError, match=r"there are 2 XPU devices here, the last is xpu:1"):
        build.device(DictConfig({"device": "xpu:2"}))
