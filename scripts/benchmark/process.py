"""A library in a process of its own, since in one process the threads of one library slow down the
small operations of another, up to threefold.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from benchmark.libraries import on_one_batch

LONGEST = 300  # s, of a first step that compiles
TURN = 0.5  # s and more, as in training, where steps follow each other without a pause
Clock = Callable[[], float]
WARM = 3  # steps after which the peak of memory is read


class First(NamedTuple):
    """The first step: its loss, its seconds, and the peak memory (MiB) above what was in use
    before it.
    """

    loss: float
    seconds: float
    peak_mib: float


class Process:
    """A training step in a process of its own, with these variables in its environment, timed by a
    `clock`. If the first one fails or takes longer than LONGEST, TimeoutError or EOFError.
    """

    def __init__(
        self, build: Callable, work: dict, clock: Clock = time.perf_counter, **environment: str
    ) -> None:
        context = get_context("spawn")
        self._pipe, end = context.Pipe()
        self._process = context.Process(target=_serve, args=(end, build, work, clock), daemon=True)
        with patch.dict(os.environ, environment):
            self._process.start()
        end.close()
        if not self._pipe.poll(LONGEST):
            self._process.kill()
            raise TimeoutError(f"no step in {LONGEST} s")
        self.first: First = self._pipe.recv()

    def turn(self) -> float:
        """The seconds of a step, over TURN or one step."""
        (seconds,) = side_by_side([self])
        return seconds

    def end(self) -> None:
        self._pipe.send(0)
        self._process.join()


def side_by_side(processes: Sequence[Process]) -> list[float]:
    """The turns of several processes at the same time."""
    for process in processes:
        process._pipe.send(TURN)
    return [process._pipe.recv() for process in processes]


def _serve(pipe: Connection, build: Callable, work: dict, clock: Clock) -> None:
    """The first steps, then a turn of each length that comes, until that is 0."""
    step = on_one_batch(build, work)
    before, start = _forget_peak(), time.perf_counter()
    loss = step()
    seconds = time.perf_counter() - start
    for _ in range(WARM - 1):
        step()
    pipe.send(First(loss, seconds, _memory("VmHWM") - before))
    while length := pipe.recv():
        start, taken = clock(), 0
        while clock() - start < length:
            step()
            taken += 1
        pipe.send((clock() - start) / taken)


def _memory(field: str) -> float:
    """MiB of this process, from Linux; NaN elsewhere."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next(
        (int(line.split()[1]) / 1024 for line in lines if line.startswith(field)), float("nan")
    )


def _forget_peak() -> float:
    """Start a new peak of memory; returns what is in use, in MiB."""
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")
    return _memory("VmRSS")
