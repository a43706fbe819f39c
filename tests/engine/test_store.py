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
import os, sys, time
from pathlib import Path
import numpy as np, torch

me, turns = sys.argv[1], Path(sys.argv[3])
surrogate = {"A": "superspike", "B": "triangle"}[me]
replace, renamed = os.replace, 0


def wait(name):
    end = time.monotonic() + 200
    while not (turns / name).exists():
        assert time.monotonic() < end
        time.sleep(0.01)


def in_turn(source, target):
    global renamed
    if "run_chunks" not in str(target):
        return replace(source, target)
    renamed += 1
    if me == "A" and renamed == 1:
        (turns / "A looked").touch()
        wait("B renamed")
    if me == "B":
        wait("A looked" if renamed == 1 else "A ended")
    replace(source, target)
    if me == "B":
        (turns / "B renamed").touch()


if sys.argv[2] == "race":
    os.replace = in_turn

from fdi.data.inputs import Frames
from fdi.engine.cpu import CpuEngine
from fdi.snn.models import dense
from fdi.snn.neuron import lif
from fdi.snn.objective import Objective
neuron = lif(tau_mem=20e-3, tau_syn=10e-3, theta=1.0, surrogate=surrogate)
net = dense((4,), 2, 12, 2e-3, neuron=neuron, hidden=8)
torch.manual_seed(0)
for p in net.projections:
    torch.nn.init.normal_(p.weight, 1.0)
x = Frames(np.ones((1, 12, 4), dtype=np.uint8))
CpuEngine(1).step(net, x, np.array([0]), Objective())
(turns / f"{me} ended").touch()
print(repr(float(net.projections[0].weight.grad.norm())))
"""


def started(me: str, how: str, cache: Path, turns: Path, package: Path) -> subprocess.Popen:
    """A process with this copy of the package and that cache."""
    turns.mkdir(exist_ok=True)
    paths = {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(package.parent)}
    command = [sys.executable, "-c", STEP, me, how, str(turns)]
    return subprocess.Popen(
        command, env=os.environ | paths, stdout=subprocess.PIPE, text=True, cwd=package.parent
    )


def number(process: subprocess.Popen) -> str:
    out, _ = process.communicate()
    assert process.returncode == 0
    return out.split()[-1]


@pytest.mark.slow
def test_processes_that_save_two_signatures_at_once_leave_right_machine_code(tmp_path):
    """Each looks before the other has written; then they write in turns."""
    package, names = Path(fdi.__file__).parent, ("A", "B")
    alone = {me: number(started(me, "", tmp_path / me, tmp_path / "1", package)) for me in names}
    assert alone["A"] != alone["B"]
    shared, turns = tmp_path / "shared", tmp_path / "2"
    both = {me: started(me, "race", shared, turns, package) for me in names}
    assert {me: number(process) for me, process in both.items()} == alone
    after = {me: number(started(me, "", shared, tmp_path / "3", package)) for me in names}
    assert after == alone


def copied(folder: Path) -> Path:
    """A package that may be edited."""
    ignore = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(Path(fdi.__file__).parent, folder / "fdi", ignore=ignore))


@pytest.mark.slow
def test_an_edited_kernel_changes_the_gradients_though_the_cache_is_warm(tmp_path):
    package, cache = copied(tmp_path), tmp_path / "cache"

    def computed() -> float:
        return float(number(started("A", "", cache, tmp_path / "turns", package)))

    before = computed()
    assert computed() == before != 0
    (first,) = (cache / "fdi-kernels").iterdir()
    kept = {file: file.stat().st_mtime_ns for file in first.iterdir()}
    head = "def retreat_lif("
    equations = package / "engine" / "cpu" / "neuron_equations.py"
    before_lif, lif = equations.read_text().split(head)
    assert "n.beta_m * gd + gs * slope" in lif
    equations.write_text(
        before_lif + head + lif.replace("n.beta_m * gd + gs * slope", "gs * slope", 1)
    )
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
