"""One process at a time on a cell, also where file systems do not carry locks between machines."""

from __future__ import annotations

import errno
import fcntl
import os
import time

import pytest

from fdi.track import state as module
from fdi.track.files import LOCK
from fdi.track.state import STALE, Busy, Holder, holder, lock


def held(directory, host: str, pid: int, age: float) -> None:
    (directory / LOCK).write_text(f"{host} {pid}\n")
    os.utime(directory / LOCK, times=(time.time() - age,) * 2)


def test_the_holder_is_known_while_the_block_lasts_and_not_after(tmp_path):
    me = Holder(os.uname().nodename, os.getpid())

    def fail() -> None:
        with lock(tmp_path):
            assert holder(tmp_path) == me
            with pytest.raises(Busy, match=f"run by process {me.pid} on {me.host}"), lock(tmp_path):
                pass
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail()
    assert holder(tmp_path) is None


def test_another_machine_holds_it_while_its_heart_beats(tmp_path):
    held(tmp_path, "node7", 1, age=STALE / 2)
    with pytest.raises(Busy, match="process 1 on node7"), lock(tmp_path):
        pass
    held(tmp_path, "node7", 1, age=STALE * 2)
    assert holder(tmp_path) is None
    with lock(tmp_path):
        pass


def test_a_time_in_the_future_becomes_now_and_a_dead_machine_is_found_out(tmp_path):
    held(tmp_path, "node7", 1, age=-1e6)
    with pytest.raises(Busy, match="or 120 s if that machine is dead"), lock(tmp_path):
        pass
    assert abs(time.time() - (tmp_path / LOCK).stat().st_mtime) < 60
    os.utime(tmp_path / LOCK, times=(time.time() - STALE - 1,) * 2)
    with lock(tmp_path):
        pass


def test_the_clock_is_that_of_the_file_system(tmp_path, monkeypatch):
    held(tmp_path, "node7", 1, age=10)
    monkeypatch.setattr(time, "time", lambda: 1e10)
    with pytest.raises(Busy), lock(tmp_path):
        pass


@pytest.mark.parametrize(
    "text", ["", "node7", "node7 0", "node7 -1", "node7 x", f"node7 {10**30}", "\0\0 1", "a b 1\n2"]
)
def test_a_broken_lock_is_nobodys(tmp_path, text):
    (tmp_path / LOCK).write_text(text)
    assert holder(tmp_path) is None
    with lock(tmp_path):
        pass


def test_a_file_system_without_flock_has_the_heartbeat(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with lock(tmp_path), pytest.raises(Busy), lock(tmp_path):
        pass
    with lock(tmp_path):
        pass


def test_the_heart_beats(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BEAT", 0.01)
    with lock(tmp_path):
        held(tmp_path, "me", 1, age=1000)
        for _ in range(200):
            time.sleep(0.01)
            if time.time() - (tmp_path / LOCK).stat().st_mtime < 100:
                return
    raise AssertionError("no beat")
