"""A process with a faulty kernel: python faulty.py FAULT trust|gpu_check ARGUMENTS."""

from __future__ import annotations

import ctypes
import sys
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import torch

from fdi.engine.cuda import trial
from fdi.engine.cuda.kernels import launch, launch_sparse

launch.PROGRAMS = 2  # few and large ones: Triton's interpreter takes its time for a program
launch_sparse.ROWS, launch_sparse.TARGETS = 64, 32
launch_sparse.SOURCES, launch_sparse.SAMPLES = 32, 4
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


def for_ever(*_):
    time.sleep(1000)


fault, what, *arguments = sys.argv[1:]
places = dict(
    half_a_gradient=(launch, "backward"),
    no_event=(launch_sparse, "by_events"),
    half_of_the_events=(launch_sparse, "gradient"),
)
if fault != "none":
    setattr(*places.get(fault, (launch, "forward")), globals()[fault])
if what == "trust":
    sys.exit(trial._main(*arguments))
sys.path.insert(0, str(Path(__file__).parents[3] / "scripts"))
gpu_check = import_module("gpu_check")

few = replace(gpu_check.COMPUTES, resets=("zero",))
card = torch.device("cpu"), lambda: ("-", "a GPU, sm_90")
vars(gpu_check).update(DEVICE=card[0], _card=card[1], COMPUTES=few)
sys.argv = ["gpu_check.py", *arguments]
gpu_check.main()
