"""One sample of one layer over a whole trial, forward. Only potentials and lists of spikes are
kept.

A layer is populations side by side that share their constants. With one synaptic channel the units
0 .. exc - 1 are all units; with two, the recurrent projections of the units from `exc` on arrive on
the second channel. Constants `c` as in plan.constants.
"""

from __future__ import annotations

from fdi.snn.engine.cpu.kernels.rows import add, append, gather, inlined, jit
from fdi.snn.engine.cpu.kernels.simd import BYTES, fill, load, select, store


@inlined
def _update(u, t, width, currents, c, spikes, n):
    """S = H(U - theta), U' = (beta_m U + gain I) (1 - S), I' = beta_s I; appends the units that
    spike from n on, returns the new n.
    """
    beta_m, gain, beta_s, theta, zero = (
        fill(c[0]),
        fill(c[1]),
        fill(c[3]),
        fill(c[5]),
        fill(c[0] - c[0]),
    )
    for j in range(0, width, BYTES // u.itemsize):
        x, i = load(u, (t, j)), load(currents, (0, j))
        fired = x > theta
        store(u, (t + 1, j), select(fired, zero, beta_m * x + gain * i))
        store(currents, (0, j), beta_s * i)
        n = append(spikes, n, fired, j)
    return n


@inlined
def _update_two(u, t, width, currents, c, spikes, n):
    """The same for two channels: U' = (beta_m U + gain_0 I_0 + gain_1 I_1) (1 - S)."""
    beta_m, theta, zero = fill(c[0]), fill(c[5]), fill(c[0] - c[0])
    gain_0, gain_1, beta_0, beta_1 = fill(c[1]), fill(c[2]), fill(c[3]), fill(c[4])
    for j in range(0, width, BYTES // u.itemsize):
        x, i0, i1 = load(u, (t, j)), load(currents, (0, j)), load(currents, (1, j))
        fired = x > theta
        store(u, (t + 1, j), select(fired, zero, beta_m * x + (gain_0 * i0 + gain_1 * i1)))
        store(currents, (0, j), beta_0 * i0)
        store(currents, (1, j), beta_1 * i1)
        n = append(spikes, n, fired, j)
    return n


@jit
def hidden_forward(
    u,
    t0,
    t1,
    currents,
    channels,
    exc,
    recurrent_from,
    size,
    c,
    indptr,
    units,
    counts,
    table,
    drive,
    own,
    spike_indptr,
    spikes,
):
    """The steps t0 .. t1 - 1: potentials u [:, width] (row t - t0: U[t], row 0 is given), spikes as
    (spike_indptr [T + 1], spikes).

    `currents` [2, width] are those at t0 and become those at t1. (indptr, units, counts) are the
    events that arrive in the trial, `table` [:, width] their weight rows; `drive` [0, 1 or T,
    width] is a dense current of every step; `own` [size, width] are the recurrent weight rows, used
    for units from `recurrent_from` on.
    """
    width, ones, n = u.shape[1], counts[:0], spike_indptr[t0]
    for t in range(t0, t1):
        if channels == 1:
            n = _update(u, t - t0, width, currents, c, spikes, n)
        else:
            n = _update_two(u, t - t0, width, currents, c, spikes, n)
        spike_indptr[t + 1] = n
        if t == 0:
            continue
        gather(currents, (0,), width, table, units, counts, indptr[t - 1], indptr[t])
        if drive.shape[0] > 0:
            add(currents, (0,), drive, (min(t - 1, drive.shape[0] - 1),), width)
        if recurrent_from < size:
            start, stop = spike_indptr[t - 1], spike_indptr[t]
            while start < stop and spikes[start] < recurrent_from:
                start += 1
            border = start
            while border < stop and spikes[border] < exc:
                border += 1
            gather(currents, (0,), width, own, spikes, ones, start, border)
            if border < stop:
                gather(currents, (1,), width, own, spikes, ones, border, stop)


@jit
def readout_forward(u, currents, c, indptr, units, counts, table):
    """The leaky integrator: potentials u [T + 1, width], row t + 1 is the readout of step t; row 0
    is given.

    U' = beta_m U + gain I, I' = beta_s I.
    """
    steps, width = u.shape[0] - 1, u.shape[1]
    beta_m, gain, beta_s = fill(c[0]), fill(c[1]), fill(c[3])
    currents[0, :width] = 0
    for t in range(steps):
        for j in range(0, width, BYTES // u.itemsize):
            i = load(currents, (0, j))
            store(u, (t + 1, j), beta_m * load(u, (t, j)) + gain * i)
            store(currents, (0, j), beta_s * i)
        if t > 0:
            gather(currents, (0,), width, table, units, counts, indptr[t - 1], indptr[t])


@jit
def count_spikes(spike_indptr, spikes, count):
    """The spike `count` of each unit."""
    count[:] = 0
    for e in range(spike_indptr[0], spike_indptr[-1]):
        count[spikes[e]] += 1


@jit
def collect(layer, sample, t0, t1, plan, spike_indptr, spikes, indptr, arrived):
    """The spikes that `layer` receives from the layers below in the steps t0 .. t1 - 1 as one list,
    written to arrived[indptr[t0]:].

    Units of a source are shifted by the source's first weight row. `spike_indptr` [L, S, T + 1] and
    `spikes` are those of all layers.
    """
    n = indptr[t0]
    for t in range(t0, t1):
        for q in range(plan.first_source[layer], plan.first_source[layer + 1]):
            source, visible, shift = plan.source_layer[q], plan.source_units[q], plan.source_row[q]
            for e in range(spike_indptr[source, sample, t], spike_indptr[source, sample, t + 1]):
                unit = spikes[e]
                if unit >= visible:
                    break
                arrived[n] = unit + shift
                n += 1
        indptr[t + 1] = n
