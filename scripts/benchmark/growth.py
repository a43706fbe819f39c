"""How the time of fdi grows with a size: the power of each size that it is proportional to.

Training steps are those of the workload "dense" on one thread, with one size changed; a sweep is
composed, not run; recordings are read for the first time, from a file in the layout of SHD. Sizes
take turns, round after round. The exponent of a round is the slope of log(time) over log(size),
over the upper half of the sizes, where what does not grow matters least.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import h5py
import numpy as np
import torch

from benchmark import machine
from benchmark.libraries import on_one_batch, ours
from benchmark.workloads import WORKLOADS
from fdi.cli.cells import compose_cells
from fdi.cli.run import parse
from fdi.config.cache import CACHE_VARIABLE
from fdi.data import dataset
from fdi.data.hdf5 import hdf5

DENSE = dict(WORKLOADS["dense"], batch=64)
AXES: dict[str, tuple[str, tuple[int, ...], Callable[[int], dict]]] = {
    "time steps": ("training step", (50, 100, 200, 400, 800), lambda n: dict(steps=n)),
    "batch": ("training step", (1, 8, 32, 64, 128, 256, 512), lambda n: dict(batch=n)),
    "batch of 1,024 recurrent units": (
        "training step",
        (1, 8, 32, 64),
        lambda n: dict(batch=n, sizes=(1024,), recurrent=True),
    ),
    "width": ("training step", (64, 128, 256, 512, 1024), lambda n: dict(sizes=(n,))),
    "width of two layers": (
        "training step",
        (64, 128, 256, 512, 1024),
        lambda n: dict(sizes=(n, n)),
    ),
    "depth": ("training step", (2, 4, 8, 16, 32), lambda n: dict(sizes=(128,) * n)),
    "inputs": ("training step", (350, 700, 1400, 2800, 5600), lambda n: dict(shape=(n,))),
    "recurrent units": (
        "training step",
        (128, 256, 512, 1024, 2048),
        lambda n: dict(sizes=(n,), recurrent=True),
    ),
}
CELLS = (8, 16, 32, 64, 128)
RECORDINGS = (600, 1200, 2400, 4800, 9600)
SPIKES = 8000  # of a recording of SHD
ROUNDS = 5
LEAST = 0.3  # CPU seconds of a size in a round; what takes less is repeated


def measure(rounds: int = ROUNDS) -> list[dict]:
    """A row for each size of each axis."""
    torch.set_num_threads(1)  # fdi takes as many
    rows = []
    for axis, (what, sizes, change) in AXES.items():
        made = {n: on_one_batch(ours.fdi, {**DENSE, **change(n)}) for n in sizes}
        rows += _grown(axis, what, made, rounds)
    rows += _grown("cells", "sweep, composed", {n: _composed(n) for n in CELLS}, rounds)
    with tempfile.TemporaryDirectory() as folder, _own_cache(Path(folder)):
        made = {n: _loaded(Path(folder), n) for n in RECORDINGS}
        rows += _grown("recordings", "data, read first", made, rounds)
    return rows


def _grown(axis: str, what: str, made: dict[int, Callable[[], object]], rounds: int) -> list[dict]:
    sizes, often = list(made), {}
    for n, function in made.items():
        once = _seconds(function, 1)  # compiles, too
        once = min(once, _seconds(function, 1))
        often[n] = 1 if axis == "recordings" else max(1, round(LEAST / once))
    times = np.array([[_seconds(made[n], often[n]) for n in sizes] for _ in range(rounds)])
    upper = slice(len(sizes) // 2, None)
    logs = np.log(sizes[upper])
    slopes = [np.polyfit(logs, np.log(row[upper]), 1)[0] for row in times]
    print(f"{axis:16} {np.mean(slopes):.2f} +- {np.std(slopes, ddof=1):.2f}", flush=True)
    return [
        dict(
            axis=axis, what=what, size=n, cpu_ms=1e3 * float(np.median(column)),
            exponent=float(np.mean(slopes)), exponent_sd=float(np.std(slopes, ddof=1)),
            fitted=n in sizes[upper], n=rounds, machine=machine.name(),
        )
        for n, column in zip(sizes, times.T)
    ]  # fmt: skip


def _seconds(function: Callable[[], object], often: int) -> float:
    start = time.process_time()
    for _ in range(often):
        function()
    return (time.process_time() - start) / often


def _composed(cells: int) -> Callable[[], object]:
    return lambda: compose_cells(parse(["-m", f"seed=range({cells})"]))


@contextmanager
def _own_cache(folder: Path) -> Iterator[None]:
    """Nothing that was read is found again, in this process or on disk."""
    with (
        patch.dict(os.environ, {CACHE_VARIABLE: str(folder / "cache")}),
        patch.object(dataset, "_kept", type(dataset._kept)()),
    ):
        yield


def _loaded(folder: Path, recordings: int) -> Callable[[], object]:
    write_recordings(folder / f"{recordings}_train.h5", recordings, SPIKES)
    if not (folder / "test.h5").exists():
        write_recordings(folder / "test.h5", 20, SPIKES)
    # Each time with another bin, so that no cache knows it.
    bins = iter(np.linspace(2e-3, 2.5e-3, 2 * ROUNDS + 10))
    return lambda: hdf5(
        root=folder, train_file=f"{recordings}_train.h5", test_file="test.h5", channels=700,
        duration=1.0, dt=float(next(bins)),
    )  # fmt: skip


def write_recordings(path: Path, recordings: int, spikes: int) -> None:
    """A file in the layout of SHD of random spikes of 700 units in a second, 20 classes."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        of_times = h5py.vlen_dtype(np.float16)
        of_units = h5py.vlen_dtype(np.uint16)
        times = file.create_dataset("spikes/times", (recordings,), of_times)
        units = file.create_dataset("spikes/units", (recordings,), of_units)
        for i in range(recordings):
            times[i] = np.sort(rng.random(spikes, np.float32)).astype(np.float16)
            units[i] = rng.integers(0, 700, spikes, np.uint16)
        file["labels"] = np.arange(recordings) % 20
