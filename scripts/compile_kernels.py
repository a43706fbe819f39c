"""Compile every kernel of engine=cuda for each generation of GPUs, without one: python
scripts/compile_kernels.py [--out kernels.csv]. Fails if one does not compile, needs more shared
memory than a block of that GPU has, or has a fault that kernel_faults.py finds; says what registers
it takes, and what it spills.

Training steps of a batch of 256 ask for them, of a driver that compiles and launches nothing: what
is compiled here, down to what Triton knows of arguments (multiples of 16, alignment), is what runs
there.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

if __name__ == "__main__":  # before triton is imported, and in a process of its own alone
    os.environ["TRITON_INTERPRET"] = "0"

import kernel_faults
import numpy as np
import pandas as pd
import triton
from benchmark.workloads import WORKLOADS, batch, network
from triton.backends.compiler import GPUTarget
from triton.runtime.driver import driver
from triton.runtime.jit import JITFunction

from fdi.data.inputs import Input
from fdi.engine.cuda import CudaEngine, choice, fused, trial
from fdi.engine.cuda.choice import COMPUTES
from fdi.engine.cuda.kernels import scan, sparse
from fdi.snn.network import Network
from fdi.snn.neuron import Surrogate

launched = JITFunction.run

SHARED = {75: 64, 80: 163, 89: 99, 90: 227}
"""KiB of shared memory of a block, by compute capability (CUDA C++ Programming Guide)."""
SOURCES = {Path(each.__file__).name: Path(each.__file__).read_text() for each in (scan, sparse)}
BATCH, STEPS = 256, 5
SHOWN = dict(CHANNELS="C", SURROGATE="", NP="N", LISTED="of events", COUNTED="counted")
"""What is said of a variant of a kernel; N is a power of 2."""


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


def steps(widths: list[int]) -> Iterator[tuple[Network, Input]]:
    """Training steps that need all kernels."""
    work = WORKLOADS["dense"] | dict(batch=BATCH, steps=STEPS)
    events, _ = batch(work)
    yield network(work), events
    yield network(work), replace(events, counts=np.ones(len(events.units), np.float32))
    for channels in (1, 2):
        for surrogate in COMPUTES.surrogates:
            yield tiny(channels, surrogate, 0)
        for units in widths:
            yield tiny(channels, "superspike", units)


def tiny(channels: int, surrogate: Surrogate, units: int) -> tuple[Network, Input]:
    case = choice.Case(channels, "zero", surrogate, units)
    return trial.tiny(case), trial.inputs(BATCH, STEPS)[1]


def asked(widths: list[int]) -> dict[str, partial[Any]]:
    """What compiles a kernel, for all that training steps launch, each variant once."""
    found: dict[str, partial[Any]] = {}

    def run(kernel, *given, grid, warmup, **options):
        shown = [kernel.__module__.rpartition(".")[2], kernel.__name__]
        for key, name in SHOWN.items():
            value = options.get(key, False)
            if value is not False and not (
                key == "NP" and (shown[0] == "sparse" or not options["CHUNK"])
            ):
                shown.append(name if value is True else f"{name} = {value}".removeprefix(" = "))
        ask = partial(launched, kernel, *given, grid=grid, warmup=True, **options)
        found.setdefault(" ".join(shown[:2]) + "".join(f", {each}" for each in shown[2:]), ask)

    with patch.object(JITFunction, "run", run), patch.object(fused, "nowhere", lambda _: None):
        for net, x in steps(widths):
            labels = np.arange(len(x)) % net.readout.units
            CudaEngine(kernels="on").step(net, x, labels, trial.OBJECTIVE)
    return found


def compiled(ask: Callable[[], Any], capability: int) -> Any:
    driver.set_active(Driver(capability))
    return ask()


def resources(cubin: bytes) -> dict[str, int]:
    """Registers of a thread, and bytes of it that do not fit into them."""
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        given = [tool, "--dump-resource-usage", file.name]
        usage = subprocess.run(given, capture_output=True, text=True, check=True).stdout
    words = dict(word.split(":") for word in usage.split() if word.startswith(("REG:", "STACK:")))
    return dict(registers=int(words["REG"]), spilled=int(words["STACK"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--widths", nargs="+", type=int, default=[16, 128, fused.WIDEST])
    parser.add_argument("--sm", nargs="+", type=int, default=list(SHARED), choices=list(SHARED))
    arguments = parser.parse_args()
    rows, wrong = [], 0
    for (name, ask), capability in product(asked(arguments.widths).items(), arguments.sm):
        kernel, limit = compiled(ask, capability), SHARED[capability]
        shared, forms = kernel.metadata.shared / 1024, kernel.asm
        faults = kernel_faults.faults(forms["ttir"], forms["ptx"], SOURCES)
        faults += ["DOES NOT FIT"] * (shared > limit)
        wrong += bool(faults)
        row = dict(kernel=name, sm=capability, warps=kernel.metadata.num_warps)
        row |= resources(forms["cubin"])
        rows.append(row | dict(shared_kib=shared, limit_kib=limit))
        needs = ", ".join(f"{value} {key}" for key, value in list(row.items())[2:])
        said = f"{name:48} sm_{capability}  {needs}, {shared:.1f} of {limit} KiB shared"
        print("  ".join([said, *faults]), flush=True)
    if arguments.out:
        pd.DataFrame(rows).to_csv(arguments.out, index=False)
    print(f"triton {triton.__version__}: {len(rows)} kernels compiled, {wrong} wrong")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
