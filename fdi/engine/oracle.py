"""Any engine beside the reference engine, which is plain autograd: the oracle of the others."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from fdi.data.inputs import Input
from fdi.engine import Engine
from fdi.engine.device import dense_input as dense_input
from fdi.engine.reference import ReferenceEngine
from fdi.snn.network import Activity, Network
from fdi.snn.objective import LowerBound, Objective, UpperBound

OBJECTIVE = Objective("mean", UpperBound(0.1, 0.5), LowerBound(100.0, 2.0))


def simulate(network: Network, inputs: Input, record: tuple[str, ...] = ()) -> Activity:
    """What the network does in a trial, without gradients; `record` as Engine.simulate."""
    return ReferenceEngine().simulate(network, inputs, record)


class Difference(NamedTuple):
    """Between an engine and the reference engine: spikes of neurons that differ, of how many, and
    the gradient that differs most, over the largest of its projection.
    """

    spikes: float
    total: float
    gradient: float


def compare(
    network: Network,
    x: Input,
    labels: np.ndarray,
    engine: Engine,
    device: torch.device,
    objective: Objective,
    order: np.ndarray | None = None,
) -> Difference:
    """A training step of `engine` on `device` beside one of the reference engine on the CPU, and
    the spikes of an evaluation as well; with `order`, of these samples of `x`, which `engine` keeps
    on the device if it can.
    """

    def computed(engine: Engine, device: torch.device) -> tuple[list[np.ndarray], list[Tensor]]:
        copy = deepcopy(network).to(device)
        given: Any = x
        if order is not None:
            given = (engine.keep(copy, {"x": x})[0]["x"] if engine.keeps else x).take(order)
        seen = engine.evaluate(copy, given, labels, objective).counts
        counts = engine.step(copy, given, labels, objective).counts
        return [*seen.values(), *counts.values()], _gradients(copy)

    expected, wanted = computed(ReferenceEngine(), torch.device("cpu"))
    counts, gradients = computed(engine, device)
    apart = [np.abs(n - other).sum() for n, other in zip(counts, expected)]
    worst = [
        (g - other).abs().max() / g.abs().max().clamp(min=1e-30)
        for g, other in zip(wanted, gradients)
    ]
    total = sum(n.sum() for n in expected)
    return Difference(float(sum(apart)), float(total), float(torch.stack(worst).max()))


def _gradients(network: Network) -> list[Tensor]:
    """On the CPU; the next step lays out others."""
    return [cast(Tensor, p.weight.grad).cpu() for p in network.projections]
