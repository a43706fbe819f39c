"""The layers of a sample one after the other, window after window of time."""

from __future__ import annotations

from fdi.snn.engine.cpu.dense.forward import collect, count_spikes, hidden_forward, readout_forward
from fdi.snn.engine.cpu.dense.views import arriving, layer_tables
from fdi.snn.engine.cpu.kernels.rows import copy, outer


@outer
def run_window(k, s, t0, t1, first_time, plan, c, tables, given, work):
    """Sample s of the block through the hidden layers, from step t0 to t1 - 1 of window k."""
    units, counts, drive = given
    top, block, steps, span = (
        plan.units.size - 1,
        work.indptr.shape[1],
        work.indptr.shape[2] - 1,
        work.span,
    )
    pace, flat = 3 * block * plan.state_at[top], work.rows.reshape(-1)
    for layer in range(top):
        width = plan.width[layer]
        start = plan.state_at[layer] * block + s * width
        u = work.potentials[start * (span + 1) : (start + width) * (span + 1)].reshape(
            span + 1, width
        )
        table, own = layer_tables(tables, plan, layer)
        indptr, arrived, weights, current = work.indptr[0, s], units, counts, drive
        if layer > 0:
            if first_time and plan.direct[layer] < 0:
                collect(
                    layer,
                    s,
                    t0,
                    t1,
                    plan,
                    work.spike_indptr,
                    work.spikes,
                    work.indptr[layer, s],
                    work.arrived,
                )
            lists, arrived = arriving(plan, layer, work)
            indptr, weights, current = lists[s], counts[:0], drive[:0]
        at = 3 * start + min(k * pace, work.saved.size - pace)
        copy(work.saved, at, work.potentials, start * (span + 1), width)
        for channel in range(plan.channels[layer]):
            copy(work.saved, at + (1 + channel) * width, flat, channel * work.rows.shape[1], width)
        hidden_forward(
            u, t0, t1, work.rows, plan.channels[layer], plan.exc[layer], plan.recurrent_from[layer], plan.units[layer], c[layer],
            indptr, arrived, weights, table, current, own, work.spike_indptr[layer, s], work.spikes,
        )  # fmt: skip
        if first_time and t1 < steps:
            at = 3 * start + min((k + 1) * pace, work.saved.size - pace)
            copy(work.potentials, start * (span + 1) + (t1 - t0) * width, work.saved, at, width)
            for channel in range(plan.channels[layer]):
                copy(
                    flat,
                    channel * work.rows.shape[1],
                    work.saved,
                    at + (1 + channel) * width,
                    width,
                )


@outer
def run_forward(s, plan, c, tables, given, count, work):
    """Sample s of the block through all layers; sets the spike `count` [hidden units]."""
    layers, block, steps, span = (
        plan.units.size,
        work.indptr.shape[1],
        work.indptr.shape[2] - 1,
        work.span,
    )
    most = (steps + 1) // 2
    for layer in range(layers):
        if layer > 0 and plan.direct[layer] < 0:
            work.indptr[layer, s, 0] = (
                plan.collected_at[layer] * block + plan.rows[layer] * s
            ) * most
        if layer < layers - 1:
            work.spike_indptr[layer, s, 0] = (
                plan.count_at[layer] * block + plan.units[layer] * s
            ) * most
            at, width = (
                3 * (plan.state_at[layer] * block + s * plan.width[layer]),
                plan.width[layer],
            )
            for j in range(at, at + 3 * width):
                work.saved[j] = c[layer, 7] if j - at < plan.units[layer] else 0
    for k in range(-(-steps // span)):
        run_window(k, s, k * span, min((k + 1) * span, steps), True, plan, c, tables, given, work)
    for layer in range(layers - 1):
        first = plan.count_at[layer]
        count_spikes(
            work.spike_indptr[layer, s], work.spikes, count[first : first + plan.units[layer]]
        )
    top = layers - 1
    u = work.readout[s]
    u[0, : plan.units[top]] = c[top, 7]
    table, _ = layer_tables(tables, plan, top)
    if plan.direct[top] < 0:
        collect(
            top,
            s,
            0,
            steps,
            plan,
            work.spike_indptr,
            work.spikes,
            work.indptr[top, s],
            work.arrived,
        )
    lists, arrived = arriving(plan, top, work)
    readout_forward(u, work.rows, c[top], lists[s], arrived, given[1][:0], table)
