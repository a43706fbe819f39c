"""Killed anywhere, cut from power anywhere: the same command gives the numbers of a run that was
left alone, nothing that was done is lost, and no process stays behind.
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


def slow(count: int, first: int = 1) -> list:
    """`count` seeds, all but the `first` ones only in the slow suite."""
    return [
        pytest.param(seed, marks=[] if seed < first else pytest.mark.slow) for seed in range(count)
    ]


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


@pytest.mark.parametrize("seed", slow(20))
def test_a_killed_run(zygote, whole, numbers, gone, small, seed):
    kill_until_done(zygote, whole, numbers, gone, (), small, seed, kills=3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", slow(8))
def test_a_killed_sweep(zygote, whole, numbers, gone, small, seed):
    kill_until_done(zygote, whole, numbers, gone, SWEEP, small, seed, kills=3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", slow(6))
def test_a_killed_sweep_of_workers(zygote, whole, numbers, gone, small, seed):
    kill_until_done(zygote, whole, numbers, gone, LOCAL, small, seed, kills=2)


@pytest.mark.parametrize("seed", slow(60, first=2))
def test_a_power_cut(zygote, whole, numbers, small, seed):
    """Half of them after the end: what is done stays done."""
    expected, _ = whole(())
    home, after = zygote.home(), zygote.home()
    moment = random.Random(seed).randrange(1, 130) if seed % 2 else 10**6
    end = zygote.run(home, *small, cut={"target": str(after), "moment": moment, "seed": seed})
    assert end.code in (0, 99), end.err
    if end.code == 0:
        assert numbers(after) == expected, "what was done is lost"
    again = zygote.run(after, *small)
    assert again.code == 0, again.err
    assert numbers(after) == expected


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
