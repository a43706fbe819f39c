"""One sample of one layer over a whole trial, forward. Only potentials and lists of spikes are kept.

A layer is populations side by side that share their constants. With one synaptic channel the units 0..exc - 1 are all units; with two,
the recurrent projections of the units from `exc` on arrive on the second channel.
"""

from __future__ import annotations

from fdi.snn.engine.cpu.rows import compact, gather, jit


@jit
def _update(u, following, i, fired, c):
    """S = H(U - theta), U' = (beta_m U + gain I) (1 - S), I' = beta_s I."""
    beta_m, gain, beta_s, theta = c[0], c[1], c[3], c[5]
    zero = theta - theta
    for j in range(u.size):
        spike = u[j] > theta
        fired[j] = spike
        following[j] = zero if spike else beta_m * u[j] + gain * i[j]
        i[j] = beta_s * i[j]


@jit
def _update_two(u, following, i0, i1, fired, c):
    """The same for two channels: U' = (beta_m U + gain_0 I_0 + gain_1 I_1) (1 - S)."""
    beta_m, gain0, gain1, beta_0, beta_1, theta = c[0], c[1], c[2], c[3], c[4], c[5]
    zero = theta - theta
    for j in range(u.size):
        spike = u[j] > theta
        fired[j] = spike
        following[j] = zero if spike else beta_m * u[j] + (gain0 * i0[j] + gain1 * i1[j])
        i0[j] = beta_0 * i0[j]
        i1[j] = beta_1 * i1[j]


@jit
def hidden_forward(u, currents, fired, words, channels, exc, recurrent_from, c, afferents, table, drive, own, spikes, count):
    """Potentials u [T + 1, width] (row t: U[t], row 0 is given), spikes into `spikes` = (indptr [T + 1], units), their number into `count`.

    `afferents` = (indptr, units, counts) of the trial and their weight rows `table`; `drive` [0, 1 or T, width] is a dense current of
    every step; `own` [units, width] are the recurrent weight rows, used for units from `recurrent_from` on.
    """
    indptr, units, counts = afferents
    spike_indptr, spike_units = spikes
    steps, size = u.shape[0] - 1, count.size
    currents[:] = 0
    count[:] = 0
    i0, i1 = currents[0], currents[1]
    ones = counts[:0]
    n = 0
    spike_indptr[0] = 0
    for t in range(steps):
        if channels == 1:
            _update(u[t], u[t + 1], i0, fired, c)
        else:
            _update_two(u[t], u[t + 1], i0, i1, fired, c)
        if t > 0:
            gather(i0, table, units, counts, indptr[t - 1], indptr[t])
            if drive.shape[0] > 0:
                row = drive[min(t - 1, drive.shape[0] - 1)]
                for j in range(row.size):
                    i0[j] += row[j]
            if recurrent_from < size:
                start, stop = spike_indptr[t - 1], spike_indptr[t]
                while start < stop and spike_units[start] < recurrent_from:
                    start += 1
                border = start
                while border < stop and spike_units[border] < exc:
                    border += 1
                gather(i0, own, spike_units, ones, start, border)
                gather(i1, own, spike_units, ones, border, stop)
        first = n
        n = compact(fired, words, spike_units, n)
        spike_indptr[t + 1] = n
        for e in range(first, n):
            count[spike_units[e]] += 1


@jit
def _integrate(u, following, i, c):
    """U' = beta_m U + gain I, I' = beta_s I."""
    beta_m, gain, beta_s = c[0], c[1], c[3]
    for j in range(u.size):
        following[j] = beta_m * u[j] + gain * i[j]
        i[j] = beta_s * i[j]


@jit
def readout_forward(u, current, c, afferents, table):
    """The leaky integrator: potentials u [T + 1, width], row t + 1 is the readout of step t; row 0 is given."""
    indptr, units, counts = afferents
    current[:] = 0
    for t in range(u.shape[0] - 1):
        _integrate(u[t], u[t + 1], current, c)
        if t > 0:
            gather(current, table, units, counts, indptr[t - 1], indptr[t])


@jit
def collect(layer, sample, plan, spike_indptr, spike_units, indptr, arrived, n):
    """The spikes that `layer` receives from the layers below as one list, written to arrived[n:].

    Units of a source are shifted by the source's first weight row. `spike_indptr` and `spike_units` are those of all layers.
    """
    indptr[0] = n
    for t in range(indptr.size - 1):
        for q in range(plan.first_source[layer], plan.first_source[layer + 1]):
            source, visible, shift = plan.source_layer[q], plan.source_units[q], plan.source_row[q]
            for e in range(spike_indptr[source, sample, t], spike_indptr[source, sample, t + 1]):
                unit = spike_units[source, sample, e]
                if unit >= visible:
                    break
                arrived[n] = unit + shift
                n += 1
        indptr[t + 1] = n
