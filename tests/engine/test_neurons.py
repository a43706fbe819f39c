"""Each kind of neuron follows its published equations, and an engine computes it or refuses."""

from __future__ import annotations

import inspect
import platform
from collections.abc import Iterable
from dataclasses import fields, replace
from functools import cache
from typing import Any

import numba
import numpy as np
import pytest
import torch
from compared import weighted

from fdi.data.inputs import Frames
from fdi.engine.cpu import CpuEngine
from fdi.engine.cpu.kernels.jit import OPTIONS
from fdi.engine.cpu.kernels.simd import constants, exp, lanes, load, store
from fdi.engine.cpu.neuron_equations import slope, surrogate_constants
from fdi.engine.cuda import CudaEngine
from fdi.engine.derived import derived
from fdi.engine.reference import ReferenceEngine
from fdi.snn import neuron
from fdi.snn.models import conv, dale, dense
from fdi.snn.network import INPUT, Network, Projection, draw_time_constants
from fdi.snn.neuron import (
    LIF,
    Neuron,
    Population,
    adaptive_threshold,
    adlif,
    integrator,
    lif,
)
from fdi.snn.objective import LowerBound, Objective, UpperBound
from fdi.snn.surrogate import SURROGATES

DT, STEPS = 2e-3, 25
OBJECTIVE = Objective("mean", UpperBound(0.1, 0.5), LowerBound(1.0, 4.0))
ENGINES: dict[str, Any] = {"cpu": lambda: CpuEngine(threads=1), "cuda": CudaEngine}
KINDS = {name: make() for name, make in neuron.KINDS.items()}
EACH = [  # those that are compiled for other tests, too, and the others
    pytest.param(name, marks=[pytest.mark.slow] * (name not in ("lif", "alif", "adlif")))
    for name in KINDS
]


def draw(network: Network, seed: int = 0) -> Network:
    return weighted(network.double(), 8, seed)


def spikes(shape: tuple[int, ...], samples: int = 2) -> Frames:
    rng = np.random.default_rng(0)
    return Frames((rng.random((samples, STEPS, *shape)) < 0.2).astype(np.uint8))


def outputs(engine, network: Network, x: Frames) -> list[np.ndarray]:
    """Readout and gradients."""
    readout = engine.simulate(network, x).readout.numpy()
    engine.step(network, x, np.arange(len(x)) % 3, OBJECTIVE)
    return [readout, *(p.weight.grad.numpy().copy() for p in network.projections)]


def small(neuron: Neuron) -> Network:
    network = dense((6,), 3, STEPS, DT, neuron, hidden=[7, 5], recurrent=True)
    draw_time_constants(network, np.random.default_rng(0))
    return network


@pytest.mark.parametrize("name", SURROGATES)
def test_kernels_have_the_slopes_of_the_formulas(name):
    @numba.njit(**OPTIONS)
    def slopes(kind, records, v, out):
        n = constants(kind, records, 0, 1)
        for j in range(0, v.size, 8):
            store(out, (j,), slope(n, load(v, (j,))))

    v = np.linspace(-1.03, 1.01, 800)
    out = np.zeros_like(v)
    kind: Any = surrogate_constants(lif(surrogate=name, beta=3.0), DT)
    records = np.array([tuple(kind)], [(name, np.float64) for name in kind._fields])
    slopes(type(kind)(*map(np.float64, kind)), records, v, out)
    np.testing.assert_allclose(out, SURROGATES[name](torch.from_numpy(v), 3.0), rtol=1e-12)


def test_a_spike_raises_the_threshold_and_is_followed_by_rest():
    n: Any = adaptive_threshold(tau_ada=50e-3, b=0.5, t_ref=3 * DT, tau_shape=3.0)
    network = draw(small(n))
    x = spikes((6,))
    activity = ReferenceEngine().simulate(network, x, record=("spikes", "potentials"))
    seen = 0
    for p in network.hidden:
        fired, u = activity.spikes[p.name].numpy(), activity.potentials[p.name].numpy()
        a, rest = np.zeros(fired.shape[1:]), np.zeros(fired.shape[1:])
        for t in range(1, STEPS):  # U[t] is recorded behind step t - 1
            a = np.exp(-DT / n.tau_ada) * a + fired[t - 1]
            rest = np.where(fired[t - 1] > 0, 3, np.maximum(rest - 1, 0))
            np.testing.assert_array_equal(fired[t] > 0, (u[t - 1] > 1 + 0.5 * a) & (rest == 0))
            seen += ((u[t - 1] > 1) & (fired[t] == 0)).sum()
    assert seen > 10
    wanted = outputs(ReferenceEngine(), network, x)
    for windows in (1, 4):
        for ours, theirs in zip(outputs(CpuEngine(1, windows=windows), network, x), wanted):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
    maps = draw(conv((2, 6, 6), 3, STEPS, DT, replace(n, tau_shape=None), filters=[4]))
    with pytest.raises(ValueError, match="threshold adapts in fully connected layers only"):
        CpuEngine().check(maps)
    assert ReferenceEngine().simulate(maps, spikes((2, 6, 6))).counts["h1"].sum() > 0


CHANGES = {
    "tau_mem": 15e-3,
    "tau_syn": (7e-3,),
    "signs": (-1,),
    "theta": 0.8,
    "reset": "subtract",
    "surrogate": "triangle",
    "beta": 11.0,
    "u_init": 0.3,
    "spiking": False,
    "tau_shape": 3.0,
    "tau_ada": 50e-3,
    "tau_w": 50e-3,
    "a": 0.7,
    "b": 0.9,
}


COMPILED = ("reset", "surrogate", "tau_shape")


@pytest.mark.parametrize("kind", EACH)
@pytest.mark.parametrize("engine", ENGINES)
def test_every_field_of_a_neuron_changes_the_numbers_or_is_refused(engine, kind):
    learning = draw(small(replace(KINDS[kind], learn_tau=True)))
    own: Any = type(KINDS[kind])
    learns = engine == "cuda" or derived(own).learns
    assert refuses(ENGINES[engine](), learning) != learns  # see test_kinds.py
    for field in fields(KINDS[kind]):
        if field.name not in (*COMPILED, "learn_tau"):
            changes_the_numbers(engine, kind, field.name)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("field", COMPILED)
def test_every_field_that_kernels_are_compiled_for_does_too(field, engine, kind):
    changes_the_numbers(engine, kind, field)


def changes_the_numbers(engine: str, kind: str, field: str) -> None:
    base = KINDS[kind]
    if field == "reset" and base.reset == "constant":  # the only one that it may have
        return
    change = CHANGES.get(field, 0.4)
    if getattr(base, field) == change:  # its default
        change = {"reset": "zero", "surrogate": "superspike"}[field]
    changed = replace(base, **dict[str, Any]({field: change}))
    wanted = of_the_reference(changed)
    assert any(not np.allclose(a, b) for a, b in zip(wanted, of_the_reference(base))), field
    agrees_or_refuses(ENGINES[engine](), draw(small(changed)), spikes((6,)), wanted)


@cache
def of_the_reference(neuron: Neuron) -> list[np.ndarray]:
    return outputs(ReferenceEngine(), draw(small(neuron)), spikes((6,)))


def refuses(engine, network: Network) -> bool:
    try:
        engine.check(network)
    except ValueError:
        return True
    return False


def agrees_or_refuses(engine, network: Network, x: Frames, wanted: list[np.ndarray]) -> None:
    if refuses(engine, network):
        with pytest.raises(ValueError, match=r"^[^\n]* use engine=reference$"):
            engine.step(network, x, np.zeros(len(x), dtype=np.int64), OBJECTIVE)
        return
    for a, b in zip(outputs(engine, network, x), wanted):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-9 * max(1e-30, np.abs(b).max()))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_every_field_of_a_population_changes_the_numbers_or_is_refused(engine):
    def build(**changes) -> Network:
        given: dict[str, Any] = dict(filters=[4], kernel=3, padding=1, pool=2) | changes
        return draw(conv((2, 6, 6), 3, STEPS, DT, lif(), **given))

    different = {
        "name": build(),
        "shape": build(filters=[5]),
        "neuron": draw(conv((2, 6, 6), 3, STEPS, DT, adlif(), filters=[4], pool=2)),
        "pool": build(pool=3),
        "taus": draw(small(lif(tau_shape=3.0))),
    }
    assert set(different) == {field.name for field in fields(Population)}
    for network in different.values():
        x = spikes(network.input_shape)
        agrees_or_refuses(ENGINES[engine](), network, x, outputs(ReferenceEngine(), network, x))


def wired(neuron: Neuron = LIF, first: Iterable = (), second: Iterable = ()) -> Network:
    """input -> a -> b -> readout, with changes to the projections onto a and onto b."""
    a, b = Population("a", (5,), neuron), Population("b", (5,), neuron)
    readout = Population("readout", (3,), integrator(20e-3, 10e-3, 0.0))
    given: list[dict[str, Any]] = [
        dict(source=INPUT, target="a", weight_shape=(5, 5)) | dict(first),
        dict(source="a", target="b", weight_shape=(5, 5)) | dict(second),
        dict(source="b", target="readout", weight_shape=(3, 5)),
    ]
    layers = [(a,), (b,)]
    return draw(Network((5,), layers, readout, [Projection(**each) for each in given], DT))


def mapped(**changes) -> Network:
    given: dict[str, Any] = dict(kernel=3, padding=1, stride=1) | changes
    return draw(conv((2, 6, 6), 3, STEPS, DT, lif(), filters=[4], **given))


def averaged(windows: tuple[int, ...]) -> Network:
    """A readout that hears averages of 4 maps of 6 x 6."""
    network, windows = mapped(), windows * (3 - len(windows))
    seen = 4 * (6 // windows[0]) * (6 // windows[1])
    projections = [
        *list(network.projections)[:-1],
        Projection("h1", "readout", (3, seen), average=windows),
    ]
    return draw(Network((2, 6, 6), network.layers, network.readout, projections, DT))


DALE = LIF.under_dale(5e-3)
PROJECTIONS = {
    "source": lambda: wired(second=dict(source=INPUT)),
    "target": lambda: wired(first=dict(target="b")),
    "weight_shape": lambda: dense((5,), 3, STEPS, DT, hidden=[4]),
    "recurrent": lambda: dense((5,), 3, STEPS, DT, hidden=[5, 5], recurrent=True),
    "recurrent, from the wrong layer": lambda: wired(second=dict(recurrent=True)),
    "source, of its own layer": lambda: wired(second=dict(source="b")),
    "source, above": lambda: wired(first=dict(source="b")),
    "channel, of the input": lambda: wired(DALE, dict(channel=1)),
    "channel, of a hidden layer": lambda: wired(DALE, second=dict(channel=1)),
    "channel, of its own": lambda: dale((5,), 3, STEPS, DT, excitatory=4, inhibitory=3),
    "nonnegative": lambda: wired(first=dict(nonnegative=True)),
    "stride": lambda: mapped(stride=2),
    "padding": lambda: mapped(padding=0),
    "average": lambda: mapped(pool=2, pooling="average"),
    "average, of what it does not divide": lambda: averaged((4,)),
    "average, in windows that are not square": lambda: averaged((2, 3)),
    "stride, of a dense layer's source": lambda: conv(
        (2, 6, 6), 3, STEPS, DT, filters=[4, 5], kernel=3, stride=[1, 2], padding=[1, 0]
    ),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("change", PROJECTIONS)
def test_every_field_of_a_projection_is_computed_or_refused(change, engine):
    network = draw(PROJECTIONS[change]())
    x = spikes(network.input_shape)
    agrees_or_refuses(ENGINES[engine](), network, x, outputs(ReferenceEngine(), network, x))


def test_two_projections_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two projections input->a"):
        wired(second=dict(source=INPUT, target="a"))


def test_the_walk_over_projections_leaves_no_field_out():
    walked = {change.split(",")[0] for change in PROJECTIONS}
    assert walked == {*inspect.signature(Projection).parameters}


@numba.njit(**OPTIONS)
def exponentials(x: np.ndarray, y: np.ndarray) -> None:
    for i in range(0, x.size, lanes(x)):
        store(y, (i,), exp(load(x, (i,))))


@numba.njit(**OPTIONS)
def one_by_one(x: np.ndarray, y: np.ndarray) -> None:
    for i in range(x.size):
        y[i] = np.exp(x[i])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_vectors_of_exponentials_have_the_bits_of_the_c_library(dtype):
    """Numbers of every size and sign, by their bits, and how far rounding is off, in units of the
    last place.
    """
    words, own = (2**32, np.uint32) if dtype == np.float32 else (2**64, np.uint64)
    x = np.array(range(0, words, words // 192_000), own)[:192_000].view(dtype)
    y, z = np.empty_like(x), np.empty_like(x)
    exponentials(x, y)
    one_by_one(x, z)
    known = ~np.isnan(x)
    assert np.isnan(y[~known]).all()
    if platform.libc_ver()[0] == "glibc":
        assert y[known].tobytes() == z[known].tobytes()
    with np.errstate(over="ignore", under="ignore"):
        exact = np.exp(x[known], dtype=np.longdouble)
    most, y = np.finfo(dtype).max, y[known]
    within = exact <= most
    assert np.isinf(y[~within]).all()
    off = np.abs(y[within] - exact[within]) / np.spacing(exact[within].astype(dtype))
    assert 0.4 < off.max() < (0.503 if dtype == np.float32 else 0.52)
