"""Forward, loss and backward of a whole network of convolutions for some samples of a batch,
without returning to Python.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fdi.snn.engine.cpu.conv.backward import conv_backward
from fdi.snn.engine.cpu.conv.forward import conv_forward, count_spikes
from fdi.snn.engine.cpu.conv.plan import ConvPlan
from fdi.snn.engine.cpu.dense.forward import readout_forward
from fdi.snn.engine.cpu.kernels.rows import copy, outer
from fdi.snn.engine.cpu.loss import bounds, task
from fdi.snn.engine.cpu.readout import readout_backward, readout_to_source


class ConvWork(NamedTuple):
    """Scratch memory for one sample; flat arrays hold layer after layer. Otherwise as work.Work."""

    span: int
    saved: (
        np.ndarray
    )  # [windows sum of size + 2 guarded] potential and currents at the beginning of each window
    potentials: np.ndarray  # [sum of (span + 1) size]
    # [sum of (span + 2) pooled] gradient of the pooled spikes, from two steps before the window on
    above: np.ndarray
    readout: np.ndarray  # [1, T + 1, width] potentials
    spike_indptr: np.ndarray  # [L, T + 1] ranges of the flat `spikes`
    spikes: np.ndarray
    pooled_indptr: np.ndarray  # [L, T + 1] ranges of the flat `pooled`
    pooled: np.ndarray
    stamps: np.ndarray  # [codes] the step in which a window of the pooling was last seen to spike
    starts: np.ndarray  # [channels] where the weights of the spikes of one position begin
    maps: np.ndarray  # [2 guarded] currents
    adjoints: np.ndarray  # [sum of 3 2 guarded] their adjoints
    pull: np.ndarray  # [size] gradient of the bounds
    extra: np.ndarray  # [size] gradient of the spikes through the layer's own links
    gu: np.ndarray  # [sum of size] gradient of the potential
    rows: np.ndarray  # [2, width]
    leak: (
        np.ndarray
    )  # [2, pooled map of the top layer] the readout's adjoints as that layer sees them
    peak: np.ndarray  # [1, width]
    slope: np.ndarray  # [1, width]
    counted: np.ndarray  # [hidden units] gradient of the bounds, in the order of torch


def shapes(plan: ConvPlan, steps: int, span: int, gradients: bool) -> dict[str, tuple[int, ...]]:
    """As work.shapes."""
    layers, size, guarded, room = (
        len(plan.height),
        int(plan.size.max()),
        int(plan.guarded.max()),
        int(plan.population_at[-1]) * -(-steps // 2),
    )
    total, guarded_total, width = (
        int(plan.size.sum()),
        int(plan.guarded.sum()),
        int(plan.readout[1]),
    )
    return dict(
        saved=((-(-steps // span) if gradients else 1) * (total + 2 * guarded_total),),
        potentials=((span + 1) * total,),
        above=((span + 2) * int(plan.pooled.sum()) * gradients,),
        readout=(1, steps + 1, width),
        spike_indptr=(layers, steps + 1),
        spikes=(room,),
        pooled_indptr=(layers, steps + 1),
        pooled=(room,),
        stamps=(int((plan.height * plan.width << plan.shift).max()),),
        starts=(1 << int(plan.shift.max()),),
        maps=(2 * guarded,),
        adjoints=(6 * guarded_total * gradients,),
        pull=(size,),
        extra=(size,),
        gu=(total * gradients,),
        rows=(2, width),
        leak=(2, int(plan.pooled[-1]) * gradients),
        peak=(1, width),
        slope=(1, width),
        counted=(int(plan.population_at[-1]),),
    )


@outer
def _window(k, t0, t1, first_time, plan, c, tables, inputs, drive, work, lists):
    """The hidden layers from step t0 to t1 - 1 of window k."""
    steps, top = work.spike_indptr.shape[1] - 1, plan.height.size - 1
    pace = plan.size_at[top] + plan.size[top] + 2 * (plan.guarded_at[top] + plan.guarded[top])
    for layer in range(top + 1):
        size, currents = plan.size[layer], plan.synapses[layer] * plan.guarded[layer]
        u = work.potentials[plan.size_at[layer] * (work.span + 1) :]
        begin = plan.size_at[layer] + 2 * plan.guarded_at[layer]
        at = begin + min(k * pace, work.saved.size - pace)
        copy(work.saved, at, u, 0, size)
        copy(work.saved, at + size, work.maps, 0, currents)
        conv_forward(
            plan,
            layer,
            t0,
            t1,
            u,
            work.maps,
            c[layer],
            tables,
            inputs,
            drive if layer == 0 else drive[:0],
            lists,
            work.starts,
            work.stamps,
        )
        if first_time and t1 < steps:
            at = begin + min((k + 1) * pace, work.saved.size - pace)
            copy(u, (t1 - t0) * size, work.saved, at, size)
            copy(work.maps, 0, work.saved, at + size, currents)


@outer
def _forward(plan, c, tables, inputs, drive, work, lists, count):
    layers, steps = plan.height.size, work.spike_indptr.shape[1] - 1
    work.saved[:] = 0
    for layer in range(layers):
        work.spike_indptr[layer, 0] = work.pooled_indptr[layer, 0] = plan.spikes_at[layer] * (
            (steps + 1) // 2
        )
        at, padded = plan.size_at[layer] + 2 * plan.guarded_at[layer], plan.padded[layer]
        for place in range(at, at + plan.size[layer], padded):
            work.saved[place : place + plan.channels[layer]] = c[layer, 7]
    for k in range(-(-steps // work.span)):
        _window(
            k,
            k * work.span,
            min((k + 1) * work.span, steps),
            True,
            plan,
            c,
            tables,
            inputs,
            drive,
            work,
            lists,
        )
    for layer in range(layers):
        first = plan.spikes_at[layer]
        last = first + plan.channels[layer] * plan.height[layer] * plan.width[layer]
        count_spikes(plan, layer, work.spike_indptr[layer], work.spikes, count[first:last])
    classes, width, at = plan.readout[0], plan.readout[1], plan.readout[2]
    work.readout[0, 0, :classes] = c[layers, 7]
    table = tables[at:].reshape((tables.size - at) // width, width)
    readout_forward(
        work.readout[0],
        work.rows,
        c[layers],
        work.pooled_indptr[layers - 1],
        work.pooled,
        inputs[2][:0],
        table,
    )


@outer
def _pull(plan, layer, work):
    """The gradient of the bounds in the order of the layer's map."""
    positions, padded = plan.height[layer] * plan.width[layer], plan.padded[layer]
    for j in range(padded):
        first = plan.spikes_at[layer] + j * positions
        for place in range(positions):
            work.pull[place * padded + j] = (
                work.counted[first + place] if j < plan.channels[layer] else 0
            )


@outer
def _window_backward(t0, t1, plan, c, natural, d_tables, mode, inputs, d_drive, work, lists):
    """The hidden layers from step t1 - 1 to t0."""
    layers, steps, span = plan.height.size, work.spike_indptr.shape[1] - 1, work.span
    for layer in range(layers):
        start, size = plan.pooled_at[layer] * (span + 2), plan.pooled[layer]
        rows = span + 2
        if t1 < steps:
            rows = span
            copy(work.above, start + size, work.above, start + (span + 1) * size, size)
            copy(work.above, start, work.above, start + span * size, size)
        work.above[start : start + rows * size] = 0
    top, classes = layers - 1, plan.readout[0]
    size, start = plan.pooled[top], plan.pooled_at[top] * (span + 2)
    weight = natural[plan.readout[3] : plan.readout[3] + classes * size].reshape(classes, size)
    above = work.above[start : start + (span + 2) * size].reshape(1, span + 2, size)
    readout_to_source(
        work.readout,
        0,
        t0,
        t1,
        mode,
        work.peak,
        work.slope,
        weight,
        work.leak,
        above,
        size,
        c[layers],
    )
    for layer in range(top, -1, -1):
        _pull(plan, layer, work)
        u = work.potentials[plan.size_at[layer] * (span + 1) :]
        gu, g = work.gu[plan.size_at[layer] :], work.adjoints[6 * plan.guarded_at[layer] :]
        conv_backward(
            plan, layer, steps, t0, t1, span, u, work.above, work.pull, work.extra, gu, g, c[layer], natural, d_tables, inputs,
            d_drive if layer == 0 else d_drive[:0], lists, work.starts,
        )  # fmt: skip


@outer
def _backward(plan, c, tables, natural, d_tables, mode, inputs, drive, d_drive, work, lists):
    """Adds the gradients, window after window in reverse; potentials of all but the last are
    computed again.
    """
    layers, steps = plan.height.size, work.spike_indptr.shape[1] - 1
    width, at = plan.readout[1], plan.readout[2]
    d_table = d_tables[at:].reshape((d_tables.size - at) // width, width)
    indptr = work.pooled_indptr[layers - 1 :]
    readout_backward(
        work.readout,
        0,
        mode,
        work.peak,
        work.slope,
        work.rows,
        c[layers],
        indptr,
        work.pooled,
        inputs[2][:0],
        d_table,
    )
    work.leak[:] = 0
    work.gu[:] = 0
    work.adjoints[:] = 0
    windows = -(-steps // work.span)
    for k in range(windows - 1, -1, -1):
        t0, t1 = k * work.span, min((k + 1) * work.span, steps)
        if k < windows - 1:
            _window(k, t0, t1, False, plan, c, tables, inputs, drive, work, lists)
        _window_backward(t0, t1, plan, c, natural, d_tables, mode, inputs, d_drive, work, lists)


@outer
def run_chunk(
    first, last, plan, c, tables, natural, inputs, labels, loss, work, results, d_tables, d_drive
):
    """As chunk.run_chunk."""
    indptr, units, counts, drive = inputs
    tasks, regularizers, predictions, spikes, readout = results
    steps, classes = work.spike_indptr.shape[1] - 1, plan.readout[0]
    lists = (work.spike_indptr, work.spikes, work.pooled_indptr, work.pooled)
    for b in range(first, last):
        given = (indptr[b * steps : (b + 1) * steps + 1], units, counts)
        _forward(plan, c, tables, given, drive[b], work, lists, spikes[b])
        tasks[b], predictions[b] = task(
            work.readout[0],
            classes,
            labels[b],
            loss.mode,
            loss.task_weight * loss.scale,
            work.peak[0],
            work.slope[0],
        )
        regularizers[b] = bounds(
            spikes[b], plan.population_at, loss.group, loss.bounds, loss.scale, work.counted
        )
        for t in range(readout.shape[1]):
            for k in range(classes):
                readout[b, t, k] = work.readout[0, t + 1, k]
        if d_tables.size > 0:
            _backward(
                plan,
                c,
                tables,
                natural,
                d_tables,
                loss.mode,
                given,
                drive[b],
                d_drive[b],
                work,
                lists,
            )
