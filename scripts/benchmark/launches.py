"""Counts, without a GPU, what a training step asks of one: kernels that are launched, times
that the CPU waits for them, bytes, sorts.

Forward, loss, backward and Adam on the pretended GPU of tests/engine/cuda/pretend.py. Launches and
waits do not depend on the batch. A kernel of Triton, which its interpreter runs here, counts as one
launch, as does an operator of torch, of which a few launch more on a real GPU. `mb`: what they
move, if each reads its arguments and writes its results once; `sorted`: keys that operators sort to
be deterministic. Both grow by the same with each sample: they are counted with one, and with two
that are alike, and told for the whole batch.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

from benchmark.workloads import MORE, PAPER, WORKLOADS, batch, network
from fdi.data.inputs import Events
from fdi.engine.cuda import CudaEngine, fused
from fdi.engine.reference import ReferenceEngine
from fdi.snn.network import Network
from fdi.snn.objective import Objective

os.environ.setdefault("TRITON_INTERPRET", "1")
sys.path.append(str(Path(__file__).parents[2] / "tests" / "engine" / "cuda"))
import pretend

WAYS = ("reference", "plain torch", "kernels")
COUNTED = {**WORKLOADS, **MORE, "shd conv": PAPER["shd conv"]}


def count() -> list[dict]:
    """A row for each workload and way to compute it: plain autograd, engine=cuda without kernels,
    engine=cuda.
    """
    rows = []
    for name, work in COUNTED.items():
        x, labels = batch(work | dict(batch=1))
        two, samples = np.zeros(2, int), work["batch"]
        for way in WAYS:
            if way == "kernels" and find_spec("triton") is None:
                print("kernels: triton is not installed (pip install 'fdi-snn[gpu]', on Linux)")
                continue
            with _kernels(way == "kernels"):
                n = _step(network(work), x, labels, way)
                more = _step(network(work), x.take(two), labels[two], way)
            moved = n.moved + (samples - 1) * (more.moved - n.moved)
            keys = n.sorted + (samples - 1) * (more.sorted - n.sorted)
            each = dict(launches=n.kernels, waits=n.waits, mb=round(moved / 1e6, 3), sorted=keys)
            rows.append(dict(workload=name, about=work["about"], way=way) | each)
            numbers = "  ".join(f"{value:10.6g} {key}" for key, value in each.items())
            print(f"{name:16}{way:14}{numbers}", flush=True)
    return rows


def _step(net: Network, x: Events, labels: np.ndarray, way: str) -> pretend.Count:
    """The second step: the first makes tables that stay."""
    with pretend.Pretend():
        net, engine = net.to(pretend.device()), CudaEngine()
        inputs = engine.keep(net, {"train": x})[0]["train"]
        if way == "reference":
            engine, inputs = ReferenceEngine(), x
        optimizer = torch.optim.Adam(net.parameters(), 1e-4)
        for _ in range(2):
            pretend.COUNT.kernels = pretend.COUNT.waits = pretend.COUNT.moved = 0
            pretend.COUNT.sorted = 0
            engine.step(net, inputs, labels, Objective())
            optimizer.step()
            net.constrain()
    return replace(pretend.COUNT)


@contextmanager
def _kernels(on: bool) -> Iterator[None]:
    """With the kernels of Triton, in few large blocks for its interpreter, or without."""
    with ExitStack() as patches:
        if on:
            from fdi.engine.cuda.kernels import launch, launch_sparse

            patches.enter_context(patch.multiple(launch, BLOCK=2**12, CHUNK=256))
            large = dict(BLOCK=2**12, ROWS=2**10, SOURCES=2**10, SAMPLES=2)
            patches.enter_context(patch.multiple(launch_sparse, **large))
        else:
            patches.enter_context(patch.object(fused, "refusal", lambda *_: "counted without"))
        yield
