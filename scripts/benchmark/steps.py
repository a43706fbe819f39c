"""Times training steps of all libraries on one workload.

One step is forward, loss, backward and optimizer on one batch in memory. Each library has a process
of its own, since in one process the threads of one slow down the small operations of another, up to
threefold. They take turns of half a second or one step, round after round, so that whatever else
the machine does hits all of them. Reported are the median time, the ratio to stork's time in the
same round (median, and quartiles), the time as a multiple of the floor of the algorithm that a
library computes (events: fdi, dense: all others), and, from further processes, the first step cold
(nothing compiled or cached), the first step warm, and the peak memory above what was in use before
the first step.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch

from benchmark import machine
from benchmark.floors import count, floors, told
from benchmark.libraries import available
from benchmark.workloads import PAPER, WORKLOADS, batch, network

TURN = 0.5  # s and more, as in training, where steps follow each other without a pause
NOT_BUILT = {name: ("snntorch", "norse", "spikingjelly", "sinabs") for name in ("dale", *PAPER)}
"""Libraries without a neuron of two synaptic currents or a recurrent convolution, or, in long
trials of deep networks, too slow or large to wait for.
"""


def compare(workload: str, rounds: int) -> list[dict]:
    """One row for each library."""
    work = {**WORKLOADS, **PAPER}[workload]
    x, _ = batch(work)
    builders = {
        name: build
        for name, build in available().items()
        if name not in NOT_BUILT.get(workload, ())
    }
    losses, times = in_turn(builders, work, rounds)
    least = floors(count(network(work), x), machine.throughput())
    print(f"{workload:10}{told(least)}", flush=True)
    base = "stork" if "stork" in times else "reference"
    rows = []
    for name, seconds in times.items():
        low, ratio, high = np.percentile(np.array(times[base]) / np.array(seconds), [25, 50, 75])
        median = 1e3 * float(np.median(seconds))
        row = dict(
            workload=workload,
            about=work["about"],
            library=name,
            rounds=rounds,
            median_ms=median,
            relative_to=base,
        )
        row |= dict(
            ratio=ratio,
            ratio_low=low,
            ratio_high=high,
            first_loss=losses[name],
            **in_own_process(name, workload),
            **least,
        )
        row["above_floor"] = median / least["event_floor_ms" if name == "fdi" else "dense_floor_ms"]
        rows.append(
            row
            | dict(
                version=_version(name),
                torch=torch.__version__,
                threads=torch.get_num_threads(),
                machine=machine.name(),
            )
        )
        print(
            f"{workload:10}{name:14}{median:9.1f} ms  {ratio:6.2f} [{low:.2f}, {high:.2f}] x {base}"
            f"  {row['above_floor']:6.1f} x floor"
            f"  loss {losses[name]:.4f}  cold {row['cold_s']:.2f} s  warm {row['warm_s']:.2f} s  "
            f"peak {row['peak_mib']:.0f} MiB",
            flush=True,
        )
    return rows


def in_turn(
    builders: Mapping[str, Callable], work: dict, rounds: int
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """The loss of each library's first step, and the seconds of a step in `rounds` turns."""
    context, losses, pipes, servers = get_context("spawn"), {}, {}, []
    for name, build in builders.items():
        pipes[name], end = context.Pipe()
        servers.append(context.Process(target=_serve, args=(end, build, work), daemon=True))
        servers[-1].start()
        end.close()
        losses[name] = pipes[name].recv()
    times: dict[str, list[float]] = {name: [] for name in builders}
    for _ in range(rounds):
        for name, pipe in pipes.items():
            pipe.send(True)
            times[name].append(pipe.recv())
    for pipe, server in zip(pipes.values(), servers):
        pipe.send(False)
        server.join()
    return losses, times


def _serve(pipe: Connection, build: Callable, work: dict) -> None:
    """A process of a library: a first step, then, for each True that comes, a turn and the seconds
    that its steps took on average.
    """
    step = build(work, *batch(work))
    pipe.send(step())
    while pipe.recv():
        start, taken = time.perf_counter(), 0
        while time.perf_counter() - start < TURN:
            step()
            taken += 1
        pipe.send((time.perf_counter() - start) / taken)


def alone(library: str, workload: str) -> dict:
    """First step, second step and peak memory, measured in this process."""
    work = {**WORKLOADS, **PAPER}[workload]
    step = available()[library](work, *batch(work))
    before, times = _forget_peak(), []
    for _ in range(3):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return {"first": times[0], "peak_mib": _memory("VmHWM") - before}


def in_own_process(library: str, workload: str) -> dict:
    """`alone` twice: with an empty cache of compiled code, and with the cache that the first
    left.
    """
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, sys.argv[0], "--alone", library, workload]
        options = dict(
            env={**os.environ, "NUMBA_CACHE_DIR": cache},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        runs = [
            json.loads(subprocess.run(command, **options).stdout.splitlines()[-1]) for _ in range(2)
        ]
    return {"cold_s": runs[0]["first"], "warm_s": runs[1]["first"], "peak_mib": runs[1]["peak_mib"]}


def _memory(field: str) -> float:
    """MiB of this process, from Linux; NaN elsewhere."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next(
        (int(line.split()[1]) / 1024 for line in lines if line.startswith(field)), float("nan")
    )


def _forget_peak() -> float:
    """Start a new peak of memory; returns what is in use, in MiB."""
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")
    return _memory("VmRSS")


def _version(library: str) -> str:
    try:
        return version("fdi-snn" if library == "reference" else library)
    except PackageNotFoundError:
        return ""
