"""A kernel that is wrong, crashes or hangs on a card is not used there."""

from __future__ import annotations

import re
import sys
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import faulty
import needs
import numpy as np
import pretend
import pytest
import torch

from fdi.engine.cuda import CudaEngine, choice, trial
from fdi.snn import models
from fdi.snn.objective import Objective
from fdi.track.record import look

pytestmark = needs.kernels
CPU, CASE = torch.device("cpu"), choice.Case(1, "zero", "superspike", 0)
FAULTY = Path(__file__).with_name("faulty.py")
SIZES = re.compile(r"^([A-Z, ]+) = ([\d, ]+?)(?:  #.*)?$", re.MULTILINE)


@pytest.fixture
def doubt(monkeypatch, tmp_path):
    """Why kernels are not used that a process with this command tried."""
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setattr("triton.knobs.cache.dir", str(tmp_path))

    def ask(*command: str) -> str | None:
        choice.doubt.cache_clear()
        monkeypatch.setattr(choice, "COMMAND", [sys.executable, *command])
        return choice.doubt(CASE, CPU)

    yield ask
    choice.doubt.cache_clear()


def trying(fault: str) -> tuple[str, str, str]:
    return str(FAULTY), "trust", fault


def instead(code: str) -> tuple[str, str, str]:
    """A process that tries no kernel, and ends as one that did."""
    return "-S", "-c", code


RIGHT, KILLED = instead(""), instead("import ctypes; ctypes.string_at(0)")


@pytest.mark.slow
def test_a_right_kernel_is_tried_once(doubt):
    assert doubt(*trying("none")) is None
    assert doubt(*KILLED) is None  # nothing is tried again


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (instead("print('a gradient was not'); raise SystemExit(3)"), "a gradient was not"),
        (KILLED, "its kernel was tried on this card, and killed its process (SIGSEGV)"),
    ],
)
def test_a_faulty_kernel_is_told_once_and_for_all(doubt, command, words):
    assert words in doubt(*command)
    assert words in doubt(*RIGHT)


@pytest.mark.parametrize(("why", "code"), [("a gradient was not", 3), (None, 0)])
def test_the_process_says_what_it_found(monkeypatch, capsys, why, code):
    monkeypatch.setattr(trial, "check", lambda case, device: why and f"{why} ({case.units} units)")
    assert trial._main("cpu", "1", "zero", "superspike", "20") == code
    assert capsys.readouterr().out.strip() == (f"{why} (20 units)" if why else "")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("no_spike", "spikes were not those of the CPU"),
        ("half_a_gradient", "a gradient was not that of the CPU, by 0.5 of the largest"),
        ("no_event", "spikes were not those of the CPU"),
        ("half_of_the_events", "a gradient was not that of the CPU, by 0.5 of the largest"),
    ],
)
def test_wrong_numbers_are_found(small_trial, monkeypatch, fault, words):
    monkeypatch.setattr(*faulty.place(fault), getattr(faulty, fault))
    assert words in str(trial.check(CASE, CPU))


OUT_OF_MEMORY = """class OutOfMemoryError(RuntimeError): __module__ = "torch"
raise OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
"""
ILLEGAL_ACCESS = """said = "CUDA error: an illegal memory access was encountered"
raise RuntimeError(said + chr(10) + "Compile with `TORCH_USE_CUDA_DSA` to ...")
"""
BUSY = """class AcceleratorError(RuntimeError): __module__ = "torch"
raise AcceleratorError("CUDA error: CUDA-capable device(s) is/are busy or unavailable")
"""


@pytest.mark.parametrize(
    ("code", "seconds", "words"),
    [
        (OUT_OF_MEMORY, 300, "failed: torch.OutOfMemoryError: CUDA out of memory"),
        (
            ILLEGAL_ACCESS,
            300,
            "failed: RuntimeError: CUDA error: an illegal memory access was encountered",
        ),
        ("import time; time.sleep(1000)", 0.5, "not done after 0.5 s"),
        (BUSY, 300, "this card lets in one process at a time"),
    ],
)
def test_what_may_pass_is_tried_again(doubt, monkeypatch, code, seconds, words):
    monkeypatch.setattr(choice, "LONGEST", seconds)
    assert words in doubt(*instead(code))
    monkeypatch.setattr(choice, "LONGEST", 300)
    assert doubt(*RIGHT) is None


@pytest.mark.parametrize("kernels", ["auto", "on", "off"])
def test_the_switch(monkeypatch, kernels):
    monkeypatch.setattr(choice, "doubt", lambda case, device: "it proved wrong")
    monkeypatch.setattr(choice, "_tried", lambda device: True)
    net = models.dense((7,), 3, 9, 5e-3, hidden=5)
    lines = CudaEngine(kernels=kernels).outline(net, 9, 3)[1:]
    why = {"auto": ["it proved wrong"], "on": [], "off": ["engine.kernels = off"]}[kernels]
    assert lines == [f"h1 in plain torch: {each}" for each in why]


@pytest.mark.parametrize(
    ("channels", "units"),
    [
        pytest.param(*each, marks=[pytest.mark.slow] * (each not in ((1, 0), (2, 1), (2, 256))))
        for each in product((1, 2), (0, 1, 16, 100, 128, 256))
    ],
)
def test_the_trial_has_several_blocks_of_everything_and_all_layers_spike(channels, units):
    from fdi.engine.reference import ReferenceEngine

    for size, block in ((trial.UNITS, 128), (trial.BATCH, 32), (trial.STEPS, 16)):
        assert size > 2 * block
        assert size % block
    for reset in ("zero", "subtract"):
        for x in trial.inputs():
            net = trial.tiny(choice.Case(channels, reset, "superspike", units))
            counts = ReferenceEngine().simulate(net, x).counts
            assert all(n.sum() > 0 for n in counts.values())


@pytest.mark.parametrize("units", [0, 256])
def test_every_kernel_of_the_trial_has_several_programs_along_each_axis(monkeypatch, units):
    from fdi.engine.cuda.kernels import launch, launch_sparse, scan, sparse

    sizes: dict[str, int] = {}  # tests have others
    for module in (launch, launch_sparse):
        for names, values in SIZES.findall(Path(str(module.__file__)).read_text()):
            sizes |= zip(names.split(", "), map(int, values.split(", ")))
        for name in sizes.keys() & vars(module).keys():
            monkeypatch.setattr(module, name, sizes[name])
    assert sizes["TARGETS"] == sizes["LOOKED"] == 128  # as in the test above
    assert (sizes["SAMPLES"], sizes["STEPS"]) == (32, 16)
    grids: dict[str, list[tuple[int, ...]]] = {}

    class Counted(NamedTuple):
        name: str

        def __getitem__(self, grid):
            grids.setdefault(self.name, []).append(grid)
            return lambda *given, **sizes: None

    for module in (scan, sparse):
        for name in ("forward", "backward", "by_events", "by_spikes", "when", "gradient"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, Counted(name))
    x = trial.inputs()[0]
    engine, labels = CudaEngine(kernels="on"), np.arange(len(x)) % trial.CLASSES
    with pretend.Pretend():
        net = trial.tiny(choice.Case(2, "zero", "superspike", units)).to(pretend.device())
        kept: Any = engine.keep(net, {"x": x})[0]["x"]
        pretend.COUNT.kernels = pretend.COUNT.moved = 0
        engine.evaluate(net, kept, labels, Objective())
        engine.step(net, kept, labels, Objective())
    assert pretend.COUNT.kernels < 400
    assert pretend.COUNT.moved < 0.4e9
    assert len(grids) == 6
    for name, launched in grids.items():
        assert all(max(axis) > 1 for axis in zip(*launched)), name


@pytest.mark.parametrize("held", [False, True])
def test_a_run_tries_its_kernels_before_it_opens_the_card(start, monkeypatch, held):
    """The card lets in one process: whoever comes when the run has tensors on it is turned away."""
    before = pretend.in_use()

    def doubt(case, device):
        return choice.EXCLUSIVE if held or pretend.COUNT.bytes > before else None

    monkeypatch.setattr(choice, "doubt", cache(doubt))
    monkeypatch.setattr(choice, "_tried", lambda device: True)
    _, directory = start("pretended", "dense", "events", "probe=none", "init=kaiming")
    plan = look(directory).origin["plan"]
    assert [choice.EXCLUSIVE in line for line in plan[1:]] == [True] * 2 * held


def test_a_card_with_and_without_its_number_is_one(monkeypatch):
    tried = []
    monkeypatch.setattr(choice.fused, "refusal", lambda *given: None)
    monkeypatch.setattr(choice, "doubt", lambda case, device: tried.append(device))
    net = models.dense((3,), 2, 9, 5e-3, hidden=4)
    for name in ("cuda", "cuda:0", "cuda:1"):
        choice.refusal(net, net.layers[0], "auto", torch.device(name))
    assert list(map(str, tried)) == ["cuda:0", "cuda:0", "cuda:1"]
