"""One process at a time on a cell, also where file systems do not carry locks between machines."""

from __future__ import annotations

import errno
import fcntl
import os
import time

import pytest

from fdi.track import lock as module
from fdi.track.lock import LOCK, STALE, Busy, Holder, holder, lock


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
