"""Adjoints of one sample of one layer of convolutions in reverse time.

A window of the max pooling passes the gradient to its first spike, or to its first neuron if it is
silent, as torch does.
"""

from __future__ import annotations

from fdi.engine.cpu.conv.events import add_drive_gradient, deliver_back
from fdi.engine.cpu.conv.tiles import tiles_to_source
from fdi.engine.cpu.kernels.jit import inlined, jit
from fdi.engine.cpu.kernels.product import add_product
from fdi.engine.cpu.kernels.rows import copy
from fdi.engine.cpu.kernels.simd import constants, lanes, like, load, prefetch, select
from fdi.engine.cpu.neuron.equations import backward, slope


@inlined
def _winner(u, at, high, wide, row, column, theta):
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
def _adjoint(p, neuron, u, at, above, pulls, gu, far, now, later):
    """gS from the gradient at `above` and what `pulls` at the layer itself (-1: nothing); `gu`
    [size] becomes gU[t] and its state; the guarded maps of gI[t] at `now` come from those of
    gI[t + 1] at `later`. All are places in u.
    """
    width, padded, row, size = p.width, p.padded, p.row, p.size
    inside, guarded = p.inside, p.guarded
    for y in range(p.height):
        for x in range(width):
            for j in range(0, padded, lanes(u)):
                i, k = (y * width + x) * padded + j, inside + y * row + x * padded + j
                potential, gs = load(u, (at + i,)), load(u, (above + i,))
                v = potential - neuron.reset.theta
                prefetch(u, (at + i - size,))
                prefetch(u, (above + i - size,))
                if pulls >= 0:
                    gs = gs + load(u, (pulls + i,))
                spike, steep = v > like(v, 0), slope(neuron.surrogate, v)
                backward(
                    neuron, potential, spike, gs, steep, u, gu + i, far, u, now + k, later + k,
                    guarded, 0, 0,
                )  # fmt: skip


@inlined
def _window(
    p, neuron, u, at, window, whole, pulls, gu, far, now, later, corner, guard, high, wide, routed
):  # fmt: skip
    """The same for a window of `high` x `wide` neurons that begin at `corner`, in guarded maps at
    `guard`, from the gradient at `window` of what is pooled if it is a `whole` one. If nothing else
    pulls (`routed`), one of its neurons has a gS, and one slope is enough.
    """
    padded, row, size, line = p.padded, p.row, p.size, p.width * p.padded
    for j in range(0, padded, lanes(u)):
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
                    p.guarded, 0, 0,
                )  # fmt: skip


@inlined
def _pooled_adjoint(p, neuron, u, at, above, pulls, gu, far, now, later):
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
                    p, neuron, u, at, window, True, -1, gu, 0, now, later, corner, guard, 2, 2, True
                )  # fmt: skip
            else:
                high, wide = min(pool_y, p.height - top), min(pool_x, p.width - left)
                _window(
                    p, neuron, u, at, window, whole, pulls, gu, far, now, later, corner, guard,
                    high, wide, routed,
                )  # fmt: skip


@jit
def _to_source(plan, layer, q, g, at, steps, pace, out_at, out_step, natural, work):
    """Add W^T gI of link q to a layer, from the guarded maps of some `steps` at g[at:], `pace`
    apart, to the gradient of its source's spikes at g[out_at:], `out_step` apart, or put it there
    if the link is the first.
    """
    link, p = plan.links[q], plan.layers[layer]
    if link.tiles > 0:
        fresh = link.fresh > 0
        tiles_to_source(p, link, fresh, g, at, steps, pace, out_at, out_step, natural, work)
        return
    for s in range(steps):
        here, out = at + s * pace, out_at + s * out_step
        if link.fresh > 0:
            g[out : out + link.source_height * link.source_width * link.columns] = 0
        for i in range(link.first_strip, link.last_strip):
            start, step, rows = plan.strip[i, 0], plan.strip[i, 1], plan.strip[i, 2]
            a, a_step, w = plan.strip[i, 3], plan.strip[i, 4], plan.strip[i, 5]
            add_product(
                g, out + start, step, g, here + a, a_step, rows, natural, link.natural_at + w,
                link.inner, link.columns,
            )  # fmt: skip


@jit
def conv_backward(neurons, layer, plan, t0, t1, bounds, natural, d_tables, given, lists, work):
    """The steps t1 - 1 .. t0, a window of time. Adds to `d_tables`, to the gradient given.drive
    and to `above` of the sources: [span + 2, pooled size] of each layer, the gradient of the pooled
    spikes from step t0 - 2 on.

    `bounds`: where their gradient begins, or -1.
    Adjoints at t1 of the potential and the state, `map_gu`, and of the currents, [ring, channels,
    guarded], become those at t0. Links take those of `ring` steps together.
    """
    p, w, g = plan.layers[layer], work.at[0], work.numbers
    neuron = constants(neurons.kind, neurons.constants, layer)
    u, adjoints = w.map_potentials + p.size_at * (w.span + 1), w.map_adjoints + p.adjoints_at
    ring, pace, top = p.ring, plan.channels * p.guarded, plan.layers[plan.layers.size - 1]
    far, gu = min(plan.states, 1) * (top.size_at + top.size), w.map_gu + p.size_at
    for t in range(t1 - 1, t0 - 1, -1):
        now, later = adjoints + t % ring * pace, adjoints + (t + 1) % ring * pace
        pulls = bounds
        if p.recurrent > 0 and t + 2 < w.steps:
            pulls = w.pulls
            if bounds >= 0:
                copy(g, bounds, g, pulls, p.size)
            else:
                g[pulls : pulls + p.size] = 0
            for q in range(p.first_link, p.last_link):
                if plan.links[q].own > 0:
                    at = adjoints + (t + 2) % ring * pace + plan.links[q].synapse * p.guarded
                    _to_source(plan, layer, q, g, at, 1, 0, pulls, 0, natural, work)
        above = w.above + p.pooled_at * (w.span + 2) + (t - t0 + 2) * p.pooled
        at = u + (t - t0) * p.size
        if p.pool_x > 1:
            _pooled_adjoint(p, neuron, g, at, above, pulls, gu, far, now, later)
        else:
            _adjoint(p, neuron, g, at, above, pulls, gu, far, now, later)
        if t >= 2:
            deliver_back(plan, layer, t - 2, d_tables, g, now, given, lists, work)
        first, last = max(t, 2), min(t - t % ring + ring, t1)
        if (t % ring > 0 and t > t0) or first >= last:
            continue
        steps, now = last - first, adjoints + first % ring * pace
        if given.drive.shape[1] > 0:
            add_drive_gradient(p, given.drive, g, now, steps, pace)
        for q in range(p.first_link, p.last_link):
            if plan.links[q].source >= 0 and plan.links[q].own == 0:
                source = plan.layers[plan.links[q].source]
                out = w.above + source.pooled_at * (w.span + 2) + (first - t0) * source.pooled
                _to_source(plan, layer, q, g, now, steps, pace, out, source.pooled, natural, work)
