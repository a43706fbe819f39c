"""Figures, report and exported measurements are old or new, never half: killed anywhere, and while
the clock jumps; and the process that waits for a sweep does not grow with it.
"""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

EXPORT = Path(__file__).parents[2] / "scripts" / "study" / "export_reference.py"
COMMANDS = {
    "figures": "from fdi.cli.figures import main; main(['learning_curves', '--own'])",
    "report": "from fdi.cli.report import main; main([])",
    "export": f"import runpy; runpy.run_path({str(EXPORT)!r})['main']()",
    "table": "from fdi.cli.table import main; main(['--runs', 'results/all.csv'])",
}
DIES = """
import atexit, os, signal, sys

left = moment = int(sys.argv[1])
atexit.register(lambda: print(moment - left))


def count(event, given):
    global left
    if event == "open" and given[2] & os.O_ACCMODE and "results" in str(given[0]):
        left -= 1
        if left == 0:
            sys.setprofile(die)


def die(frame, event, argument):
    if frame.f_code is not count.__code__:
        os.kill(os.getpid(), signal.SIGKILL)


sys.addaudithook(count)
"""
LEARNS = ("dataset.classes=2", "dataset.samples=200", "model.hidden=32", "optimizer.lr=0.02")
GROWTH = 0.02  # MB a cell


def outputs(home: Path) -> dict[str, bytes]:
    found = (path for path in (home / "results").rglob("*") if path.is_file())
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in found
        if path.relative_to(home).parts[1] not in ("runs", "sweeps")
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_killed_while_it_writes(zygote, small, name):
    """At any time, and when a file below results has just been opened and is still empty."""
    home = zygote.home()
    assert zygote.run(home, "-m", "seed=range(2)", *small, *LEARNS).code == 0

    def started(moment: int) -> subprocess.Popen:
        command = [sys.executable, "-c", f"{DIES}\n{COMMANDS[name]}", str(moment)]
        return subprocess.Popen(command, cwd=home, stdout=subprocess.PIPE, text=True)

    def end(child: subprocess.Popen) -> tuple[int, str]:
        out, _ = child.communicate()
        left = outputs(home)
        assert {file: left.get(file) for file in whole} == whole
        return child.returncode, out

    began, whole = time.monotonic(), {}
    code, out = end(started(0))
    seconds, whole, opened = time.monotonic() - began, outputs(home), int(out.split()[-1])
    assert (code, len(whole) > 0) == (0, True)
    rng = random.Random(name)
    for moment in rng.sample(range(1, opened + 1), min(opened, 4)):
        assert end(started(moment))[0] == -signal.SIGKILL
    for _ in range(3):
        child = started(0)
        time.sleep(rng.uniform(0.3, 1.0) * seconds)
        child.kill()
        end(child)
    assert end(started(0))[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_clock_that_jumps_changes_nothing(zygote, small, numbers, seed):
    whole, home = zygote.home(), zygote.home()
    assert zygote.run(whole, "-m", "seed=range(2)", *small).code == 0
    end = zygote.run(home, "-m", "seed=range(2)", *small, clock=seed)
    assert (end.code, end.err) == (0, "")
    assert numbers(home) == numbers(whole)
    ends = re.findall(r"cell (\d)/2 .* s(, \d+(?:\.\d)? s left)?\n", end.out)
    assert [(number, bool(left)) for number, left in ends] == [("1", True), ("2", False)]


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("cells", "jobs"), [(500, 1), (2000, 2)])
def test_the_parent_of_a_local_sweep_does_not_grow(tmp_path, cells, jobs):
    script = Path(__file__).with_name("parent.py")
    command = [sys.executable, str(script), str(tmp_path), str(cells), str(jobs)]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    assert float(found.stdout) < GROWTH
