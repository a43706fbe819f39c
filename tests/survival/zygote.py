"""A process that has fdi and torch imported, and forks a child for each command it is asked to run.
Orders are lines of JSON on standard input: {"argv", "folder", "command", "cut", "killed"} answers
with the pid, {"wait"} with the exit code of one. `command`: run for fdi-run; `killed`: at this call
of fsync; `cut`: see forgetful.py.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

import forgetful
import torch

import fdi.cli.cells
import fdi.cli.report
import fdi.cli.run
import fdi.cli.status
import fdi.cli.table
import fdi.cli.task
import fdi.data.arrays
import fdi.engine.reference.simulation
import fdi.engine.updates
import fdi.figures.report
import fdi.runner.story
from fdi.cli.run import parse
from fdi.train.optimizers import SMORMS3


def kill_at(moment: int) -> None:
    synced, left = os.fsync, [moment]

    def fsync(file: int) -> None:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        synced(file)

    os.fsync = fsync  # type: ignore[assignment] # files of fdi are numbers


def child(
    argv: list[str],
    folder: str,
    command: str = "run",
    cut: dict | None = None,
    killed: int | None = None,
) -> int:
    os.chdir(folder)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(Path(folder).parent / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = [f"fdi-{command}", *argv]
    if killed:
        kill_at(killed)
    disk = forgetful.Disk(Path(folder), **cut) if cut else None
    if disk:
        disk.install()
    try:
        code: Any = import_module(f"fdi.cli.{command}").main()
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


def warm_up() -> None:
    """What takes a second in a new process: Hydra finds its plugins, Numba its kernel."""
    fdi.cli.cells.compose_cells(parse(["engine=reference"]))
    weights = torch.nn.Parameter(torch.ones(2))
    weights.sum().backward()
    SMORMS3([weights]).step()


warm_up()
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
        os._exit(child(**order))
    print(pid, flush=True)
