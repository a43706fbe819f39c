"""Machine code on disk: several processes write at once, files are damaged, folders are foreign; it
is kept by the hash of all sources of the engine, and never goes stale.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numba
import numpy as np
import pytest

import fdi
from fdi.engine.cpu.kernels import jit
from fdi.engine.cpu.kernels.jit import Entries
from fdi.engine.cpu.kernels.rows import copy


def test_what_was_saved_comes_back_and_nothing_else(tmp_path):
    entries = Entries(tmp_path, "f")
    assert entries.load(("a", 1)) is None
    entries.save(("a", 1), b"one")
    entries.save(("a", 2), b"two")
    entries.save(("a", 1), b"three")
    assert (entries.load(("a", 1)), entries.load(("a", 2))) == (b"three", b"two")
    assert Entries(tmp_path, "g").load(("a", 1)) is None
    assert len(list(tmp_path.iterdir())) == 2


def test_keys_that_look_alike_are_told_apart(tmp_path):
    class Key(str):
        def __repr__(self) -> str:
            return "alike"

    entries = Entries(tmp_path, "f")
    entries.save(Key("a"), 1)
    assert (entries.load(Key("a")), entries.load(Key("b"))) == (1, None)


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "folder"])
def test_a_damaged_entry_counts_as_none(tmp_path, damage):
    entries = Entries(tmp_path, "f")
    entries.save("a", b"machine code" * 100)
    (file,) = tmp_path.iterdir()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "folder":
        file.unlink()
        file.mkdir()
    else:
        file.write_bytes({"empty": b"", "cut": content[:200], "flipped": content}[damage])
    assert entries.load("a") is None
    if damage != "folder":
        entries.save("a", b"again")
        assert entries.load("a") == b"again"


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        Entries(tmp_path, "f").save("a", 1)
    assert not list(tmp_path.iterdir())


def test_many_at_once_never_mix_their_entries(tmp_path):
    barrier, wrong = threading.Barrier(4), []

    def work(number: int) -> None:
        entries = Entries(tmp_path, "f")
        for turn in range(20):
            barrier.wait()
            entries.save((number, turn), (number, turn))
            for key in [(other, turn) for other in range(4)]:
                if entries.load(key) not in (None, key):
                    wrong.append(key)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert all(Entries(tmp_path, "f").load((n, t)) == (n, t) for n in range(4) for t in range(20))


WAIT = """
import sys, time
from pathlib import Path
from fdi.engine.cpu.kernels.jit import Entries

entries = Entries(Path(sys.argv[1]), "f")
if entries.load("a") is None:
    held = entries.wait("a")
    if entries.load("a") is None:
        print("compiled", flush=True)
        time.sleep(0.5)
        if sys.argv[2] == "dies":
            sys.exit()
        entries.save("a", 1)
    held.close()
"""


def test_of_processes_that_want_one_kernel_one_compiles_it(tmp_path):
    """The second, since the first one dies; the third waits for what it saves."""

    def start(how: str) -> subprocess.Popen:
        words = [sys.executable, "-c", WAIT, str(tmp_path), how]
        return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)

    began = start("dies")
    assert began.stdout is not None
    assert began.stdout.readline() == "compiled\n"
    others = [start("saves") for _ in range(2)]
    said = [process.communicate()[0] for process in (began, *others)]
    assert said[0] == ""
    assert sorted(said[1:]) == ["", "compiled\n"]
    assert Entries(tmp_path, "f").load("a") == 1


def test_who_waits_too_long_compiles_itself(tmp_path, monkeypatch):
    entries = Entries(tmp_path, "f")
    held = entries.wait("a")
    assert held is not None
    monkeypatch.setattr("fdi.engine.cpu.kernels.jit.PATIENCE", 0.1)
    with held:
        assert entries.wait("a") is None
    again = entries.wait("a")
    assert again is not None
    again.close()
    assert Entries(tmp_path / "gone", "f").wait("a") is None


STEP = """
import numpy as np, torch
from fdi.data.inputs import Frames
from fdi.engine.cpu import CpuEngine
from fdi.snn.models import dense
from fdi.snn.neuron import lif
from fdi.snn.objective import Objective
net = dense((4,), 2, 12, 2e-3, neuron=lif(tau_mem=20e-3, tau_syn=10e-3, theta=1.0), hidden=8)
torch.manual_seed(0)
for p in net.projections:
    torch.nn.init.normal_(p.weight, 1.0)
x = Frames(np.ones((1, 12, 4), dtype=np.uint8))
CpuEngine(1).step(net, x, np.array([0]), Objective())
print(repr(float(net.projections[0].weight.grad.norm())))
"""


@pytest.mark.slow
def test_an_edited_kernel_changes_the_gradients_though_the_cache_is_warm(tmp_path):
    package, cache = tmp_path / "fdi", tmp_path / "cache"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(fdi.__file__).parent, package, ignore=ignore)

    def computed() -> float:
        paths = {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(tmp_path)}
        command = [sys.executable, "-c", STEP]
        return float(subprocess.check_output(command, env=os.environ | paths, cwd=tmp_path))

    before = computed()
    assert computed() == before != 0
    (first,) = (cache / "fdi-kernels").iterdir()
    kept = {file: file.stat().st_mtime_ns for file in first.iterdir()}
    head = "def send_back_one("
    equations = package / "engine" / "cpu" / "neuron_equations.py"
    above, one = equations.read_text().split(head)
    one = one.replace("n.beta_s", "n.beta_s - n.beta_s", 1)  # no decay back in time
    equations.write_text(above + head + one)
    assert abs(computed() - before) > 0.1 * abs(before)
    assert {file: file.stat().st_mtime_ns for file in first.iterdir()} == kept
    assert len(list((cache / "fdi-kernels").iterdir())) == 2


def test_a_part_of_a_kernel_refuses_to_be_called_from_python():
    with pytest.raises(TypeError, match="interpreted as an integer"):
        copy(np.zeros(8), 0, np.ones(8), 0, 8)


def test_a_part_that_an_inlined_one_calls_is_a_function_of_its_own():
    @jit.jit
    def part(x):
        return x + 1.0

    @jit.inlined
    def outer(x):
        return part(x)

    @numba.njit(**jit.OPTIONS)
    def whole(x):
        return outer(x)

    assert whole(2.0) == 3.0
    codes = [
        "".join(each.library.get_llvm_str() for each in of.overloads.values())
        for of in (part, outer)
    ]
    assert ["alwaysinline" in code for code in codes] == [False, True]


def test_kernels_of_versions_that_nobody_used_for_a_day_are_deleted(tmp_path, monkeypatch):
    old, recent, mine = (tmp_path / name for name in ("old", "recent", "mine"))
    for folder in (old, recent, mine):
        folder.mkdir()
    long_ago = mine.stat().st_mtime - 2 * jit.UNUSED
    os.utime(old, (long_ago, long_ago))
    monkeypatch.setattr(jit, "folder", lambda: mine)
    jit.clean()
    assert sorted(tmp_path.iterdir()) == [mine, recent]
