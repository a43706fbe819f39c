"""The layers of a few samples in reverse order, window after window in reverse time."""

from __future__ import annotations

from fdi.snn.engine.cpu.dense.backward import hidden_backward
from fdi.snn.engine.cpu.dense.chunk_forward import run_window
from fdi.snn.engine.cpu.dense.views import arriving, layer_state, layer_tables, matrix
from fdi.snn.engine.cpu.kernels.product import add_product
from fdi.snn.engine.cpu.kernels.rows import copy, outer, repeat
from fdi.snn.engine.cpu.readout import readout_backward, readout_to_source


@outer
def _from_readout(n, t0, t1, plan, c, natural, mode, work):
    """Sets gS of the hidden layers in the window's rows to what the bounds and the readout say."""
    layers, block, steps, span = (
        plan.units.size,
        work.indptr.shape[1],
        work.indptr.shape[2] - 1,
        work.span,
    )
    for layer in range(layers - 1):
        first, second = plan.count_at[layer], plan.channels[layer] > 1
        g = layer_state(work.adjoints, plan, layer, block, span + 4)
        h = layer_state(work.adjoints_1, plan, layer, block, span + 4) if second else g
        for s in range(n):
            rows = span
            if t1 == steps:
                rows = t1 - t0 + 2
                g[s, rows : rows + 2] = 0
                if second:
                    h[s, rows : rows + 2] = 0
            else:
                width = plan.width[layer]
                at = (plan.state_at[layer] * block + s * width) * (span + 4)
                for row in range(3, -1, -1):
                    copy(
                        work.adjoints,
                        at + row * width,
                        work.adjoints,
                        at + (span + row) * width,
                        width,
                    )
                    if second:
                        copy(
                            work.adjoints_1,
                            at + row * width,
                            work.adjoints_1,
                            at + (span + row) * width,
                            width,
                        )
            repeat(work.pull, (s, first), g, s, rows)
    top = layers - 1
    for s in range(n):
        for q in range(plan.first_source[top], plan.first_source[top + 1]):
            source = plan.source_layer[q]
            weight = matrix(natural, plan.source_natural[q], plan.units[top], plan.source_units[q])
            g = layer_state(work.adjoints, plan, source, block, span + 4)
            leak = layer_state(work.leak, plan, source, block, 2)[s]
            readout_to_source(
                work.readout,
                s,
                t0,
                t1,
                mode,
                work.peak,
                work.slope,
                weight,
                leak,
                g,
                plan.width[source],
                c[top],
            )


@outer
def _hidden_backward(n, layer, t0, t1, plan, c, natural, d_tables, units, counts, d_drive, work):
    """One hidden layer from step t1 - 1 to t0, and gS of its sources."""
    block, steps, span = work.indptr.shape[1], work.indptr.shape[2] - 1, work.span
    size, second = plan.units[layer], plan.channels[layer] > 1
    u = layer_state(work.potentials, plan, layer, block, span + 1)
    g = layer_state(work.adjoints, plan, layer, block, span + 4)
    h = layer_state(work.adjoints_1, plan, layer, block, span + 4) if second else g
    gu = layer_state(work.gu, plan, layer, block, 1)[:, 0]
    d_table, d_own = layer_tables(d_tables, plan, layer)
    indptr, arrived, weights, current = work.indptr[0], units, counts, d_drive
    if layer > 0:
        indptr, arrived = arriving(plan, layer, work)
        weights, current = counts[:0], d_drive[:, :0]
    hidden_backward(
        n, steps, t0, t1, size, u, g, h, gu, plan.channels[layer], plan.exc[layer], plan.recurrent_from[layer], c[layer], natural,
        plan.own_natural[layer, 0], plan.own_natural[layer, 1], indptr, arrived, weights, d_table, work.spike_indptr[layer],
        work.spikes, d_own, current,
    )  # fmt: skip
    first = max(t0, 2) - t0
    for q in range(plan.first_source[layer], plan.first_source[layer + 1]):
        source, seen = plan.source_layer[q], plan.source_units[q]
        if source >= 0:
            width, step = plan.width[layer], plan.width[source]
            for s in range(n):
                add_product(
                    work.adjoints, (plan.state_at[source] * block + s * step) * (span + 4) + first * step, step,
                    work.adjoints, (plan.state_at[layer] * block + s * width) * (span + 4) + (first + 2) * width, width,
                    t1 - t0 - first, natural, plan.source_natural[q], size, seen,
                )  # fmt: skip


@outer
def run_backward(n, plan, c, tables, natural, mode, given, d_tables, d_drive, work):
    """Adds the gradients of n samples, window after window in reverse; potentials of all but the
    last are computed again.
    """
    units, counts, drive = given
    layers, steps, span = plan.units.size, work.indptr.shape[2] - 1, work.span
    top, windows = layers - 1, -(-steps // span)
    d_table, _ = layer_tables(d_tables, plan, top)
    indptr, arrived = arriving(plan, top, work)
    for s in range(n):
        readout_backward(
            work.readout,
            s,
            mode,
            work.peak,
            work.slope,
            work.rows,
            c[top],
            indptr,
            arrived,
            counts[:0],
            d_table,
        )
    work.leak[:] = 0
    work.gu[:] = 0
    for k in range(windows - 1, -1, -1):
        t0, t1 = k * span, min((k + 1) * span, steps)
        for s in range(n if k < windows - 1 else 0):
            run_window(k, s, t0, t1, False, plan, c, tables, (units, counts, drive[s]), work)
        _from_readout(n, t0, t1, plan, c, natural, mode, work)
        for layer in range(layers - 2, -1, -1):
            _hidden_backward(
                n, layer, t0, t1, plan, c, natural, d_tables, units, counts, d_drive, work
            )
