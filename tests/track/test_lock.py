"""One process at a time on a cell, also where file systems do not carry locks between machines."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path

import pytest
from fdi.track.state import STALE, Busy, Holder, held, holder, lock, refuse_lost

from fdi.track import state as module
from fdi.track.files import LOCK


def written(directory, host: str, pid: int, age: float) -> None:
    (directory / LOCK).write_text(f"{host} {pid}\n")
    os.utime(directory / LOCK, times=(time.time() - age,) * 2)


def test_the_holder_is_known_while_the_block_lasts_and_not_after(tmp_path):
    me = Holder(os.uname().nodename, os.getpid())

    def fail() -> None:
        with lock(tmp_path):
            assert (holder(tmp_path) or me)[:2] == me[:2]
            assert held(tmp_path)
            with pytest.raises(Busy, match=f"run by process {me.pid} on {me.host}"), lock(tmp_path):
                pass
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail()
    assert holder(tmp_path) is None


def test_another_machine_holds_it_while_its_heart_beats(tmp_path):
    written(tmp_path, "node7", 1, age=STALE / 2)
    with pytest.raises(Busy, match="process 1 on node7"), lock(tmp_path):
        pass
    written(tmp_path, "node7", 1, age=STALE * 2)
    assert holder(tmp_path) is None
    with lock(tmp_path):
        pass


def test_a_time_in_the_future_becomes_now_and_a_dead_machine_is_found_out(tmp_path):
    written(tmp_path, "node7", 1, age=-1e6)
    with pytest.raises(Busy, match="or 120 s if that machine is dead"), lock(tmp_path):
        pass
    assert abs(time.time() - (tmp_path / LOCK).stat().st_mtime) < 60
    os.utime(tmp_path / LOCK, times=(time.time() - STALE - 1,) * 2)
    with lock(tmp_path):
        pass


def test_the_clock_is_that_of_the_file_system(tmp_path, monkeypatch):
    written(tmp_path, "node7", 1, age=10)
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
        written(tmp_path, "me", 1, age=1000)
        for _ in range(200):
            time.sleep(0.01)
            if time.time() - (tmp_path / LOCK).stat().st_mtime < 100:
                return
    raise AssertionError("no beat")


def lives(pid: int) -> str:
    """The lock of a process of this machine that lives."""
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return f"{os.uname().nodename} {pid} {stat[19]} {os.stat('/proc/self/ns/pid').st_ino}"


def test_a_dead_process_whose_number_lives_again_holds_nothing(tmp_path):
    """In a container the first process is always number 1."""
    (tmp_path / LOCK).write_text(lives(os.getppid()))
    assert holder(tmp_path) is not None
    host, pid, started, space = lives(os.getppid()).split()
    (tmp_path / LOCK).write_text(f"{host} {pid} {int(started) + 1} {space}")
    assert holder(tmp_path) is None


def test_in_another_container_of_this_machine_the_lock_of_the_file_decides(tmp_path, monkeypatch):
    host, pid, started, _ = lives(os.getpid()).split()
    (tmp_path / LOCK).write_text(f"{host} 1 {started} 1")
    assert holder(tmp_path) is None
    with lock(tmp_path):
        monkeypatch.setattr(module, "_space", lambda: "1")
        assert (holder(tmp_path) or ())[:2] == (host, int(pid))


def test_who_wakes_up_leaves_the_lock_to_who_took_over(tmp_path):
    with lock(tmp_path):
        (tmp_path / LOCK).write_text("node7 5 1 1\n")
        assert not held(tmp_path)
        with pytest.raises(Busy, match="taken over while this process was suspended"):
            refuse_lost(tmp_path)
    assert (tmp_path / LOCK).read_text() == "node7 5 1 1\n"
