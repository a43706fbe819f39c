"""Where a layer's numbers are in the flat arrays of plan.py and work.py."""

from __future__ import annotations

from fdi.snn.engine.cpu.kernels.rows import outer


@outer
def layer_state(flat, plan, layer, samples, rows):
    """[samples, rows, width]: the part of a flat store that belongs to `layer`."""
    width, start = plan.width[layer], plan.state_at[layer] * samples * rows
    return flat[start : start + samples * rows * width].reshape(samples, rows, width)


@outer
def layer_tables(flat, plan, layer):
    """(afferent rows, recurrent rows) of `layer`, each [:, width]."""
    width, start, own = plan.width[layer], plan.table_at[layer], plan.own_at[layer]
    stop = own + (
        plan.units[layer] * width if plan.recurrent_from[layer] < plan.units[layer] else 0
    )
    return flat[start:own].reshape(plan.rows[layer], width), flat[own:stop].reshape(
        (stop - own) // width, width
    )


@outer
def matrix(flat, start, rows, columns):
    return flat[start : start + rows * columns].reshape(rows, columns)


@outer
def arriving(plan, layer, work):
    """(indptr [S, T + 1], units): the spikes that reach a layer above the first."""
    direct = plan.direct[layer]
    return (
        (work.indptr[layer], work.arrived)
        if direct < 0
        else (work.spike_indptr[direct], work.spikes)
    )
