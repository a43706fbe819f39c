"""Figures, report and exported measurements are old or new, never half: killed anywhere, and while
the clock jumps; and the process that waits for a sweep does not grow with it.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMANDS = {
    "figures": "from fdi.cli.figures import main; main(['learning_curves', '--own'])",
    "report": "from fdi.cli.report import main; main([])",
    "export": "from pathlib import Path; from fdi.analysis.export_reference import export; "
    "export(Path('results'), Path('results/reference'))",
    "table": "from fdi.cli.table import main; main(['--runs', 'results/all.csv'])",
}
CELLS, GROWTH = 2000, 0.02  # MB a cell


def outputs(home: Path) -> dict[str, bytes]:
    found = (path for path in (home / "results").rglob("*") if path.is_file())
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in found
        if "runs" not in path.relative_to(home).parts[:2] and ".index" not in path.name
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_killed_while_it_writes(zygote, small, name):
    home = zygote.home()
    assert zygote.run(home, "-m", "seed=range(2)", *small).code == 0
    command = [sys.executable, "-c", COMMANDS[name]]
    started = time.monotonic()
    subprocess.run(command, cwd=home, check=True, capture_output=True)
    seconds, whole = time.monotonic() - started, outputs(home)
    rng = random.Random(name)
    for _ in range(5):
        child = subprocess.Popen(command, cwd=home, stdout=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.3, 1.0) * seconds)
        child.kill()
        child.wait()
        left = outputs(home)
        assert {file: left.get(file) for file in whole} == whole
    subprocess.run(command, cwd=home, check=True, capture_output=True)
    found = outputs(home)
    assert {file: found[file] for file in whole} == whole


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
@pytest.mark.parametrize("jobs", [1, 2])
def test_the_parent_of_a_local_sweep_does_not_grow(tmp_path, jobs):
    script = Path(__file__).with_name("parent.py")
    command = [sys.executable, str(script), str(tmp_path), str(CELLS), str(jobs)]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    assert float(found.stdout) < GROWTH
