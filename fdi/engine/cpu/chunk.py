"""Forward, loss and backward of a whole network for some samples of a batch, without returning to
Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdi.engine.cpu.conv_backward import maps_backward, start_maps_backward
from fdi.engine.cpu.conv_forward import maps_forward, maps_window
from fdi.engine.cpu.dense_backward import (
    add_readout,
    backward_window,
    hidden_gradients,
    start_backward,
)
from fdi.engine.cpu.dense_forward import Arriving, Gradients, run_forward, run_window
from fdi.engine.cpu.dense_layout import Parameters
from fdi.engine.cpu.kernels.jit import inlined, kernel
from fdi.engine.cpu.kernels.rows import add, part
from fdi.engine.cpu.loss import (
    STEPS,
    LossTerms,
    Pull,
    list_pulls,
    penalty,
    pull_of,
    read_out,
    take,
    task,
)
from fdi.engine.cpu.memory import Work
from fdi.engine.cpu.traces import Traces, put_row, wanted, write_maps, write_rows

if TYPE_CHECKING:
    from fdi.engine.cpu.conv_plan import ConvPlan


class SampleResults(NamedTuple):
    """Of each sample. `counts` [B, hidden units]: spikes; `readout` [T, B, classes], or [2, B,
    classes]: over time, and its slope at each step that counts; and `traces`; all of size 0 if
    nobody wants them.
    """

    task: np.ndarray
    regularizer: np.ndarray
    prediction: np.ndarray
    counts: np.ndarray
    readout: np.ndarray
    traces: Traces


@inlined
def of_part(work: Work, i: int) -> Work:
    """The memory as the i-th sample of a chunk, or block of samples, sees it."""
    return Work(work.numbers, work.lists, work.starts, work.at[i : i + 1])


@kernel
def run_chunks(
    first: int, last: int, chunk: int, network: Parameters, maps: ConvPlan | None, inputs: Arriving,
    labels: np.ndarray, loss: LossTerms, memory: Work, results: SampleResults, gradients: Gradients,
) -> None:  # fmt: skip
    """Samples first .. last - 1 of a batch, some chunks; `maps` is None in a network without
    convolutions.

    `inputs`: Arriving, with `indptr` [B T + 1], of the whole batch. Without gradients to add
    (`tables` of size 0) there is no backward pass. Else the chunks are added as in `Sum`, to the
    first of the tables one behind the other, the one of them that is zero.
    """
    tables, level, blocks = gradients.tables, 0, -(-chunk // memory.at[0].block)
    size = min(network.tables.size, tables.size)
    for i in range(-(-(last - first) // chunk)):
        begin, own = first + i * chunk, part(tables, level * size, (size,))
        if level > 0:
            own[:] = 0
        _run_chunk(
            begin, min(begin + chunk, last), i * blocks, network, maps, inputs, labels, loss,
            memory, results,
            Gradients(own, gradients.drive, gradients.begin, gradients.end, gradients.parts),
        )  # fmt: skip
        pairs = i
        while pairs % 2 == 1:
            add(tables, (level - 1) * size, level * size, size)
            pairs, level = pairs // 2, level - 1
        level += 1
    for upper in range(level - 1, 0, -1):
        add(tables, (upper - 1) * size, upper * size, size)


@inlined
def _run_chunk(
    first: int, last: int, block: int, network: Parameters, maps: ConvPlan | None,
    inputs: Arriving, labels: np.ndarray, loss: LossTerms, memory: Work, results: SampleResults,
    gradients: Gradients,
) -> None:  # fmt: skip
    """Samples first .. last - 1, a chunk. Its blocks of samples, from number `block` on, share the
    `memory`, or each has its own part of it.
    """
    for start in range(first, last, memory.at[0].block):
        number = block + (start - first) // memory.at[0].block
        work = of_part(memory, min(number, memory.at.size - 1))
        w = work.at[0]
        n = min(w.block, last - start)
        for s in range(n):
            for t in range(w.steps + 1):
                to = w.indptr + s * (w.steps + 1) + t
                work.starts[to] = inputs.indptr[(start + s) * w.steps + t]
        given = given_to(inputs, start, n, inputs.drive, work)
        back = given_to(inputs, start, n, gradients.drive, work)
        seen, before = given, w.later > 0 and gradients.tables.size > 0
        if maps is not None:
            seen = pooled(maps, given, work)
            counts = results.counts[start]
            maps_forward(maps, network.map_neurons, network.tables, given, counts, work)
        for s in range(n):
            run_forward(network, s, before, seen, results.counts[start + s], work)
            _write(network, maps, start + s, s, results.traces, work)
        score_block(start, n, before, network, labels, loss, results, work)
        if gradients.tables.size > 0:
            _backward(n, network, maps, given, back, loss, start, work, gradients)


@kernel
def add_gradients(
    n: int, network: Parameters, inputs: Arriving, loss: LossTerms, work: Work, own: Work,
    gradients: Gradients,
) -> None:  # fmt: skip
    """Adds the gradients of n samples, a block whose adjoints lie in `work`; `own`: memory that no
    other thread writes to.
    """
    given = given_to(inputs, 0, n, gradients.drive, work)
    add_readout(network, n, loss.mode, given, gradients, work)
    for layer in range(network.plan.layers.size - 2, -1, -1):
        hidden_gradients(network, layer, n, 0, given, gradients, work, own)


@inlined
def given_to(inputs: Arriving, start: int, n: int, drive: np.ndarray, work: Work) -> Arriving:
    """What arrives from the input at a block of n samples."""
    indptr = part(work.starts, work.at[0].indptr, (work.at[0].block, work.at[0].steps + 1))
    return Arriving(indptr, inputs.units, inputs.counts, drive[start : start + n])


@inlined
def pooled(maps: ConvPlan, given: Arriving, work: Work) -> Arriving:
    """What arrives from the maps at the first dense layer."""
    w, top = work.at[0], maps.layers.size - 1
    indptr = part(work.starts, w.pooled_indptr + top * (w.steps + 1), (1, w.steps + 1))
    units = part(work.lists, w.pooled, (1,))
    return Arriving(indptr, units, given.counts[:0], part(given.drive, 0, (1, 0, 0)))


@inlined
def score_block(
    b: int, n: int, before: bool, network: Parameters, labels: np.ndarray, loss: LossTerms,
    results: SampleResults, work: Work,
) -> None:  # fmt: skip
    """The loss of n samples from number b on, a block, or what is given of its gradients, and where
    it pulls; `before`: what is read out is known.
    """
    plan, said, w = network.plan, pull_of(network, loss.mode, work), work.at[0]
    classes = plan.layers[plan.layers.size - 1].units
    weight, back = loss.task_weight * loss.scale, results.readout.size == 0
    for s in range(n if loss.given and not before else 0):
        _put_readout(b + s, s, loss.mode, classes, said, results.readout, work)
    if loss.given and back:
        take(b, n, loss, said, plan.hidden, work)
    listed = back if loss.mode == STEPS else not before
    for s in range(0 if loss.given else n):
        results.task[b + s], results.prediction[b + s] = task(
            said.u[s], classes, labels[b + s], loss.mode, weight, loss.smoothing, said.peak[s],
            said.slope[s],
        )  # fmt: skip
        gradient = part(work.numbers, w.pull + s * plan.hidden, (plan.hidden,))
        counts = results.counts[b + s]
        results.regularizer[b + s] = penalty(counts, plan.population_at, loss, gradient)
    for s in range(n if listed and w.gradual > 0 else 0):
        list_pulls(said, s)


@inlined
def _put_readout(
    b: int, s: int, mode: int, classes: int, said: Pull, readout: np.ndarray, work: Work
) -> None:
    """That of sample b, the s-th of its block: of each step, or over time, and its slope."""
    w, rows, width = work.at[0], said.u.shape[1], said.u.shape[2]
    if mode != STEPS:
        read_out(said.u[s], classes, mode, said.peak[s], said.slope[s])
        if readout.size > 0:
            put_row(readout, 0, b, 0, classes, work.numbers, w.peak + s * width)
            put_row(readout, 1, b, 0, classes, work.numbers, w.slope + s * width)
        return
    for t in range(readout.shape[0]):
        at = w.readout + (s * rows + t + 1) * width
        put_row(readout, t, b, 0, classes, work.numbers, at)


@inlined
def _write(
    network: Parameters, maps: ConvPlan | None, b: int, s: int, traces: Traces, work: Work
) -> None:
    """Spikes and potentials of sample b, the s-th of its block, whose trial is one window."""
    if not wanted(traces):
        return
    for layer in range(network.plan.layers.size - 1):
        write_rows(network.plan, layer, b, s, traces, work)
    if maps is not None:
        w = work.at[0]
        for layer in range(maps.layers.size):
            at = w.map_potentials + maps.layers[layer].size_at * (w.span + 1)
            write_maps(maps, layer, b, at, traces, work)


@inlined
def _backward(
    n: int, network: Parameters, maps: ConvPlan | None, given: Arriving, back: Arriving,
    loss: LossTerms, b: int, work: Work, gradients: Gradients,
) -> None:  # fmt: skip
    """Adds the gradients of n samples, from number b on, one where there are maps, window after
    window in reverse; potentials of all but the last are computed again.
    """
    mode, traces, seen, sent = loss.mode, loss.d_traces, given, back
    if maps is not None:
        seen = sent = pooled(maps, given, work)
    add_readout(network, n, mode, sent, gradients, work)
    start_backward(network, work)
    if maps is not None:
        start_maps_backward(maps, work)
    last = -(-work.at[0].steps // work.at[0].span) - 1
    for k in range(last, -1, -1):
        if maps is not None and k < last:
            maps_window(k, False, maps, network.map_neurons, network.tables, given, work)
        for s in range(n if k < last else 0):
            run_window(network, s, k, True, seen, work)
        backward_window(network, n, k, mode, sent, traces, b, gradients, work)
        if maps is not None:
            maps_backward(k, maps, network, mode, gradients.tables, back, traces, b, work)
