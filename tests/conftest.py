"""Shared by all tests: where the reference numbers and real data are."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fdi.config import cache

for room in ("config", "e2e", "engine/cuda", "interop"):  # their tests share modules
    sys.path.append(str(Path(__file__).parent / room))
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # torch's waiting threads would hold the cores
if "PYTEST_XDIST_WORKER" in os.environ:  # each has a core, and small tensors gain nothing by two
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_CACHE_DIR", str(cache.cache_folder(cache.KERNELS)))


def pytest_collection_finish() -> None:
    """What is imported by now stays: nobody looks for garbage among it again."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def nothing_known(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What the tests write is not indexed beside what the user has."""
    os.environ[cache.CACHE_VARIABLE] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session", autouse=True)
def memory_is_enough() -> Iterator[None]:
    """What this process writes need not outlast a power cut, and a call takes milliseconds; those
    that are cut off are processes of their own.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Commands change what Ctrl-C and SIGTERM do; after a test they do what they did."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own to work in."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with `reference/` and `data/`."""
    folder = os.environ.get("FDI_TEST_DATA")
    if not folder:
        pytest.skip("FDI_TEST_DATA is not set: no reference numbers or real data at hand")
    return Path(folder)
