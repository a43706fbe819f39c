"""Graphs of NIR that do not fit together, or hold what is no number: one line."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from making import one_line

from fdi.interop.nir import from_nir

nir = pytest.importorskip("nir")


def chain(
    shape: Any = (2, 8, 8),
    dt: Any = 1e-3,
    edges: Any = (),
    metadata: Any = None,
    conv: dict[str, Any] | None = None,
    front: Any = None,
    neurons: Any = None,
    name: str = "n",
    **changed: Any,
) -> Any:
    """Input, pooling on demand, a convolution or (with another shape) weights, and LIF or other
    `neurons`; `changed`: attributes of the LIF, `weight`, and those of the convolution.
    """
    conv, flat = conv or {}, len(np.ravel(shape)) != 3
    weight = changed.pop("weight", np.ones((3, 5) if flat else (3, 2, 3, 3), np.float32))
    if flat:
        weights = nir.Affine(np.ones((3, 5), np.float32), np.zeros(3))
    else:
        weights = nir.Conv2d(None, np.ones((3, 2, 3, 3)), 1, 0, 1, 1, np.zeros(3))
    one = np.ones(1)
    neurons = neurons or nir.LIF(
        tau=0.02 * one, r=one, v_leak=0 * one, v_threshold=one, v_reset=0 * one
    )
    for node, values in ((weights, {"weight": weight} | conv), (neurons, changed)):
        for key, value in values.items():
            setattr(node, key, value)
    nodes = {"in": nir.Input({"input": np.ones(1)}), "p": front, "w": weights, name: neurons}
    nodes = {key: node for key, node in nodes.items() if node is not None}
    nodes["out"] = nir.Output({"output": np.ones(1)})
    graph = nir.NIRGraph(nodes, [], type_check=False)
    graph.metadata = {"dt": dt} if metadata is None else metadata
    names = list(graph.nodes)
    graph.edges = list(pairwise(names)) if edges == () else edges
    graph.nodes["in"].input_type = {"input": shape} if shape != "spikes" else shape
    return graph


def pooled(edge: int, other: int) -> Any:
    return nir.SumPool2d(np.array([edge, other]), np.array([edge, edge]), np.array([0, 0]))


IDLE = nir.Linear(np.ones((3, 3)))
INNER = nir.NIRGraph({"input": nir.Input({"input": np.array([1])})}, [], type_check=False)
HOSTILE: dict[str, tuple[dict[str, Any], str]] = {
    "an input of nan": ({"shape": (np.nan,)}, "node in: its shape must be finite"),
    "an input of words": ({"shape": ("a",)}, "node in: its shape must be finite"),
    "no input": ({"shape": (0,)}, r"node in: its shape \(0,\) has no values"),
    "complex weights": ({"weight": np.full((3, 2, 3, 3), 1j)}, "w: weight must be finite"),
    "weights of nan": ({"weight": np.full((3, 2, 3, 3), np.nan)}, "w: weight must be finite"),
    "pickled weights": ({"weight": np.array([None])}, "w: weight must be finite"),
    "three dimensions": ({"weight": np.ones((3, 5, 2)), "shape": (5,)}, "2 dimensions expected"),
    "no weights": ({"weight": np.ones((0, 5)), "shape": (5,)}, "weights of shape"),
    "other maps": ({"shape": (5, 8, 8)}, "takes 2 maps, and gets"),
    "too large weights": (
        {"r": np.full(1, 1e38), "weight": np.full((3, 2, 3, 3), 9e9, np.float32)},
        "large",
    ),
    "a bias": ({"conv": {"bias": np.ones(7)}}, r"bias of shape \(7,\) for 3"),
    "a stride of 0": ({"conv": {"stride": 0}}, "fdi has one stride"),
    "a negative padding": ({"conv": {"padding": -5}}, "padding must be whole"),
    "a large kernel": ({"weight": np.ones((3, 2, 11, 11))}, "kernel of .* is larger"),
    "windows of 0": ({"front": pooled(0, 0)}, "square windows"),
    "two edges": ({"front": pooled(2, 1)}, "p: kernel_size must be the same in all directions"),
    "a graph": ({"neurons": INNER, "shape": (5,)}, "n: fdi reads no NIRGraph behind w"),
    "tau of words": ({"tau": np.array(["a"])}, "n: tau must be finite"),
    "infinite tau": ({"tau": np.array([np.inf])}, "n: tau must be finite"),
    "tau of 7": ({"tau": np.full(7, 0.02)}, r"tau of shape \(7,\)"),
    "dt of 0": ({"dt": 0}, "dt = 0 must be a positive, finite time"),
    "dt of words": ({"dt": "abc"}, "dt = 'abc' must be a positive, finite time"),
    "several dt": ({"dt": np.ones(5)}, "must be a positive, finite time"),
    "no metadata": ({"metadata": {}}, "does not say its time step"),
    "no edges": ({"edges": None}, "not pairs of names"),
    "triple edges": ({"edges": [("in", "w", "n")]}, "not pairs of names"),
    "an edge to nowhere": ({"edges": [("in", "no\nwhere")]}, r"edge of 'no\\nwhere'"),
    "a delay of 1": ({"metadata": {"dt": 1e-3, "delay": 1}}, "delay = 1 must be one of 0, 2"),
    "metadata in a list": ({"metadata": ["dt"]}, "does not say its time step"),
    "many groups": ({"conv": {"groups": 2}}, "no dilation and no groups"),
    "a neuron without tau": ({"tau": None}, "n: tau must be finite"),
    "an input that is a word": ({"shape": "word"}, "in: its shape must be finite"),
    "neurons first": (
        {"edges": [("in", "n"), ("n", "w"), ("w", "out")]},
        "node n: fdi reads no LIF behind in; a layer is",
    ),
    "a cycle": ({"edges": [("in", "w"), ("w", "n"), ("n", "w")]}, "without an output"),
    "a cycle beside it": (
        {"edges": [("in", "p"), ("p", "w"), ("w", "n"), ("n", "p"), ("n", "out")], "front": IDLE},
        "not one chain from an input to an output",
    ),
    "an input of another kind": ({"shape": "spikes"}, "in: its shape must be finite"),
    "a readout": ({"name": "readout"}, "rename it"),
    "another input": ({"name": "input"}, "rename it"),
    "a name of two lines": ({"name": "two\nlines"}, "does not fit a line"),
    "another width": ({"shape": (7,)}, "w: takes 5 values, and gets"),
    "leaks that differ": ({"v_leak": np.arange(3.0), "shape": (5,)}, "n: v_leak differs between"),
    "a short tau": ({"tau": np.full(1, 1e-3)}, "n: a time constant is not above dt = 0.001"),
    "delays": ({"neurons": nir.Delay(np.ones(3)), "shape": (5,)}, "n: fdi reads no Delay behind w"),
    "weights of weights": ({"neurons": IDLE, "shape": (5,)}, "n: fdi reads no Linear behind"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_graphs(what):
    changes, line = HOSTILE[what]
    graph = chain(**changes)
    with one_line(line):
        from_nir(graph)


def test_whole_and_half_numbers_are_weights():
    for kind in (np.int8, np.float16, np.float32):
        built = from_nir(chain(weight=np.full((3, 2, 3, 3), 2, kind)))
        assert {str(w.dtype) for w in built.parameters()} == {"torch.float32"}
    assert np.prod(built.layers[0][0].shape) == 3 * 6 * 6
