"""scripts/gpu_check.py from its first line to its page, on the pretended GPU and tiny workloads."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pretend
import pytest
import torch

SCRIPTS = Path(__file__).parents[3] / "scripts"
pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")


@pytest.fixture
def check(monkeypatch, tmp_path):
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
    monkeypatch.setattr(gpu_check, "available", lambda: peers)
    monkeypatch.setattr(gpu_check, "DEVICE", pretend.device())
    monkeypatch.setattr(gpu_check, "CHECKED", 2)
    monkeypatch.setattr(gpu_check, "WARM", 0)
    monkeypatch.setattr(gpu_check, "ROUNDS", 1)
    for name, value in dict(
        is_available=True, get_device_capability=(9, 0), get_device_name="a GPU",
        synchronize=None, reset_peak_memory_stats=None, max_memory_allocated=2**30,
    ).items():  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, lambda *_, value=value: value)
    page = tmp_path / "page.md"
    monkeypatch.setattr("sys.argv", ["gpu_check.py", "--out", str(page)])

    def run() -> str:
        with pretend.Pretend():
            gpu_check.main()
        return page.read_text()

    return run


def test_the_page_has_every_kernel_and_library(check):
    page = check()
    rows = [[x.strip() for x in line.split("|")[1:-1]] for line in page.splitlines()]
    kernels = [row for row in rows if len(row) == 6 and ":" in row[0]]
    names = [row[0].partition(":")[0] for row in kernels]
    assert names == [
        "dense", "recurrent", "deep", "conv", "dale", "long", "deep, long", "conv recurrent",
    ]  # fmt: skip
    for row in kernels:
        differ, _, total = row[1].partition(" of ")
        assert int(differ) == 0
        assert int(total) > 0
        assert float(row[2]) < 1e-4
        assert float(row[3]) > 0
        assert row[4:] == ["1.00", "-"]  # no layer is left to plain torch
    libraries = [row for row in rows if len(row) == 3 and row[1] in ("reference", "peer")]
    assert len(libraries) == 2 * 6
    for _, library, ms in libraries:
        if library == "peer":
            assert ms == "ModuleNotFoundError: a part of it is missing"
        else:
            assert float(ms) > 0
    assert "a GPU, sm_90" in page


def test_without_a_gpu_it_says_so(check, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="no CUDA device here"):
        check()
