"""Forward, loss and backward of a whole network of dense layers for some samples of a batch, without returning to Python."""

from __future__ import annotations

from fdi.snn.engine.cpu.backward import hidden_backward
from fdi.snn.engine.cpu.forward import collect, hidden_forward, readout_forward
from fdi.snn.engine.cpu.loss import bounds, task
from fdi.snn.engine.cpu.product import add_product
from fdi.snn.engine.cpu.readout import readout_backward, readout_to_source
from fdi.snn.engine.cpu.rows import jit, outer


@outer
def _state(flat, plan, layer, samples, rows):
    """[samples, rows, width]: the part of a flat store that belongs to `layer`."""
    width, start = plan.width[layer], plan.state_at[layer] * samples * rows
    return flat[start : start + samples * rows * width].reshape(samples, rows, width)


@outer
def _tables(flat, plan, layer):
    """(afferent rows, recurrent rows) of `layer`, each [:, width]."""
    width, start, own = plan.width[layer], plan.table_at[layer], plan.own_at[layer]
    stop = own + (plan.units[layer] * width if plan.recurrent_from[layer] < plan.units[layer] else 0)
    return flat[start:own].reshape(plan.rows[layer], width), flat[own:stop].reshape((stop - own) // width, width)


@outer
def _matrix(flat, start, rows, columns):
    return flat[start : start + rows * columns].reshape(rows, columns)


@outer
def _forward(s, plan, c, tables, given, work):
    """Sample s of the block through all layers."""
    units, counts, drive, count = given
    layers, block, steps = plan.units.size, work.indptr.shape[1], work.indptr.shape[2] - 1
    for layer in range(layers):
        size = plan.units[layer]
        u = _state(work.potentials, plan, layer, block, steps + 1)[s]
        u[0, :size] = c[layer, 7]
        table, own = _tables(tables, plan, layer)
        indptr, arrived, weights, current = work.indptr[layer, s], units, counts, drive
        if layer > 0:
            arrived, weights, current = work.arrived[layer], counts[:0], drive[:0]
            collect(layer, s, plan, work.spike_indptr, work.spikes, indptr, arrived, s * (arrived.size // block))
        if layer == layers - 1:
            readout_forward(u, work.rows, c[layer], indptr, arrived, weights, table)
        else:
            first = plan.count_at[layer]
            hidden_forward(
                u, work.rows, plan.channels[layer], plan.exc[layer], plan.recurrent_from[layer], c[layer], indptr, arrived, weights,
                table, current, own, work.spike_indptr[layer, s], work.spikes[layer, s], count[first : first + size],
            )  # fmt: skip


@outer
def _backward_from_readout(n, plan, c, tables, d_tables, natural, mode, work):
    """Adds the gradient of the readout's weights, and sets gS of all hidden layers to what the bounds and the readout say."""
    layers, block, steps = plan.units.size, work.indptr.shape[1], work.indptr.shape[2] - 1
    for layer in range(layers - 1):
        size, first = plan.units[layer], plan.count_at[layer]
        g = _state(work.adjoints, plan, layer, block, steps + 2)
        for s in range(n):
            for t in range(steps):
                for j in range(size):
                    g[s, t, j] = work.pull[s, first + j]
                for j in range(size, g.shape[2]):
                    g[s, t, j] = 0
    top = layers - 1
    u = _state(work.potentials, plan, top, block, steps + 1)
    d_table, _ = _tables(d_tables, plan, top)
    for s in range(n):
        readout_backward(u, s, mode, work.peak, work.slope, work.rows, c[top], work.indptr[top], work.arrived[top], natural[:0], d_table)
        for q in range(plan.first_source[top], plan.first_source[top + 1]):
            source = plan.source_layer[q]
            weight = _matrix(natural, plan.source_natural[q], plan.units[top], plan.source_units[q])
            g = _state(work.adjoints, plan, source, block, steps + 2)
            readout_to_source(u, s, mode, work.peak, work.slope, weight, work.rows, g, plan.width[source], c[top])


@outer
def _backward(n, layer, plan, c, natural, d_tables, units, counts, d_drive, work):
    """One hidden layer, and gS of its sources."""
    block, steps = work.indptr.shape[1], work.indptr.shape[2] - 1
    size, exc, second = plan.units[layer], plan.exc[layer], plan.channels[layer] > 1
    u = _state(work.potentials, plan, layer, block, steps + 1)
    g = _state(work.adjoints, plan, layer, block, steps + 2)
    h = _state(work.adjoints_1, plan, layer, block, steps + 2) if second else g
    d_table, d_own = _tables(d_tables, plan, layer)
    arrived, weights, current = units, counts, d_drive
    if layer > 0:
        arrived, weights, current = work.arrived[layer], counts[:0], d_drive[:, :0]
    hidden_backward(
        n, size, u, g, h, work.pulls, plan.channels[layer], exc, plan.recurrent_from[layer], c[layer], natural, plan.own_natural[layer, 0],
        plan.own_natural[layer, 1], work.indptr[layer], arrived, weights, d_table, work.spike_indptr[layer], work.spikes[layer], d_own,
        current,
    )  # fmt: skip
    for q in range(plan.first_source[layer], plan.first_source[layer + 1]):
        source, seen = plan.source_layer[q], plan.source_units[q]
        if source >= 0:
            width, step = plan.width[layer], plan.width[source]
            for s in range(n):
                add_product(
                    work.adjoints, (plan.state_at[source] * block + s * step) * (steps + 2), step,
                    work.adjoints, (plan.state_at[layer] * block + s * width) * (steps + 2) + 2 * width, width,
                    steps - 2, natural, plan.source_natural[q], size, seen,
                )  # fmt: skip


@outer
def run_chunk(first, last, plan, c, tables, natural, inputs, labels, loss, work, results, d_tables, d_drive):
    """Samples first .. last - 1 of a batch.

    `inputs` = (indptr, units, counts, drive [B, 0, 1 or T, width]). `results` = (task [B], regularizer [B], prediction [B], spike counts
    [B, hidden units], readout [B, T, classes] or of size 0 if nobody wants it). Adds to the gradients `d_tables` and `d_drive`, unless
    `d_tables` is of size 0.
    """
    indptr, units, counts, drive = inputs
    tasks, regularizers, predictions, spikes, readout = results
    layers, block, steps = plan.units.size, work.indptr.shape[1], work.indptr.shape[2] - 1
    classes = plan.units[layers - 1]
    u = _state(work.potentials, plan, layers - 1, block, steps + 1)
    for start in range(first, last, block):
        n = min(block, last - start)
        for s in range(n):
            b = start + s
            for t in range(steps + 1):
                work.indptr[0, s, t] = indptr[b * steps + t]
            _forward(s, plan, c, tables, (units, counts, drive[b], spikes[b]), work)
            tasks[b], predictions[b] = task(u[s], classes, labels[b], loss.mode, loss.task_weight * loss.scale, work.peak[s], work.slope[s])
            regularizers[b] = bounds(spikes[b], plan.population_at, loss.group, loss.bounds, loss.scale, work.pull[s])
            for t in range(readout.shape[1]):
                for k in range(classes):
                    readout[b, t, k] = u[s, t + 1, k]
        if d_tables.size > 0:
            _backward_from_readout(n, plan, c, tables, d_tables, natural, loss.mode, work)
            for layer in range(layers - 2, -1, -1):
                _backward(n, layer, plan, c, natural, d_tables, units, counts, d_drive[start : start + n], work)


@jit
def add_up(parts, first, last):
    """Add the columns first .. last - 1 of all rows of `parts` to its row 0, in order."""
    for i in range(1, parts.shape[0]):
        for j in range(first, last):
            parts[0, j] += parts[i, j]
