"""Graphs as others publish them: those of neuromorphs/NIR, folder paper/, with the same nodes,
shapes and constants. Each is computed as forward Euler with fdi's delays says.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parent))
from test_readers import made

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
        edges += [(before, own), (own, before)]
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
    """Number of spikes of the last neurons, [B, units]: the equations of the nodes, where the
    spikes of step t arrive in step t + 1, and v is held at v_reset in the step after a spike.
    """
    back = [(a, b) for a, b in graph.edges if (b, a) in graph.edges]
    own = {a: b for a, b in back if isinstance(graph.nodes[a], nir.CubaLIF)}
    following = {a: b for a, b in graph.edges if b not in own.values() and a not in own.values()}
    state: dict[str, Any] = {}
    arrived: dict[str, Any] = {}
    total: Any = 0.0
    for signal in x:
        given, name = torch.as_tensor(signal, dtype=torch.float64), next(iter(graph.nodes))
        while not isinstance(graph.nodes[name := following[name]], nir.Output):
            node = graph.nodes[name]
            if isinstance(node, nir.Flatten):
                given = given.flatten(1)
            elif isinstance(node, nir.SumPool2d):
                given = 4 * F.avg_pool2d(given, 2)
            elif not isinstance(node, nir.LIF | nir.CubaLIF | nir.IF):
                given = apply(node, given)
            else:
                threshold, reset = map(torch.as_tensor, (node.v_threshold, node.v_reset))
                i, v = state.get(name, (0 * given, 0 * given))
                spikes = (v > threshold).double()
                if isinstance(node, nir.IF):
                    after = v + dt * torch.as_tensor(node.r) * i
                else:
                    tau = node.tau_mem if isinstance(node, nir.CubaLIF) else node.tau
                    leak, r = map(torch.as_tensor, (node.v_leak, node.r))
                    after = v + dt / torch.as_tensor(tau) * (leak - v + r * i)
                delivered = arrived.get(name, 0 * given)
                if isinstance(node, nir.CubaLIF):
                    w_in, tau_syn = map(torch.as_tensor, (node.w_in, node.tau_syn))
                    i = i + dt / tau_syn * (w_in * delivered - i)
                else:
                    i = delivered
                state[name] = i, after * (1 - spikes) + reset * spikes
                if name in own:
                    given = given + apply(graph.nodes[own[name]], spikes)
                arrived[name], given = given, spikes
        total = total + given
    return total


def apply(node, x):
    weight = torch.as_tensor(node.weight, dtype=torch.float64)
    bias = torch.as_tensor(getattr(node, "bias", np.zeros(len(weight))), dtype=torch.float64)
    if isinstance(node, nir.Conv2d):
        return F.conv2d(x, weight, bias, [int(n) for n in np.ravel(node.stride)], padding=1)
    return F.linear(x, weight, bias)


def simulated(graph, dt, x):
    network = from_nir(graph, dt=dt).double()
    return ReferenceEngine().simulate(network, Frames(x.swapaxes(0, 1)), record=("spikes",))


@pytest.mark.parametrize("name", FILES)
def test_published_graphs_are_computed_as_they_say(name):
    make, dt = FILES[name]
    graph = make()
    (shape,) = (n.input_type["input"] for n in graph.nodes.values() if isinstance(n, nir.Input))
    steps = 20 if name == "cnn_sinabs" else STEPS
    x = np.random.default_rng(1).random((steps, 2, *shape)) < (0.9 if len(shape) == 1 else 0.2)
    x = x.astype(np.uint8)
    found, wanted = simulated(graph, dt, x), euler(graph, x, dt)
    last = list(found.spikes)[-1]
    assert float(wanted.sum()) > 5
    assert torch.equal(found.spikes[last].sum(0).flatten(1), wanted.flatten(1))
    # the readout that fdi adds counts the spikes that arrive before the last two steps
    counted = found.spikes[last][: steps - 2].sum(0).flatten(1)
    torch.testing.assert_close(found.readout[-1], counted, rtol=1e-3, atol=1e-3)


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
    nir.write(tmp_path / "it.nir", to_nir(built, scale="weights", readout=False))
    back = from_nir(nir.read(tmp_path / "it.nir")).double()
    assert (back.readout.shape, back.readout.neuron) == (built.readout.shape, built.readout.neuron)
    weights = {name.replace("readout", "end"): w for name, w in back.weights().items()}
    for name, weight in built.weights().items():
        found = weights[name.replace(built.readout.name, "end")]
        torch.testing.assert_close(found, weight, rtol=1e-5, atol=1e-7)


def test_an_old_nir_is_refused_in_a_line(monkeypatch, tmp_path):
    (tmp_path / "nir-1.0.4.dist-info").mkdir()
    (tmp_path / "nir-1.0.4.dist-info" / "METADATA").write_text("Name: nir\nVersion: 1.0.4\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=r"nir 1\.0\.4 is too old: pip install 'nir>=1\.0\.6'"):
        from_nir(nir.NIRGraph({}, []), dt=1e-4)


def test_what_fdi_does_not_read_is_named():
    graph = two_lif()
    graph.nodes["lif1"].v_reset = np.array([0.5])
    network = from_nir(graph, dt=1e-3)
    with pytest.raises(ValueError, match="lif1: NIR cannot say a constant drive as fdi computes"):
        to_nir(network)
    inner = nir.NIRGraph({"input": nir.Input({"input": np.array([1])})}, [], type_check=False)
    graph.nodes["lif1"] = inner
    with pytest.raises(ValueError, match="node lif1 is a graph in the graph"):
        from_nir(graph, dt=1e-3)
    graph = cnn()
    graph.nodes["4"].kernel_size = np.array([2, 1])
    with pytest.raises(ValueError, match="node 4: fdi reads square windows side by side"):
        from_nir(graph, dt=1.0)
