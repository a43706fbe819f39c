"""Adjoints of the maps of one sample in reverse time, window after window.

A window of the max pooling passes the gradient to its first spike, or to its first neuron if it is
silent, as torch does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdi.engine.cpu.conv_events import Lists, add_drive_gradient, deliver_back
from fdi.engine.cpu.conv_forward import lists_of
from fdi.engine.cpu.conv_plan import NEAR
from fdi.engine.cpu.conv_winograd import tiles_to_source
from fdi.engine.cpu.dense_forward import Arriving
from fdi.engine.cpu.kernels.jit import Record, inlined, jit
from fdi.engine.cpu.kernels.rows import add_product, add_taps, copy
from fdi.engine.cpu.kernels.simd import (
    Mask,
    Vector,
    constants,
    lanes,
    like,
    load,
    own,
    prefetch,
    select,
)
from fdi.engine.cpu.loss import pull_of, readout_to_source
from fdi.engine.cpu.neuron_equations import InMaps, Kind, backward, slope
from fdi.engine.cpu.traces import Traces, add_to_maps, wanted

if TYPE_CHECKING:
    from fdi.engine.cpu.conv_plan import ConvPlan
    from fdi.engine.cpu.dense_layout import Parameters
    from fdi.engine.cpu.memory import Work
    from fdi.engine.cpu.neurons import DifferentNeurons, Neurons


@inlined
def _winner(
    u: np.ndarray, at: int, high: int, wide: int, row: int, column: int, theta: Vector
) -> tuple[Vector, Mask]:
    """V of the first neuron of a window that spikes, or of the first one if none does, and whether
    one does, from the potentials at u[at:].
    """
    v = load(u, (at,)) - theta
    some = v > like(theta, 0)
    for y in range(high):
        for x in range(wide):
            other = load(u, (at + y * row + x * column,)) - theta
            spike = other > like(theta, 0)
            v, some = select(spike & ~some, other, v), some | spike
    return v, some


@inlined
def _adjoint(
    p: Record, neurons: Neurons | DifferentNeurons, neuron: Kind, u: np.ndarray, at: int,
    above: int, pulls: int, gu: int, far: int, now: int, later: int, tables: np.ndarray,
) -> None:  # fmt: skip
    """gS from the gradient at `above` and what `pulls` at the layer itself (-1: nothing); `gu`
    [size] becomes gU[t] and its state; the guarded maps of gI[t] at `now` come from those of
    gI[t + 1] at `later`. All are places in u. What is learned of tau_mem goes to `tables`.
    """
    width, padded, size, guarded = p.width, p.padded, p.size, p.guarded
    for y in range(p.height):
        i, k = y * width * padded, p.inside + y * p.row
        for _ in range(width):
            for j in range(0, padded, lanes(u)):
                potential, gs = load(u, (at + i,)), load(u, (above + i,))
                one = own(neuron, neurons, p.channels_at + j)
                v = potential - one.reset.theta
                prefetch(u, (at + i - size,))
                prefetch(u, (above + i - size,))
                if pulls >= 0:
                    gs = gs + load(u, (pulls + i,))
                spike, steep = v > like(v, 0), InMaps(slope(one.surrogate, v))
                backward(
                    one, potential, spike, gs, steep, u, gu + i, far, u, now + k, later + k,
                    guarded, (), at + i + size, tables, p.learned_at + j,
                )  # fmt: skip
                i, k = i + lanes(u), k + lanes(u)


@inlined
def _window(
    p: Record, neurons: Neurons | DifferentNeurons, kind: Kind, u: np.ndarray, at: int, window: int,
    whole: bool, pulls: int, gu: int, far: int, now: int, later: int, corner: int, guard: int,
    high: int, wide: int, routed: bool, tables: np.ndarray,
) -> None:  # fmt: skip
    """The same for a window of `high` x `wide` neurons that begin at `corner`, in guarded maps at
    `guard`, from the gradient at `window` of what is pooled if it is a `whole` one. If nothing else
    pulls (`routed`), one of its neurons has a gS, and one slope is enough.
    """
    padded, row, size, line = p.padded, p.row, p.size, p.width * p.padded
    for j in range(0, padded, lanes(u)):
        neuron = own(kind, neurons, p.channels_at + j)
        theta = neuron.reset.theta
        zero = like(theta, 0)
        pooled = zero
        if whole:
            pooled = load(u, (window + j,))
            prefetch(u, (window + j - p.pooled,))
        one, seen = _winner(u, at + corner + j, high, wide, line, padded, theta)
        steep = slope(neuron.surrogate, one)
        first, seen = select(seen, zero, pooled), zero > zero
        for y in range(high):
            for x in range(wide):
                i = corner + y * line + x * padded + j
                k = guard + y * row + x * padded + j
                potential = load(u, (at + i,))
                v = potential - theta
                prefetch(u, (at + i - size,))
                spike = v > zero
                gs = first + select(spike & ~seen, pooled, zero)
                seen, first = seen | spike, zero
                if not routed:
                    steep = slope(neuron.surrogate, v)
                if pulls >= 0:
                    gs = gs + load(u, (pulls + i,))
                backward(
                    neuron, potential, spike, gs, steep, u, gu + i, far, u, now + k, later + k,
                    p.guarded, (), at + i + size, tables, p.learned_at + j,
                )  # fmt: skip


@inlined
def _pooled_adjoint(
    p: Record, neurons: Neurons | DifferentNeurons, neuron: Kind, u: np.ndarray, at: int,
    above: int, pulls: int, gu: int, far: int, now: int, later: int, tables: np.ndarray,
) -> None:  # fmt: skip
    """The same from the gradient of what is pooled, window by window; the loops over those of the
    commonest size are known when this is compiled.
    """
    pool_y, pool_x, routed = p.pool_y, p.pool_x, pulls < 0 and far == 0
    rows, columns = p.height // pool_y, p.width // pool_x
    square = routed and pool_y == 2 and pool_x == 2
    for wy in range(-(-p.height // pool_y)):
        for wx in range(-(-p.width // pool_x)):
            top, left, whole = wy * pool_y, wx * pool_x, wy < rows and wx < columns
            window = above + (wy * columns + wx) * p.padded
            corner = (top * p.width + left) * p.padded
            guard = p.inside + top * p.row + left * p.padded
            if square and whole:
                _window(
                    p, neurons, neuron, u, at, window, True, -1, gu, 0, now, later, corner, guard,
                    2, 2, True, tables,
                )  # fmt: skip
            else:
                high, wide = min(pool_y, p.height - top), min(pool_x, p.width - left)
                _window(
                    p, neurons, neuron, u, at, window, whole, pulls, gu, far, now, later, corner,
                    guard, high, wide, routed, tables,
                )  # fmt: skip


@inlined
def adjoint_of_maps(
    p: Record, neurons: Neurons | DifferentNeurons, neuron: Kind, u: np.ndarray, at: int,
    above: int, pulls: int, gu: int, far: int, now: int, later: int, tables: np.ndarray,
) -> None:  # fmt: skip
    """The same from the gradient `above` of what the layers above see, pooled or not."""
    if p.pool_x > 1:
        _pooled_adjoint(p, neurons, neuron, u, at, above, pulls, gu, far, now, later, tables)
    else:
        _adjoint(p, neurons, neuron, u, at, above, pulls, gu, far, now, later, tables)


@jit
def to_source(
    plan: ConvPlan, layer: int, q: int, g: np.ndarray, at: int, steps: int, pace: int, out_at: int,
    out_step: int, natural: np.ndarray, work: Work,
) -> None:  # fmt: skip
    """Add W^T gI of link q to a layer, from the guarded maps of some `steps` at g[at:], `pace`
    apart, to the gradient of its source's spikes at g[out_at:], `out_step` apart, or put it there
    if the link is the first.
    """
    link, p = plan.links[q], plan.layers[layer]
    if link.tiles > 0:
        fresh = link.fresh > 0
        tiles_to_source(p, link, fresh, g, at, steps, pace, out_at, out_step, natural, work)
        return
    gap = link.stride_x * link.inner * link.columns
    for s in range(steps):
        here, out = at + s * pace, out_at + s * out_step
        if link.fresh > 0:
            g[out : out + link.source_height * link.source_width * link.columns] = 0
        for i in range(link.first_strip, link.last_strip):
            start, step, rows = plan.strip[i, 0], plan.strip[i, 1], plan.strip[i, 2]
            a, a_step, w = plan.strip[i, 3], plan.strip[i, 4], plan.strip[i, 5]
            add_taps(
                g, out + start, step, g, here + a, a_step, rows, natural, link.natural_at + w,
                link.inner, link.columns, plan.strip[i, 6], gap,
            )  # fmt: skip


@inlined
def _through_own(
    plan: ConvPlan, layer: int, later: int, bounds: int, natural: np.ndarray, work: Work
) -> int:
    """Adds W^T gI of the layer's own projections, the adjoints at `later`, to the gradient of the
    `bounds` (-1: none); returns where the sum begins.
    """
    p, g, pulls = plan.layers[layer], work.numbers, work.at[0].pulls
    if bounds >= 0:
        copy(g, bounds, g, pulls, p.size)
    else:
        g[pulls : pulls + p.size] = 0
    for q in range(p.first_link, p.last_link):
        if plan.links[q].own > 0:
            at = later + plan.links[q].synapse * p.guarded
            to_source(plan, layer, q, g, at, 1, 0, pulls, 0, natural, work)
    return pulls


@jit
def conv_backward(
    neurons: Neurons | DifferentNeurons, layer: int, plan: ConvPlan, first: int, t0: int, t1: int,
    bounds: int, natural: np.ndarray, d_tables: np.ndarray, given: Arriving, traces: Traces, b: int,
    lists: Lists, work: Work,
) -> None:  # fmt: skip
    """The steps t1 - 1 .. t0 of sample b, of a window of time that begins with step `first`. Adds
    to `d_tables`, to the gradient given.drive and to `above` of the sources: [NEAR + 2, pooled
    size] of each layer, the gradient of the pooled spikes from step t0 - 2 on.

    `bounds`: where their gradient begins, or -1.
    Adjoints at t1 of the potential and the state, `map_gu`, and of the currents, [ring, channels,
    guarded], become those at t0. Links take those of `ring` steps together.
    """
    p, w, g = plan.layers[layer], work.at[0], work.numbers
    neuron = constants(neurons.kind, neurons.constants, layer, 1)
    u, adjoints = w.map_potentials + p.size_at * (w.span + 1), w.map_adjoints + p.adjoints_at
    ring, pace, top = p.ring, plan.channels * p.guarded, plan.layers[plan.layers.size - 1]
    far, gu = min(plan.states, 1) * (top.size_at + top.size), w.map_gu + p.size_at
    for t in range(t1 - 1, t0 - 1, -1):
        # A recurrent spike of step t arrives in step t + 2, whose adjoint is still in the ring.
        pulls = bounds
        if wanted(traces):
            pulls = add_to_maps(p, b, t, traces, bounds, gu, work)
        if p.recurrent > 0 and t + 2 < w.steps:
            later = adjoints + (t + 2) % ring * pace
            pulls = _through_own(plan, layer, later, pulls, natural, work)
        above, at = _above(p, work) + (t - t0 + 2) * p.pooled, u + (t - first) * p.size
        now, later = adjoints + t % ring * pace, adjoints + (t + 1) % ring * pace
        adjoint_of_maps(p, neurons, neuron, g, at, above, pulls, gu, far, now, later, d_tables)
        if t >= 2:
            deliver_back(plan, layer, t - 2, d_tables, g, now, given, lists, work)
        # Adjoints of `ring` steps are taken to the sources together, when the earliest of them is
        # known; those of step t come from spikes of step t - 2, so the first two have no source.
        early, late = max(t, 2), min(t - t % ring + ring, t1)
        if (t % ring > 0 and t > t0) or early >= late:
            continue
        steps, now = late - early, adjoints + early % ring * pace
        if given.drive.shape[1] > 0:
            add_drive_gradient(p, given.drive, g, now, steps, pace)
        for q in range(p.first_link, p.last_link):
            if plan.links[q].source >= 0 and plan.links[q].own == 0:
                source = plan.layers[plan.links[q].source]
                out = _above(source, work) + (early - t0) * source.pooled
                to_source(plan, layer, q, g, now, steps, pace, out, source.pooled, natural, work)


@inlined
def start_maps_backward(plan: ConvPlan, work: Work) -> None:
    """Nothing but bounds pulls behind the last step."""
    w, top = work.at[0], plan.layers[plan.layers.size - 1]
    adjoints = top.adjoints_at + top.ring * plan.channels * top.guarded
    work.numbers[w.map_leak : w.map_leak + 2 * top.pooled] = 0
    work.numbers[w.map_gu : w.map_gu + (1 + plan.states) * (top.size_at + top.size)] = 0
    work.numbers[w.map_adjoints : w.map_adjoints + adjoints] = 0
    for layer in range(plan.layers.size):
        work.starts[w.map_pulled + layer] = pull_at_maps(plan.layers[layer], work)


@inlined
def _above(p: Record, work: Work) -> int:
    """Where the gradient of the pooled spikes of layer p begins."""
    return work.at[0].above + p.pooled_at * (min(work.at[0].span, NEAR) + 2)


@inlined
def _clear_above(t0: int, t1: int, plan: ConvPlan, work: Work) -> None:
    """Sets the gradient of the pooled spikes for the steps t0 .. t1 - 1 to what the ones behind
    them found, as far as no link puts it there.
    """
    numbers, n = work.numbers, t1 - t0
    for layer in range(plan.layers.size):
        p, start = plan.layers[layer], _above(plan.layers[layer], work)
        end = start + n * p.pooled
        if t1 < work.at[0].steps:
            for row in (1, 0):
                copy(numbers, start + row * p.pooled, numbers, end + row * p.pooled, p.pooled)
        else:
            numbers[end : end + 2 * p.pooled] = 0
        if p.pulled == 0:
            numbers[start:end] = 0


@inlined
def _from_rows(
    first: int, t0: int, t1: int, plan: ConvPlan, network: Parameters, mode: int, work: Work
) -> None:
    """Adds what the dense layers of the `network` pull at the pooled spikes of the top layer in the
    steps t0 .. t1 - 1 of a window: gI of the first of them, or the readout if it is the only one.
    """
    rows, natural, w = network.plan, network.natural, work.at[0]
    top, layer = plan.layers[plan.layers.size - 1], rows.layers[0]
    at, out, early = rows.sources[layer.first_source].natural_at, _above(top, work), max(t0, 2)
    if rows.layers.size > 1:
        add_product(
            work.numbers, out + (early - t0) * top.pooled, top.pooled, work.numbers,
            w.adjoints + (early - first + 2) * layer.width, layer.width, t1 - early, natural, at,
            top.pooled, layer.units, top.pooled,
        )  # fmt: skip
    else:
        readout_to_source(
            pull_of(network, mode, work), 0, t0, t1, natural, at, top.pooled, w.map_leak,
            work.numbers, out, top.pooled,
        )  # fmt: skip


@inlined
def maps_backward(
    k: int, plan: ConvPlan, network: Parameters, mode: int, d_tables: np.ndarray, given: Arriving,
    traces: Traces, b: int, work: Work,
) -> None:  # fmt: skip
    """The maps of sample b back through window k; potentials are those of the window."""
    w, lists, neurons = work.at[0], lists_of(plan, work), network.map_neurons
    first, behind = k * w.span, min((k + 1) * w.span, w.steps)
    while behind > first:
        t0 = max(first, (behind - 1) // NEAR * NEAR)
        _clear_above(t0, behind, plan, work)
        _from_rows(first, t0, behind, plan, network, mode, work)
        for layer in range(plan.layers.size - 1, -1, -1):
            drive = given.drive
            if layer > 0:
                drive = drive[:, :0]
            arriving = Arriving(given.indptr, given.units, given.counts, drive)
            conv_backward(
                neurons, layer, plan, first, t0, behind, work.starts[w.map_pulled + layer],
                network.natural, d_tables, arriving, traces, b, lists, work,
            )  # fmt: skip
        behind = t0


@inlined
def pull_at_maps(p: Record, work: Work) -> int:
    """Puts the gradient of the bounds, in the order of torch, into that of a layer's map; returns
    where it begins, or -1 if it is zero.
    """
    w, numbers, positions = work.at[0], work.numbers, p.height * p.width
    first, at, pulled = w.pull + p.spikes_at, w.map_pull + p.size_at, False
    for i in range(first, first + p.channels * positions):
        pulled |= numbers[i] != 0
    if not pulled:
        return -1
    for j in range(p.padded):
        for place in range(positions):
            to = at + place * p.padded + j
            numbers[to] = numbers[first + j * positions + place] if j < p.channels else 0
    return at
