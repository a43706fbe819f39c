"""Compile every kernel of engine=cuda for each generation of GPUs, without one: python
scripts/compile_kernels.py [--out kernels.csv]. Fails if one does not compile, or needs more shared
memory than a block of that GPU has; says what registers it takes, and what it spills.

The launcher itself asks for them, of a driver that compiles and launches nothing: what is compiled
here is what runs there.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ["TRITON_INTERPRET"] = "0"

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime.driver import driver
from triton.runtime.jit import JITFunction

from fdi.engine.cuda.engine import COMPUTES
from fdi.engine.cuda.fused import WIDEST
from fdi.engine.cuda.kernels import launch

SHARED = {75: 64, 80: 163, 89: 99, 90: 227}
"""KiB of shared memory of a block, by compute capability (CUDA C++ Programming Guide)."""
CONSTANTS = [0.9, 0.1, 1.0, 0.0, 0.8, 0.8, 1.0, -1.0]
STEPS = 5


class Driver:
    """Of a GPU that is not here."""

    def __init__(self, capability: int) -> None:
        self.capability = capability

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", self.capability, 32)

    def get_current_device(self) -> int:
        return self.capability  # Triton keeps what it compiled by device

    def get_current_stream(self, device: int) -> int:
        return 0


def variants(widths: list[int]) -> Iterator[tuple[str, Callable[[], object]]]:
    """What a kernel computes, and a call of the launcher."""
    for channels in (1, 2):
        x = torch.zeros(channels, STEPS - 2, 3)
        u = torch.zeros(STEPS, 3)
        yield (
            f"scan, C = {channels}",
            lambda x=x: launch.scan_forward(x, STEPS, CONSTANTS, False, True),
        )
        for surrogate in COMPUTES.surrogates:
            yield (
                f"scan adjoint, C = {channels}, {surrogate}",
                lambda u=u, n=channels, name=surrogate: launch.scan_backward(
                    u, u[0], u[2:], STEPS - 2, n, CONSTANTS, False, name
                ),
            )
        for n in widths:
            x, u = torch.zeros(channels, 3, 2, n), torch.zeros(STEPS, 2, n)
            w = torch.zeros(channels, n, n)
            yield (
                f"recur, C = {channels}, N = {n}",
                lambda x=x, w=w: launch.recur_forward(x, w, STEPS, CONSTANTS, False, True),
            )
            yield (
                f"recur adjoint, C = {channels}, N = {n}",
                lambda u=u, w=w: launch.recur_backward(
                    u, w, u[0], u[2:], CONSTANTS, False, "superspike"
                ),
            )


def compiled(call: Callable[[], object], capability: int):
    """The kernel that the launcher asks for."""
    found, run = [], JITFunction.run
    driver.set_active(Driver(capability))
    JITFunction.run = lambda *given, warmup, **options: found.append(
        run(*given, warmup=True, **options)
    )
    try:
        call()
    finally:
        JITFunction.run = run
    return found[0]


def resources(cubin: bytes) -> dict[str, int]:
    """Registers of a thread, and bytes of it that do not fit into them."""
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        given = [tool, "--dump-resource-usage", file.name]
        told = subprocess.run(given, capture_output=True, text=True, check=True).stdout
    words = dict(word.split(":") for word in told.split() if word.startswith(("REG:", "STACK:")))
    return dict(registers=int(words["REG"]), spilled=int(words["STACK"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--widths", nargs="+", type=int, default=[16, 100, 128, WIDEST])
    arguments = parser.parse_args()
    rows, wrong = [], 0
    for name, call in variants(arguments.widths):
        for capability, limit in SHARED.items():
            found = compiled(call, capability)
            shared = found.metadata.shared / 1024
            fits = shared <= limit
            wrong += not fits
            used = resources(found.asm["cubin"])
            row = dict(kernel=name, sm=capability, warps=found.metadata.num_warps, **used)
            rows.append(row | dict(shared_kib=shared, limit_kib=limit))
            told = ", ".join(f"{value} {key}" for key, value in list(row.items())[2:])
            print(
                f"{name:36} sm_{capability}  {told}, {shared:.1f} of {limit} KiB shared"
                f"{'' if fits else '  DOES NOT FIT'}",
                flush=True,
            )
    if arguments.out:
        with arguments.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    print(f"triton {triton.__version__}: {len(rows)} kernels compiled, {wrong} do not fit")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
