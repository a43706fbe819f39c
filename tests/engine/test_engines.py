"""The other engines compute what the reference engine computes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from compared import (
    Gradients,
    as_events,
    assert_like_the_reference,
    assert_near,
    gradients,
    gradients_of,
    weighted,
)
from hypothesis import HealthCheck, assume, given, reject, settings
from hypothesis import strategies as st

from fdi.data.inputs import Constant, Events, Frames, Input
from fdi.engine.cpu import CpuEngine
from fdi.engine.cuda import CudaEngine
from fdi.engine.oracle import compare
from fdi.engine.reference import ReferenceEngine
from fdi.snn.models import conv, dale, dale_conv, dense
from fdi.snn.network import Network
from fdi.snn.neuron import lif
from fdi.snn.objective import CrossEntropy, LowerBound, Objective, UpperBound

UNITS, CLASSES, DT = 9, 4, 2e-3
KINDS = ("dense", "recurrent", "dale", "dale without recurrent excitation")
ONE_CHANNEL = ("conv", "recurrent conv")
MAPS = (*ONE_CHANNEL, "dale conv", "dale conv without recurrent excitation")
PROPERTY = settings(
    deadline=None, max_examples=30, suppress_health_check=list(HealthCheck), derandomize=True
)
ENGINES: dict[str, Any] = {
    "cpu": lambda chunk: CpuEngine(threads=2, chunk=chunk),
    "cpu in windows of time": lambda chunk: CpuEngine(threads=2, chunk=chunk, windows=3),
    "cuda": lambda chunk: CudaEngine(),
}
OBJECTIVES = [
    Objective(),
    Objective("mean", UpperBound(0.1, 0.5), LowerBound(100.0, 1e-3)),
    Objective("last", upper=UpperBound(0.5, 0.2, axes=1), task_weight=0.3),
    Objective("max", lower=LowerBound(1.0, 2.0), task_weight=0.0),
    Objective("max", loss=CrossEntropy(0.1)),
    Objective("mean", UpperBound(0.1, 0.5), task_weight=0.5, loss=CrossEntropy(0.4)),
    Objective("mean", UpperBound(0.1, 0.5, norm=1), LowerBound(2.0, 1.0, norm=1)),
    Objective("mean", UpperBound(0.1, 0.5, layers=("h1",)), LowerBound(3.0, 2.0, None, 1)),
    Objective("mean", None, LowerBound(3.0, 2.0, axes=None, layers=("h2",)), task_weight=0.2),
    Objective("max", UpperBound(0.1, 0.5, axes=3), LowerBound(3.0, 2.0, axes=3)),
]


def build(kind: str, steps: int, sizes: list[int], skip: bool, **options) -> Network:
    given = dict(input_shape=(UNITS,), classes=CLASSES, steps=steps, dt=DT, skip=skip, **options)
    if kind.startswith("dale"):
        inhibitory = [1 + n // 4 for n in sizes]
        return dale(
            excitatory=sizes,
            inhibitory=inhibitory,
            recurrent_excitation="without" not in kind,
            **given,
        )
    return dense(hidden=sizes, recurrent=kind == "recurrent", **given)


def build_maps(
    kind: str, shape: tuple[int, ...], steps: int, sizes: list[int], skip: bool, **geometry
) -> Network:
    given = dict(input_shape=shape, classes=CLASSES, steps=steps, dt=DT, skip=skip, **geometry)
    if kind.startswith("dale"):
        inhibitory = [1 + n // 4 for n in sizes]
        excitation = "without" not in kind
        return dale_conv(
            excitatory=sizes,
            inhibitory=inhibitory,
            recurrent_kernel=3,
            recurrent_excitation=excitation,
            **given,
        )
    return conv(filters=sizes, recurrent_kernel=3 if kind == "recurrent conv" else 0, **given)


def two_layers(kind: str) -> Network:
    """A network of that kind for trials of 20 steps."""
    return (
        build_maps(kind, (2, 7, 7), 20, [9, 5], False, padding=1, pool=2)
        if kind in MAPS
        else build(kind, 20, [33, 17], skip=False)
    )


def draw_input(
    kind: str, samples: int, steps: int, shape: tuple[int, ...], density: float, seed: int
) -> Input:
    rng = np.random.default_rng(seed)
    if kind == "constant":
        return Constant(rng.random((samples, *shape)), steps, scale=2.0, shift=-0.5)
    counts = (rng.random((samples, steps, *shape)) < density) * rng.integers(
        1, 4, (samples, steps, *shape)
    )
    if kind == "frames":
        return Frames(counts.astype(np.uint8))
    return as_events(counts, kind == "counted events")


@st.composite
def networks(draw, steps: int, maps: tuple[str, ...]) -> Network:
    skip = draw(st.booleans())
    if draw(st.booleans()):
        return build(
            draw(st.sampled_from(KINDS)),
            steps,
            draw(st.lists(st.integers(1, 40), min_size=1, max_size=4)),
            skip,
        )
    channels = draw(st.integers(1, 3))
    edges = draw(
        st.one_of(st.tuples(st.integers(1, 20)), st.tuples(st.integers(1, 9), st.integers(1, 9)))
    )
    depth = draw(st.integers(1, 3))
    geometry = {
        name: [draw(st.integers(low, high)) for _ in range(depth)]
        for name, low, high in (
            ("kernel", 1, 4),
            ("stride", 1, 3),
            ("padding", 0, 3),
            ("pool", 1, 3),
        )
    }
    sizes = [draw(st.integers(1, 20)) for _ in range(depth)]
    try:
        return build_maps(
            draw(st.sampled_from(maps)), (channels, *edges), steps, sizes, skip, **geometry
        )
    except ValueError:  # no neuron is left
        reject()


@st.composite
def cases(draw, maps: tuple[str, ...] = MAPS) -> tuple[Network, Input, np.ndarray, Objective, int]:
    """(network in float64, input, labels, objective, chunk)."""
    steps, samples = draw(st.integers(1, 16)), draw(st.integers(1, 9))
    network = draw(networks(steps, maps))
    seed = draw(st.integers(0, 1000))
    network = weighted(network.double(), draw(st.sampled_from([0.1, 3.0, 10.0, 100.0])), seed)
    kind = draw(st.sampled_from(["events", "counted events", "frames", "constant"]))
    x = draw_input(
        kind, samples, steps, network.input_shape, draw(st.sampled_from([0.0, 0.1, 0.3, 0.9])), seed
    )
    labels = np.random.default_rng(seed).integers(0, CLASSES, samples)
    return network, x, labels, draw(st.sampled_from(OBJECTIVES)), draw(st.integers(1, 5))


@pytest.fixture(params=ENGINES)
def make(request) -> Callable[[int], CpuEngine | CudaEngine]:
    """An engine for a chunk size, where it has chunks."""
    return ENGINES[request.param]


@PROPERTY
@given(case=cases(ONE_CHANNEL))
def test_step_and_evaluate_equal_the_reference_in_float64(make, case):
    step_and_evaluate_equal_the_reference(make, case)


@pytest.mark.slow  # maps of two channels in float64 are compiled for it alone
@PROPERTY
@given(case=cases())
def test_every_step_and_evaluation_equals_the_reference_in_float64(make, case):
    step_and_evaluate_equal_the_reference(make, case)


def step_and_evaluate_equal_the_reference(make, case):
    *given, chunk = case
    assert_like_the_reference(*given, make(chunk))


@pytest.mark.parametrize(
    ("kind", "learns"),
    [("dale", False), ("dale", True), pytest.param("dale conv", False, marks=pytest.mark.slow)],
)
def test_inhibitory_neurons_have_a_membrane_of_their_own(make, kind, learns):
    given: dict[str, Any] = dict(neuron=lif(learn_tau=learns), tau_mem_inh=5e-3)
    network = (
        build_maps(kind, (2, 7, 7), 20, [9, 5], False, padding=1, pool=2, **given)
        if kind in MAPS
        else build(kind, 20, [33, 17], skip=True, **given)
    )
    assert {p.name: p.neuron.tau_mem for p in network.layers[0]} == {"e1": 20e-3, "i1": 5e-3}
    network, engine = weighted(network.double(), 3.0, 0), make(2)
    x = draw_input("events", 5, 20, network.input_shape, 0.3, 0)
    assert_like_the_reference(network, x, np.arange(5) % CLASSES, OBJECTIVES[-1], engine)


@PROPERTY
@given(case=cases(ONE_CHANNEL))
def test_simulate_equals_the_reference_in_float64(make, case):
    network, x, _, _, chunk = case
    expected = ReferenceEngine().simulate(network, x)
    activity = make(chunk).simulate(network, x)
    assert_near({"readout": activity.readout}, {"readout": expected.readout})
    for name, counts in expected.counts.items():
        np.testing.assert_array_equal(activity.counts[name].numpy(), counts.numpy())


@pytest.mark.slow
@PROPERTY
@given(case=cases())
def test_gradients_equal_the_reference_in_float32(make, case):
    network, x, labels, objective, chunk = case
    network = network.float()
    expected = ReferenceEngine().step(network, x, labels, objective)
    rounded = gradients_of(network)
    exact = gradients(ReferenceEngine(), network.double(), x, labels, objective)
    assume(off(rounded, exact) <= 2e-5)
    outcome = make(chunk).step(network.float(), x, labels, objective)
    assume(all((outcome.counts[name] == counts).all() for name, counts in expected.counts.items()))
    assert all(p.grad.dtype == torch.float32 for p in network.parameters())
    assert off(gradients_of(network), rounded) <= 1e-4


def off(found: Gradients, wanted: Gradients) -> float:
    """The largest difference, as a share of the largest number; rounding alone costs some networks
    more than what is tolerated.
    """
    return max(
        float((found[name] - g).abs().max() / max(1e-30, float(g.abs().max())))
        for name, g in wanted.items()
    )


QUICK = {"cuda": (*KINDS, *MAPS)}  # where Numba compiles nothing


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        pytest.param(
            *each, marks=[pytest.mark.slow] * (each[1] not in QUICK.get(each[0], KINDS[:2]))
        )
        for each in product(ENGINES, (*KINDS, *MAPS))
    ],
    indirect=["make"],
)
def test_every_kind_of_network_equals_the_reference_in_float32(make, kind):
    """Some networks are too sensitive to rounding, as the reference against itself in float64
    shows; the others must agree.
    """
    agreed = 0
    for seed in range(8):
        network = weighted(two_layers(kind), 10.0, seed).float()
        x = draw_input("events", 5, 20, network.input_shape, 0.2, seed=seed)
        given = x, np.arange(5) % CLASSES, OBJECTIVES[1]
        spikes, found = [], []
        for engine in (make(2), ReferenceEngine()):
            counts = engine.step(network, *given).counts.values()
            spikes.append(np.concatenate([each.ravel() for each in counts]))
            found.append(gradients_of(network))
        exact = gradients(ReferenceEngine(), network.double(), *given)
        assert spikes[1].sum() > 0
        if (spikes[0] == spikes[1]).all() and off(found[1], exact) <= 2e-5:
            assert off(found[0], exact) <= 1e-4
            agreed += 1
        if agreed == 2:
            return
    pytest.fail(f"only {agreed} networks could be compared")


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=() if kind == "dense" else pytest.mark.slow)
        for kind in (*KINDS, *MAPS)
    ],
)
def test_gradients_are_bit_identical_for_any_number_of_threads_and_windows(kind):
    network = weighted(two_layers(kind), 10.0, 0)
    x = draw_input("events", 23, 20, network.input_shape, 0.2, seed=0)
    given = network, x, np.arange(23) % CLASSES, OBJECTIVES[1]
    results = []
    for threads, windows in ((1, 1), (1, 1), (2, 1), (3, 3), (1, 7), (2, 20), (32, 1)):
        engine = CpuEngine(threads, chunk=4, windows=windows)
        engine.step(*given)
        results.append(gradients(engine, *given))
    for other in results[1:]:
        for name, gradient in results[0].items():
            assert gradient.abs().max() > 0
            assert torch.equal(other[name], gradient)


@pytest.mark.parametrize("kind", ["events", "counted events"])
def test_a_flood_of_spikes_is_summed_as_in_the_reference(kind):
    """More in a few samples than are sorted by unit at a time."""
    network = dense((200,), hidden=[5], classes=CLASSES, steps=60, dt=DT).double()
    x = draw_input(kind, 5, 60, (200,), 0.6, seed=0)
    labels = np.arange(5) % CLASSES
    given = weighted(network, 0.1), x, labels, Objective("mean")
    assert_near(gradients(CpuEngine(1), *given), gradients(ReferenceEngine(), *given))


def test_a_unit_listed_many_times_in_a_step_counts_as_often():
    """More often than there is room for units that are listed once."""
    network = dense((3,), hidden=[5], classes=CLASSES, steps=9, dt=DT).double()
    rows, often = np.array([0, 0, 2, 2, 3, 3, 3, 3, 3, 3]), 40_000
    once = Events(rows, np.array([2, 0, 1], np.int32), (3,), 9, np.full(3, often, np.float32))
    again = Events(rows * often, np.repeat(once.units, often), (3,), 9)
    network, labels = weighted(network, 1e-4), np.array([1])
    found, expected = (
        gradients(CpuEngine(1), network, x, labels, Objective("mean")) for x in (again, once)
    )
    assert_near(found, expected)


def test_a_network_silent_from_the_start_shares_the_gradient_among_equal_maxima(make):
    network = build("dense", 12, [5], skip=False, readout_u_init=0.0).double()
    x = draw_input("events", 3, 12, network.input_shape, 0.2, seed=0)
    given = weighted(network, 0.0, 0), x, np.zeros(3, dtype=np.int64), Objective()
    expected = gradients(ReferenceEngine(), *given)
    for name, actual in gradients(make(1), *given).items():
        torch.testing.assert_close(actual, expected[name], rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("x", "labels", "words"),
    [
        (draw_input("events", 2, 5, (UNITS + 1,), 0.5, 0), [0, 1], "shape"),
        (draw_input("events", 2, 5, (UNITS,), 0.5, 0), [0, CLASSES], "labels"),
        (draw_input("events", 2, 5, (UNITS,), 0.5, 0), [0], "labels"),
        (
            Events(np.array([0, 1]), np.array([UNITS], dtype=np.int32), (UNITS,), 1),
            [0],
            "event units",
        ),
    ],
)
def test_what_would_read_or_write_elsewhere_is_refused(make, x, labels, words):
    network = build("dense", x.steps, [5], skip=False)
    with pytest.raises(ValueError, match=words):
        make(1).step(network, x, np.array(labels), Objective())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA hardware")
@pytest.mark.parametrize("kind", [*KINDS, *MAPS])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cuda_hardware_computes_what_the_reference_computes_on_a_cpu(kind, dtype):
    assert_like_the_cpu(kind, dtype, torch.device("cuda"))


@pytest.mark.parametrize("kind", ["dense", "recurrent"])
def test_what_the_test_of_cuda_hardware_does(kind):
    assert_like_the_cpu(kind, torch.float32, torch.device("cpu"))


def assert_like_the_cpu(kind: str, dtype: torch.dtype, device: torch.device) -> None:
    """Weights are multiples of 1/64 in float32, so that sums of spikes are exact in any order."""
    network = two_layers(kind)
    weighted(network.to(dtype), 10.0, 0)
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_((64 * weight).round() / 64)
    x = draw_input("counted events", 5, 20, network.input_shape, 0.2, seed=0)
    labels = np.arange(5) % CLASSES
    found = compare(network, x, labels, CudaEngine(), device, OBJECTIVES[1])
    assert found.total > 0
    assert found.spikes == 0
    assert found.gradient < (1e-4 if dtype == torch.float32 else 1e-9)
