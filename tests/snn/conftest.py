"""Kernels for a GPU run in Triton's interpreter, which must be said before triton is imported."""

import os

os.environ.setdefault("TRITON_INTERPRET", "1")
