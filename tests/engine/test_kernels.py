"""Kernels are kept by the hash of all sources of the engine, and never go stale."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fdi
from fdi.engine.cpu.kernels import jit
from fdi.engine.cpu.kernels.rows import copy

STEP = """
import numpy as np, torch
from fdi.data.inputs import Frames
from fdi.engine.cpu import CpuEngine
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
    equations = package / "engine" / "cpu" / "neuron_equations.py"
    before_lif, head, lif = equations.read_text().partition("def retreat_lif(")
    assert "n.beta_m * gd + gs * slope" in lif
    equations.write_text(
        before_lif + head + lif.replace("n.beta_m * gd + gs * slope", "gs * slope", 1)
    )
    after = computed(STEP, package, cache)
    assert abs(after - before) > 0.1 * abs(before)
    assert {file: file.stat().st_mtime_ns for file in first.iterdir()} == kept
    assert len(list((cache / "fdi-kernels").iterdir())) == 2


GATHER = """
import numpy as np
from fdi.engine.cpu.kernels.jit import kernel
from fdi.engine.cpu.kernels.rows import gather
row, table, units = np.zeros(32), np.ones((3, 32)), np.zeros(5, dtype=np.int32)
kernel(gather.py_func)(row, 0, 32, table, units, np.zeros(0), 0, 5)
print(row[5])
"""


@pytest.mark.slow
def test_an_edited_part_of_a_kernel_changes_its_numbers(tmp_path):
    """`load_many` stands in another file than the kernel that it is a part of."""
    package, cache = tmp_path / "fdi", tmp_path / "cache"
    shutil.copytree(
        Path(fdi.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__")
    )
    assert computed(GATHER, package, cache) == computed(GATHER, package, cache) == 5
    simd = package / "engine" / "cpu" / "kernels" / "simd.py"
    line = "builder.fadd(a, b, flags=_FLAGS)"
    source = simd.read_text()
    assert source.count(line) == 1
    simd.write_text(source.replace(line, "builder.fsub(a, b, flags=_FLAGS)"))
    assert computed(GATHER, package, cache) == -5


def test_a_part_of_a_kernel_refuses_to_be_called_from_python():
    with pytest.raises(TypeError, match="interpreted as an integer"):
        copy(np.zeros(8), 0, np.ones(8), 0, 8)


def test_kernels_of_versions_that_nobody_used_for_a_day_are_deleted(tmp_path, monkeypatch):
    old, recent, mine = (tmp_path / name for name in ("old", "recent", "mine"))
    for folder in (old, recent, mine):
        folder.mkdir()
    long_ago = mine.stat().st_mtime - 2 * jit.UNUSED
    os.utime(old, (long_ago, long_ago))
    monkeypatch.setattr(jit, "folder", lambda: mine)
    jit.clean()
    assert sorted(tmp_path.iterdir()) == [mine, recent]
