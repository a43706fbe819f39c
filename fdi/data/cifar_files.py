"""The Python batches of CIFAR-10: pickles, read without calling anything that they name."""

from __future__ import annotations

import io
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from fdi.data.errors import DataError

reconstruct = np.empty(0).__reduce__()[0]  # what numpy's own pickles call, wherever it lives
MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")


class _Numbers(pickle.Unpickler):
    """Unpickles numpy arrays, bytes, text, lists and dicts, and refuses all else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        if module in MULTIARRAY and name == "_reconstruct":
            return reconstruct
        if (module, name) == ("_codecs", "encode"):  # bytes, as Python 3 writes them for Python 2
            return lambda text, encoding: text.encode("latin1")
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is no data")

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it names an object outside of the file")


def read_batch(path: Path) -> tuple[np.ndarray, list[int]]:
    """Images uint8 [n, 3, 32, 32] and labels of one batch. Raises DataError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy warns of its own pickles of 2009
            content = _Numbers(io.BytesIO(path.read_bytes()), encoding="latin1").load()
        data, labels = content["data"], content["labels"]
        if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (3072,):
            raise ValueError("data is no uint8 array of n x 3072")
        if not all(isinstance(label, int) for label in labels):
            raise ValueError("a label is no integer")
    except Exception as error:  # whatever a damaged pickle makes of itself
        reason = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")[:200]
        raise DataError(
            f"{path}: cut short or not a batch of CIFAR-10 ({reason}); delete it and get it again"
        ) from None
    return data.reshape(-1, 3, 32, 32), list(labels)
