"""A process with a faulty kernel: python faulty.py FAULT trust|gpu_check ARGUMENTS."""

from __future__ import annotations

import ctypes
import sys
import time
from importlib import import_module
from pathlib import Path

import torch

from fdi.engine.cuda import trust
from fdi.engine.cuda.kernels import launch

scan_forward, scan_backward = launch.scan_forward, launch.scan_backward


def no_spike(*given):
    u, s, counts = scan_forward(*given)
    return u, s.zero_(), counts.zero_()


def half_a_gradient(*given):
    return scan_backward(*given) / 2


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
name = "scan_backward" if fault == "half_a_gradient" else "scan_forward"
if fault != "none":
    setattr(launch, name, globals()[fault])
if what == "trust":
    sys.exit(trust._main(*arguments))
sys.path.insert(0, str(Path(__file__).parents[3] / "scripts"))
gpu_check = import_module("gpu_check")

vars(gpu_check).update(DEVICE=torch.device("cpu"), _card=lambda: ("-", "a GPU, sm_90"))
sys.argv = ["gpu_check.py", *arguments]
gpu_check.main()
