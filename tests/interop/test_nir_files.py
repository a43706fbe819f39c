"""Graphs as others publish them: those of neuromorphs/NIR, folder paper/, with the same nodes,
shapes and constants. Each is computed as forward Euler says, spike for spike as other libraries do.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from test_readers import DISTRIBUTIONS, READERS, made

from fdi.data.inputs import Frames
from fdi.engine.reference.engine import ReferenceEngine
from fdi.interop.nir import from_nir, to_nir

nir: Any = pytest.importorskip("nir")
STEPS = 80


def chain(nodes: dict[str, Any], own: str = "", **metadata: float):
    """The nodes in their order; `own` is what feeds the node before it back."""
    names = [name for name in nodes if name != own]
    edges = list(pairwise(names))
    if own:
        before = list(nodes)[list(nodes).index(own) - 1]
        edges = [(before, own), (own, before), *edges]
    return nir.NIRGraph(nodes, edges, metadata=metadata, type_check=False)


def ends(first: tuple[int, ...], last: tuple[int, ...]):
    return nir.Input({"input": np.array(first)}), nir.Output({"output": np.array(last)})


def lif_norse():
    """lif_norse.nir: one neuron that ends in spikes."""
    one = np.ones(1, np.float32)
    first, last = ends((1,), (1,))
    lif = nir.LIF(tau=2.5e-3 * one, r=one, v_leak=0 * one, v_threshold=0.1 * one, v_reset=0 * one)
    affine = nir.Affine(one[None], 0 * one)
    return chain({"input": first, "0": affine, "1": lif, "output": last})


def two_lif():
    """debug_spike_representation/two_lif_neurons.nir: the leak of the first alone makes it fire."""
    one = np.ones(1)
    first, last = ends((1,), (1,))
    rest = dict(tau=0.01 * one, r=one, v_reset=0 * one)
    return chain(
        {
            "in": first,
            "linear1": nir.Linear(one[None]),
            "lif1": nir.LIF(v_leak=1.2 * one, v_threshold=one, **rest),
            "linear2": nir.Linear(one[None]),
            "lif2": nir.LIF(v_leak=0 * one, v_threshold=0.1 * one, **rest),
            "out": last,
        }
    )


def braille(units: int, tau: tuple[float, float], tau2: tuple[float, float], bias: bool):
    """braille_noDelay_bias_zero.nir and braille_noDelay_noBias_subtract.nir."""
    rng = np.random.default_rng(0)
    first, last = ends((12,), (7,))

    def linear(n, m, scale):
        weight = rng.normal(0, scale, (n, m)).astype(np.float32)
        return nir.Affine(weight, rng.normal(0, 0.3, n)) if bias else nir.Linear(weight)

    def cuba(n, tau_syn, tau_mem):
        one = np.ones(n)
        return nir.CubaLIF(
            tau_syn=tau_syn * one,
            tau_mem=tau_mem * one,
            r=tau_mem / 1e-4 * one,
            v_leak=0 * one,
            v_threshold=one,
            v_reset=0 * one,
            w_in=tau_syn / 1e-4 * one,
        )

    return chain(
        {
            "input": first,
            "fc1": linear(units, 12, 1.0),
            "lif1.lif": cuba(units, *tau),
            "lif1.w_rec": linear(units, units, 0.2),
            "fc2": linear(7, units, 0.5),
            "lif2": cuba(7, *tau2),
            "output": last,
        },
        own="lif1.w_rec",
    )


def cnn():
    """02_cnn/cnn_sinabs.nir: IF, and sums over windows between spikes and weights."""
    rng = np.random.default_rng(0)
    first, last = ends((2, 34, 34), (10,))

    def conv(n, m, kernel, stride, size):
        weight = rng.normal(0, 0.3, (n, m, kernel, kernel)).astype(np.float32)
        return nir.Conv2d((size, size), weight, stride, 1, 1, 1, np.zeros(n))

    def units(*shape):
        return nir.IF(np.ones(shape), np.ones(shape), np.zeros(shape))

    def pool():
        return nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))

    def affine(n, m):
        return nir.Affine(rng.normal(0, 0.1, (n, m)), np.zeros(n))

    nodes = {
        "0": conv(16, 2, 5, 2, 34),
        "1": units(16, 16, 16),
        "2": conv(16, 16, 3, 1, 16),
        "3": units(16, 16, 16),
        "4": pool(),
        "5": conv(8, 16, 3, 1, 8),
        "6": units(8, 8, 8),
        "7": pool(),
        "8": nir.Flatten({"input": np.array([8, 4, 4])}, 0, -1),
        "9": affine(256, 128),
        "10": units(256),
        "11": affine(10, 256),
        "12": units(10),
    }
    return chain({"input": first, **nodes, "output": last})


FILES = {
    "lif_norse": (lif_norse, 1e-4),
    "two_lif_neurons": (two_lif, 1e-3),
    "braille, bias": (lambda: braille(38, (2.222e-4, 1e-3), (2e-4, 2.222e-4), True), 1e-4),
    "braille, no bias": (lambda: braille(40, (4e-4, 6.667e-4), (1.818e-4, 3.333e-4), False), 1e-4),
    "cnn_sinabs": (cnn, 1.0),
}


def euler(graph, x, dt):
    """What the last node gives, [T, B, ...]: forward Euler of the equations of the nodes, each in
    the same step, reset at once; what is fed back is heard in the next step.
    """
    back = [(a, b) for a, b in graph.edges if (b, a) in graph.edges]
    own = {a: b for a, b in back if isinstance(graph.nodes[a], nir.CubaLIF)}
    following = {a: b for a, b in graph.edges if b not in own.values() and a not in own.values()}
    state: dict[str, Any] = {}
    outputs = []
    for signal in torch.as_tensor(x, dtype=torch.float64):
        given, name = signal, next(iter(graph.nodes))
        while not isinstance(graph.nodes[name := following[name]], nir.Output):
            node = graph.nodes[name]
            if isinstance(node, nir.Flatten):
                given = given.flatten(1)
            elif isinstance(node, nir.SumPool2d):
                given = 4 * F.avg_pool2d(given, 2)
            elif isinstance(node, NEURONS):
                i, v, spikes = state.get(name) or (torch.zeros_like(given),) * 3
                if name in own:
                    given = given + apply(graph.nodes[own[name]], spikes)
                state[name] = integrated(node, i, v, given, dt)
                given = state[name][2]
            else:
                given = apply(node, given)
        outputs.append(given)
    return torch.stack(outputs)


NEURONS = (nir.IF, nir.LIF, nir.CubaLIF, nir.LI, nir.CubaLI)


def integrated(node, i, v, x, dt):
    """(current, potential after the reset, output) of neurons after a step."""
    is_cuba = isinstance(node, nir.CubaLIF | nir.CubaLI)
    given = {key: value for key, value in vars(node).items() if isinstance(value, np.ndarray)}
    c = {key: torch.as_tensor(value) for key, value in given.items()}
    i = i + dt / c["tau_syn"] * (c["w_in"] * x - i) if is_cuba else x
    if isinstance(node, nir.IF):
        v = v + dt * c["r"] * i
    else:
        v = v + dt / c["tau_mem" if is_cuba else "tau"] * (c["v_leak"] - v + c["r"] * i)
    if isinstance(node, nir.LI | nir.CubaLI):
        return i, v, v
    spikes = (v > c["v_threshold"]).double()
    return i, torch.where(spikes > 0, c["v_reset"].double(), v), spikes


def apply(node, x):
    weight = torch.as_tensor(node.weight, dtype=torch.float64)
    bias = torch.as_tensor(getattr(node, "bias", np.zeros(len(weight))), dtype=torch.float64)
    if not isinstance(node, nir.Conv1d | nir.Conv2d):
        return F.linear(x, weight, bias)
    geometry: Any = [[int(n) for n in np.ravel(g)] for g in (node.stride, node.padding)]
    return (F.conv1d if weight.ndim == 3 else F.conv2d)(x, weight, bias, *geometry)


def simulated(graph, dt, x):
    network = from_nir(graph, dt=dt).double()
    return ReferenceEngine().simulate(network, Frames(x.swapaxes(0, 1)), record=("spikes",))


def shown(name):
    """A graph, its time step, and input for two samples."""
    make, dt = FILES[name]
    graph = make()
    (shape,) = (n.input_type["input"] for n in graph.nodes.values() if isinstance(n, nir.Input))
    steps = 20 if name == "cnn_sinabs" else STEPS
    x = np.random.default_rng(1).random((steps, 2, *shape)) < (0.9 if len(shape) == 1 else 0.2)
    return graph, dt, x.astype(np.uint8)


@pytest.mark.parametrize("name", FILES)
def test_published_graphs_are_computed_as_they_say(name):
    graph, dt, x = shown(name)
    found, wanted = simulated(graph, dt, x), euler(graph, x, dt)
    spikes = found.spikes[list(found.spikes)[-1]].flatten(2)
    assert float(wanted.sum()) > 5
    assert torch.equal(spikes, wanted.flatten(2))
    # the readout that fdi adds counts the spikes
    torch.testing.assert_close(found.readout[-1], spikes.sum(0), rtol=1e-3, atol=1e-3)


READ = [  # the others refuse the graph, fail, or start at v_leak (Norse)
    *[("lif_norse", reader) for reader in ("Norse", "snnTorch", "SpikingJelly")],
    *[("braille, no bias", reader) for reader in ("Norse", "SpikingJelly")],
    *[("cnn_sinabs", reader) for reader in ("Norse", "SpikingJelly")],
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "reader"), READ)
def test_published_graphs_spike_as_in_other_libraries(name, reader):
    pytest.importorskip(DISTRIBUTIONS[reader])
    graph, dt, x = shown(name)
    graph.nodes = dict(sorted(graph.nodes.items()))  # as in the files
    for node in graph.nodes.values():
        for key, value in vars(node).items():
            if isinstance(value, np.ndarray) and value.dtype == np.float64:
                setattr(node, key, value.astype(np.float32))
    found = simulated(graph, dt, x).spikes
    with torch.no_grad():
        theirs = READERS[reader](graph, torch.from_numpy(x).float(), dt)
    ours = found[list(found)[-1]].flatten(2)
    assert ours.sum() > 5
    assert torch.equal(theirs.double().reshape(ours.shape), ours)


def test_values_may_be_tensors():
    graph, other = lif_norse(), lif_norse()
    for node in other.nodes.values():
        for key, value in vars(node).items():
            if isinstance(value, np.ndarray):
                setattr(node, key, torch.nn.Parameter(torch.as_tensor(value).float()))
    x = np.ones((STEPS, 1, 1), np.uint8)
    one, two = (simulated(g, 1e-4, x).spikes["1"] for g in (graph, other))
    assert one.sum() > 0
    assert torch.equal(one, two)


@pytest.mark.parametrize("kind", ["dense", "conv1d", "conv2d"])
def test_what_fdi_recommends_to_write_comes_back(kind, tmp_path):
    built = made(kind, 2e-3)
    nir.write(tmp_path / "it.nir", to_nir(built, readout=False))
    back = from_nir(nir.read(tmp_path / "it.nir")).double()
    assert (back.readout.shape, back.readout.neuron) == (built.readout.shape, built.readout.neuron)
    weights = {name.replace("readout", "end"): w for name, w in back.weights().items()}
    for name, weight in built.weights().items():
        found = weights[name.replace(built.readout.name, "end")]
        torch.testing.assert_close(found, weight, rtol=1e-5, atol=1e-7)


def test_a_neuron_that_rests_elsewhere_cannot_be_written():
    graph = two_lif()
    graph.nodes["lif1"].v_reset = np.array([0.5])
    network = from_nir(graph, dt=1e-3)
    with pytest.raises(ValueError, match="lif1: NIR cannot say v_leak and v_reset as fdi computes"):
        to_nir(network)
