"""What the kernels must know about a network of convolutions, as arrays of numbers.

Maps are stored channels last: [height, width, channels padded to LANES], lengths have height 1.
Currents and their adjoints carry `guard` columns of zeros at both ends of each row, so that a
kernel never needs to be cut. The spike of channel c at position p has the code (p << shift) + c. A
*link* is the convolution from one source (the input, the layer itself, or a layer below) to one
layer.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fdi.snn.engine.cpu.conv.geometry import Geometry, runs, strips, windows
from fdi.snn.engine.cpu.dense.plan import WIDTH, check_layer
from fdi.snn.network import INPUT, Network
from fdi.snn.projection import Projection

LANES = 16


class ConvPlan(NamedTuple):
    """[L] has one number a hidden layer, [Q] one a link; sizes and starts count numbers, not
    bytes.
    """

    height: np.ndarray  # [L]
    width: np.ndarray  # [L]
    channels: np.ndarray  # [L] of all populations of the layer
    padded: np.ndarray  # [L]
    visible: np.ndarray  # [L] channels that the layers above see
    shift: np.ndarray  # [L]
    guard: np.ndarray  # [L]
    pool_y: np.ndarray  # [L]
    pool_x: np.ndarray  # [L]
    synapses: np.ndarray  # [L] synaptic channels
    ring: np.ndarray  # [L] steps for which adjoints of the currents are kept
    size: np.ndarray  # [L] height width padded
    guarded: np.ndarray  # [L] height (width + 2 guard) padded
    pooled: np.ndarray  # [L] the same as size of what the layers above see
    size_at: np.ndarray  # [L] sums of the sizes before
    guarded_at: np.ndarray  # [L]
    pooled_at: np.ndarray  # [L]
    spikes_at: np.ndarray  # [L] units before, in the order of torch: channels, height, width
    first_link: np.ndarray  # [L + 1]
    source: np.ndarray  # [Q] -1: the input
    own: np.ndarray  # [Q] 1: the layer itself, without pooling
    synapse: np.ndarray  # [Q] synaptic channel
    low: np.ndarray  # [Q] first channel of the source
    high: np.ndarray  # [Q] channel behind its last one
    table_at: np.ndarray  # [Q]
    block: np.ndarray  # [Q] numbers of one source channel in the table
    natural_at: np.ndarray  # [Q]
    inner: np.ndarray  # [Q] target channels
    columns: np.ndarray  # [Q] source channels, padded
    first_run: np.ndarray  # [Q] start in run_start
    first_strip: np.ndarray  # [Q + 1]
    run_start: np.ndarray  # for each link [positions + 1], indices into run
    run: np.ndarray  # [:, 3] int32, see geometry.runs
    strip: np.ndarray  # [:, 6], see geometry.strips
    first_window: np.ndarray  # [L] start in window
    window: np.ndarray  # for each layer [positions], the pooling window of a position, or -1
    population_at: np.ndarray  # [P + 1] range of a population's units among all hidden units
    input_positions: int
    readout: np.ndarray  # units, padded width, start in the table, start in natural


class Link(NamedTuple):
    """The projections (one a target population) behind a link, and the channel at which each
    target's weights begin.
    """

    parts: tuple[tuple[Projection, int], ...]
    geometry: Geometry
    table_at: int
    natural_at: int


class ConvLayout(NamedTuple):
    plan: ConvPlan
    links: tuple[Link, ...]
    readout: Projection
    table_size: int
    natural_size: int


def plane(shape: tuple[int, ...]) -> tuple[int, int]:
    """(height, width) of (channels, length) or (channels, height, width)."""
    return (1, shape[1]) if len(shape) == 2 else (shape[1], shape[2])


def lay_out(network: Network) -> ConvLayout:
    """The plan of a network whose hidden projections are convolutions and whose readout reads its
    last layer.
    """
    home = {p.name: i for i, layer in enumerate(network.layers) for p in layer}
    columns = {field: [] for field in ConvPlan._fields}
    grouped = [_links(network, i, home) for i in range(len(network.layers))]
    links, tables, natural = [], 0, 0
    for i, layer in enumerate(network.layers):
        check_layer(layer)
        first = layer[0]
        height, width = plane(first.shape)
        channels = sum(p.shape[0] for p in layer)
        names, starts = [p.name for p in layer], [0, first.shape[0]]
        padded = -(-channels // LANES) * LANES
        guard = max(g.guard for _, _, g in grouped[i])
        pooled_height, pooled_width = (
            (height, width) if first.pool == 1 else plane(first.pooled_shape)
        )
        values = dict(
            height=height, width=width, channels=channels, padded=padded, visible=first.shape[0], shift=(padded - 1).bit_length(),
            guard=guard, pool_x=first.pool,
            pool_y=1 if len(first.shape) == 2 else first.pool, synapses=len(first.neuron.tau_syn),
            ring=3 if any(p.recurrent for (p, *_), _, _ in grouped[i]) else 1,
            size=height * width * padded, guarded=height * (width + 2 * guard) * padded, pooled=pooled_height * pooled_width * padded,
            size_at=sum(columns["size"]), guarded_at=sum(columns["guarded"]), pooled_at=sum(columns["pooled"]), first_link=len(links),
            spikes_at=sum(math.prod(p.shape) for below in network.layers[:i] for p in below),
        )  # fmt: skip
        for field, value in values.items():
            columns[field].append(value)
        columns["first_window"].append(len(columns["window"]))
        columns["window"] += windows((height, width), (values["pool_y"], values["pool_x"]))
        for projections, source, geometry in grouped[i]:
            p = projections[0]
            own = p.recurrent
            wide = columns["padded"][source] if source >= 0 else 0
            parts = tuple((q, starts[names.index(q.target)]) for q in projections)
            links.append(Link(parts, geometry, tables, natural))
            begin, table = runs(geometry, (height, width), padded, guard)
            columns["first_run"].append(len(columns["run_start"]))
            columns["run_start"] += [sum(map(len, columns["run"])) + k for k in begin]
            columns["run"].append(table)
            columns["first_strip"].append(sum(map(len, columns["strip"])))
            columns["strip"].append(
                strips(geometry, (height, width), padded, guard, wide, channels * wide)
            )
            block = math.prod(geometry.kernel) * padded
            rows = p.weight.shape[1]
            low = starts[names.index(p.source)] if own else 0
            for field, value in dict(
                source=source, own=int(own), synapse=p.channel, low=low, high=low + rows, table_at=tables, block=block,
                natural_at=natural, inner=channels, columns=wide,
            ).items():  # fmt: skip
                columns[field].append(value)
            tables += rows * block
            natural += math.prod(geometry.kernel) * channels * wide
    columns["first_link"].append(len(links))
    columns["first_strip"].append(sum(map(len, columns["strip"])))
    columns["population_at"] = np.cumsum([0, *(p.units for p in network.hidden)])
    columns["run"] = np.concatenate(columns["run"]).astype(np.int32)
    columns["strip"] = np.concatenate(columns["strip"])
    classes = network.readout.units
    wide = -(-classes // WIDTH) * WIDTH
    columns["readout"] = [classes, wide, tables, natural]
    positions = columns["pooled"][-1] // columns["padded"][-1]
    (readout,) = network.afferents(network.readout.name)
    if (
        readout.convolutional
        or home.get(readout.source) != len(network.layers) - 1
        or readout.source != network.layers[-1][0].name
    ):
        raise ValueError(
            f"CpuEngine does not compute the projection {readout.name}; use ReferenceEngine"
        )
    columns["input_positions"] = math.prod(network.input_shape[1:])
    ready = ("input_positions", "run")
    plan = ConvPlan(
        **{
            field: v if field in ready else np.asarray(v, dtype=np.int64)
            for field, v in columns.items()
        }
    )
    tables += (positions << columns["shift"][-1]) * wide
    natural += classes * columns["pooled"][-1]
    return ConvLayout(plan, tuple(links), readout, tables, natural)


def _links(
    network: Network, layer: int, home: dict[str, int]
) -> list[tuple[list[Projection], int, Geometry]]:
    """(projections, source layer, geometry) of every source of a layer."""
    targets = [p.name for p in network.layers[layer]]
    found: dict[tuple[str, bool], list[Projection]] = {}
    for target in targets:
        for projection in network.afferents(target):
            source = -1 if projection.source == INPUT else home[projection.source]
            fits = projection.convolutional and (
                source == layer if projection.recurrent else source < layer
            )
            if projection.recurrent:
                fits = fits and projection.channel == targets.index(projection.source)
            else:
                fits = (
                    fits
                    and projection.channel == 0
                    and (source == -1 or projection.source == network.layers[source][0].name)
                )
            if not fits:
                raise ValueError(
                    f"CpuEngine does not compute the projection {projection.name}; use "
                    f"ReferenceEngine"
                )
            found.setdefault((projection.source, projection.recurrent), []).append(projection)
    links = []
    for (source, recurrent), projections in found.items():
        if source == INPUT:
            shape = network.input_shape
        else:
            p = next(p for p in network.hidden if p.name == source)
            shape = p.shape if recurrent else p.pooled_shape
        links.append(
            (
                projections,
                -1 if source == INPUT else home[source],
                Geometry.of(projections[0], plane(shape)),
            )
        )
    return links
