"""Adjoints of a dense hidden layer in reverse time.

gS[t] = W^T gI[t + 2] of all targets, and what the regularizers add
gW = sum_t gI[t + 2] S_source[t]^T
"""

from __future__ import annotations

from fdi.snn.engine.cpu.dense.forward import split
from fdi.snn.engine.cpu.kernels.jit import inlined, jit
from fdi.snn.engine.cpu.kernels.parts import part
from fdi.snn.engine.cpu.kernels.product import add_product
from fdi.snn.engine.cpu.kernels.rows import add, scatter
from fdi.snn.engine.cpu.kernels.simd import BYTES, constants, load
from fdi.snn.engine.cpu.neuron.equations import backward


@inlined
def _through_own(layer, g, now, pace, second, block, natural):
    """Adds W^T gI[t + 2] of the layer's own projections to the row of gS[t] of all samples."""
    later, size = now + 2 * layer.width, layer.units
    if layer.recurrent_from < layer.exc:
        add_product(g, now, pace, g, later, pace, block, natural, layer.own_0, size, layer.exc)
    if layer.exc < size:
        add_product(
            g, now + layer.exc, pace, g, later + second, pace, block, natural, layer.own_1, size,
            size - layer.exc,
        )  # fmt: skip


@jit
def hidden_backward(neurons, plan, layer, samples, t0, t1, arriving, natural, d_table, d_own, work):
    """The steps t1 - 1 .. t0, a window of time, and the first `samples` samples of a layer in step
    with each other.

    Rows of the `adjoints` in the scratch memory are those of the steps from t0 - 2 on: gS becomes
    gI, of which the last two are given. `gu`, gradients of potential and state at t1, become those
    at t0. Adds to the gradients of the weights and of `arriving.drive`.
    """
    p, w, u = plan.layers[layer], work.at[0], work.numbers
    width, pace, far = p.width, (w.span + 4) * p.width, w.block * plan.total
    start, second = w.block * p.state_at, far * (w.span + 4)
    g = part(u, w.adjoints, (plan.channels, second))
    neuron, ones = constants(neurons.kind, neurons.constants, layer), arriving.counts[:0]
    begin = w.spike_indptr + layer * w.block * (w.steps + 1)
    spike_indptr = part(work.starts, begin, (w.block, w.steps + 1))
    spikes, indptr, drive = part(work.lists, w.spikes, (1,)), arriving.indptr, arriving.drive
    for t in range(t1 - 1, t0 - 1, -1):
        row = start * (w.span + 4) + (t - t0 + 2) * width
        if p.recurrent_from < p.units and t + 2 < w.steps:
            _through_own(p, u, w.adjoints + row, pace, second, w.block, natural)
        for s in range(samples):
            now = row + s * pace
            here = w.potentials + (start + s * width) * (w.span + 1) + (t - t0) * width
            for j in range(0, width, BYTES // u.itemsize):
                v = load(u, (here + j,)) - neuron.reset.theta
                at, place = w.adjoints + now + j, w.gu + start + s * width + j
                backward(neuron, v, load(u, (at,)), u, place, far, u, at, at + width, second)
            if t < 2:
                continue
            first, last = indptr[s, t - 2], indptr[s, t - 1]
            scatter(d_table, arriving.units, arriving.counts, first, last, g, (0, now), width)
            if drive.shape[1] > 0:
                add(drive, (s, min(t - 2, drive.shape[1] - 1)), g, (0, now), width)
            if p.recurrent_from < p.units:
                last = spike_indptr[s, t - 1]
                first, border = split(p, spikes, spike_indptr[s, t - 2], last)
                scatter(d_own, spikes, ones, first, border, g, (0, now), width)
                if border < last:
                    scatter(d_own, spikes, ones, border, last, g, (1, now), width)
