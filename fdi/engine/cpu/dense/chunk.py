"""The dense layers of a few samples, forward and backward, window after window of time."""

from __future__ import annotations

from fdi.engine.cpu.dense.backward import hidden_backward, hidden_gradients
from fdi.engine.cpu.dense.forward import (
    collect,
    count_spikes,
    hidden_forward,
    readout_forward,
)
from fdi.engine.cpu.dense.views import arriving, columns, pull, start, weights, window
from fdi.engine.cpu.kernels.jit import inlined, jit
from fdi.engine.cpu.kernels.parts import part
from fdi.engine.cpu.kernels.product import add_product
from fdi.engine.cpu.kernels.rows import LANES, copy, repeat
from fdi.engine.cpu.readout import readout_gradients, readout_to_source


@jit
def run_window(network, s, k, given, work):
    """Sample s of the block through the hidden layers in window k."""
    plan, w, numbers = network.plan, work.at[0], work.numbers
    t0, t1 = window(k, work)
    currents, kept = plan.channels + plan.states, 1 + plan.channels + plan.states
    pace = kept * plan.total * w.block
    here, later = min(k, w.windows - 1) * pace, min(k + 1, w.windows - 1) * pace
    for layer in range(plan.layers.size - 1):
        p, first = plan.layers[layer], start(plan, layer, s, w.block)
        u, at = w.potentials + first * (w.span + 1), w.saved + kept * first
        if layer > 0 and p.direct < 0:
            below = arriving(plan, layer, given, work)
            collect(plan.sources, p, s, t0, t1, below.indptr[s], below.units, work)
        copy(numbers, at + here, numbers, u, p.width)
        for row in range(currents):
            saved = at + here + (1 + row) * p.width
            copy(numbers, saved, numbers, w.rows + row * plan.widest, p.width)
        hidden_forward(network, layer, s, k, given, work)
        if t1 < w.steps:
            copy(numbers, u + (t1 - t0) * p.width, numbers, at + later, p.width)
            for row in range(currents):
                to = at + later + (1 + row) * p.width
                copy(numbers, w.rows + row * plan.widest, numbers, to, p.width)


@jit
def run_forward(network, s, given, count, work):
    """Sample s of the block through all layers; sets the spike `count` of the dense layers in
    [hidden units].
    """
    plan, w, numbers, starts = network.plan, work.at[0], work.numbers, work.starts
    most, kept, top = -(-w.steps // plan.gap), 1 + plan.channels + plan.states, plan.layers.size - 1
    for layer in range(top + 1):
        p, begin = plan.layers[layer], (layer * w.block + s) * (w.steps + 1)
        if layer > 0 and p.direct < 0:
            starts[w.indptr + begin] = (p.collected_at * w.block + p.rows * s) * most
        if layer < top:
            room = (p.list_at * w.block + p.units * s) * most
            starts[w.spike_indptr + begin] = room + (layer * w.block + s) * LANES
            at = w.saved + kept * start(plan, layer, s, w.block)
            numbers[at : at + kept * p.width] = 0
            numbers[at : at + p.units] = network.neurons.constants[layer].u_init
    for k in range(-(-w.steps // w.span)):
        run_window(network, s, k, given, work)
    for layer in range(top):
        count_spikes(plan, layer, s, work, count)
    p = plan.layers[top]
    if top > 0 and p.direct < 0:
        below = arriving(plan, top, given, work)
        collect(plan.sources, p, s, 0, w.steps, below.indptr[s], below.units, work)
    readout_forward(network, s, given, work)


@inlined
def _from_bounds(n, k, plan, work):
    """Sets gS of the hidden layers in the window's rows to what the bounds say, but where
    `hidden_backward` does.
    """
    w, g = work.at[0], work.numbers
    t0, t1 = window(k, work)
    second, hidden = plan.total * w.block * (w.span + 4), plan.hidden
    for layer in range(plan.layers.size - 1):
        width, first = plan.layers[layer].width, plan.layers[layer].count_at
        alone = plan.layers[layer].heard >= 0
        for s in range(n):
            at = w.adjoints + start(plan, layer, s, w.block) * (w.span + 4)
            rows = t1 - t0 + 2 if t1 == w.steps else w.span
            for channel in range(plan.channels):
                begin = at + channel * second
                if t1 == w.steps:
                    g[begin + rows * width : begin + (rows + 2) * width] = 0
                else:
                    for row in range(3, -1, -1):
                        copy(g, begin + row * width, g, begin + (w.span + row) * width, width)
            begin = t1 - t0 if alone else 0
            if t1 == w.steps or not alone:
                bounds = w.pull + s * hidden + first
                repeat(g, bounds, g, at + begin * width, width, rows - begin)


@inlined
def _to_sources(n, layer, k, plan, natural, work):
    """Adds W^T gI of a hidden layer to gS of the layers that it hears."""
    w, p, g = work.at[0], plan.layers[layer], work.numbers
    t0, t1 = window(k, work)
    first = max(t0, 2) - t0
    for q in range(p.first_source, p.last_source):
        source = plan.sources[q]
        if source.layer >= 0:
            step = plan.layers[source.layer].width
            for s in range(n):
                out = start(plan, source.layer, s, w.block) * (w.span + 4) + first * step
                here = start(plan, layer, s, w.block) * (w.span + 4) + (first + 2) * p.width
                add_product(
                    g, w.adjoints + out, step, g, w.adjoints + here, p.width, t1 - t0 - first,
                    natural, source.natural_at, p.units, source.units,
                )  # fmt: skip


@jit
def backward_window(network, n, k, mode, given, gradients, work):
    """The dense layers of n samples back through window k; potentials are those of the window."""
    plan, w, c = network.plan, work.at[0], network.neurons.readout[0]
    top = plan.layers.size - 1
    t0, t1 = window(k, work)
    _from_bounds(n, k, plan, work)
    p, said = plan.layers[top], pull(plan, mode, work)
    for q in range(p.first_source, p.last_source):
        source = plan.sources[q]
        if source.layer >= 0 and plan.layers[source.layer].heard < 0:
            width = plan.layers[source.layer].width
            weight = part(network.natural, source.natural_at, (p.units, source.units))
            for s in range(n):
                first = start(plan, source.layer, s, w.block)
                at, leak = w.adjoints + first * (w.span + 4), w.leak + 2 * first
                readout_to_source(said, s, t0, t1, c, weight, leak, work.numbers, at, width)
    for layer in range(top - 1, -1, -1):
        hidden_backward(network, layer, n, k, said, given, work)
        hidden_gradients(network, layer, n, k, given, gradients, work)
        _to_sources(n, layer, k, plan, network.natural, work)


@jit
def add_readout(network, n, mode, given, gradients, work):
    """Adds the gradient of the readout's weights for n samples."""
    plan, c, top = network.plan, network.neurons.readout[0], network.plan.layers.size - 1
    said, below, p = pull(plan, mode, work), arriving(plan, top, given, work), plan.layers[top]
    table, some = weights(gradients.tables, p).below, columns(p.width, gradients)
    for s in range(n if some[0] < some[1] else 0):
        readout_gradients(said, s, c, below, table, some, work)


@inlined
def start_backward(plan, work):
    """Nothing pulls behind the last step."""
    w, total = work.at[0], plan.total * work.at[0].block
    work.numbers[w.leak : w.leak + 2 * total] = 0
    work.numbers[w.gu : w.gu + (1 + plan.states) * total] = 0
