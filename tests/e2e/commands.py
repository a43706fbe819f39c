"""`fdi-run` as its users meet it: a command, what it prints, its exit code."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fdi.cli.run import main
from fdi.config.identity import NUMERICS
from fdi.track.files import write_json, write_status
from fdi.track.record import write_config

SMALL = (
    "dataset.samples=20",
    "model.hidden=8",
    "trainer.epochs=2",
    "trainer.batch_size=50",
    "threads=1",
)
REFERENCE = "engine=reference"  # compiles nothing


class Command:
    """Calls `fdi-run` in this process; `run` stands in for fdi.runner.story.run if given."""

    def __init__(self, monkeypatch, capsys):
        self.monkeypatch, self.capsys = monkeypatch, capsys

    def __call__(self, *arguments: str, run=None) -> SimpleNamespace:
        if run is not None:
            self.monkeypatch.setitem(sys.modules, "fdi.runner.story", SimpleNamespace(run=run))
        self.monkeypatch.setattr(sys, "argv", ["fdi-run", *arguments])
        try:
            main()
            code: Any = 0
        except SystemExit as stop:
            code = stop.code
        return SimpleNamespace(code=code, **self.capsys.readouterr()._asdict())


def done(config, directory: Path, *_) -> dict:
    """A run that takes no time: its accuracy is its seed in per cent."""
    result = {
        "test_accuracy_last": config.seed / 100,
        "test_accuracy_best": 0.5,
        "rates": {"h1": 10.0 + config.seed},
        "seconds": 12.3,
    }
    return finish(config, directory, result)


def finish(config, directory: Path, result: dict) -> dict:
    """Leaves the files of a run that ended with this result."""
    (directory / ".hydra").mkdir(parents=True, exist_ok=True)
    write_config(directory, config, ())
    write_json(directory / "record.json", {"numerics": NUMERICS, "run": {}})
    write_json(directory / "result.json", result)
    write_status(directory, "done")
    return result


def process(*arguments: str, before: str = "", **options) -> subprocess.Popen:
    # a job in the background ignores it
    code = "from signal import *; signal(SIGINT, default_int_handler)\n"
    code += f"{before}\nfrom fdi.cli.run import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def wait_for_epoch(folder: Path, epoch: int, child: subprocess.Popen) -> None:
    while child.poll() is None:
        if any(len(file.read_text().splitlines()) > epoch for file in folder.rglob("metrics.csv")):
            return
        time.sleep(0.02)
    raise AssertionError(child.communicate()[1])
