"""The engine for a GPU, in plain torch and kernels: engine.py computes a step in parts that fit
into memory, tape.py goes through the layers and back, layer.py has the equations.
"""

from fdi.engine.cuda.engine import CudaEngine

__all__ = ["CudaEngine"]
