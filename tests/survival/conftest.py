"""Commands in forked processes that can be killed, and what they leave behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import making
import pytest

from fdi.track.files import RUN

SMALL = (
    "engine=reference",
    "dataset.samples=20",
    "model.hidden=8",
    "trainer.epochs=12",
    "trainer.batch_size=50",
    "threads=1",
)


class Zygote:
    """Starts `fdi-run` in a process of its own, in milliseconds."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0
        script = Path(__file__).with_name("zygote.py")
        self.process = subprocess.Popen(
            [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def home(self) -> Path:
        """A new folder to run in, in one of its own."""
        self.count += 1
        home = self.folder / str(self.count) / "here"
        home.mkdir(parents=True)
        return home

    def start(self, home: Path, *argv: str, **how) -> int:
        """`how`: see zygote.py."""
        return self._ask(argv=argv, folder=str(home), **how)

    def end(self, home: Path, pid: int) -> SimpleNamespace:
        code = self._ask(wait=pid)
        out, err = ((home.parent / name).read_text() for name in ("stdout", "stderr"))
        return SimpleNamespace(code=code, out=out, err=err)

    def run(self, home: Path, *argv: str, **how) -> SimpleNamespace:
        return self.end(home, self.start(home, *argv, **how))

    def _ask(self, **order) -> int:
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@pytest.fixture(scope="session")
def zygote(tmp_path_factory):
    started = Zygote(tmp_path_factory.mktemp("zygote"))
    yield started
    started.process.stdin.close()
    started.process.wait()
    started.process.stdout.close()


@pytest.fixture(scope="session")
def small() -> tuple[str, ...]:
    return SMALL


@pytest.fixture(scope="session")
def numbers():
    """The numbers of all runs of a folder, without those that hold seconds."""

    def read(home: Path) -> dict:
        paths = sorted(home.glob(f"results/runs/*/*/*/*/{RUN}"))
        found = {str(path.parent.relative_to(home)): making.numbers(path.parent) for path in paths}
        return {path: those for path, those in found.items() if those["result"]}

    return read


@pytest.fixture(scope="session")
def alive():
    """The processes that a command in this folder started and that still run."""

    def look(home: Path) -> set[int]:
        found = set()
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                if f"FDI_SURVIVAL={home}\0".encode() in path.read_bytes() + b"\0":
                    found.add(int(path.parent.name))
            except OSError:
                continue
        return found

    return look


@pytest.fixture(scope="session")
def gone(alive):
    def wait(home: Path, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while alive(home) - {os.getpid()}:
            if time.monotonic() > end:
                return False
            time.sleep(0.1)
        return True

    return wait
