"""What torch must not do on a GPU: round products to TF32, or add in an order that changes."""

from __future__ import annotations

import os

import torch


def exact() -> None:
    """Full float32 products and convolutions, and deterministic algorithms, for this process."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS adds in one order
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    torch.set_deterministic_debug_mode("error")  # imports no compiler
    torch.utils.deterministic.fill_uninitialized_memory = False
