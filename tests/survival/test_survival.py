"""Killed at any time, or started eight times at once: the same command gives the numbers of one
that was left alone, and no process stays behind. See test_any_order.py for more of both, and for
power cuts.
"""

from __future__ import annotations

import functools
import os
import random
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import making
import pytest

from fdi.track.files import RUN

SMALL = (
    *("engine=reference", "dataset.samples=20", "model.hidden=8", "trainer.epochs=12"),
    *("trainer.batch_size=50", "threads=1"),
)
SWEEP = ("-m", "seed=range(3)")
LOCAL = (*SWEEP, "hydra/launcher=local", "hydra.launcher.n_jobs=2")


@pytest.fixture(scope="session")
def whole(zygote):
    """What a run, and a sweep, give that nobody disturbs, and how long they take."""

    @functools.cache
    def measure(form: tuple[str, ...]) -> tuple[dict, float]:
        home, started = zygote.home(), time.monotonic()
        end = zygote.run(home, *form, *SMALL)
        assert end.code == 0, end.err
        return numbers(home), time.monotonic() - started

    return measure


def numbers(home: Path) -> dict:
    """Those of all runs of a folder, without those that hold seconds."""
    paths = sorted(home.glob(f"results/runs/*/*/*/*/{RUN}"))
    found = {str(path.parent.relative_to(home)): making.numbers(path.parent) for path in paths}
    return {path: those for path, those in found.items() if those["result"]}


def alive(home: Path) -> set[int]:
    """The processes that a command in this folder started and that still run."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # it has just ended
            if f"FDI_SURVIVAL={home}\0".encode() in path.read_bytes() + b"\0":
                found.add(int(path.parent.name))
    return found


def gone(home: Path, seconds: float) -> bool:
    """Whether they end by then."""
    end = time.monotonic() + seconds
    while alive(home) - {os.getpid()}:
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


@pytest.mark.parametrize(
    ("form", "kills", "seed"),
    [
        ((), 3, 0),
        pytest.param(SWEEP, 3, 0, marks=pytest.mark.slow),
        *(pytest.param(LOCAL, 2, seed, marks=pytest.mark.slow) for seed in range(6)),
    ],
)
def test_a_run_or_sweep_that_was_killed(zygote, whole, form, kills, seed):
    rng = random.Random(seed)
    expected, seconds = whole(form)
    home = zygote.home()
    for _ in range(kills):
        pid = zygote.start(home, *form, *SMALL)
        time.sleep(rng.uniform(0, seconds))
        os.kill(pid, rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT]))
        end = zygote.end(home, pid)
        assert end.code in (-9, -15, 130, 0), end.err
        assert "Traceback" not in end.err
        assert gone(home, 10), "a process stays behind"
    end = zygote.run(home, *form, *SMALL)
    assert end.code == 0, end.err
    assert numbers(home) == expected


@pytest.mark.slow  # tests/track/test_lock.py and tests/e2e/test_stopped.py ask it of two
def test_eight_processes_on_one_cell(zygote, whole):
    expected, _ = whole(())
    home = zygote.home()
    folders = [home]
    for _ in range(7):  # each with an output of its own
        folder = zygote.home()
        shutil.rmtree(folder)
        Path(folder).symlink_to(home)
        folders.append(folder)
    pids = [zygote.start(folder, *SMALL) for folder in folders]
    ends = [zygote.end(folder, pid) for folder, pid in zip(folders, pids)]
    assert any(end.code == 0 for end in ends)
    for end in ends:
        assert end.code == 0 or (end.code == 1 and "is being run by" in end.err), end.err
        assert len(end.err.splitlines()) <= 1
    assert numbers(home) == expected
    started = sum("initial state" in end.out for end in ends)
    assert started == 1
