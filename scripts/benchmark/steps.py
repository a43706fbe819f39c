"""Times training steps of all libraries on one workload.

One step is forward, loss, backward and optimizer on one batch in memory. Each library has a process
of its own. They take turns of half a second or one step, round after round, so that whatever else
the machine does hits all of them. Reported are the median time, the ratio to stork's time (or to
another's, see BASES) in the same round (median, and quartiles), the time as a multiple of the floor
of the algorithm that a library computes (events: fdi, dense: all others), and, from further
processes, the first step cold (nothing compiled or cached), the first step warm, and the peak
memory above what was in use before the first step; what takes longer than process.LONGEST to
compile, or fails, has a row without numbers. fdi takes its turns on one thread, too: what
more threads make of that says by Amdahl's law which share of the step is serial, and what 32
threads would make of it if there were nothing else in the way. As many processes on one thread
each, at the same time, say what the cores can do that share caches and memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Mapping
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import torch

from benchmark import machine
from benchmark.floors import count, floors, told
from benchmark.libraries import available
from benchmark.process import Process, side_by_side
from benchmark.workloads import DEFAULT, FIELD, PAPER, WORKLOADS, batch, network

ALONE = "fdi on one thread"
CROWD = "fdi on one thread, as often as there are threads"
CACHES = ("NUMBA_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR")
FLAT = ("jax", "spyx")
STORK = ("stork", "stork (torch.compile)")
NOT_BUILT = {
    **dict.fromkeys(("dale", *PAPER), ("snntorch", "norse", "spikingjelly", "sinabs", *FLAT)),
    **dict.fromkeys(FIELD, (*STORK, "snntorch", "norse", "sinabs", "reference", *FLAT)),
    "conv": FLAT,
}
"""Libraries without a neuron of two synaptic currents, a recurrent convolution, normalization over
time or learned time constants, or, in long trials of deep networks, too slow or large to wait for;
those in FLAT were built for fully connected networks alone.
"""
BASES = ("stork", "reference", "spikingjelly", "fdi")
"""What the others are relative to: the first that computes a workload."""


def compare(workload: str, rounds: int, libraries: Collection[str] = ()) -> list[dict]:
    """One row for each library; with `libraries`, for those and fdi."""
    work = {**WORKLOADS, **DEFAULT, **FIELD, **PAPER}[workload]
    x, _ = batch(work)
    builders = {
        name: build
        for name, build in available().items()
        if name not in NOT_BUILT.get(workload, ())
        and (not libraries or name in {"fdi", *libraries})
    }
    firsts = {name: first_step(build, work) for name, build in builders.items()}
    builders = {name: build for name, build in builders.items() if firsts[name]}
    losses, times = in_turn(builders | {ALONE: builders["fdi"]}, work, rounds)
    alone, crowd = times.pop(ALONE), times.pop(CROWD)
    least = floors(count(network(work), x), machine.throughput())
    print(f"{workload:10}{told(least)}", flush=True)
    base, threads = next(name for name in BASES if name in times), torch.get_num_threads()
    rows = []
    for name, seconds in times.items():
        low, ratio, high = np.percentile(np.array(times[base]) / np.array(seconds), [25, 50, 75])
        median = 1e3 * float(np.median(seconds))
        row = dict(
            workload=workload, about=work["about"], library=name, rounds=rounds, median_ms=median,
            relative_to=base, ratio=ratio, ratio_low=low, ratio_high=high,
            first_loss=losses[name], **firsts[name], **least,
        )  # fmt: skip
        row |= amdahl(alone, seconds, crowd, threads) if name == "fdi" else {}
        row["above_floor"] = median / least["event_floor_ms" if name == "fdi" else "dense_floor_ms"]
        row |= dict(version=version_of(name), torch=torch.__version__, threads=threads)
        rows.append(row | dict(machine=machine.name()))
        print(
            f"{workload:10}{name:14}{median:9.1f} ms  {ratio:6.2f} [{low:.2f}, {high:.2f}] x {base}"
            f"  {row['above_floor']:6.1f} x floor"
            f"  loss {losses[name]:.4f}  cold {row['cold_s']:.2f} s  warm {row['warm_s']:.2f} s  "
            f"peak {row['peak_mib']:.0f} MiB",
            flush=True,
        )
        if "serial" in row:
            print(
                f"{'':10}one thread {row['one_thread_ms']:.1f} ms, all {row['faster']:.2f} times "
                f"as fast: {row['serial']:.1%} serial, 32 threads {row['faster_on_32']:.0f} times",
                flush=True,
            )
    for name in firsts.keys() - builders.keys():
        rows.append(
            dict(workload=workload, about=work["about"], library=name, rounds=rounds)
            | dict(relative_to=base, version=version_of(name), torch=torch.__version__)
            | dict(threads=threads, machine=machine.name())
        )
        print(f"{workload:10}{name:14} does not compile", flush=True)
    return rows


def amdahl(
    one: list[float], all_: list[float], crowd: list[float], threads: int
) -> dict[str, float]:
    """Columns: milliseconds of a step on one thread, how many times as fast it is on `threads`, and
    as fast as one that many independent processes are together, the serial share of a step s that
    follows from 1 / (s + (1 - s) / threads), and what 32 make of it; nothing on one thread.
    """
    if threads < 2:
        return {}
    faster = float(np.median(np.array(one) / np.array(all_)))
    serial = min(1.0, max(0.0, (threads / faster - 1) / (threads - 1)))
    return {
        "one_thread_ms": 1e3 * float(np.median(one)),
        "faster": faster,
        "at_most": threads * float(np.median(np.array(one) / np.array(crowd))),
        "serial": serial,
        "faster_on_32": 1 / (serial + (1 - serial) / 32),
    }


def in_turn(
    builders: Mapping[str, Callable], work: dict, rounds: int
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """The loss of each library's first step, and the seconds of a step in `rounds` turns."""
    one = dict(OMP_NUM_THREADS="1")
    processes = {
        name: Process(build, work, **(one if name == ALONE else {}))
        for name, build in builders.items()
    }
    others = [Process(builders[ALONE], work, **one) for _ in range(1, torch.get_num_threads())]
    times: dict[str, list[float]] = {name: [] for name in (*builders, CROWD)}
    for _ in range(rounds):
        for name, process in processes.items():
            times[name].append(process.turn())
        times[CROWD].append(float(np.mean(side_by_side([processes[ALONE], *others]))))
    for process in (*processes.values(), *others):
        process.end()
    return {name: process.first.loss for name, process in processes.items()}, times


def first_step(build: Callable, work: dict) -> dict[str, float]:
    """Seconds with an empty cache of compiled code, and with the cache that this left; memory.
    Nothing if there is no step within process.LONGEST.
    """
    firsts = []
    with tempfile.TemporaryDirectory() as cache:
        for _ in ("cold", "warm"):
            try:
                process = Process(build, work, **dict.fromkeys(CACHES, cache))
            except (EOFError, TimeoutError) as failed:
                print(f"no first step: {failed!r}")
                return {}
            process.end()
            firsts.append(process.first)
    cold, warm = firsts
    return {"cold_s": cold.seconds, "warm_s": warm.seconds, "peak_mib": warm.peak_mib}


def version_of(library: str) -> str:
    try:
        return version("fdi-snn" if library == "reference" else library)
    except PackageNotFoundError:
        return ""
