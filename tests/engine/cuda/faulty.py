"""Kernels with a fault: `python faulty.py trust FAULT ARGUMENTS`, `python faulty.py gpu_check --row
"FAULT in ROW"`.
"""

from __future__ import annotations

import ctypes
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

import torch

from fdi.engine.cuda import trial
from fdi.engine.cuda.kernels import launch, launch_sparse

forward, backward = launch.forward, launch.backward
by_events, gradient = launch_sparse.by_events, launch_sparse.gradient


def no_spike(*given):
    u, s, counts = forward(*given)
    return u, s.zero_(), counts.zero_()


def half_a_gradient(*given):
    return backward(*given) / 2


def no_event(*given):
    return by_events(*given).zero_()


def half_of_the_events(*given):
    return gradient(*given) / 2


def illegal_access(*_):
    ctypes.string_at(0)


def out_of_memory(*_):
    raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


def cuda_error(*_):
    """As torch words it; the process can do nothing more with the GPU."""
    raise RuntimeError(
        "CUDA error: an illegal memory access was encountered\nCompile with `TORCH_USE_CUDA_DSA` "
        "to enable device-side assertions."
    )


PLACES = dict(
    half_a_gradient=(launch, "backward"),
    no_event=(launch_sparse, "by_events"),
    half_of_the_events=(launch_sparse, "gradient"),
)
"""What a fault takes the place of, if not of `forward`."""


def place(fault: str) -> tuple[ModuleType, str]:
    return PLACES.get(fault, (launch, "forward"))


def start(fault: str) -> None:
    if fault != "none":
        setattr(*place(fault), globals()[fault])


def main(what: str, *arguments: str) -> int:
    trial.STEPS, trial.BATCH, trial.UNITS, trial.DENSITY = 6, 3, 7, 0.7  # what is tried is small
    launch.PROGRAMS, launch.HELD = 1, 2  # few and large programs, as in few_programs
    launch.BLOCK = launch.CHUNK = 256
    launch_sparse.ROWS, launch_sparse.TARGETS = 64, 32
    launch_sparse.SOURCES, launch_sparse.SAMPLES = 32, 4
    if what == "trust":
        start(arguments[0])
        return trial._main(*arguments[1:])
    sys.path.insert(0, str(Path(__file__).parents[3] / "scripts"))
    gpu_check, gpu = import_module("gpu_check"), import_module("benchmark.gpu")
    few = replace(gpu.COMPUTES, resets=("zero",))
    vars(gpu).update(DEVICE=torch.device("cpu"), _card=lambda: ("-", "a GPU, sm_90"), COMPUTES=few)
    fault, _, row = arguments[-1].rpartition(" in ")
    start(fault or "none")
    sys.argv = ["gpu_check.py", "--row", row]
    return gpu_check.main()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
