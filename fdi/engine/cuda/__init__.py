"""The engine for a GPU, in plain torch; see engine.py for the way of a batch, layer.py for the
equations.
"""

from fdi.engine.cuda.engine import CudaEngine

__all__ = ["CudaEngine"]
