"""A kernel that is wrong, crashes or hangs on a card is not used there."""

from __future__ import annotations

import sys
from pathlib import Path

import needs
import pytest
import torch

from fdi.engine.cuda import CudaEngine, choice, trial, trust
from fdi.snn import models

pytestmark = needs.kernels
CPU, CASE = torch.device("cpu"), trust.Case(1, "zero", "superspike", 0)
FAULTY = Path(__file__).with_name("faulty.py")


@pytest.fixture
def doubt(monkeypatch, tmp_path):
    """Why kernels with a fault are not used."""
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setattr("triton.knobs.cache.dir", str(tmp_path))

    def ask(fault: str) -> str | None:
        trust.doubt.cache_clear()
        monkeypatch.setattr(trust, "COMMAND", [sys.executable, str(FAULTY), fault, "trust"])
        return trust.doubt(CASE, CPU)

    yield ask
    trust.doubt.cache_clear()


def test_a_right_kernel_is_tried_once(doubt):
    assert doubt("none") is None
    assert doubt("illegal_access") is None  # nothing is tried again


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("no_spike", r"spikes were not those of the CPU"),
        ("half_a_gradient", r"a gradient was not that of the CPU, by 0.5 of the largest"),
        ("no_event", r"spikes were not those of the CPU"),
        ("half_of_the_events", r"a gradient was not that of the CPU, by 0.5 of the largest"),
        ("illegal_access", r"killed its process \(SIGSEGV\)"),
    ],
)
def test_a_faulty_kernel_is_told_once_and_for_all(doubt, fault, words):
    with pytest.raises(AssertionError, match=words):
        assert doubt(fault) is None
    assert doubt("none") is not None


@pytest.mark.parametrize(
    ("fault", "seconds", "words"),
    [
        ("out_of_memory", 300, "failed: .*out of memory"),
        ("cuda_error", 300, "failed: RuntimeError: CUDA error: an illegal memory access was enc"),
        ("for_ever", 3, "not done after 3 s"),
    ],
)
def test_what_may_pass_is_tried_again(doubt, monkeypatch, fault, seconds, words):
    monkeypatch.setattr(trust, "LONGEST", seconds)
    with pytest.raises(AssertionError, match=words):
        assert doubt(fault) is None
    monkeypatch.setattr(trust, "LONGEST", 300)
    assert doubt("none") is None


@pytest.mark.parametrize("kernels", ["auto", "on", "off"])
def test_the_switch(monkeypatch, kernels):
    monkeypatch.setattr(trust, "doubt", lambda case, device: "it proved wrong")
    monkeypatch.setattr(choice, "_tried", lambda weight: True)
    net = models.dense((7,), 3, 9, 5e-3, hidden=5)
    lines = CudaEngine(kernels=kernels).outline(net, 9, 3)[1:]
    why = {"auto": ["it proved wrong"], "on": [], "off": ["engine.kernels = off"]}[kernels]
    assert lines == [f"h1 in plain torch: {each}" for each in why]


@pytest.mark.parametrize("units", [0, 1, 16, 100, 128, 256])
@pytest.mark.parametrize("channels", [1, 2])
def test_all_layers_of_the_tiny_network_spike(channels, units):
    from fdi.engine.reference.engine import ReferenceEngine

    for reset in ("zero", "subtract"):
        for x in trial.inputs():
            net = trial.tiny(trust.Case(channels, reset, "superspike", units))
            counts = ReferenceEngine().simulate(net, x).counts
            assert all(n.sum() > 0 for n in counts.values())
