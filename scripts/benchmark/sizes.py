"""fdi beside the fastest of its peers over batches, neurons, densities of the input and steps: a
network of 700 inputs, one hidden layer and 20 classes, of whose sizes one differs at a time, and
corners where several do.

CPU time of training steps on one thread. At each size, libraries take turns in processes of their
own; the least of all rounds counts, since what else the machine does only adds to it. Who takes
more than APART times as long as the fastest peer in the first round leaves then. What was measured
on this machine, with the same versions and rounds, is taken from the file; where fdi has changed,
remove it first.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import torch

from benchmark import machine
from benchmark.libraries import BEST, importable
from benchmark.process import Process
from benchmark.steps import version_of
from benchmark.workloads import WORKLOADS

CENTRE = dict(batch=32, units=256, density=0.05, steps=100, recurrent=False)
AXES = {
    "batch": ("batch", (1, 8, 32, 256, 1024), {}),
    "hidden units": ("units", (16, 64, 256, 1024, 4096), {}),
    "recurrent units": ("units", (16, 256, 1024, 2048), dict(recurrent=True)),
    "inputs that spike in a step": ("density", (0.01, 0.05, 0.1, 0.5), {}),
    "time steps": ("steps", (20, 100, 500, 2000), {}),
}
CORNERS = (
    dict(batch=1, units=16, density=0.01, steps=20),
    dict(batch=1, units=16, density=0.5),
    dict(batch=1, units=4096, density=0.01),
    dict(batch=1, units=2048, density=0.01, recurrent=True),
    dict(batch=1024, units=16, density=0.01),
    dict(batch=1024, units=16, density=0.5),
    dict(batch=256, units=1024, density=0.01),
    dict(batch=1024, units=4096, density=0.01, steps=20),
    dict(batch=1, units=16, steps=2000),
)
APART = 2
ONE = dict(OMP_NUM_THREADS="1", XLA_FLAGS="--xla_cpu_multi_thread_eigen=false", JAX_PLATFORMS="cpu")


def points() -> list[dict]:
    """Sizes, each with its `axis`; that of corners has none."""
    along = [
        dict(CENTRE, **more, **{key: value}, axis=axis)
        for axis, (key, values, more) in AXES.items()
        for value in values
    ]
    return [*along, *(dict(CENTRE, **corner, axis="") for corner in CORNERS)]


def measure(rounds: int, file: Path) -> Iterator[list[dict]]:
    """All rows so far, after each size: one for each library."""
    builders = importable(BEST)
    for name in BEST.keys() - builders.keys():
        print(f"{name}: left out, since it is not installed", flush=True)
    where = dict(torch=torch.__version__, machine=machine.name())
    known = _known(file, where, rounds, builders)
    rows = list[dict]()
    for done, point in enumerate(points(), 1):
        size = {key: point[key] for key in CENTRE}
        key = tuple(size.values())
        if key not in known:
            known[key] = [row | where for row in _compare(builders, size, rounds)]
        rows += [dict(axis=point["axis"], **row) for row in known[key]]
        told = ", ".join(f"{row['library']} {row['ratio']:.3g}" for row in known[key])
        print(f"{done} of {len(points())}: {size}: {told}", flush=True)
        yield rows


def _known(file: Path, where: dict, rounds: int, builders: dict) -> dict[tuple, list[dict]]:
    """Rows of the file, by their size, that were measured like this."""
    if not file.exists():
        return {}
    text = dict(axis=str, version=str)
    table = pd.read_csv(file, dtype=text).fillna(dict.fromkeys(text, ""))
    versions = table["library"].map(lambda name: version_of(name.split()[0]))
    same = (table[list(where)] == list(where.values())).all(axis=1) & (table["version"] == versions)
    table = table[same].drop(columns="axis").drop_duplicates()
    return {
        key: rows.to_dict("records")
        for key, rows in table.groupby(list(CENTRE))
        if set(rows["library"]) == set(builders) and rows["rounds"].max() == rounds
    }


def _compare(builders: dict, size: dict, rounds: int) -> list[dict]:
    work = dict(WORKLOADS["dense"], **size, sizes=(size["units"],))
    processes, least, peak = dict[str, Process](), dict[str, float](), dict[str, float]()
    for name, build in builders.items():
        try:
            process = Process(build, work, time.process_time, **ONE)
        except (EOFError, TimeoutError) as failed:
            print(f"{name}: no first step: {failed!r}", flush=True)
            continue
        least[name], peak[name] = process.turn(), process.first.peak_mib
        processes[name] = process
        peers = [seconds for peer, seconds in least.items() if peer != "fdi"]
        for slow in [n for n in processes if n != "fdi" and least[n] > APART * min(peers)]:
            processes.pop(slow).end()
    for _ in range(rounds - 1):
        for name, process in processes.items():
            least[name] = min(least[name], process.turn())
    for process in processes.values():
        process.end()
    nothing = float("nan")
    return [
        dict(size, library=name, cpu_ms=1e3 * least.get(name, nothing))
        | dict(ratio=least.get(name, nothing) / least["fdi"], peak_mib=peak.get(name, nothing))
        | dict(rounds=rounds if name in processes else int(name in least))
        | dict(version=version_of(name.split()[0]))
        for name in builders
    ]
