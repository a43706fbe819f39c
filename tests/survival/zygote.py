"""A process that has fdi and torch imported, and forks a child for each command it is asked to run.
Orders are lines of JSON on standard input: {"argv", "folder", "cut", "clock"} answers with the pid,
{"wait"} with the exit code of one. With a clock, a seed, the time of day jumps.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import forgetful

import fdi.cli.run
import fdi.runner.story


def jumping(seed: int) -> Callable[[], float]:
    rng, now = random.Random(seed), time.time
    return lambda: now() + rng.choice([0.0, 0.0, -3600.0, 3600.0, -1e9])


def child(argv: list[str], folder: str, cut: dict | None, clock: int | None) -> int:
    os.chdir(folder)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(Path(folder).parent / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["fdi-run", *argv]
    if clock is not None:
        time.time = jumping(clock)
    disk = forgetful.Disk(Path(folder), **cut) if cut else None
    if disk:
        fdi.runner.training.SAVE_EVERY = 0.0
        disk.install()
    try:
        fdi.cli.run.main()
        code: Any = 0
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
        code = 70
    if disk:
        disk.cut()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


for line in sys.stdin:
    order = json.loads(line)
    if "wait" in order:
        _, status = os.waitpid(order["wait"], 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
        continue
    pid = os.fork()
    if not pid:
        os.setsid()
        os.environ["FDI_SURVIVAL"] = order["folder"]
        os._exit(child(order["argv"], order["folder"], order.get("cut"), order.get("clock")))
    print(pid, flush=True)
