"""Data sets as in-memory event tables, frames or constant images; one public function each,
returning a `Dataset`.
"""

from fdi.data.torch_sets import from_torch

__all__ = ["from_torch"]
