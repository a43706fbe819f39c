"""Forward, loss and backward of a whole network of convolutions for some samples of a batch, without returning to Python."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fdi.snn.engine.cpu.conv_backward import conv_backward
from fdi.snn.engine.cpu.conv_forward import conv_forward
from fdi.snn.engine.cpu.conv_plan import ConvPlan
from fdi.snn.engine.cpu.forward import readout_forward
from fdi.snn.engine.cpu.loss import bounds, task
from fdi.snn.engine.cpu.readout import readout_backward, readout_to_source
from fdi.snn.engine.cpu.rows import outer
from fdi.snn.engine.cpu.work import zeros


class ConvWork(NamedTuple):
    """Scratch memory for one sample; flat arrays hold layer after layer."""

    potentials: np.ndarray  # [sum of (T + 1) size]
    above: np.ndarray  # [sum of T pooled] gradient of the pooled spikes
    readout: np.ndarray  # [1, T + 1, width] potentials
    spike_indptr: np.ndarray  # [L, T + 1]
    spikes: np.ndarray  # [L, :]
    pooled_indptr: np.ndarray  # [L, T + 1]
    pooled: np.ndarray  # [L, :]
    stamps: np.ndarray  # [codes] the step in which a window was last seen to spike
    starts: np.ndarray  # [channels] where the weights of the spikes of one position begin
    maps: np.ndarray  # [2 guarded] currents
    adjoints: np.ndarray  # [ring 2 guarded] their adjoints
    pull: np.ndarray  # [size] gradient of the bounds
    extra: np.ndarray  # [size] gradient of the spikes through the layer's own links
    gu: np.ndarray  # [size] gradient of the potential
    rows: np.ndarray  # [2, :]
    peak: np.ndarray  # [1, width]
    slope: np.ndarray  # [1, width]
    counted: np.ndarray  # [hidden units] gradient of the bounds, in the order of torch


def allocate(plan: ConvPlan, steps: int, dtype: np.dtype) -> ConvWork:
    """Scratch memory for trials of `steps`."""
    layers, size, guarded = len(plan.height), int(plan.size.max()), int(plan.guarded.max())
    width, codes = int(plan.readout[1]), int((plan.height * plan.width << plan.shift).max())
    channels = 1 << int(plan.shift.max())
    most = int((plan.height * plan.width * plan.channels).max()) * steps
    return ConvWork(
        potentials=zeros((steps + 1) * int(plan.size.sum()), dtype=dtype),
        above=zeros(steps * int(plan.pooled.sum()), dtype=dtype),
        readout=zeros(1, steps + 1, width, dtype=dtype),
        spike_indptr=np.zeros((layers, steps + 1), dtype=np.int64),
        spikes=np.zeros((layers, most), dtype=np.int32),
        pooled_indptr=np.zeros((layers, steps + 1), dtype=np.int64),
        pooled=np.zeros((layers, most), dtype=np.int32),
        stamps=np.zeros(codes, dtype=np.int32),
        starts=np.zeros(channels, dtype=np.int64),
        maps=zeros(2 * guarded, dtype=dtype),
        adjoints=zeros(2 * guarded * int(plan.ring.max()), dtype=dtype),
        pull=zeros(size, dtype=dtype),
        extra=zeros(size, dtype=dtype),
        gu=zeros(size, dtype=dtype),
        rows=zeros(2, max(width, int(plan.pooled[-1])), dtype=dtype),
        peak=zeros(1, width, dtype=dtype),
        slope=zeros(1, width, dtype=dtype),
        counted=zeros(int(plan.population_at[-1]), dtype=dtype),
    )


@outer
def _forward(plan, c, tables, inputs, drive, work, lists, count):
    layers = plan.height.size
    for layer in range(layers):
        first = plan.spikes_at[layer]
        last = first + plan.channels[layer] * plan.height[layer] * plan.width[layer]
        conv_forward(
            plan, layer, work.potentials, c[layer, 7], work.maps, c[layer], tables, inputs, drive if layer == 0 else drive[:0], lists,
            work.starts, work.stamps, count[first:last],
        )  # fmt: skip
    classes, width, at = plan.readout[0], plan.readout[1], plan.readout[2]
    work.readout[0, 0, :classes] = c[layers, 7]
    table = tables[at:].reshape((tables.size - at) // width, width)
    top = layers - 1
    readout_forward(work.readout[0], work.rows, c[layers], work.pooled_indptr[top], work.pooled[top], inputs[2][:0], table)


@outer
def _backward(plan, c, tables, natural, d_tables, mode, inputs, d_drive, work, lists):
    layers, steps = plan.height.size, work.spike_indptr.shape[1] - 1
    top, classes, width, at = layers - 1, plan.readout[0], plan.readout[1], plan.readout[2]
    work.above[:] = 0
    d_table = d_tables[at:].reshape((d_tables.size - at) // width, width)
    indptr, pooled = work.pooled_indptr[top:], work.pooled[top]
    readout_backward(work.readout, 0, mode, work.peak, work.slope, work.rows, c[layers], indptr, pooled, inputs[2][:0], d_table)
    size = plan.pooled[top]
    weight = natural[plan.readout[3] : plan.readout[3] + classes * size].reshape(classes, size)
    start = plan.pooled_at[top] * steps
    above = work.above[start : start + steps * size].reshape(1, steps, size)
    readout_to_source(work.readout, 0, mode, work.peak, work.slope, weight, work.rows, above, size, c[layers])
    for layer in range(layers - 1, -1, -1):
        positions, padded = plan.height[layer] * plan.width[layer], plan.padded[layer]
        for j in range(plan.channels[layer]):
            first = plan.spikes_at[layer] + j * positions
            for place in range(positions):
                work.pull[place * padded + j] = work.counted[first + place]
        for j in range(plan.channels[layer], padded):
            for place in range(positions):
                work.pull[place * padded + j] = 0
        conv_backward(
            plan, layer, work.potentials, work.above, work.pull, work.extra, work.gu, work.adjoints, c[layer], natural, d_tables, inputs,
            d_drive if layer == 0 else d_drive[:0], lists, work.starts,
        )  # fmt: skip


@outer
def run_chunk(first, last, plan, c, tables, natural, inputs, labels, loss, work, results, d_tables, d_drive):
    """As chunk.run_chunk."""
    indptr, units, counts, drive = inputs
    tasks, regularizers, predictions, spikes, readout = results
    steps, classes = work.spike_indptr.shape[1] - 1, plan.readout[0]
    lists = (work.spike_indptr, work.spikes, work.pooled_indptr, work.pooled)
    for b in range(first, last):
        given = (indptr[b * steps : (b + 1) * steps + 1], units, counts)
        _forward(plan, c, tables, given, drive[b], work, lists, spikes[b])
        tasks[b], predictions[b] = task(
            work.readout[0], classes, labels[b], loss.mode, loss.task_weight * loss.scale, work.peak[0], work.slope[0]
        )
        regularizers[b] = bounds(spikes[b], plan.population_at, loss.group, loss.bounds, loss.scale, work.counted)
        for t in range(readout.shape[1]):
            for k in range(classes):
                readout[b, t, k] = work.readout[0, t + 1, k]
        if d_tables.size > 0:
            _backward(plan, c, tables, natural, d_tables, loss.mode, given, d_drive[b], work, lists)
