"""The least that a training step must compute and move: by the dense algorithm, and by events as
fdi does it.

Counted for the network, the input and the spikes before training, by what each projection is
computed with: forward and for the gradients of weights, an addition for each spike and synapse; for
the gradients of spikes, products with all weights in each step, which minimal filtering makes fewer
in convolutions of 3 x 3 (see conv_winograd; its transforms of adjoints and results count, not that
of the weights, once in a training step). A spike of step t is in the
potential from step t + 2 on, so those of the last two steps count nothing. An addition counts as a
multiply-add: it takes one instruction as well. So does the division in a surrogate's slope, which
takes more; the floor is too low by that.

Two memories count: what must come from the main memory, and what goes between the first and the
second level of the caches, since neither the weights of a fully connected layer nor the potentials
of a trial fit into the first: a row of such weights for each spike, read on the way there
(gathered), and read and written on the way back (scattered, which the caches do at a pace of its
own), and for each update of a neuron the potential, written and read, and its gradient, written and
read.
"""

from __future__ import annotations

from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor

from fdi.data.inputs import Events
from fdi.engine.cpu import conv_layout
from fdi.engine.cpu.conv_plan import map_layers
from fdi.engine.cpu.conv_winograd import PRODUCTS
from fdi.engine.reference import ReferenceEngine
from fdi.snn.network import INPUT, Network, Projection

LATE = 2  # steps at the end whose spikes arrive too late
REAL, INDEX, POINTER = 4, 4, 8  # bytes
OPTIMIZER = 8  # reads and writes of a weight, its gradient and its two moments
TRANSFORM = 10 * 12  # multiply-adds of a tile and channel: `_values`, or `_results`, ten times


class Counts(NamedTuple):
    """Of one training step: multiply-adds of both algorithms; of the second those in the products
    W^T dL/dI at every step (`back`, in `event`, with transforms), and bytes of the main memory
    (`moved`), and of the caches, `near` and in rows that are `scattered`.
    """

    dense: float
    event: float
    back: float
    moved: float
    near: float
    scattered: float


def count(network: Network, x: Events) -> Counts:
    """For a batch `x`, and a loss that pulls at each readout once in a trial."""
    batch, late = len(x), len(x) * max(0, x.steps - LATE)
    dense = event = back = rows_of_weights = 0.0
    fewer = filtered(network)
    for projection, seen in zip(network.projections, arrivals(network, x)):
        fan_out = fan_outs(projection, seen.shape)
        synapses = float(fan_out.sum())
        dense += batch * x.steps * synapses * (2 if projection.source == INPUT else 3)
        additions = float((seen * fan_out).sum())
        event += 2 * additions
        rows_of_weights += 0 if projection.convolutional else additions
        if projection.target == network.readout.name:
            event += batch * synapses + 3 * late * seen.numel()
        elif projection.source != INPUT:
            back += late * fewer.get(projection, synapses)
    event += back
    rows = batch * x.steps
    event += rows * sum(p.units * (6 + 4 * len(p.neuron.tau_syn)) for p in network.hidden)
    event += rows * network.readout.units * 6
    weights = sum(weight.numel() for weight in network.parameters())
    potentials = rows * sum(p.units for p in (*network.hidden, network.readout))
    moved = (
        2 * REAL * potentials
        + 2 * (INDEX * x.total() + POINTER * rows)
        + OPTIMIZER * REAL * weights
    )
    updates = rows * sum(p.units * len(p.neuron.tau_syn) for p in network.hidden)
    near, scattered = REAL * (rows_of_weights + 4 * updates), 2 * REAL * rows_of_weights
    return Counts(dense, event, back, moved, near, scattered)


def arrivals(network: Network, x: Events) -> list[Tensor]:
    """How often each unit of each projection's source spikes early enough, [*source shape], summed
    over the batch.
    """
    seen = [[] for _ in network.projections]
    hooks = [
        projection.register_forward_pre_hook(
            lambda _, given, steps=steps: steps.append((given[0] != 0).sum(0))
        )
        for projection, steps in zip(network.projections, seen)
    ]
    ReferenceEngine().simulate(network, x)
    for hook in hooks:
        hook.remove()
    # what is normalized arrives in one piece, without the last steps
    late = [0 if p.target in network.norms else LATE for p in network.projections]
    return [torch.stack(steps[: len(steps) - n]).sum(0) for steps, n in zip(seen, late)]


def fan_outs(projection: Projection, shape: tuple[int, ...]) -> Tensor:
    """How many synapses each unit of the source has, [*shape]; padding has none."""
    ones = deepcopy(projection)
    torch.nn.init.ones_(ones.weight)
    source = torch.ones(1, *shape, requires_grad=True)
    ones(source).sum().backward()
    return source.grad[0].double()


def filtered(network: Network) -> dict[Projection, float]:
    """Multiply-adds of W^T dL/dI in one step of a sample, where minimal filtering computes it."""
    found = {}
    layout = conv_layout.lay_out(network) if map_layers(network) else None
    for record, link in zip(layout.plan.links, layout.links) if layout else ():
        for projection, _ in link.parts if record["tiles"] else ():
            targets, sources = projection.weight.shape[:2]
            # the results of all projections of a link are transformed together
            transforms = TRANSFORM * (targets + sources / len(link.parts))
            found[projection] = float(record["tiles"] * (PRODUCTS * targets * sources + transforms))
    return found


def floors(counts: Counts, machine: dict[str, float]) -> dict[str, float]:
    """Columns: what is counted, what the machine can do, the milliseconds that follow, and the
    share of them that the arithmetic takes; computing and moving may go on side by side.
    """
    pace = max(machine["gflops_torch"], machine["gflops_fdi"])
    computing, moving = 2e-6 * counts.event / pace, 1e-6 * counts.moved / machine["gbps"]
    near = 1e-6 * counts.near / machine["gbps_near"]
    near += 1e-6 * counts.scattered / machine["gbps_scatter"]
    return {
        "dense_gflop": 2e-9 * counts.dense,
        "event_gflop": 2e-9 * counts.event,
        "back_gflop": 2e-9 * counts.back,
        "event_mib": counts.moved / 2**20,
        "near_mib": (counts.near + counts.scattered) / 2**20,
        **machine,
        "dense_floor_ms": 2e-6 * counts.dense / pace,
        "event_floor_ms": (floor := max(computing, moving, near)),
        "computing": computing / floor,
    }


def told(least: dict[str, float]) -> str:
    """`floors` in a line."""
    return (
        f"machine {least['gflops_torch']:.0f} (torch) and {least['gflops_fdi']:.0f} (fdi) GFLOP/s, "
        f"{least['gbps']:.0f}, near {least['gbps_near']:.0f} and scattered "
        f"{least['gbps_scatter']:.0f} GB/s; floors: "
        f"dense {least['dense_floor_ms']:.3g} ms ({least['dense_gflop']:.3g} GFLOP), "
        f"events {least['event_floor_ms']:.3g} ms ({least['event_gflop']:.3g} GFLOP, of which "
        f"{least['back_gflop']:.3g} back through weights at every step, "
        f"{least['event_mib']:.0f} and near {least['near_mib']:.0f} MiB)"
    )
