"""Vectors of 64 bytes as values in Numba code: load, store, fill, spread, select, absolute, exp and
the operators + - * / > == & | ~.

LLVM vectorizes loops over several rows only behind checks that the rows do not overlap, and keeps
no tile of sums in registers; with explicit vectors it need not guess. On machines with shorter
registers LLVM splits each vector.
"""

from __future__ import annotations

from fdi.engine.cpu.kernels.simd.memory import (
    entry,
    lanes,
    load,
    load_as,
    load_many,
    prefetch,
    spread,
    store,
    store_true,
)
from fdi.engine.cpu.kernels.simd.records import constants, own
from fdi.engine.cpu.kernels.simd.values import (
    absolute,
    bits,
    exp,
    fill,
    fill_many,
    fused,
    leading,
    like,
    select,
    times,
)
from fdi.engine.cpu.kernels.simd.vector import Vector, intrinsic, load_at, store_at

__all__ = [
    "Vector",
    "absolute",
    "bits",
    "constants",
    "entry",
    "exp",
    "fill",
    "fill_many",
    "fused",
    "intrinsic",
    "lanes",
    "leading",
    "like",
    "load",
    "load_as",
    "load_at",
    "load_many",
    "own",
    "prefetch",
    "select",
    "spread",
    "store",
    "store_at",
    "store_true",
    "times",
]
