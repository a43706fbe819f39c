"""`fdi-run` as its users meet it: a command, what it prints, its exit code."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from fdi.cli.run import main
from fdi.track import record
from fdi.track.files import RUN

SMALL = (
    "dataset.samples=20",
    "model.hidden=8",
    "trainer.epochs=2",
    "trainer.batch_size=50",
    "threads=1",
)
REFERENCE = "engine=reference"  # compiles nothing
INPUT = ("dataset.samples=20", "dataset.steps=20", "dataset.units=5", "dataset.classes=2")
TINY = (*INPUT, *SMALL[3:], "model.hidden=4", "trainer.epochs=1", "probe=none", REFERENCE)


def write_classes(
    folder: Path, classes: int = 2, samples: int = 60, units: int = 6, moved: int = 1
) -> None:
    """Classes that are told apart by who spikes; in the test set, its last third, they have other
    names, `moved` by so many: what learns best is worst there.
    """
    chance = np.random.default_rng(0)
    y, few = np.arange(samples) % classes, samples * 2 // 3
    rates = np.where(np.arange(units) * classes // units == y[:, None], 0.4, 0.05)
    x = (chance.random((samples, 20, units)) < rates[:, None]).astype(np.uint8)
    moved_y = (y[few:] + moved) % classes
    np.savez(folder / "data.npz", x=x[:few], y=y[:few], x_test=x[few:], y_test=moved_y)


class Command:
    """Calls `fdi-run`, or the `main` of another command, in this process."""

    def __init__(self, monkeypatch, capsys):
        self.monkeypatch, self.capsys = monkeypatch, capsys

    def __call__(self, *arguments: str, main=main) -> SimpleNamespace:
        self.monkeypatch.setattr(sys, "argv", ["fdi-run", *arguments])
        try:
            code: Any = main() or 0
        except SystemExit as stop:
            code = stop.code
        return SimpleNamespace(code=code, **self.capsys.readouterr()._asdict())


def fail(monkeypatch, step: str, error: BaseException, when=lambda config: True) -> None:
    """Lets a `step` of fdi.runner.story raise the `error` in runs that `when` is true of."""
    from fdi.runner import story  # torch

    right = getattr(story, step)

    def failing(context, *rest):
        if when(OmegaConf.create(dict(context.values))):
            raise error
        return right(context, *rest)

    monkeypatch.setattr(story, step, failing)


def records(folder: Path) -> dict[Path, record.Run]:
    """The records below a folder, each checked."""
    return {path.parent: record.whole(path.parent) for path in sorted(folder.rglob(RUN))}


def trials_and_tests(folder: Path) -> tuple[list[record.Run], list[record.Run]]:
    """The runs of a choice, which has seed 1000 and never sees the test set, and those after it."""
    runs = records(folder).values()
    tried = [run for run in runs if not run.config["trainer"]["test"]]
    tested = [run for run in runs if run.config["trainer"]["test"]]
    assert [{run.config["seed"] for run in of} for of in (tried, tested)] == [{1000}, {0}]
    assert {run.result["test_accuracy_last"] for run in tried if run.result} == {None}
    return tried, tested


def process(*arguments: str, before: str = "", **options) -> subprocess.Popen:
    # a job in the background ignores it
    code = "from signal import *; signal(SIGINT, default_int_handler)\n"
    code += f"{before}\nimport sys; sys.argv[0] = 'fdi-run'\n"
    code += "from fdi.cli.run import main; sys.exit(main())"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def wait_for_epoch(folder: Path, epoch: int, child: subprocess.Popen) -> Path:
    """The folder of a run that is past `epoch`."""
    while child.poll() is None:
        for file in folder.rglob("metrics.csv"):
            if len(file.read_text().splitlines()) > epoch:
                return file.parent
        time.sleep(0.02)
    raise AssertionError(child.communicate()[1])
