"""One sample of one dense layer over a window of time, forward. Only potentials and lists of spikes
are kept.

A layer is populations side by side that share their constants. With one synaptic channel the units
0 .. exc - 1 are all units; with two, the recurrent projections of the units from `exc` on arrive on
the second channel.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fdi.snn.engine.cpu.kernels.jit import inlined, jit
from fdi.snn.engine.cpu.kernels.parts import part
from fdi.snn.engine.cpu.kernels.rows import add, append, gather
from fdi.snn.engine.cpu.kernels.simd import BYTES, constants, fill, load, store
from fdi.snn.engine.cpu.neuron.equations import forward


class Arriving(NamedTuple):
    """What arrives from below: events of sample s and step t are indptr[s, t] .. indptr[s, t + 1] -
    1 of (units, counts), `drive` [S, 0, 1 or T, width] is a dense current of every step, or in a
    backward pass its gradient.
    """

    indptr: np.ndarray
    units: np.ndarray
    counts: np.ndarray
    drive: np.ndarray


@inlined
def split(layer, spikes, start, stop):
    """(first of the spikes start .. stop - 1 that recurrent projections deliver, first of those
    that arrive on channel 1).
    """
    while start < stop and spikes[start] < layer.recurrent_from:
        start += 1
    border = start
    while border < stop and spikes[border] < layer.exc:
        border += 1
    return start, border


@jit
def hidden_forward(neurons, plan, layer, s, t0, t1, u_at, rows, arriving, table, own, work):
    """The steps t0 .. t1 - 1 of sample s: potentials from `u_at` on in the scratch memory (row t -
    t0: U[t], row 0 is given), and the lists of spikes.

    `rows`: currents and state at t0, become those at t1. `table` and `own` [:, width]: weight rows
    of what arrives and of the layer itself.
    """
    p, w, u = plan.layers[layer], work.at[0], work.numbers
    begin = w.spike_indptr + (layer * w.block + s) * (w.steps + 1)
    spike_indptr = part(work.starts, begin, (w.steps + 1,))
    spikes, indptr, drive = part(work.lists, w.spikes, (1,)), arriving.indptr, arriving.drive
    far, n, ones = rows.shape[1], spike_indptr[t0], arriving.counts[:0]
    neuron = constants(neurons.kind, neurons.constants, layer)
    for t in range(t0, t1):
        row, state = u_at + (t - t0) * p.width, w.rows + plan.channels * far
        for j in range(0, p.width, BYTES // u.itemsize):
            fired = forward(
                neuron, u, row + j, row + p.width + j, u, w.rows + j, far, u, state + j, far
            )
            n = append(spikes, n, fired, j)
        spike_indptr[t + 1] = n
        if t == 0:
            continue
        start, stop = indptr[s, t - 1], indptr[s, t]
        gather(rows, (0,), p.width, table, arriving.units, arriving.counts, start, stop)
        if drive.shape[1] > 0:
            add(rows, (0,), drive, (s, min(t - 1, drive.shape[1] - 1)), p.width)
        if p.recurrent_from < p.units:
            stop = spike_indptr[t]
            start, border = split(p, spikes, spike_indptr[t - 1], stop)
            gather(rows, (0,), p.width, own, spikes, ones, start, border)
            if border < stop:
                gather(rows, (1,), p.width, own, spikes, ones, border, stop)


@jit
def readout_forward(u, rows, c, indptr, units, table):
    """The leaky integrator: potentials u [T + 1, width], row t + 1 is the readout of step t; row 0
    is given.

    U' = beta_m U + gain I, I' = beta_s I.
    """
    steps, width = u.shape[0] - 1, u.shape[1]
    beta_m, gain, beta_s = fill(c.beta_m), fill(c.gain), fill(c.beta_s)
    rows[0, :width] = 0
    for t in range(steps):
        for j in range(0, width, BYTES // u.itemsize):
            i = load(rows, (0, j))
            store(u, (t + 1, j), beta_m * load(u, (t, j)) + gain * i)
            store(rows, (0, j), beta_s * i)
        if t > 0:
            gather(rows, (0,), width, table, units, u[0, :0], indptr[t - 1], indptr[t])


@jit
def count_spikes(plan, layer, s, work, count):
    """Sets the part of the spike `count` [hidden units] that belongs to a layer."""
    p, w = plan.layers[layer], work.at[0]
    count[p.count_at : p.count_at + p.units] = 0
    begin = w.spike_indptr + (layer * w.block + s) * (w.steps + 1)
    for e in range(work.starts[begin], work.starts[begin + w.steps]):
        count[p.count_at + work.lists[w.spikes + e]] += 1


@jit
def collect(sources, layer, s, t0, t1, indptr, arrived, work):
    """The spikes of the sources of a `layer` in the steps t0 .. t1 - 1 as one list, written to
    arrived[indptr[t0]:].

    Units of a source are shifted by the source's first weight row.
    """
    w, n = work.at[0], indptr[t0]
    for t in range(t0, t1):
        for q in range(layer.first_source, layer.last_source):
            source = sources[q]
            begin = w.spike_indptr + (source.layer * w.block + s) * (w.steps + 1) + t
            for e in range(work.starts[begin], work.starts[begin + 1]):
                unit = work.lists[w.spikes + e]
                if unit >= source.units:
                    break
                arrived[n] = unit + source.row
                n += 1
        indptr[t + 1] = n
