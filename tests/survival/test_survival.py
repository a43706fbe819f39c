"""Killed at any time, or started eight times at once: the same command gives the numbers of a run
was left alone, and no process stays behind. See test_any_order.py for more kills and power cuts.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

SWEEP = ("-m", "seed=range(3)")
LOCAL = (*SWEEP, "hydra/launcher=local", "hydra.launcher.n_jobs=2")


@pytest.fixture(scope="session")
def whole(zygote, small, numbers):
    """What a run, and a sweep, give that nobody disturbs, and how long they take."""
    found = {}

    def measure(form: tuple[str, ...]) -> tuple[dict, float]:
        if form not in found:
            home, started = zygote.home(), time.monotonic()
            end = zygote.run(home, *form, *small)
            assert end.code == 0, end.err
            found[form] = numbers(home), time.monotonic() - started
        return found[form]

    return measure


def kill_until_done(zygote, whole, numbers, gone, form, given, seed, kills) -> None:
    rng = random.Random(seed)
    expected, seconds = whole(form)
    home = zygote.home()
    for _ in range(kills):
        pid = zygote.start(home, *form, *given)
        time.sleep(rng.uniform(0, seconds))
        os.kill(pid, rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT]))
        end = zygote.end(home, pid)
        assert end.code in (-9, -15, 130, 0), end.err
        assert "Traceback" not in end.err
        assert gone(home, 10), "a process stays behind"
    end = zygote.run(home, *form, *given)
    assert end.code == 0, end.err
    assert numbers(home) == expected


@pytest.mark.parametrize(
    ("form", "kills", "seed"),
    [
        ((), 3, 0),
        pytest.param(SWEEP, 3, 0, marks=pytest.mark.slow),
        *(pytest.param(LOCAL, 2, seed, marks=pytest.mark.slow) for seed in range(6)),
    ],
)
def test_a_run_or_sweep_that_was_killed(zygote, whole, numbers, gone, small, form, kills, seed):
    kill_until_done(zygote, whole, numbers, gone, form, small, seed, kills)


def test_eight_processes_on_one_cell(zygote, whole, numbers, small):
    expected, _ = whole(())
    home = zygote.home()
    folders = [home]
    for _ in range(7):  # each with an output of its own
        folder = zygote.home()
        shutil.rmtree(folder)
        Path(folder).symlink_to(home)
        folders.append(folder)
    pids = [zygote.start(folder, *small) for folder in folders]
    ends = [zygote.end(folder, pid) for folder, pid in zip(folders, pids)]
    assert any(end.code == 0 for end in ends)
    for end in ends:
        assert end.code == 0 or (end.code == 1 and "is being run by" in end.err), end.err
        assert len(end.err.splitlines()) <= 1
    assert numbers(home) == expected
    started = sum("initial state" in end.out for end in ends)
    assert started == 1
