"""Adjoints of one sample of one layer of convolutions in reverse time; the equations are those of
backward.py.

A window of the max pooling passes the gradient to its first spike, or to its first neuron if it is
silent, as torch does.
"""

from __future__ import annotations

from fdi.snn.engine.cpu.conv.events import add_drive, deliver
from fdi.snn.engine.cpu.kernels.product import add_product
from fdi.snn.engine.cpu.kernels.rows import inlined, jit
from fdi.snn.engine.cpu.kernels.simd import BYTES, absolute, fill, load, select, store


@inlined
def _adjoint(plan, layer, u, at, above, above_at, pull, extra, gu, g, now, then, c):
    """gS from the pooled gradient above[above_at:], `pull` [size] and `extra` [size]; gu [size]
    becomes gU[t]; the guarded maps of gI[t] at g[now:] come from those of gI[t + 1] at g[then:].
    """
    height, width, padded, guard = (
        plan.height[layer],
        plan.width[layer],
        plan.padded[layer],
        plan.guard[layer],
    )
    pool_y, pool_x, second, both = (
        plan.pool_y[layer],
        plan.pool_x[layer],
        plan.guarded[layer],
        plan.synapses[layer] > 1,
    )
    high, wide = height // pool_y, width // pool_x
    beta_m, theta, beta = fill(c[0]), fill(c[5]), fill(c[6])
    gain_0, gain_1, beta_0, beta_1 = fill(c[1]), fill(c[2]), fill(c[3]), fill(c[4])
    zero, one = fill(c.dtype.type(0)), fill(c.dtype.type(1))
    n = BYTES // u.itemsize
    for top in range(0, height, pool_y):
        for left in range(0, width, pool_x):
            bottom, right = min(top + pool_y, height), min(left + pool_x, width)
            inside = top // pool_y < high and left // pool_x < wide
            window = above_at + (top // pool_y * wide + left // pool_x) * padded
            for j in range(0, padded, n):
                pooled, seen = zero, zero > zero
                if inside:
                    pooled = load(above, (window + j,))
                if pool_x > 1 and inside:
                    some = seen
                    for y in range(top, bottom):
                        for x in range(left, right):
                            some = some | (load(u, (at + (y * width + x) * padded + j,)) > theta)
                    first = select(some, zero, pooled)
                else:
                    first = zero
                for y in range(top, bottom):
                    for x in range(left, right):
                        i = (y * width + x) * padded + j
                        k = (y * (width + 2 * guard) + guard + x) * padded + j
                        v = load(u, (at + i,)) - theta
                        spike = v > zero
                        if pool_x > 1:
                            gs = first + select(spike & ~seen, pooled, zero)
                            seen, first = seen | spike, zero
                        else:
                            gs = pooled
                        gs = gs + load(pull, (i,)) + load(extra, (i,))
                        through = select(spike, zero, load(gu, (i,)))
                        d = beta * absolute(v) + one
                        store(gu, (i,), beta_m * through + gs / (d * d))
                        store(g, (now + k,), beta_0 * load(g, (then + k,)) + gain_0 * through)
                        if both:
                            store(
                                g,
                                (now + second + k,),
                                beta_1 * load(g, (then + second + k,)) + gain_1 * through,
                            )


@jit
def _to_source(plan, q, g, at, out, out_at, natural):
    """Add W^T gI of link q, from the guarded map at g[at:], to the gradient of its source's spikes
    at out[out_at:].
    """
    inner, columns = plan.inner[q], plan.columns[q]
    for i in range(plan.first_strip[q], plan.first_strip[q + 1]):
        start, step, rows = plan.strip[i, 0], plan.strip[i, 1], plan.strip[i, 2]
        a, a_step, w = plan.strip[i, 3], plan.strip[i, 4], plan.strip[i, 5]
        add_product(
            out,
            out_at + start,
            step,
            g,
            at + a,
            a_step,
            rows,
            natural,
            plan.natural_at[q] + w,
            inner,
            columns,
        )


@jit
def conv_backward(
    plan,
    layer,
    steps,
    t0,
    t1,
    span,
    u,
    above,
    pull,
    extra,
    gu,
    g,
    c,
    natural,
    d_tables,
    inputs,
    d_drive,
    lists,
    rows,
):
    """From step t1 - 1 of a trial of `steps` to t0. Adds to `d_tables`, to `d_drive` [0, 1 or T,
    size] and to `above` of the sources: [span + 2, pooled size] of each layer, the gradient of the
    pooled spikes from step t0 - 2 on.

    `pull` [size]: what the bounds add to gS in every step; `u`: U[t0] and on; `gu` [size] and `g`
    [ring, 2, guarded]: adjoints at t1 of the potential and the currents, become those at t0;
    `extra` is scratch.
    """
    size, ring, pace = plan.size[layer], plan.ring[layer], 2 * plan.guarded[layer]
    extra[:size] = 0
    for t in range(t1 - 1, t0 - 1, -1):
        now, row = t % ring * pace, t - t0 + 2
        if ring > 1 and t + 2 < steps:
            extra[:size] = 0
            for q in range(plan.first_link[layer], plan.first_link[layer + 1]):
                if plan.own[q] > 0:
                    at = (t + 2) % ring * pace + plan.synapse[q] * plan.guarded[layer]
                    _to_source(plan, q, g, at, extra, 0, natural)
        pooled = plan.pooled_at[layer] * (span + 2) + row * plan.pooled[layer]
        _adjoint(
            plan,
            layer,
            u,
            (t - t0) * size,
            above,
            pooled,
            pull,
            extra,
            gu,
            g,
            now,
            (t + 1) % ring * pace,
            c,
        )
        if t < 2:
            continue
        deliver(plan, layer, t - 2, d_tables, g, now, True, inputs, lists, rows)
        if d_drive.shape[0] > 0:
            add_drive(plan, layer, g, now, d_drive, min(t - 2, d_drive.shape[0] - 1), True)
        for q in range(plan.first_link[layer], plan.first_link[layer + 1]):
            source = plan.source[q]
            if source >= 0 and plan.own[q] == 0:
                _to_source(
                    plan,
                    q,
                    g,
                    now,
                    above,
                    plan.pooled_at[source] * (span + 2) + (row - 2) * plan.pooled[source],
                    natural,
                )
