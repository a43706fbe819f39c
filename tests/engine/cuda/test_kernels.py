"""Every Triton kernel, in the interpreter against the reference engine, and compiled for each
generation of GPUs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pretend
import pytest
import torch
from compared import as_events, assert_like_the_reference

from fdi.data.inputs import Constant, Frames
from fdi.engine.cuda import CudaEngine, fused
from fdi.engine.cuda.choice import COMPUTES
from fdi.engine.cuda.memory import need
from fdi.engine.cuda.tape import forward
from fdi.engine.reference import ReferenceEngine
from fdi.snn import models
from fdi.snn.network import Network
from fdi.snn.neuron import Reset, lif
from fdi.snn.objective import LowerBound, Objective, UpperBound
from fdi.train.optimizers import SMORMS3

ROOT = Path(__file__).parents[3]
STEPS, BATCH = 9, 3
INPUTS = ("events", "counted", "frames", "constant")
KINDS = ("dense", "recurrent", "dale", "conv", "conv_recurrent", "dale_conv")
OBJECTIVE = Objective("mean", UpperBound(0.1, 0.5), LowerBound(100.0, 2.0))


def network(kind: str, reset: Reset = "zero", surrogate: str = "superspike") -> Network:
    """Weights are multiples of 1/64, so that sums are exact in any order."""
    given: dict[str, Any] = dict(
        classes=3, steps=STEPS, dt=5e-3, neuron=lif(reset=reset, surrogate=surrogate, beta=4.0)
    )
    built = {
        "dense": lambda: models.dense((7,), hidden=[150, 9], **given),
        "recurrent": lambda: models.dense((7,), hidden=[18, 9], recurrent=True, **given),
        "dale": lambda: models.dale((7,), excitatory=12, inhibitory=7, **given),
        "conv": lambda: models.conv((1, 7), filters=[4, 3], padding=1, pool=[2, 1], **given),
        "conv_recurrent": lambda: models.conv(
            (2, 5, 4), filters=[4, 3], padding=1, pool=[2, 1], recurrent_kernel=3, **given
        ),
        "dale_conv": lambda: models.dale_conv(
            (1, 7), excitatory=[10, 4], inhibitory=[8, 2], padding=1, pool=[2, 1], **given
        ),
    }[kind]()
    generator = torch.Generator().manual_seed(0)
    for projection in built.projections:
        drawn = torch.randn(projection.weight.shape, generator=generator)
        drawn = (drawn * 64 * 5 / projection.fan_in**0.5).round() / 64
        projection.weight.data.copy_(drawn.abs() if projection.nonnegative else drawn)
    return built


def batch(network: Network, kind: str = "frames", samples: int = BATCH, steps: int = STEPS):
    rng = np.random.default_rng(1)
    labels = np.arange(samples) % 3
    if kind == "constant":
        values = rng.integers(0, 64, (samples, *network.input_shape)) / 16
        return Constant(values.astype(np.float32), steps), labels
    counts = rng.poisson(0.7, (samples, steps, *network.input_shape))
    if kind == "frames":
        return Frames(counts.astype(np.uint8)), labels
    return as_events(counts, kind == "counted"), labels


def gradients(network: Network) -> list[np.ndarray]:
    return [p.weight.grad.cpu().numpy().copy() for p in network.projections]


FEW = (  # each input by a matrix and by maps, each layer, each surrogate
    *product(("dense", "conv"), INPUTS, ("zero",), ("superspike",)),
    *product(("dense",), ("frames",), ("subtract",), COMPUTES.surrogates),
    *product(("recurrent", "dale"), ("frames",), ("zero",), ("superspike",)),
    ("dale", "frames", "subtract", "superspike"),
)
ALL = (
    *product(("dense", "recurrent", "dale", "conv"), INPUTS, ("zero",), ("superspike",)),
    *product(("dense", "dale"), ("frames",), ("subtract",), COMPUTES.surrogates),
)


@needs.kernels
@pytest.mark.parametrize(
    ("kind", "given", "reset", "surrogate"),
    [pytest.param(*each, marks=[pytest.mark.slow] * (each not in FEW)) for each in ALL],
)
def test_a_kernel_computes_what_the_reference_computes(kind, given, reset, surrogate):
    net = network(kind, reset, surrogate)
    x, labels = batch(net, given)
    assert len(CudaEngine().outline(net, STEPS, BATCH)) == 1  # no layer is left to plain torch
    assert_as_the_reference(net, x, labels)


def assert_as_the_reference(net, x, labels):
    expected = ReferenceEngine().step(net, x, labels, OBJECTIVE)
    wanted = gradients(net)
    outcome = CudaEngine().step(net, x, labels, OBJECTIVE)
    for name, counts in expected.counts.items():
        np.testing.assert_array_equal(outcome.counts[name], counts)
    assert sum(counts.sum() for counts in expected.counts.values()) > 0
    for got, want in zip(gradients(net), wanted):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-6 * max(1.0, np.abs(want).max()))


@needs.kernels
@pytest.mark.parametrize(
    ("held", "kind"),
    [
        (1, "recurrent"),
        (2, "dale"),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in ((1, "dale"), (2, "recurrent"), (4, "recurrent"), (4, "dale"))
        ),
    ],
)
def test_samples_of_a_program_change_no_number(kind, held, monkeypatch):
    from fdi.engine.cuda.kernels import launch

    monkeypatch.setattr(launch, "PROGRAMS", 1)
    monkeypatch.setattr(launch, "HELD", held)
    net = network(kind)
    assert launch.blocks(18, 5)["BLOCK"] == held
    assert_as_the_reference(net, *batch(net, samples=5))


@needs.kernels
@pytest.mark.parametrize(
    ("batch", "samples", "programs"), [(1, 1, 1), (100, 1, 100), (256, 2, 128), (1024, 4, 256)]
)
def test_a_batch_has_work_for_all_processors(batch, samples, programs, monkeypatch):
    from fdi.engine.cuda.kernels import launch

    monkeypatch.setattr(launch, "PROGRAMS", 128)
    monkeypatch.setattr(launch, "HELD", 4)
    for units in (1, 100, 256):
        block = launch.blocks(units, batch)["BLOCK"]
        assert (block, -(-batch // block)) == (samples, programs)


@needs.kernels
def test_potentials_are_those_of_the_reference_bit_for_bit():
    net = network("recurrent")
    x, _ = batch(net)
    expected = ReferenceEngine().simulate(net, x, ("potentials",)).potentials
    found = forward(net, x, keep=True).potentials
    for name, potentials in expected.items():
        assert torch.equal(found[name][1:], potentials[:-1])


@needs.kernels
@pytest.mark.parametrize(
    ("widths", "generations"),
    [
        (("16",), ("90",)),
        pytest.param(("16", "128", "256"), ("75", "80", "89", "90"), marks=pytest.mark.slow),
    ],
)
def test_kernels_compile_and_fit_into_shared_memory_and_registers(widths, generations):
    script = str(ROOT / "scripts" / "compile_kernels.py")
    command = [sys.executable, script, "--widths", *widths, "--sm", *generations]
    compiled = {**os.environ, "TRITON_INTERPRET": "0"}
    found = subprocess.run(command, capture_output=True, text=True, env=compiled)
    assert found.returncode == 0, found.stdout + found.stderr
    lines = found.stdout.splitlines()[:-1]
    assert {line.split("sm_")[1][:2] for line in lines} == {*generations}
    for kernel in ("scan forward, C = 1, N = 16", "scan backward", "sparse gradient, of events"):
        assert any(line.startswith(kernel) for line in lines)
    assert all(" 0 spilled" in line for line in lines)


@pytest.mark.parametrize("kind", ["dense", "recurrent", "dale", "conv_recurrent", "dale_conv"])
@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_plain_torch_takes_over_where_a_kernel_does_not_fit(kind, reset):
    net = network(kind, reset, "sigmoid").double()
    lines = CudaEngine().outline(net, STEPS, BATCH)
    assert "h1 in plain torch: " in lines[1] or "e1 and i1 in plain torch: " in lines[1]
    assert_like_the_reference(net, *batch(net), OBJECTIVE, CudaEngine())


@pytest.mark.parametrize(
    ("build", "most"),
    [
        pytest.param(
            lambda steps: models.dense((70,), 20, steps, 2e-3, hidden=[20] * 3),
            150,
            marks=pytest.mark.slow,
        ),
        (lambda steps: models.dense((70,), 20, steps, 2e-3, hidden=20, recurrent=True), 200),
        (lambda steps: models.conv((1, 9), 20, steps, 2e-3, filters=[3], pool=2), 150),
    ],
)
@needs.kernels
def test_a_training_step_has_few_launches_and_one_wait_at_any_length(build, most):
    found = []
    for steps in (6, 12):
        net = build(steps)
        x, labels = batch(net, "events", samples=2, steps=steps)
        with pretend.Pretend():
            net = net.to(pretend.device())
            optimizer, engine = SMORMS3(net.parameters()), CudaEngine()
            for _ in range(2):
                pretend.COUNT.kernels = pretend.COUNT.waits = 0
                engine.step(net, x, labels, OBJECTIVE)
                optimizer.step()
        found.append((pretend.COUNT.kernels, pretend.COUNT.waits))
    assert found[0] == found[1]
    assert found[0][0] < most
    assert found[0][1] == 1


def test_parts_of_a_batch_add_up_to_its_gradient():
    net = network("conv").double()
    x, labels = batch(net, samples=7)
    whole = CudaEngine().step(net, x, labels, OBJECTIVE)
    wanted = gradients(net)
    engine = CudaEngine(memory=2.5 * need(net, STEPS) / 2**30)
    assert "in 4 parts of 2 samples" in engine.outline(net, STEPS, 7)[0]
    outcome = engine.step(net, x, labels, OBJECTIVE)
    assert (outcome.samples, *outcome.sums) == (7, *whole.sums)
    for got, want in zip(gradients(net), wanted):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)
    with pytest.raises(ValueError, match=r"a sample of 9 steps needs .* raise engine\.memory"):
        CudaEngine(memory=1e-9).step(net, x, labels, OBJECTIVE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "dtype", [torch.float32, pytest.param(torch.float64, marks=pytest.mark.slow)]
)
def test_the_memory_of_a_step_is_at_most_what_was_counted(kind, dtype):
    net = network(kind)
    x, labels = batch(net, samples=4)
    with pretend.Pretend():
        net = net.to(pretend.device(), dtype)
        CudaEngine().step(net, x, labels, OBJECTIVE)
        net.zero_grad()
        before = pretend.in_use()
        CudaEngine().step(net, x, labels, OBJECTIVE)
    used = pretend.COUNT.peak - before
    assert used - 3 * sum(w.nbytes for w in net.parameters()) <= 4 * need(net, STEPS) <= 6 * used


def test_why_a_layer_has_no_kernel():
    net = models.dense((7,), 3, STEPS, 5e-3, hidden=[fused.WIDEST + 1], recurrent=True)
    links = [p for p in net.projections if p.recurrent]
    given = torch.float32, torch.device("cpu")
    if why := fused.lacking():
        assert fused.refusal(net.layers[0], links, *given) == why
        return
    maps = network("dale_conv")
    links_of_maps = [p for p in maps.projections if p.recurrent]
    why = "no kernel computes recurrent convolutions"
    assert fused.refusal(maps.layers[0], links_of_maps, *given) == why
    assert "more than" in str(fused.refusal(net.layers[0], links, *given))
    assert fused.refusal(net.layers[0], [], *given) is None
    assert "float32" in str(fused.refusal(net.layers[0], [], torch.float64, given[1]))


@needs.kernels
def test_an_old_triton_is_told(monkeypatch):
    for ask in (fused.nowhere, fused.lacking):
        monkeypatch.setattr(fused, ask.__name__, ask.__wrapped__)
    monkeypatch.setattr("triton.__version__", "3.3.1")
    net = models.dense((7,), 3, STEPS, 5e-3, hidden=5)
    line = CudaEngine().outline(net, STEPS, BATCH)[1]
    assert line == (
        "h1 in plain torch: the kernels need triton 3.5, not 3.3.1; torch 2.9 brings it"
    )
