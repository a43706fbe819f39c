"""scripts/gpu_check.py from its first line to its page, in Triton's interpreter on a CPU and on
tiny workloads; what a faulty kernel makes of it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import needs
import pytest
import torch

SCRIPTS = Path(__file__).parents[3] / "scripts"
FAULTY = Path(__file__).with_name("faulty.py")
pytestmark = needs.kernels


@pytest.fixture
def check(monkeypatch, tmp_path):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.syspath_prepend(SCRIPTS)
    import gpu_check
    from benchmark import workloads
    from benchmark.libraries import ours

    def tiny(works: dict) -> dict:
        small = dict(steps=8, batch=3, sizes=(7,) * 2)
        maps = dict(shape=(2, 5, 5), kernel=(3, 3), pool=(2, 2))
        return {
            name: work | small | (maps if "kernel" in work else dict(shape=(20,)))
            for name, work in works.items()
        }

    def absent(*_):
        raise ModuleNotFoundError("a part of it\nis missing")

    for name in ("WORKLOADS", "MORE"):
        monkeypatch.setattr(gpu_check, name, tiny(getattr(gpu_check, name)))
    monkeypatch.setattr(workloads, "DT", 2e-2)  # so that all layers spike in a few steps
    monkeypatch.setattr(workloads, "DENSITY", 0.3)
    peers = {"fdi": ours.fdi, "reference": ours.reference, "peer": absent}
    given = dict(CHECKED=2, REPEATED=2, WARM=0, ROUNDS=1, DEVICE=torch.device("cpu"))
    for name, value in (given | dict(available=lambda: peers)).items():
        monkeypatch.setattr(gpu_check, name, value)
    monkeypatch.setitem(gpu_check.GIVEN, "steps", 12)
    monkeypatch.setattr("sys.argv", ["gpu_check.py", "--out", str(tmp_path / "page.md")])
    return gpu_check


@pytest.mark.slow
def test_every_network_passes_and_a_library_is_timed(check):
    for name in check.rows():
        kind, _, work = name.partition(": ")
        if kind == "network":
            verdict, found = check.row(name)
            assert verdict == "PASS", found
            assert ("in plain torch: no kernel" in found) == (
                work in ("conv recurrent", "Dale conv")
            )
    verdict, found = check.row("library: reference, dense")
    assert (verdict, found.endswith(" ms a step")) == ("-", True)
    assert check.row("library: peer, dense") == (
        "-", "ModuleNotFoundError: a part of it is missing",
    )  # fmt: skip


def test_a_wrong_network_fails(check, monkeypatch):
    from fdi.engine.cuda.kernels import launch

    forward = launch.forward
    monkeypatch.setattr(
        launch,
        "forward",
        lambda *given: (forward(*given)[0], *map(torch.zeros_like, forward(*given)[1:])),
    )
    verdict, found = check.row("network: dense")
    assert verdict == "FAIL"
    assert "spikes differ" in found


FOUND = {
    "none": ("PASS", "2 kinds of layers"),
    "no_spike": ("FAIL", "spikes were not those of the CPU"),
    "illegal_access": ("FAIL", "killed by SIGSEGV"),
    "cuda_error": ("FAIL", "RuntimeError: CUDA error: an illegal memory access was"),
    "out_of_memory": ("FAIL", "OutOfMemoryError: CUDA out of memory"),
}


def test_the_page_says_what_each_fault_does(check, monkeypatch, tmp_path, capsys):
    command = [sys.executable, str(FAULTY), "gpu_check", "--row"]
    monkeypatch.setattr(check, "COMMAND", command)
    rows = {f"{fault} in kernel: 1 units": found for fault, found in FOUND.items()}
    monkeypatch.setattr(check, "rows", lambda: list(rows))
    with pytest.raises(SystemExit) as ended:
        check.main()
    page = (tmp_path / "page.md").read_text()
    assert "a GPU, sm_90" in page
    lines = [line for line in page.splitlines() if "kernel:" in line]
    assert len(lines) == len(rows)
    for line, (row, (verdict, words)) in zip(lines, rows.items()):
        assert line.startswith(f"| {row} | {verdict} | ")
        assert words in line
    assert ended.value.code == 1
    assert "4 failed" in capsys.readouterr().out


def test_a_page_without_a_fault_ends_well(check, monkeypatch, capsys):
    monkeypatch.setattr(check, "_apart", lambda name: ("PASS", "right"))
    with pytest.raises(SystemExit) as ended:
        check.main()
    assert ended.value.code == 0
    assert "0 failed" in capsys.readouterr().out


def test_without_a_gpu_it_says_so(check):
    with pytest.raises(SystemExit, match="no CUDA device here"):
        check.main()
