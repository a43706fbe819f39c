"""Where an epoch of the default run goes: training steps, the validation split, and all that a
user's run does besides.

The run is the one of `fdi-run`, with metrics, checkpoint, status and progress, once with its output
in a file and once on a terminal. The first epoch is not counted; an epoch lasts from one line of
progress to the next, and has its share of the checkpoints, which are seconds apart.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from functools import wraps
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from rich.console import Console

from benchmark import machine
from fdi.cli.cells import Cell, compose_cells
from fdi.cli.run import parse
from fdi.cli.terminal import Epochs, Terminal
from fdi.data.inputs import Events
from fdi.engine import updates
from fdi.engine.cpu import CpuEngine
from fdi.runner import story, training
from fdi.runner.build import threads
from fdi.track import record
from fdi.track.files import Metrics

EPOCHS = 21
OUTPUTS = ("file", "terminal")
Spans = dict[str, list[tuple[float, float]]]


def measure() -> list[dict]:
    """A row for each output and part of an epoch."""
    return [row for output in OUTPUTS for row in _measure(output)]


def _measure(output: str) -> list[dict]:
    """A row for each part of an epoch; "everything else" is an epoch without steps and evaluation,
    the parts below it are in it.
    """
    with tempfile.TemporaryDirectory() as folder:
        cell = default_run(f"paths.results={folder}", f"trainer.epochs={EPOCHS}")
        with _watched() as spans, _output(output, Path(folder)):
            story.execute(cell.values, cell.directory, Terminal(Console()))
    ends = [stop for _, stop in spans["line"]]
    epochs = len(ends) - 1
    parts = {
        name: sum(b - a for a, b in times if ends[0] < a < ends[-1]) / epochs
        for name, times in spans.items()
    }
    total = (ends[-1] - ends[0]) / epochs
    step, evaluation = parts.pop("step"), parts.pop("evaluation")
    parts["progress"] += parts.pop("line")
    rest = total - step - evaluation
    seconds_of = {
        "epoch": total,
        "step": step,
        "evaluation": evaluation,
        "everything else": rest,
        **parts,
        "loop": rest - sum(parts.values()),
    }
    shares = ", ".join(
        f"{name} {seconds / total:.1%}" for name, seconds in list(seconds_of.items())[1:]
    )
    print(f"epoch, output to a {output}: {1e3 * total:.0f} ms; {shares}", flush=True)
    about = dict(
        batch=cell.config.trainer.batch_size,
        epochs=epochs,
        torch=torch.__version__,
        threads=threads(cell.config),
    )
    return [
        dict(
            output=output,
            part=name,
            ms=1e3 * seconds,
            share=seconds / total,
            **about,
            machine=machine.name(),
        )
        for name, seconds in seconds_of.items()
    ]


def default_run(*overrides: str) -> Cell:
    """What `fdi-run` does with these words."""
    (cell,) = compose_cells(parse(overrides))
    return cell


@contextmanager
def _watched() -> Iterator[Spans]:
    """Notes when the parts of a run begin and end."""
    parts = {
        "step": [(CpuEngine, "step")],
        "evaluation": [(CpuEngine, "evaluate")],
        "data": [(Events, "cut")],
        "optimizer": [(updates, "smorms3_step")],
        "checkpoint": [(training, "save_checkpoint")],
        "metrics and status": [
            (Metrics, "append"),
            (Metrics, "sync"),
            (record, "change"),
        ],
        "progress": [(Epochs, "batch")],
        "line": [(Epochs, "row")],
    }
    spans: Spans = {name: [] for name in parts}
    with ExitStack() as stack:
        for name, places in parts.items():
            for owner, function in places:
                stack.enter_context(
                    mock.patch.object(
                        owner, function, _noted(getattr(owner, function), spans[name])
                    )
                )
        yield spans


def _noted(function: Callable[..., Any], spans: list[tuple[float, float]]) -> Callable[..., Any]:
    @wraps(function)
    def noted(*arguments: Any, **options: Any) -> Any:
        start = time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            spans.append((start, time.perf_counter()))

    return noted


@contextmanager
def _output(output: str, folder: Path) -> Iterator[None]:
    """Standard output goes to a file, or to a terminal that nobody looks at."""
    if output == "file":
        with (folder / "output.log").open("w") as file, redirect_stdout(file):
            yield
        return
    looking, terminal = os.openpty()
    reader = threading.Thread(target=_drain, args=(looking,))
    reader.start()
    with (
        os.fdopen(terminal, "w") as file,
        redirect_stdout(file),
        mock.patch.dict(os.environ, TERM="xterm"),
    ):
        yield
    reader.join()
    os.close(looking)


def _drain(terminal: int) -> None:
    try:
        while os.read(terminal, 65536):
            pass
    except OSError:  # Linux says so when the other end is closed
        return
