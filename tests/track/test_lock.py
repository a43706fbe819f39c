"""One process at a time on a run."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from making import SMALL

import fdi
from fdi.track import record
from fdi.track.files import LOCK
from fdi.track.process import Busy, holder, lock

HOLD = """
import sys
from pathlib import Path
from fdi.track.process import lock
with lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
HERE = os.uname().nodename


@pytest.fixture
def other(tmp_path) -> Iterator[subprocess.Popen]:
    """A process that holds the folder."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.fixture
def without_locks(monkeypatch) -> None:
    """No file system here is without flock, so the call of the system stands in."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)


def dead() -> int:
    """The number of a process that is over."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def refused(folder: Path, said: str) -> None:
    with pytest.raises(Busy, match=said), lock(folder):
        pass


def test_a_second_process_waits_for_nothing_and_a_killed_one_holds_nothing(tmp_path, other):
    refused(tmp_path, f"run by process {other.pid} on {HERE}; wait for it")
    assert holder(tmp_path) == f"process {other.pid} on {HERE}"
    other.kill()
    other.wait()
    assert holder(tmp_path) is None
    with lock(tmp_path):
        assert holder(tmp_path) == f"process {os.getpid()} on {HERE}"
        refused(tmp_path, f"run by process {os.getpid()}")
    assert holder(tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"process 1 on node7\n", b"\xff\xfe \0", b"a b c d e\n"])
def test_what_an_ended_process_left_in_its_lock_does_not_matter(tmp_path, content):
    (tmp_path / LOCK).write_bytes(content)
    assert holder(tmp_path) is None
    with lock(tmp_path):
        pass


def test_a_folder_that_is_removed_before_its_lock_is_held_is_made_again(tmp_path, monkeypatch):
    flock, folders = fcntl.flock, [tmp_path / "run"]

    def late(file: object, how: int) -> None:
        if folders:
            shutil.rmtree(folders.pop())
        flock(file, how)  # type: ignore[arg-type]

    monkeypatch.setattr(fcntl, "flock", late)
    with lock(tmp_path / "run"):
        refused(tmp_path / "run", f"process {os.getpid()}")


@pytest.mark.parametrize("text", ["", "nobody", "\xff\0", f"process {{}} on {HERE}"])
def test_without_locks_dead_processes_of_this_machine_hold_nothing(tmp_path, without_locks, text):
    (tmp_path / LOCK).write_bytes(text.format(dead()).encode("latin-1"))
    assert holder(tmp_path) is None
    with lock(tmp_path):
        refused(tmp_path, "is being run by")
    assert holder(tmp_path) is None


def test_without_locks_the_run_of_another_machine_is_taken_over_on_request(without_locks, tmp_path):
    run = fdi.run(**SMALL, results=tmp_path).directory
    record.change(run, state="running", result=None)
    (run / LOCK).write_text("process 1 on node7")
    assert record.look(run).state == "running"
    with pytest.raises(Busy, match=r"process 1 on node7, .* give take_over=true"):
        fdi.run(**SMALL, results=tmp_path)
    fdi.run(**SMALL, results=tmp_path, take_over=True)
    assert record.look(run).state == "done"
