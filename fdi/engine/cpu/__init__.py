"""The fast engine on a CPU; see batch.py for the way of a batch, chunk.py for what a thread
does.
"""

from fdi.engine.cpu.engine import CpuEngine

__all__ = ["CpuEngine"]
