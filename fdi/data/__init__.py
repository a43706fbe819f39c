"""Data sets as in-memory event tables, frames or constant images; one public function each,
returning a `Dataset`.
"""
