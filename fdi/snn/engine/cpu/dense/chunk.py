"""Forward, loss and backward of a whole network of dense layers for some samples of a batch,
without returning to Python.
"""

from __future__ import annotations

from fdi.snn.engine.cpu.dense.chunk_backward import run_backward
from fdi.snn.engine.cpu.dense.chunk_forward import run_forward
from fdi.snn.engine.cpu.kernels.rows import jit, outer
from fdi.snn.engine.cpu.loss import bounds, task


@outer
def run_chunk(
    first, last, plan, c, tables, natural, inputs, labels, loss, work, results, d_tables, d_drive
):
    """Samples first .. last - 1 of a batch.

    `inputs` = (indptr, units, counts, drive [B, 0, 1 or T, width]). `results` = (task [B],
    regularizer [B], prediction [B], spike counts [B, hidden units], readout [B, T, classes] or of
    size 0 if nobody wants it). Adds to the gradients `d_tables` and `d_drive`, unless
    `d_tables` is of size 0.
    """
    indptr, units, counts, drive = inputs
    tasks, regularizers, predictions, spikes, readout = results
    layers, block, steps = plan.units.size, work.indptr.shape[1], work.indptr.shape[2] - 1
    classes = plan.units[layers - 1]
    for start in range(first, last, block):
        n = min(block, last - start)
        for s in range(n):
            b, u = start + s, work.readout[s]
            for t in range(steps + 1):
                work.indptr[0, s, t] = indptr[b * steps + t]
            run_forward(s, plan, c, tables, (units, counts, drive[b]), spikes[b], work)
            tasks[b], predictions[b] = task(
                u,
                classes,
                labels[b],
                loss.mode,
                loss.task_weight * loss.scale,
                work.peak[s],
                work.slope[s],
            )
            regularizers[b] = bounds(
                spikes[b], plan.population_at, loss.group, loss.bounds, loss.scale, work.pull[s]
            )
            for t in range(readout.shape[1]):
                for k in range(classes):
                    readout[b, t, k] = u[t + 1, k]
        if d_tables.size > 0:
            given = (units, counts, drive[start : start + n])
            run_backward(
                n,
                plan,
                c,
                tables,
                natural,
                loss.mode,
                given,
                d_tables,
                d_drive[start : start + n],
                work,
            )


@jit
def add_up(parts, first, last):
    """Add the columns first .. last - 1 of all rows of `parts` to its row 0, in order."""
    for i in range(1, parts.shape[0]):
        for j in range(first, last):
            parts[0, j] += parts[i, j]
