"""Compile every kernel of engine=cuda for each generation of GPUs, without one: python
scripts/compile_kernels.py [--out kernels.csv]. Fails if one does not compile, or needs more shared
memory than a block of that GPU has.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from pathlib import Path

os.environ.setdefault("TRITON_INTERPRET", "0")

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from fdi.engine.cuda.engine import COMPUTES
from fdi.engine.cuda.fused import WIDEST
from fdi.engine.cuda.kernels import convolutional, launch, recurrent, scan

SHARED = {80: 163, 89: 99, 90: 227}
"""KiB of shared memory of a block, by compute capability (CUDA C++ Programming Guide)."""

KERNEL = (3, 3)  # of a recurrent convolution
NUMBERS = ("beta_m", "gain", "theta", "u_init", "beta", "beta_0", "beta_1", "sign_0", "sign_1")


def variants(widths: list[int]):
    """(name, kernel, its constants, options)."""
    for channels in (1, 2):
        for subtract in (False, True):
            given = dict(CHANNELS=channels, SUBTRACT=subtract)
            yield "scan", scan.forward, given | dict(KEEP=True, BLOCK=launch.BLOCK), launch.OPTIONS
            for n in widths:
                block = launch.shape(n)
                options = launch.options(n)
                yield f"recur {n}", recurrent.forward, given | dict(KEEP=True) | block, options
                block = launch.tile(n, (8, 8), KERNEL)
                each = given | dict(KEEP=True) | block
                yield f"convolve {n}", convolutional.forward, each, launch.WIDE
    for surrogate in COMPUTES.surrogates:
        given = dict(CHANNELS=2, SUBTRACT=False, SURROGATE=surrogate, SEEN=True)
        yield (
            f"scan adjoint {surrogate}",
            scan.backward,
            given | dict(SUM=False, BLOCK=launch.BLOCK),
            launch.OPTIONS,
        )
    for n in widths:
        given = dict(CHANNELS=2, SUBTRACT=False, SURROGATE="superspike", SEEN=True)
        yield f"recur adjoint {n}", recurrent.backward, given | launch.shape(n), launch.options(n)
        each = given | launch.tile(n, (8, 8), KERNEL)
        yield f"convolve adjoint {n}", convolutional.backward, each, launch.WIDE


def compile_for(kernel, constants: dict, capability: int, options: dict):
    """The compiled kernel, with its cubin and shared memory."""
    signature = {
        name: "constexpr" if name in constants else _type(name) for name in kernel.arg_names
    }
    source = ASTSource(kernel, signature, constexprs=constants)
    return triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)


def _type(name: str) -> str:
    if name in NUMBERS:
        return "fp32"
    if name in ("M", "B", "N", "F", "H", "W", "T", "x_step", "x_channel"):
        return "i32"
    return "*i8" if name == "s" else "*fp32"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--widths", nargs="+", type=int, default=[16, 128, WIDEST])
    arguments = parser.parse_args()
    rows, wrong = [], 0
    for name, kernel, constants, options in variants(arguments.widths):
        for capability, limit in SHARED.items():
            found = compile_for(kernel, constants, capability, options)
            shared, size = found.metadata.shared / 1024, len(found.asm["cubin"])
            fits = shared <= limit and size > 0
            wrong += not fits
            rows.append(
                dict(kernel=name, sm=capability, shared_kib=shared, limit_kib=limit, cubin=size)
            )
            print(
                f"{name:24} sm_{capability}  {shared:6.1f} of {limit} KiB  cubin {size} bytes"
                f"{'' if fits else '  DOES NOT FIT'}",
                flush=True,
            )
    if arguments.out:
        with arguments.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
