"""For the first person with a GPU: python scripts/gpu_check.py [--out gpu-check.md] checks the
workloads of the bench in engine=cuda against the reference engine on the CPU, times them and the
other libraries on this card, and writes one page to send back.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch
from benchmark.libraries import available
from benchmark.workloads import MORE, WORKLOADS, batch, network

from fdi.engine.cuda import CudaEngine
from fdi.engine.reference.engine import ReferenceEngine
from fdi.snn.objective import LowerBound, Objective, UpperBound

OBJECTIVE = Objective("max", UpperBound(0.1, 1.0), LowerBound(100.0, 1e-3))
DEVICE = torch.device("cuda")
CHECKED, WARM, ROUNDS = 8, 2, 9  # samples that are checked; steps that are not timed, and are


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("gpu-check.md"))
    out = parser.parse_args().out
    if not torch.cuda.is_available():
        sys.exit("gpu_check: PyTorch finds no CUDA device here; install a PyTorch for your driver")
    capability = "".join(map(str, torch.cuda.get_device_capability()))
    columns = (
        "workload", "spikes that differ from the CPU", "gradient, largest difference", "step, ms",
        "peak, GiB", "without a kernel",
    )  # fmt: skip
    lines = [
        "# fdi on a GPU",
        "",
        f"{torch.cuda.get_device_name()}, sm_{capability}, "
        f"CUDA {torch.version.cuda}, torch {torch.__version__}, triton {_version('triton')}, "
        f"fdi {_version('fdi-snn')}",
        "",
        f"| {' | '.join(columns)} |",
        f"|{'---|' * len(columns)}",
    ]
    for name, work in {**WORKLOADS, **MORE}.items():
        lines.append(f"| {name}: {work['about']} | " + " | ".join(_row(work)) + " |")
        print(lines[-1], flush=True)
    lines += ["", *_libraries()]
    out.write_text("\n".join(lines) + "\n")
    print(f"wrote {out}; please send it to the authors of fdi")


def _row(work: dict) -> list[str]:
    x, labels = batch(work)
    net, few = network(work), x[0:CHECKED]
    expected = ReferenceEngine().step(net, few, labels[:CHECKED], OBJECTIVE)
    wanted = [p.weight.grad.clone() for p in net.projections]
    net, engine = net.to(DEVICE), CudaEngine()
    outcome = engine.step(net, few, labels[:CHECKED], OBJECTIVE)
    spikes = sum(np.abs(outcome.counts[k] - n).sum() for k, n in expected.counts.items())
    total = sum(n.sum() for n in expected.counts.values())
    worst = max(
        float((p.weight.grad.cpu() - g).abs().max() / g.abs().max().clamp(min=1e-30))
        for p, g in zip(net.projections, wanted)
    )
    torch.cuda.reset_peak_memory_stats()
    ms = _median_ms(lambda: engine.step(net, x, labels, OBJECTIVE))
    plain = "; ".join(engine.plan(net, work["steps"], work["batch"])[1:]) or "-"
    peak = torch.cuda.max_memory_allocated() / 2**30
    return [f"{spikes:.0f} of {total:.0f}", f"{worst:.1e}", f"{ms:.2f}", f"{peak:.2f}", plain]


def _libraries() -> list[str]:
    """Times of the other libraries, on torch's default device."""
    lines = ["| workload | library | step, ms |", "|---|---|---|"]
    for workload, work in WORKLOADS.items():
        for name, build in available().items():
            if name == "fdi":
                continue
            try:
                with DEVICE:
                    step = build(work, *batch(work))
                    ms = f"{_median_ms(step):.2f}"
            except Exception as error:
                ms = f"{type(error).__name__}: {' '.join(str(error).split())[:80]}"
            lines.append(f"| {workload} | {name} | {ms} |")
            print(lines[-1], flush=True)
    return lines


def _median_ms(step: Callable[[], object]) -> float:
    times = []
    for i in range(WARM + ROUNDS):
        torch.cuda.synchronize()
        start = time.perf_counter()
        step()
        torch.cuda.synchronize()
        if i >= WARM:
            times.append(1e3 * (time.perf_counter() - start))
    return float(np.median(times))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


if __name__ == "__main__":
    main()
