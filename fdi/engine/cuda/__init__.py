"""The engine for a GPU, in plain torch: engine.py computes a batch in parts that fit into memory,
memory.py counts what they need, kept.py has the data that stay on the device.
"""

from fdi.engine.cuda.engine import CudaEngine

__all__ = ["CudaEngine"]
