"""How far a run is, told from its files, and which process is at it: one at a time on one machine
or on several that share the folder. Ctrl-C and SIGTERM stop a process between two batches, never
within one or within a file.
"""

from __future__ import annotations

import fcntl
import getpass
import os
import re
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, NamedTuple

from fdi.config import Error
from fdi.track.files import (
    LOCK,
    OVERRIDES,
    PROBE,
    RECORD,
    RESULT,
    STATES,
    STATUS,
    UNTESTED,
    make_directory,
    parse_json,
    parse_yaml,
    read,
    read_json,
    read_record,
)


def alive(pid: int) -> bool:
    """Whether there is such a process; one that is dead and not yet collected is not."""
    try:
        return _stat(pid)[0] not in ("Z", "X")
    except OSError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _stat(pid: int | str) -> list[str]:
    """What proc(5) says of a process, from its state on. Raises OSError where there is no /proc."""
    stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    return stat.rpartition(")")[2].split()


def _started(pid: int | str) -> str:
    """When it started, in ticks of the system: the next process with its number did at another."""
    try:
        return _stat(pid)[19]
    except OSError:
        return UNKNOWN


def _space() -> str:
    """The name space of this process's number: in a container there are others with the same."""
    try:
        return str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        return UNKNOWN


UNKNOWN = "0"


def end_with(other: int) -> None:
    """End this process, as a kill would, at most a second after the process `other`."""

    def watch() -> None:
        while alive(other):
            time.sleep(1)
        os._exit(INTERRUPTED)

    threading.Thread(target=watch, name=f"end with {other}", daemon=True).start()


@contextmanager
def repeated(
    action: Callable[[], object], name: str, every: float, rest: float = 0.0
) -> Iterator[None]:
    """Call `action` in a thread meanwhile, with pauses of `every` seconds, or of `rest` times what
    the last call took if that is longer.
    """
    stop = threading.Event()

    def work() -> None:
        took = 0.0
        while not stop.wait(max(every, rest * took)):
            before = time.perf_counter()
            action()
            took = time.perf_counter() - before

    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


INTERRUPTED = 130  # exit code


@contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Yields a function that raises KeyboardInterrupt if Ctrl-C was pressed since, or SIGTERM
    received where that stands for Ctrl-C; a second one does not wait for its call.

    Where Ctrl-C is ignored, or outside the main thread, nothing changes and the function does
    nothing.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    if threading.current_thread() is not threading.main_thread():
        before = {}
    elif before[signal.SIGTERM] is not signal.default_int_handler:  # a launcher's
        del before[signal.SIGTERM]
    before = {number: handler for number, handler in before.items() if callable(handler)}
    pressed = threading.Event()

    def remember(*_: object) -> None:
        pressed.set()
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def check() -> None:
        if pressed.is_set():
            raise KeyboardInterrupt

    for number in before:
        signal.signal(number, remember)
    try:
        yield check
    finally:
        restore()


BEAT, STALE = 20.0, 120.0  # s
_HOLDER = re.compile(r"([\w.-]+) ([1-9][0-9]{0,8})(?: ([0-9]+) ([0-9]+))?\n?")


class Busy(Error, RuntimeError):
    """Another process works on the cell."""


class Holder(NamedTuple):
    """The process that works on a cell: when it started, and the name space of its number."""

    host: str
    pid: int
    started: str = UNKNOWN
    space: str = UNKNOWN

    @property
    def near(self) -> bool:
        """Whether this process can tell by its number whether it lives."""
        known = UNKNOWN in (self.space, space := _space()) or self.space == space
        return known and self.host == os.uname().nodename

    @property
    def gone(self) -> bool:
        """Whether it is near and does not live any more."""
        if not self.near:
            return False
        known = UNKNOWN in (self.started, started := _started(self.pid))
        return not (alive(self.pid) and (known or self.started == started))


def _me() -> Holder:
    return Holder(os.uname().nodename, os.getpid(), _started("self"), _space())


@contextmanager
def lock(directory: Path) -> Iterator[None]:
    """Hold `directory`, which is made if it is not there. Raises Busy if another process does."""
    directory.mkdir(parents=True, exist_ok=True)
    me = _me()
    with (directory / LOCK).open("a+") as file:
        other = _other(directory, file)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            taken = other is not None and other.host != me.host
        except BlockingIOError:
            taken = True
        except OSError:  # a file system without flock
            taken = other is not None
        if taken or not _is_still(directory / LOCK, file):
            raise Busy(f"{directory} is being run by {_who(other, me)}")
        make_directory(directory)
        file.truncate(0)
        file.write(f"{' '.join(map(str, me))}\n")
        file.flush()
        with _beating(file.fileno()):
            try:
                yield
            finally:
                if held(directory):
                    file.truncate(0)


def _is_still(path: Path, file: IO[str]) -> bool:
    """Whether the open file is the one of that name: fdi-status --clean may have removed the folder
    between opening and locking it, and two would hold a lock each.
    """
    try:
        return os.path.samestat(os.stat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def held(directory: Path) -> bool:
    """Whether the lock of a cell that this process took still names it: after a pause longer than
    STALE, another may have taken over where the file system has no locks.
    """
    try:
        return _named(directory / LOCK) == _me()
    except OSError:  # gone with its folder, or its server is away
        return True


def refuse_lost(directory: Path) -> None:
    """Raises Busy if the lock of a cell that this process took no longer names it."""
    if not held(directory):
        raise Busy(
            f"{directory} was taken over while this process was suspended for more than "
            f"{STALE:.0f} s; it leaves the run to the other one"
        )


def holder(directory: Path) -> Holder | None:
    """Who works on the cell, as far as one can see from this machine; None if nobody does."""
    path = directory / LOCK
    owner = _read(path)
    if owner is None or owner.near:
        return owner
    try:
        if owner.host == os.uname().nodename and _free(path):
            return None
        return owner if abs(time.time() - path.stat().st_mtime) < STALE else None
    except OSError:
        return None


def _free(path: Path) -> bool:
    """Whether no process of this machine holds the file, in whatever container."""
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:  # somebody does, or the file system has no locks
            return False
        return True


def _other(directory: Path, file: IO[str]) -> Holder | None:
    """As `holder`, by the clock of the file system; a time in the future becomes now."""
    owner = _read(directory / LOCK)
    if owner is None or owner.near:
        return owner
    with TemporaryFile(dir=directory) as touched:
        age = os.fstat(touched.fileno()).st_mtime - os.fstat(file.fileno()).st_mtime
    if age < 0:
        os.utime(file.fileno())
    return owner if age < STALE else None


def _read(path: Path) -> Holder | None:
    """The holder that a lock names, unless it was a process of this machine and is gone."""
    try:
        owner = _named(path)
    except OSError:
        return None
    return None if owner is None or owner.gone else owner


def _named(path: Path) -> Holder | None:
    """The holder that a lock names, None for an empty or a broken one. Raises OSError."""
    try:
        words = _HOLDER.fullmatch(read(path))
    except ValueError:
        return None
    if words is None:
        return None
    return Holder(words[1], int(words[2]), words[3] or UNKNOWN, words[4] or UNKNOWN)


def _who(other: Holder | None, me: Holder) -> str:
    if other is None:
        return "another process; wait for it"
    known = f"process {other.pid} on {other.host}; wait for it"
    if other.host == me.host:
        return known
    return f"{known}, or {STALE:.0f} s if that machine is dead"


@contextmanager
def _beating(descriptor: int) -> Iterator[None]:
    """Touch the open file every BEAT seconds, in a thread."""

    def beat() -> None:
        with suppress(OSError):  # deleted, or its server is away for a while
            os.utime(descriptor)

    with repeated(beat, "heartbeat", BEAT):
        yield


LIMIT = 10  # s that squeue may take


def job() -> str | None:
    """The id of the job of SLURM that this process is, as squeue prints it; None outside."""
    array, task = (os.environ.get(f"SLURM_ARRAY_{part}_ID") for part in ("JOB", "TASK"))
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID")


def waits(job: object) -> bool:
    """Whether the job is still in the queue, as far as one can see from this machine."""
    jobs = _jobs()
    return isinstance(job, str) and (jobs is None or job in jobs)


@cache
def _jobs() -> frozenset[str] | None:
    """The user's jobs; None where squeue is not there or does not answer."""
    words = ["squeue", "--noheader", "--array", "--format=%i", f"--user={getpass.getuser()}"]
    try:
        answer = subprocess.run(words, capture_output=True, text=True, check=True, timeout=LIMIT)
    except (OSError, subprocess.SubprocessError, KeyError):  # KeyError: a user without a name
        return None
    return frozenset(answer.stdout.split())


MEASURED = ("test_accuracy_last", "test_accuracy_best")
COUNTS = {"classes": 2, "test_samples": 1}  # at least


def progress(directory: Path) -> dict[str, Any]:
    """What status.json and result.json say of a run, its `state` one of STATES; `error` says why it
    failed, or which file is broken.

    probed: the initial state was measured and nothing more asked for; queued: SLURM will start its
    job again; interrupted: it says running or queued, and is not; broken: a file cannot be read,
    and running it again mends that.
    """
    try:
        result = read_result(directory)
        if result is not None and not read_record(directory):
            raise ValueError(f"{directory}/{RECORD}: not whole, so its data and code are not known")
        status = parse_json(directory / STATUS)
        if status is None:
            status = {"state": "missing"}
        if result:
            state = UNTESTED if is_untested(result) else "done"
        else:
            state = _state(directory / STATUS, status)
    except ValueError as error:
        return {"state": "broken", "error": str(error).removeprefix(f"{directory}/")}
    if state in ("running", "queued"):
        state = _now(directory, status)
    return status | (result or {}) | {"state": state}


def _now(directory: Path, status: dict[str, Any]) -> str:
    """What has become of a run that says running, or queued."""
    if holder(directory) is not None:
        return "running"
    return "queued" if status["state"] == "queued" and waits(status.get("job")) else "interrupted"


def _state(path: Path, status: Any) -> str:
    state = status.get("state") if isinstance(status, dict) else None
    if state == "done":
        raise ValueError(f"{path}: done without {RESULT}")
    if not (isinstance(state, str) and state in STATES):
        raise ValueError(f"{path}: no state in it")
    return state


def read_result(directory: Path) -> dict[str, Any] | None:
    """result.json of a run that is done, None where there is none. Raises ValueError for one that
    is not whole.
    """
    path = directory / RESULT
    result = parse_json(path)
    if result is None and not path.exists():
        return None
    if not isinstance(result, dict):
        raise ValueError(f"{path}: not an object")
    for key in () if is_untested(result) else MEASURED:
        if not (is_number(result.get(key)) and 0 <= result[key] <= 1):
            raise ValueError(f"{path}: {key} is no share of the test set")
    for key, least in COUNTS.items():
        if result.get(key) is not None and not (is_number(result[key]) and result[key] >= least):
            raise ValueError(f"{path}: {key} = {str(result[key])[:40]} must be at least {least}")
    rates = result.get("rates")
    if not (isinstance(rates, dict) and all(map(is_number, rates.values()))):
        raise ValueError(f"{path}: no rates")
    return result


def is_untested(result: Mapping[str, Any]) -> bool:
    """Whether the test set of a finished run was not looked at (trainer.test=false)."""
    return all(key in result and result[key] is None for key in MEASURED)


def whole_result(directory: Path) -> dict[str, Any] | None:
    """result.json, or None where there is none or not a whole one."""
    try:
        return read_result(directory)
    except ValueError:
        return None


def finished(directory: Path, probe: str) -> bool:
    """Whether nothing is left to do, for a run with this value of `probe`."""
    if whole_result(directory) is not None:
        return True
    return probe == "only" and bool(read_probe(directory))


def read_probe(directory: Path) -> list[dict[str, Any]]:
    """The rows of init.json, none where there is no whole one."""
    rows = read_json(directory / PROBE)
    if not isinstance(rows, list):
        return []
    return rows if all(isinstance(r, dict) and "population" in r for r in rows) else []


def last_line(error: Any) -> str:
    """The last line of an error message."""
    return next(reversed(str(error or "").strip().splitlines()), "")


def overrides(directory: Path) -> list[str] | None:
    """The overrides that lead to this cell, None if they are not there."""
    try:
        words = parse_yaml(read(directory / OVERRIDES))
    except (OSError, ValueError):
        return None
    whole = isinstance(words, list) and all(isinstance(word, str) for word in words)
    return words if whole else None


def command(words: Sequence[str]) -> str:
    """The command that runs the cell with these overrides alone."""
    return shlex.join(["fdi-run", *words])


def is_number(value: Any) -> bool:
    """A finite number that a float can hold."""
    return type(value) in (int, float) and abs(value) < 1e300
