"""Commands in forked processes that can be killed, and what they leave behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

import making
import pytest
from forks import Zygote

from fdi.track.files import RUN

SMALL = (
    "engine=reference",
    "dataset.samples=20",
    "model.hidden=8",
    "trainer.epochs=12",
    "trainer.batch_size=50",
    "threads=1",
)


@pytest.fixture(scope="session")
def zygote(tmp_path_factory):
    started = Zygote(tmp_path_factory.mktemp("zygote"))
    yield started
    started.close()


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
