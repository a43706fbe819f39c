"""Matrices the other way round, a square of vectors at a time."""

from __future__ import annotations

from llvmlite import ir
from numba import types

from fdi.engine.cpu.kernels.jit import kernel
from fdi.engine.cpu.kernels.simd import Vector, intrinsic, lanes, load_at, store_at


@kernel
def turn(w, at, pace, rows, columns, out, to, step):
    """out[to + c step + r] = w[at + r pace + c] of flat arrays, for r < rows and c < columns."""
    n = lanes(w)
    tall, wide = rows // n * n, columns // n * n
    for c in range(0, wide, n):
        for r in range(0, tall, n):
            _square(w, at + r * pace + c, pace, out, to + c * step + r, step)
    for r in range(rows):
        for c in range(wide if r < tall else 0, columns):
            out[to + c * step + r] = w[at + r * pace + c]


@intrinsic
def _square(typing_context, w, at, pace, out, to, step):
    """The same of as many rows and columns as a vector has numbers: after round i, each vector has
    exchanged the numbers whose place differs in bit i with another.
    """
    vector = Vector(w.dtype)
    n, number = vector.lanes, ir.IntType(32)

    def codegen(context, builder, signature, args):
        source, place, pace, target, to, step = args
        rows = []
        for _ in range(n):
            rows.append(load_at(context, builder, w, source, [place], vector))
            place = builder.add(place, pace)
        for span in (1 << bit for bit in range(n.bit_length() - 1)):
            for k in (k for k in range(n) if not k & span):
                pair, lanes = (rows[k], rows[k + span]), ir.VectorType(number, n)
                low = [j if not j & span else n + j - span for j in range(n)]
                high = [j + span if not j & span else n + j for j in range(n)]
                for row, places in ((k, low), (k + span, high)):
                    rows[row] = builder.shuffle_vector(*pair, ir.Constant(lanes, places))
        for row in rows:
            store_at(context, builder, out, target, [to], row)
            to = builder.add(to, step)
        return context.get_dummy_value()

    place = types.intp
    return types.void(w, place, place, out, place, place), codegen
