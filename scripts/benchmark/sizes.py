"""fdi beside the fastest of its peers over batches, neurons, densities of the input and steps: a
network of 700 inputs, one hidden layer and 20 classes, of whose sizes one differs at a time, and
corners where several do.

CPU time of training steps on one thread. At each size, libraries take turns in processes of their
own; the least of all rounds counts, since what else the machine does only adds to it. Who takes
more than APART times as long as the fastest peer in the first round leaves then.
"""

from __future__ import annotations

import time

from benchmark import machine
from benchmark.libraries import BEST, importable
from benchmark.process import Process
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


def measure(rounds: int) -> list[dict]:
    """A row for each size and library."""
    rows, known = [], dict[tuple, list[dict]]()
    for point in points():
        size = {key: point[key] for key in CENTRE}
        found = known.setdefault(tuple(size.values()), [])
        found.extend([] if found else _compare(size, rounds))
        rows += [dict(axis=point["axis"], **row) for row in found]
    return rows


def _compare(size: dict, rounds: int) -> list[dict]:
    work = dict(WORKLOADS["dense"], **size, sizes=(size["units"],))
    processes, least = {}, dict[str, float]()
    for name, build in importable(BEST).items():
        try:
            process = Process(build, work, time.process_time, **ONE)
        except (EOFError, TimeoutError) as failed:
            print(f"{name}: no first step: {failed!r}", flush=True)
            continue
        least[name], processes[name] = process.turn(), process
        peers = [seconds for peer, seconds in least.items() if peer != "fdi"]
        for slow in [n for n in processes if n != "fdi" and least[n] > APART * min(peers)]:
            processes.pop(slow).end()
    for _ in range(rounds - 1):
        for name, process in processes.items():
            least[name] = min(least[name], process.turn())
    for process in processes.values():
        process.end()
    told = ", ".join(f"{name} {least[name] / least['fdi']:.3g}" for name in least)
    print(f"{size}: {told}", flush=True)
    return [
        dict(size, library=name, cpu_ms=1e3 * seconds, ratio=seconds / least["fdi"])
        | dict(rounds=rounds if name in processes else 1, machine=machine.name())
        for name, seconds in least.items()
    ]
