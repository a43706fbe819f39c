"""The rows of scripts/gpu_check.py: what each asks of a card.

Weights are multiples of 2^-12, so that sums of spikes are exact in any order: spikes must be equal,
and gradients but for rounding. Convolutions of cuDNN may round their sums: there a spike at
threshold may move.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmark.workloads import DT, MORE, WORKLOADS, batch, network
from fdi.data.inputs import Constant, Events, Frames, Input
from fdi.engine.cuda import CudaEngine
from fdi.engine.oracle import OBJECTIVE, ROUNDED, compare
from fdi.engine.reference import ReferenceEngine
from fdi.snn import models
from fdi.snn.network import Network
from fdi.snn.neuron import lif

ROOT = Path(__file__).resolve().parents[2]
DEVICE = torch.device("cuda")
CHECKED, REPEATED, SECONDS = 8, 1000, 5.0  # samples; repetitions at most, and how long at most
WARM, ROUNDS = 3, 9  # steps: untimed, timed
EXACT = (0.0, 1e-4)  # share of spikes and of a gradient that may differ
MOVED = 5e-2  # of the way that training moved a weight: how far it may lie from the reference's
EPOCHS, TRAINED = 2, 192  # of the short run, samples
COSTS = ("dense", "recurrent", "deep")
GIVEN = dict(classes=20, steps=50, dt=DT)
NETWORKS: dict[str, Callable[[], Network]] = {
    "dense, subtract": lambda: models.dense(
        (700,), hidden=[128, 128], neuron=lif(reset="subtract"), **GIVEN
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


def rows() -> list[str]:
    """The first of each kind, in the order in which they decide, and then the others."""
    kinds = [
        ["card"],
        [f"network: {name}" for name in (*WORKLOADS, *MORE, *NETWORKS)],
        [f"kept: {name}" for name in ("events", "counted", "frames", "constant")],
        ["run"],
        [f"cost: {name}" for name in COSTS],
        [f"library: snntorch, {name}" for name in COSTS],
    ]
    return [kind[0] for kind in kinds] + [name for kind in kinds for name in kind[1:]]


def row(name: str) -> tuple[str, str]:
    """Of the page: PASS, FAIL, or - where nothing is checked, and what was found."""
    kind, _, name = name.partition(": ")
    return globals()[f"_{kind}"](*[name] * bool(name))


def _card() -> tuple[str, str]:
    if not torch.cuda.is_available():
        made = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
        return "FAIL", (
            f"PyTorch finds no CUDA device here (torch {torch.__version__} is built {made}; NVIDIA "
            f"driver: {_asked('driver_version')}); it takes a GPU, and a PyTorch for its driver"
        )
    capability = "".join(map(str, torch.cuda.get_device_capability()))
    gib = torch.cuda.mem_get_info()[1] / 2**30
    return "-", (
        f"compute mode {_asked('compute_mode')}, driver {_asked('driver_version')}, "
        f"{torch.cuda.get_device_name()}, sm_{capability}, {gib:.0f} GiB, CUDA "
        f"{torch.version.cuda}, torch {torch.__version__}, fdi {_commit()}"
    )


def _asked(what: str) -> str:
    """Of nvidia-smi."""
    command = ["nvidia-smi", f"--query-gpu={what}", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split(
            "\n"
        )[0]
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _network(name: str) -> tuple[str, str]:
    net, x, labels = _built(name)
    engine, few = CudaEngine(), x[0:CHECKED]
    order = np.random.default_rng(0).permutation(len(few))
    found = compare(net, few, labels[:CHECKED], engine, DEVICE, OBJECTIVE, order)
    net = net.to(DEVICE)
    rounds = any(link.convolutional for link in net.projections)
    spikes, gradient = ROUNDED if rounds else EXACT
    apart, repeated = _repeat(engine, net, few, labels[:CHECKED])
    good = found.spikes <= spikes * found.total and found.gradient <= gradient and not apart
    told = [
        f"{found.spikes:.0f} of {found.total:.0f} spikes differ",
        f"gradient {found.gradient:.1e} ({gradient:g} may)",
        f"{apart} of {repeated} repetitions differ",
    ]
    return "PASS" if good and found.total else "FAIL", "; ".join(told)


def _built(name: str) -> tuple[Network, Input, np.ndarray]:
    """Network, input and labels; weights are multiples of 2^-12."""
    if name in NETWORKS:
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
        labels = np.arange(CHECKED) % GIVEN["classes"]
    else:
        work = {**WORKLOADS, **MORE}[name]
        net, (x, labels) = network(work), batch(work)
    with torch.no_grad():
        for weight in net.parameters():
            weight.copy_((weight * 2**12).round() / 2**12)
    return net, x, labels


def _repeat(engine: CudaEngine, net: Network, x: Input, labels: np.ndarray) -> tuple[int, int]:
    """How many repetitions of a training step have other gradients, in a bit, and of how many."""
    first, apart, done = _gradients(engine, net, x, labels), 0, 0
    ends = time.monotonic() + SECONDS
    while done < REPEATED and (not done or time.monotonic() < ends):
        apart += not _equal(_gradients(engine, net, x, labels), first)
        done += 1
    return apart, done


def _gradients(engine, net: Network, x: Input, labels: np.ndarray) -> list[torch.Tensor]:
    engine.step(net, x, labels, OBJECTIVE)
    return [weight.grad.clone() for weight in net.parameters()]


def _equal(some: list[torch.Tensor], others: list[torch.Tensor]) -> bool:
    return all(torch.equal(a.cpu(), b.cpu()) for a, b in zip(some, others, strict=True))


def _kept(name: str) -> tuple[str, str]:
    """A batch cut from kept data in another order, beside the same batch sent from the CPU, and
    beside the reference engine.
    """
    net, x, labels = _built("dense")
    x = x[0 : 2 * CHECKED]
    assert isinstance(x, Events)
    if name == "counted":
        x = replace(x, counts=np.arange(len(x.units), dtype=np.float32) % 3 + 1)
    elif name != "events":
        dense = x.dense().swapaxes(0, 1)
        x = Frames(dense.astype(np.uint8)) if name == "frames" else Constant(dense[:, 0], x.steps)
    order = np.random.default_rng(0).integers(len(x), size=CHECKED)
    engine, labels = CudaEngine(), labels[:CHECKED]
    found = compare(net, x, labels, engine, DEVICE, OBJECTIVE, order)
    net = net.to(DEVICE)
    kept = engine.keep(net, {"x": x})[0]["x"].take(order)
    one, other = (_gradients(engine, net, given, labels) for given in (kept, x.take(order)))
    good = _equal(one, other) and found.spikes == 0 and found.gradient <= EXACT[1]
    return "PASS" if good and found.total else "FAIL", (
        f"gradients of kept and sent data {'are equal' if _equal(one, other) else 'DIFFER'}; "
        f"{found.spikes:.0f} of {found.total:.0f} spikes are not those of the reference engine, "
        f"gradient {found.gradient:.1e}"
    )


def _run() -> tuple[str, str]:
    """A short training on kept data, twice, and one of the reference engine."""
    net, x, labels = _built("dense")
    x, labels = x[0:TRAINED], labels[:TRAINED]

    def trained(engine, device: torch.device) -> list[torch.Tensor]:
        own = deepcopy(net).to(device)
        given = engine.keep(own, {"x": x})[0]["x"] if engine.keeps else x
        optimizer = torch.optim.SGD(own.parameters(), 0.1)
        for epoch in range(EPOCHS):
            order = np.random.default_rng(epoch).permutation(len(x))
            for part in np.array_split(order, 3):
                engine.step(own, given.take(part), labels[part], OBJECTIVE)
                optimizer.step()
        return [p.weight.detach().cpu() for p in own.projections]

    one, two = (trained(CudaEngine(), DEVICE) for _ in range(2))
    wanted = trained(ReferenceEngine(), torch.device("cpu"))
    before = [p.weight.detach().cpu() for p in net.projections]
    off = max(float((a - b).norm() / (b - c).norm()) for a, b, c in zip(one, wanted, before))
    why = None if _equal(one, two) else "the second run has other weights"
    if why is None and not off <= MOVED:
        why = f"weights lie {off:.1e} of their way from those of the reference engine"
    if why:
        return "FAIL", why
    return "PASS", f"equal bits; {off:.1e} of their way from the reference ({MOVED:g} may)"


def _cost(name: str) -> tuple[str, str]:
    """Time and memory of a training step, beside the memory that was counted."""
    work = WORKLOADS[name]
    x, labels = batch(work)
    net, engine = network(work).to(DEVICE), CudaEngine()
    line = engine.plan(net, x.steps, len(x), {}, {}).lines[0]
    kept = engine.keep(net, {"x": x})[0]["x"]
    optimizer = torch.optim.Adam(net.parameters(), 1e-4)

    def step() -> None:
        engine.step(net, kept, labels, OBJECTIVE)
        optimizer.step()
        net.constrain()

    told = [f"{_median_ms(step):.2f} ms a step", line]
    if DEVICE.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        step()
        told.append(f"{torch.cuda.max_memory_allocated() / 2**30:.3g} GiB in all")
    return "-", "; ".join(told)


def _library(name: str) -> tuple[str, str]:
    """The time of a training step of another library, on torch's default device."""
    library, _, work = name.partition(", ")
    try:
        from benchmark.libraries import LIBRARIES, on_one_batch

        with DEVICE:
            step = on_one_batch(LIBRARIES[library], WORKLOADS[work])
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


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    except OSError:
        return "unknown"
