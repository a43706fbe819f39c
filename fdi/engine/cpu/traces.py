"""Spikes and potentials of every step: written out of the scratch memory of a sample, and gradients
of a loss that is computed of them, as it goes back.

Row t of each is S[t] and U[t+1]: dL/dS[t] adds to gS[t], dL/dU[t+1] to gU[t+1].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdi.engine.cpu.conv_forward import lists_of
from fdi.engine.cpu.dense_forward import start
from fdi.engine.cpu.kernels.jit import Record, inlined, jit
from fdi.engine.cpu.kernels.simd import fill, lanes, load, store

if TYPE_CHECKING:
    from fdi.engine.cpu.conv_plan import ConvPlan
    from fdi.engine.cpu.dense_layout import DensePlan
    from fdi.engine.cpu.memory import Work


class Traces(NamedTuple):
    """`spikes` and `potentials` [T, B, hidden units], or of size 0 if nobody wants them."""

    spikes: np.ndarray
    potentials: np.ndarray


@inlined
def wanted(traces: Traces) -> bool:
    return traces.spikes.size + traces.potentials.size > 0


@jit
def write_rows(plan: DensePlan, layer: int, b: int, s: int, traces: Traces, work: Work) -> None:
    """Those of a dense layer of sample b of a batch, the s-th of its block."""
    p, w = plan.layers[layer], work.at[0]
    begin = w.spike_indptr + (layer * w.block + s) * (w.steps + 1)
    at = w.potentials + start(plan, layer, s, w.block) * (w.span + 1)
    first = p.count_at
    for t in range(traces.spikes.shape[0]):
        _clear_row(traces.spikes, t, b, first, p.units)
        for e in range(work.starts[begin + t], work.starts[begin + t + 1]):
            traces.spikes[t, b, first + work.lists[w.spikes + e]] = 1
    for t in range(traces.potentials.shape[0]):
        row, u = at + (t + 1) * p.width, work.numbers
        put_row(traces.potentials, t, b, first, p.units, u, row)


@jit
def write_maps(plan: ConvPlan, layer: int, b: int, at: int, traces: Traces, work: Work) -> None:
    """Those of a layer of maps, whose potentials begin at `at`."""
    p, lists, positions = plan.layers[layer], lists_of(plan, work), _positions(plan.layers[layer])
    units = p.channels * positions
    for t in range(traces.spikes.shape[0]):
        _clear_row(traces.spikes, t, b, p.spikes_at, units)
        for e in range(lists.spike_indptr[layer, t], lists.spike_indptr[layer, t + 1]):
            code = lists.spikes[e]
            unit = (code & ((1 << p.shift) - 1)) * positions + (code >> p.shift)
            traces.spikes[t, b, p.spikes_at + unit] = 1
    for t in range(traces.potentials.shape[0]):
        row = at + (t + 1) * p.size
        for c in range(p.channels):
            for place in range(positions):
                u = work.numbers[row + place * p.padded + c]
                traces.potentials[t, b, p.spikes_at + c * positions + place] = u


@jit
def add_to_rows(p: Record, b: int, t: int, traces: Traces, g: np.ndarray, gs: int, gu: int) -> None:
    """Adds the gradients of step t to gS[t] at g[gs ...] and to gU[t+1] at g[gu ...]."""
    if traces.spikes.size > 0:
        add_row(traces.spikes, t, b, p.count_at, p.units, g, gs)
    if traces.potentials.size > 0:
        add_row(traces.potentials, t, b, p.count_at, p.units, g, gu)


@inlined
def _clear_row(x: np.ndarray, t: int, b: int, first: int, units: int) -> None:
    zero, whole = fill(x.dtype.type(0)), units - units % lanes(x)
    for i in range(0, whole, lanes(x)):
        store(x, (t, b, first + i), zero)
    for i in range(whole, units):
        x[t, b, first + i] = 0


@inlined
def put_row(x: np.ndarray, t: int, b: int, first: int, units: int, u: np.ndarray, at: int) -> None:
    """x[t, b, first : first + units] = u[at ...]."""
    whole = units - units % lanes(x)
    for i in range(0, whole, lanes(x)):
        store(x, (t, b, first + i), load(u, (at + i,)))
    for i in range(whole, units):
        x[t, b, first + i] = u[at + i]


@inlined
def add_row(x: np.ndarray, t: int, b: int, first: int, units: int, g: np.ndarray, to: int) -> None:
    """g[to ...] += x[t, b, first : first + units]."""
    whole = units - units % lanes(g)
    for i in range(0, whole, lanes(g)):
        store(g, (to + i,), load(g, (to + i,)) + load(x, (t, b, first + i)))
    for i in range(whole, units):
        g[to + i] += x[t, b, first + i]


@jit
def add_to_maps(p: Record, b: int, t: int, traces: Traces, bounds: int, gu: int, work: Work) -> int:
    """The same for a layer of maps; what stands at `bounds` (-1: nothing) and the gradient of the
    spikes are put where the result says.
    """
    g, pulls, positions = work.numbers, work.at[0].pulls, _positions(p)
    for i in range(p.size):
        g[pulls + i] = g[bounds + i] if bounds >= 0 else 0
    for c in range(p.channels):
        first = p.spikes_at + c * positions
        for place in range(positions):
            to = place * p.padded + c
            if traces.spikes.size > 0:
                g[pulls + to] += traces.spikes[t, b, first + place]
            if traces.potentials.size > 0:
                g[gu + to] += traces.potentials[t, b, first + place]
    return pulls


@inlined
def _positions(p: Record) -> int:
    return p.height * p.width
