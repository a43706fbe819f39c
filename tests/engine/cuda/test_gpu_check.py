"""scripts/gpu_check.py on a CPU, with tiny workloads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPTS = Path(__file__).parents[3] / "scripts"
CPU = torch.device("cpu")


@pytest.fixture
def check(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    import gpu_check
    from benchmark import workloads

    tiny = dict(shape=(20,), steps=12, batch=10, sizes=(7, 7))
    works = {name: workloads.WORKLOADS[name] | tiny for name in ("dense", "dale")}
    monkeypatch.setattr(workloads, "WORKLOADS", works)
    monkeypatch.setattr(workloads, "DT", 2e-2)  # so that all layers spike in a few steps
    monkeypatch.setattr(workloads, "DENSITY", 0.3)
    return gpu_check


def test_each_row_passes_and_stands_on_the_page(check, tmp_path):
    page = tmp_path / "page.md"
    asked = [(name, ask) for name, ask in check.rows(CPU) if not name.startswith("neuron")]
    assert check.write(page, "a card", iter(asked)) is False
    rows = [line.split(" | ") for line in page.read_text().splitlines()[6:]]
    assert [row[0] for row in rows] == [
        "| numbers of dense", "| a step of dense", "| numbers of dale", "| a step of dale"
    ]  # fmt: skip
    assert {row[1] for row in rows} == {"PASS"}
    assert "GiB by count" in rows[1][2]


def test_a_wrong_engine_fails_and_the_rows_below_it_are_asked(check, monkeypatch, tmp_path):
    from fdi.engine.cuda import CudaEngine

    simulate = CudaEngine._tensor
    monkeypatch.setattr(CudaEngine, "_tensor", lambda *given: 0 * simulate(*given))
    page = tmp_path / "page.md"
    assert check.write(page, "a card", check.rows(CPU)) is True
    rows = page.read_text().splitlines()[6:]
    assert len(rows) == len(list(check.rows(CPU)))
    assert rows[0].startswith("| neuron lif | FAIL | ")  # there is no card
    assert any(row.startswith("| numbers of dense | FAIL | AssertionError: ") for row in rows)


def bare(lacking: set[str], first: str = "") -> subprocess.CompletedProcess:
    """gpu_check where these packages, and all that torch does not need, are missing."""
    code = f"""
import sys
class Lacking:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {lacking!r}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)
sys.meta_path.insert(0, Lacking)
import importlib.util, runpy
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *given: None if name in {lacking!r} else real(name, *given)
check = runpy.run_path({str(SCRIPTS / "gpu_check.py")!r})
check["main"].__globals__["sys"].argv = ["gpu_check.py"]
{first}
check["main"]()
"""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


FAR = {
    "h5py", "hydra", "llvmlite", "matplotlib", "numba", "omegaconf", "optuna", "pandas", "pooch",
    "rich", "scipy", "tonic", "torchvision", "wandb", "yaml",
}  # fmt: skip


def test_torch_and_numpy_are_enough_and_without_a_card_it_says_so():
    ended = bare(FAR, "import fdi.testing, benchmark.workloads")
    assert ended.returncode == 1
    assert ended.stderr.startswith("gpu_check: PyTorch finds no CUDA device here")


def test_what_is_missing_is_said_first():
    ended = bare({"numpy"})
    assert ended.returncode == 1
    assert ended.stderr.strip() == "gpu_check needs numpy: pip install numpy"


def test_a_folder_that_is_not_there_is_said_before_anything_is_asked(check, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["gpu_check.py", "--out", "nowhere/page.md"])
    with pytest.raises(SystemExit):
        check.main()
    assert "--out nowhere/page.md: there is no folder nowhere" in capsys.readouterr().err
