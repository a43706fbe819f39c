"""Kernels are kept by the hash of all sources of the engine, and never go stale."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fdi
from fdi.snn.engine.cpu.kernels import jit

STEP = """
import numpy as np, torch
from fdi.inputs import Frames
from fdi.snn.engine.cpu import CpuEngine
from fdi.snn.models import dense
from fdi.snn.objective import Objective
net = dense((4,), 2, 12, 2e-3, hidden=8)
torch.manual_seed(0)
for p in net.projections:
    torch.nn.init.normal_(p.weight, 1.0)
x = Frames(np.ones((1, 12, 4), dtype=np.uint8))
CpuEngine(1).step(net, x, np.array([0]), Objective())
print(float(net.projections[0].weight.grad.abs().sum()))
"""


def computed(script: str, package: Path, cache: Path) -> float:
    """What a script prints with this copy of the package and that cache."""
    paths = {"PYTHONPATH": str(package.parent), "NUMBA_CACHE_DIR": str(cache)}
    command = [sys.executable, "-c", script]
    return float(subprocess.check_output(command, env=os.environ | paths, cwd=package.parent))


@pytest.mark.slow
def test_an_edited_kernel_changes_the_gradients_though_the_cache_is_warm(tmp_path):
    package, cache = tmp_path / "fdi", tmp_path / "cache"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(fdi.__file__).parent, package, ignore=ignore)
    before = computed(STEP, package, cache)
    assert computed(STEP, package, cache) == before != 0
    (first,) = (cache / "fdi-kernels").iterdir()
    kept = {file: file.stat().st_mtime_ns for file in first.iterdir()}
    lif = package / "snn" / "engine" / "cpu" / "neuron" / "lif.py"
    source = lif.read_text()
    assert source.count("n.beta_m * gd + gs * slope") == 1
    lif.write_text(source.replace("n.beta_m * gd + gs * slope", "gs * slope"))
    after = computed(STEP, package, cache)
    assert abs(after - before) > 0.1 * abs(before)
    assert {file: file.stat().st_mtime_ns for file in first.iterdir()} == kept
    assert len(list((cache / "fdi-kernels").iterdir())) == 2


READOUT = """
import numpy as np
from fdi.snn.engine.cpu.dense.forward import readout_forward
from fdi.snn.engine.cpu.neuron import lif, synapses
from fdi.snn.neuron import LIF
named = {**lif.constants(LIF, 2e-3)._asdict(), **synapses.constants(LIF, 2e-3)._asdict()}
c = np.array([tuple(named.values())], [(name, np.float64) for name in named])[0]
u, rows, table = np.zeros((6, 32)), np.zeros((2, 32)), np.ones((3, 32))
readout_forward(u, rows, c, np.arange(6), np.zeros(5, dtype=np.int32), table)
print(u[5, 0])
"""


def test_an_edited_part_of_a_kernel_changes_its_numbers(tmp_path):
    """`gather` stands in another file than the kernel that it is a part of."""
    package, cache = tmp_path / "fdi", tmp_path / "cache"
    shutil.copytree(
        Path(fdi.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__")
    )
    before = computed(READOUT, package, cache)
    assert computed(READOUT, package, cache) == before > 0
    rows = package / "snn" / "engine" / "cpu" / "kernels" / "rows.py"
    line = "a0, a1 = a0 + load(table, (r, j)), a1 + load(table, (r, j + n))"
    source = rows.read_text()
    assert source.count(line) == 1
    rows.write_text(source.replace(line, "a0 = a0 + load(table, (r, j)) + load(table, (r, j))"))
    assert computed(READOUT, package, cache) == pytest.approx(2 * before)


def test_kernels_of_versions_that_nobody_used_for_a_day_are_deleted(tmp_path, monkeypatch):
    old, recent, mine = (tmp_path / name for name in ("old", "recent", "mine"))
    for folder in (old, recent, mine):
        folder.mkdir()
    long_ago = mine.stat().st_mtime - 2 * jit.UNUSED
    os.utime(old, (long_ago, long_ago))
    monkeypatch.setattr(jit, "folder", lambda: mine)
    jit.clean()
    assert sorted(tmp_path.iterdir()) == [mine, recent]
