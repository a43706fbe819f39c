"""The rows of scripts/gpu_check.py: what each asks of a card.

Weights are multiples of 2^-12, so that sums of spikes are exact in any order: spikes must be equal,
and gradients but for rounding. Convolutions of cuDNN may round their sums, and plain torch filters
currents as a product: there a spike at threshold may move.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

from benchmark.workloads import DT, MORE, WORKLOADS, batch, network
from fdi.data.inputs import Constant, Events, Frames, Input
from fdi.engine.cuda import CudaEngine, choice, trial
from fdi.engine.cuda.choice import COMPUTES
from fdi.engine.cuda.fused import WIDEST, nowhere
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
ELEMENTS, HALVES = 2**31 + 2**20, 2  # of the largest tensors, parts that they are compared with
WIDTHS = (1, 16, 100, 128, WIDEST)
COSTS = ("dense", "recurrent", "deep")
TRIED = {
    "layers": choice.Case(1, "zero", "superspike", 0),
    "recurrent": choice.Case(2, "zero", "superspike", 100),
}
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


def rows() -> list[str]:
    """The first of each kind, in the order in which they decide, and then the others."""
    kinds = [
        ["card"],
        [f"sanitizer: {name}" for name in TRIED],
        [f"trial: {name}" for name in TRIED],
        [f"kernel: {name}" for name in (*COMPUTES.surrogates, *(f"{n} units" for n in WIDTHS))],
        [f"network: {name}" for name in (*WORKLOADS, *MORE, *NETWORKS)],
        [f"kept: {name}" for name in ("events", "counted", "frames", "constant")],
        [f"large: {name}" for name in ("spikes", "potentials")],
        [f"graph: {name}" for name in COSTS],
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
    if why := nowhere(DEVICE):
        return "FAIL", why
    capability = "".join(map(str, torch.cuda.get_device_capability()))
    gib = torch.cuda.mem_get_info()[1] / 2**30
    return "-", (
        f"compute mode {_asked('compute_mode')}, driver {_asked('driver_version')}, "
        f"{torch.cuda.get_device_name()}, sm_{capability}, {gib:.0f} GiB, CUDA "
        f"{torch.version.cuda}, torch {torch.__version__}, triton {_version('triton')}, "
        f"fdi {_commit()}"
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


def _sanitizer(name: str) -> tuple[str, str]:
    """The kernels of a case on few samples, each address looked at."""
    if not (tool := shutil.which("compute-sanitizer")):
        return "-", "compute-sanitizer is not on the PATH; it comes with the CUDA toolkit"
    script = str(ROOT / "scripts" / "gpu_check.py")
    command = [tool, "--error-exitcode", "9", sys.executable, script, "--row", f"few: {name}"]
    apart = os.environ | {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}
    ended = subprocess.run(command, capture_output=True, text=True, env=apart)
    lines = [line for line in ended.stdout.splitlines() if "=====" in line]
    if ended.returncode == 0 and '"PASS"' in ended.stdout:
        return "PASS", lines[-1].strip("= ") if lines else "no error"
    sys.stderr.write("\n".join(lines[:30]) or ended.stderr)
    return "FAIL", next((line.strip("= ") for line in lines if "nvalid" in line), "see below")


def _few(name: str) -> tuple[str, str]:
    with patch.multiple(trial, STEPS=18, BATCH=3, UNITS=150):
        return _told(trial.check(TRIED[name], DEVICE))


def _trial(name: str) -> tuple[str, str]:
    """As in a run that holds the card, with nothing found out before."""
    from triton import knobs

    held, started = torch.ones(1, device=DEVICE), time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(knobs.cache, "dir", folder),
        patch.dict(os.environ, TRITON_CACHE_DIR=folder),
    ):
        why = choice.doubt(TRIED[name], held.device)
    whole = time.perf_counter() - started
    if why == choice.EXCLUSIVE:
        return "-", f"{why}; a run tries its kernels before it opens the card"
    if why:
        return "FAIL", why
    trial.check(TRIED[name], DEVICE)
    started = time.perf_counter()
    why = trial.check(TRIED[name], DEVICE)
    alone = time.perf_counter() - started
    return _told(why, f"{whole:.1f} s with start and compilation, {alone:.2f} s of trial alone")


def _told(why: str | None, found: str = "right") -> tuple[str, str]:
    return ("FAIL", why) if why else ("PASS", found)


def _kernel(name: str) -> tuple[str, str]:
    """All kernels of a surrogate, or of a number of recurrent units."""
    units, surrogates = (0, 19), (name,)
    if name not in COMPUTES.surrogates:
        units, surrogates = (int(name.split()[0]),), ("superspike",)
    cases = [choice.Case(*each) for each in product((1, 2), COMPUTES.resets, surrogates, units)]
    for case in cases:
        if why := trial.check(case, DEVICE):
            return "FAIL", f"{case}: {why}"
    return "PASS", f"{len(cases)} kinds of layers"


def _network(name: str) -> tuple[str, str]:
    net, x, labels = _built(name)
    engine, few = CudaEngine(kernels="on"), x[0:CHECKED]
    order = np.random.default_rng(0).permutation(len(few))
    found = compare(net, few, labels[:CHECKED], engine, DEVICE, OBJECTIVE, order)
    net = net.to(DEVICE)
    outline = engine.outline(net, x.steps, len(x))[1:]
    rounds = outline or any(link.convolutional for link in net.projections)
    spikes, gradient = ROUNDED if rounds else EXACT
    apart, repeated = _repeat(engine, net, few, labels[:CHECKED])
    good = found.spikes <= spikes * found.total and found.gradient <= gradient and not apart
    told = [
        f"{found.spikes:.0f} of {found.total:.0f} spikes differ",
        f"gradient {found.gradient:.1e} ({gradient:g} may)",
        f"{apart} of {repeated} repetitions differ",
    ]
    return "PASS" if good and found.total else "FAIL", "; ".join([*told, *outline])


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
    engine, labels = CudaEngine(kernels="on"), labels[:CHECKED]
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


def _large(name: str) -> tuple[str, str]:
    """Kernels on tensors of ELEMENTS, and on parts of their samples."""
    from fdi.engine.cuda.kernels import launch, launch_sparse

    needs = {"spikes": 8, "potentials": 10}[name] * ELEMENTS / 2**30
    if DEVICE.type == "cuda" and (free := torch.cuda.mem_get_info()[0] / 2**30) < needs:
        return "-", f"needs {needs:.0f} GiB, {free:.0f} are free"
    generator = torch.Generator(DEVICE).manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return (torch.randn(shape, device=DEVICE, generator=generator) * 64).round_() / 64

    wrong = []
    if name == "spikes":
        steps, sources, targets = 64, 2048, 8
        samples = -(-ELEMENTS // (steps * sources))
        s = torch.empty(steps, samples, sources, device=DEVICE, dtype=torch.int8)
        for each in s:
            each.copy_(torch.rand(each.shape, device=DEVICE, generator=generator) < 0.02)
        w, d = drawn(sources, targets), drawn(steps, samples, targets)
        x, when = launch_sparse.by_spikes(s, w), launch_sparse.when(s)
        g = launch_sparse.gradient(when, None, d, sources).sum(0)
        del when
        total = torch.zeros_like(g)
        for part in _parts(samples):
            own = s[:, part].contiguous()
            if not torch.equal(launch_sparse.by_spikes(own, w), x[:, part]):
                wrong.append("by_spikes")
            found = launch_sparse.gradient(launch_sparse.when(own), None, d[:, part], sources)
            total += found.sum(0)
        if not torch.equal(g, total):
            wrong.append("when or gradient")
    else:
        steps, units = 64, 1024
        samples = -(-ELEMENTS // (steps * units))
        constants = [0.9, 0.1, 1.0, 0.0, 0.8, 0.0, 1.0, 0.0]
        x, d = 3 * drawn(1, 1, samples, units).abs(), drawn(samples, units)
        u, s, n = launch.forward(x, None, steps, constants, False, True)
        back = launch.backward(u, None, d, None, 1, 1, constants, False, "superspike")
        for part in _parts(samples):
            given = x[:, :, part].contiguous()
            found = launch.forward(given, None, steps, constants, False, True)
            whole = (u[:, part], s[:, part], n[part])
            if not all(map(torch.equal, found, whole)):
                wrong.append("scan forward")
            own, d_own = found[0], d[part].contiguous()
            g = launch.backward(own, None, d_own, None, 1, 1, constants, False, "superspike")
            if not torch.equal(g, back[:, :, part]):
                wrong.append("scan backward")
    why = f"{', '.join(sorted(set(wrong)))}: not as in {HALVES} parts" if wrong else None
    return _told(why, f"{ELEMENTS:,} elements, as in {HALVES} parts")


def _parts(samples: int) -> list[slice]:
    size = -(-samples // HALVES)
    return [slice(i, i + size) for i in range(0, samples, size)]


def _graph(name: str) -> tuple[str, str]:
    """A training step with and without, and the time of its kernels alone."""
    work, found, told = WORKLOADS[name], {}, []
    x, labels = batch(work)
    for graphs in (False, True):
        net = network(work).to(DEVICE)
        engine = CudaEngine(kernels="on", graphs=graphs)
        if graphs:
            engine.plan(net, x.steps, len(x), {"train": x}, {})
        kept = engine.keep(net, {"train": x}, len(x))[0]["train"]
        orders = [np.random.default_rng(i).permutation(len(x)) for i in range(4)]
        found[graphs] = [_gradients(engine, net, kept.take(i), labels[i]) for i in orders]
        ms = _median_ms(partial(engine.step, net, kept, labels, OBJECTIVE))
        told.append(f"{ms:.2f} ms a step {'with' if graphs else 'without'} graphs")
        if not graphs and DEVICE.type == "cuda":
            with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as p:
                engine.step(net, kept, labels, OBJECTIVE)
            us = sum(each.self_device_time_total for each in p.key_averages())
            told.append(f"{us / 1e3:.2f} ms of kernels")
    good = all(map(_equal, found[False], found[True]))
    return _told(None if good else f"other gradients with graphs; {told}", "; ".join(told))


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

    one, two = (trained(CudaEngine(kernels="on"), DEVICE) for _ in range(2))
    wanted = trained(ReferenceEngine(), torch.device("cpu"))
    before = [p.weight.detach().cpu() for p in net.projections]
    off = max(float((a - b).norm() / (b - c).norm()) for a, b, c in zip(one, wanted, before))
    why = None if _equal(one, two) else "the second run has other weights"
    if why is None and not off <= MOVED:
        why = f"weights lie {off:.1e} of their way from those of the reference engine"
    return _told(why, f"equal bits; {off:.1e} of their way from the reference ({MOVED:g} may)")


def _cost(name: str) -> tuple[str, str]:
    """Time and memory of a training step beside those of its bytes at the speed of this card."""
    work = WORKLOADS[name]
    x, labels = batch(work)
    net, engine = network(work).to(DEVICE), CudaEngine(kernels="on")
    kept = engine.keep(net, {"x": x})[0]["x"]
    optimizer = torch.optim.Adam(net.parameters(), 1e-4)

    def step() -> None:
        engine.step(net, kept, labels, OBJECTIVE)
        optimizer.step()
        net.constrain()

    ms, told = _median_ms(step), []
    if DEVICE.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        step()
        told.append(f"{torch.cuda.max_memory_allocated() / 2**30:.2f} GiB")
    with (ROOT / "results" / "reference" / "bench_launches.csv").open() as file:
        counted = {(r["workload"], r["way"]): float(r["mb"]) for r in csv.DictReader(file)}
    speed, mb = _bandwidth(), counted[name, "kernels"]
    floor = mb / speed
    told.append(f"{mb:.0f} MB by count are {floor:.2f} ms at {speed:.0f} GB/s")
    return "-", "; ".join([f"{ms:.2f} ms a step, {ms / floor:.1f} times its bytes", *told])


def _bandwidth() -> float:
    """GB/s of a copy of 256 MiB, read and written."""
    a, b = (torch.empty(2**26, device=DEVICE) for _ in range(2))
    return 2 * a.nbytes / 1e6 / _median_ms(lambda: b.copy_(a))


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


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    except OSError:
        return "unknown"
