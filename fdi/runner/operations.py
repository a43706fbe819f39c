"""What a trial of a network costs: its spikes and synaptic operations, as NeuroBench counts them
(Yik et al. 2025).
"""

from __future__ import annotations

from copy import deepcopy
from math import prod

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from fdi.data.dataset import Split, stream
from fdi.data.inputs import Constant, Events, Input
from fdi.engine import Engine
from fdi.snn.network import INPUT, Network, Projection
from fdi.snn.objective import Outcome

SAMPLES = 1024  # of a split that is transformed on its way
POOLED = 32  # samples by which spikes behind pooling are counted


def operations(
    network: Network, engine: Engine, split: Split, outcome: Outcome, batch: int, seed: int
) -> dict[str, float] | None:
    """Means over the samples of `split`, whose spikes are in `outcome`: `spikes` of all hidden
    neurons; `dense`, one operation for each connection and step; `effective`, those of them whose
    input and weight are not 0; and `MAC`, how many of these multiply, since their input is neither
    0 nor +-1.

    None where spikes are averaged before a projection, whose number does not say
    how many inputs are not 0. Behind max-pooling they are those of POOLED samples.
    """
    if any(projection.average for projection in network.projections):
        return None
    entries, ones = _entries(split, network.input_shape, batch, seed)
    counts = {name: n.astype(float) / outcome.samples for name, n in outcome.counts.items()}
    passed = counts
    if any(population.pool > 1 for population in network.hidden):
        on_cpu = deepcopy(network).cpu()  # not every device has float64
        few = split.batch(np.arange(min(POOLED, len(split))), stream(seed, "evaluation noise", 0))
        passed = {
            name: n.cpu().double().mean(0).numpy()
            for name, n in engine.measuring(few[0])(on_cpu).passed.items()
        }
    dense, effective = 0.0, {}
    for p in network.projections:
        source = entries if p.source == INPUT else (counts if p.recurrent else passed)[p.source]
        dense += _through(p, np.ones_like(source), torch.ones_like(p.weight))
        effective[p.name] = _through(p, source, p.weight != 0)
    analogue = [effective[p.name] for p in network.projections if p.source == INPUT and not ones]
    return {
        "spikes": float(sum(n.sum() for n in counts.values())),
        "dense": dense * split.inputs.steps,
        "effective": sum(effective.values()),
        "MAC": sum(analogue),
    }


def _through(projection: Projection, source: np.ndarray, weight: Tensor) -> float:
    """How often connections of this `weight` are used by inputs that are not 0, [*source shape]."""
    x = torch.from_numpy(source).double()[None]
    weights = {"weight": weight.detach().cpu().double()}
    return float(functional_call(projection, weights, (x,)).sum())


def _entries(
    split: Split, shape: tuple[int, ...], batch: int, seed: int
) -> tuple[np.ndarray, bool]:
    """How many inputs of a sample are not 0, of each unit, and whether they are all +-1."""
    samples = len(split) if split.transform is None else min(len(split), SAMPLES)
    total, ones = np.zeros(shape), True
    for i, start in enumerate(range(0, samples, batch)):
        chosen = np.arange(start, min(start + batch, len(split)))
        inputs, _ = split.batch(chosen, stream(seed, "evaluation noise", i))
        entries, alike = _used(inputs)
        total += entries.reshape(shape)
        ones = ones and alike
    return total / min(len(split), -(-samples // batch) * batch), ones


def _used(inputs: Input) -> tuple[np.ndarray, bool]:
    """How many inputs of each unit are not 0, and whether these are all +-1."""
    if isinstance(inputs, Events):
        ones = inputs.counts is None or bool((inputs.counts == 1).all())
        return np.bincount(inputs.units, minlength=prod(inputs.shape)), ones
    if isinstance(inputs, Constant):
        values = inputs.image(np.float64)
        entries = np.count_nonzero(values, axis=0) * inputs.steps
    else:
        values = inputs.values
        entries = np.count_nonzero(values, axis=(0, 1))
    return entries, bool(np.isin(values, (-1, 0, 1)).all())
