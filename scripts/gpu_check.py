"""For the first person with a GPU: python scripts/gpu_check.py [--out gpu-check.md] tries the
kernels of engine=cuda and whole networks against the reference engine on the CPU, times them and
the other libraries on this card, and writes one page to send back. Fails if a check does.

Each row comes from a process of its own: after a fault of a GPU a process can do nothing more with
it. Weights are multiples of 2^-12, so that sums of spikes are exact in any order: spikes must be
equal, and gradients but for rounding. Convolutions of cuDNN may round their sums, and plain torch
filters currents as a product: there a spike at threshold may move.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path

import numpy as np
import torch
from benchmark.libraries import available
from benchmark.workloads import DT, MORE, WORKLOADS, batch, network

from fdi.data.inputs import Constant, Frames, Input
from fdi.engine.cuda import CudaEngine, trial, trust
from fdi.engine.cuda.choice import COMPUTES
from fdi.engine.cuda.fused import WIDEST
from fdi.snn import models
from fdi.snn.network import Network
from fdi.snn.neuron import lif

COMMAND = [sys.executable, __file__, "--row"]
DEVICE = torch.device("cuda")
LONGEST = 900  # s of a row
CHECKED, REPEATED, WARM, ROUNDS = (
    8,
    1000,
    2,
    9,
)  # samples that are checked; steps: equal, untimed, timed
EXACT = (0.0, 1e-4)  # share of spikes and of a gradient that may differ
WIDTHS = (1, 16, 100, 128, WIDEST)
GIVEN = dict(classes=20, steps=50, dt=DT)
NETWORKS: dict[str, Callable[[], Network]] = {
    "dense, subtract": lambda: models.dense(
        (700,), hidden=[128, 128], neuron=lif(reset="subtract"), **GIVEN
    ),
    "recurrent, as wide as can be": lambda: models.dense(
        (700,), hidden=WIDEST, recurrent=True, **GIVEN
    ),
    "dense, constant image": lambda: models.dense((28, 28), hidden=[128, 128], **GIVEN),
    "conv, maps with one edge": lambda: models.conv(
        (2, 64), filters=[16, 32], padding=1, pool=[2, 1], **GIVEN
    ),
    "Dale conv": lambda: models.dale_conv(
        (2, 16, 16), excitatory=16, inhibitory=4, padding=1, pool=2, recurrent_kernel=3, **GIVEN
    ),
}
"""What the workloads of the bench lack."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("gpu-check.md"))
    parser.add_argument("--row", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        verdict, found = row(options.row)
        print(json.dumps([verdict, found]))
        return
    verdict, card = _apart("card")
    if verdict == "FAIL":
        sys.exit(f"gpu_check: {card}")
    spikes, gradient = (f"{100 * share:g} %" for share in trial.ROUNDED)
    failed, head = 0, ["# fdi on a GPU", "", card, "", "| what | | found |", "|---|---|---|"]
    with options.out.open("w") as page:
        for line in head:
            print(line, file=page)
        for name in rows():
            verdict, found = _apart(name)
            failed += verdict == "FAIL"
            line = f"| {name} | {verdict} | {found} |"
            print(line, file=page, flush=True)
            print(line, flush=True)
        print(
            f"\nPASS: spikes are equal, gradients but for {EXACT[1]:g} of the largest of their "
            f"projection, and all bits of {REPEATED} repetitions; with convolutions or layers in "
            f"plain torch {spikes} of the spikes and {gradient} may differ.\n\n{failed} failed",
            file=page,
        )
    print(f"{failed} failed; wrote {options.out}, please send it to the authors of fdi")
    sys.exit(failed > 0)


def rows() -> list[str]:
    kernels = [*COMPUTES.surrogates, *(f"{n} units" for n in WIDTHS)]
    return [
        *(f"kernel: {name}" for name in kernels),
        *(f"network: {name}" for name in (*WORKLOADS, *MORE, *NETWORKS)),
        *(
            f"library: {name}, {work}"
            for work in WORKLOADS
            for name in available()
            if name != "fdi"
        ),
    ]


def _apart(name: str) -> tuple[str, str]:
    """A row from a process of its own: its verdict, and what it found, or how it ended."""
    try:
        ended = subprocess.run([*COMMAND, name], capture_output=True, text=True, timeout=LONGEST)
    except subprocess.TimeoutExpired:
        return "FAIL", f"not done after {LONGEST} s"
    if ended.returncode < 0:
        return "FAIL", f"killed by {signal.Signals(-ended.returncode).name}"
    if ended.returncode:
        return "FAIL", trust.last_words(ended.stderr)
    verdict, found = json.loads(ended.stdout.splitlines()[-1])
    return verdict, found


def row(name: str) -> tuple[str, str]:
    """Of the page: PASS, FAIL, or - where nothing is checked, and what was found."""
    kind, _, name = name.partition(": ")
    if kind == "card":
        return _card()
    if kind == "kernel":
        return _kernel(name)
    return _network(name) if kind == "network" else _library(*name.split(", ", 1))


def _card() -> tuple[str, str]:
    if not torch.cuda.is_available():
        return "FAIL", "PyTorch finds no CUDA device here; install a PyTorch for your driver"
    capability = "".join(map(str, torch.cuda.get_device_capability()))
    return "-", (
        f"{torch.cuda.get_device_name()}, sm_{capability}, CUDA {torch.version.cuda}, "
        f"torch {torch.__version__}, triton {_version('triton')}, fdi {_version('fdi-snn')}"
    )


def _kernel(name: str) -> tuple[str, str]:
    """All kernels of a surrogate, or of a number of recurrent units."""
    units, surrogates = (0, 19), (name,)
    if name not in COMPUTES.surrogates:
        units, surrogates = (int(name.split()[0]),), ("superspike",)
    cases = [trust.Case(*each) for each in product((1, 2), COMPUTES.resets, surrogates, units)]
    for case in cases:
        if why := trial.check(case, DEVICE):
            return "FAIL", f"{case}: {why}"
    return "PASS", f"{len(cases)} kinds of layers"


def _network(name: str) -> tuple[str, str]:
    net, x, labels = _built(name)
    with torch.no_grad():
        for weight in net.parameters():
            weight.copy_((weight * 2**12).round() / 2**12)
    engine, few = CudaEngine(kernels="on"), x[0:CHECKED]
    found = trial.compare(net, few, labels[:CHECKED], engine, DEVICE, trial.OBJECTIVE)
    net = net.to(DEVICE)
    outline = engine.outline(net, x.steps, len(x))[1:]
    rounds = outline or any(link.convolutional for link in net.projections)
    spikes, gradient = trial.ROUNDED if rounds else EXACT
    apart = _repeat(engine, net, few, labels[:CHECKED])
    good = found.spikes <= spikes * found.total and found.gradient <= gradient and not apart
    if DEVICE.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    optimizer, x = torch.optim.Adam(net.parameters(), 1e-4), engine.keep(net, {"x": x})[0]["x"]

    def step() -> None:
        engine.step(net, x, labels, trial.OBJECTIVE)
        optimizer.step()
        net.constrain()

    told = [
        f"{found.spikes:.0f} of {found.total:.0f} spikes differ",
        f"gradient {found.gradient:.1e}",
        f"{apart} of {REPEATED} repetitions differ",
        f"{_median_ms(step):.2f} ms a step",
    ]
    if DEVICE.type == "cuda":
        told.append(f"{torch.cuda.max_memory_allocated() / 2**30:.2f} GiB")
    return "PASS" if good and found.total else "FAIL", "; ".join([*told, *outline])


def _built(name: str) -> tuple[Network, Input, np.ndarray]:
    if name not in NETWORKS:
        work = {**WORKLOADS, **MORE}[name]
        return network(work), *batch(work)
    net, rng = NETWORKS[name](), np.random.default_rng(0)
    generator = torch.Generator().manual_seed(0)
    for link in net.projections:
        drawn = torch.randn(link.weight.shape, generator=generator) * 5 / link.fan_in**0.5
        link.weight.data.copy_(drawn.abs() if link.nonnegative else drawn)
    shape, steps = net.input_shape, GIVEN["steps"]
    if "constant" in name:
        values = rng.integers(0, 16, (CHECKED, *shape)).astype(np.float32) / 16
        x: Input = Constant(values, steps)
    else:
        x = Frames(rng.poisson(0.1, (CHECKED, steps, *shape)).astype(np.uint8))
    return net, x, np.arange(CHECKED) % GIVEN["classes"]


def _repeat(engine: CudaEngine, net: Network, x: Input, labels: np.ndarray) -> int:
    """How many repetitions of a training step have other gradients, in a bit."""
    engine.step(net, x, labels, trial.OBJECTIVE)
    first, apart = [weight.grad for weight in net.parameters()], 0
    for _ in range(REPEATED):
        engine.step(net, x, labels, trial.OBJECTIVE)
        apart += not all(torch.equal(w.grad, g) for w, g in zip(net.parameters(), first))
    return apart


def _library(name: str, work: str) -> tuple[str, str]:
    """The time of a training step of another library, on torch's default device."""
    given = WORKLOADS[work]
    try:
        with DEVICE:
            step = available()[name](given, *batch(given))
            return "-", f"{_median_ms(step):.2f} ms a step"
    except Exception as error:
        return "-", " ".join(f"{type(error).__name__}: {error}".split())[:160]


def _median_ms(step: Callable[[], object]) -> float:
    times = []
    for i in range(WARM + ROUNDS):
        start = time.perf_counter()
        step()
        if DEVICE.type == "cuda":
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
