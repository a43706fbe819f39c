"""Reading image files with torchvision and scikit-learn, file by file, so that a damaged one is
named; images uint8 [B, C, H, W].
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from fdi.data.cifar_files import read_batch
from fdi.data.download import md5
from fdi.data.errors import DataError, needs
from fdi.data.kept import keep
from fdi.data.sources import CIFAR10_MD5

log = logging.getLogger("fdi.data")
DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AssertionError,
    RuntimeError,
    AttributeError,
)
Samples = tuple[np.ndarray, np.ndarray]  # images, labels int64 [B]


@keep
def read_cifar(folder: Path, check: bool = True) -> tuple[Samples, Samples]:
    """Training and test images of the Python batches in `folder`. Without `check` files that are
    not the official ones, and fewer of them, are read with a warning.
    """
    there = [name for name in CIFAR10_MD5 if (folder / name).is_file()]
    if "test_batch" not in there or len(there) < 2:
        raise DataError(
            f"{folder}: needs test_batch and at least one data_batch, has "
            f"{', '.join(there) or 'neither'}"
        )
    wrong = [name for name in CIFAR10_MD5 if name not in there] + [
        name for name in there if md5(folder / name) != CIFAR10_MD5[name]
    ]
    if wrong:
        line = f"{folder}: {', '.join(wrong)} missing or not the official files of CIFAR-10 (md5)"
        if check:
            raise DataError(f"{line}; get them again, or set dataset.check=false")
        log.warning("%s", line)
    batches = {name: _checked(folder / name, *read_batch(folder / name)) for name in there}
    test = batches.pop("test_batch")
    images, labels = (np.concatenate(arrays) for arrays in zip(*batches.values()))
    return (images, labels), test


@keep
def read_idx(folder: Path, prefix: str) -> Samples:
    """The images and labels `prefix`-images-idx3-ubyte and `prefix`-labels-idx1-ubyte of MNIST's
    format.
    """
    with needs("torchvision"):
        from torchvision.datasets.mnist import read_image_file, read_label_file
    arrays = []
    for read, kind in (
        (read_image_file, "images-idx3-ubyte"),
        (read_label_file, "labels-idx1-ubyte"),
    ):
        path = folder / f"{prefix}-{kind}"
        try:
            arrays.append(read(str(path)).numpy())
        except DAMAGED as error:
            raise DataError(
                f"{path}: cut short or not in MNIST's format ({_line(error)}); delete it and get "
                f"it again"
            ) from error
    return _checked(path, arrays[0][:, None], arrays[1])


@keep
def read_digits() -> Samples:
    """The 8 x 8 digits that come with scikit-learn; grey levels 0..16 stretched to 0..255."""
    with needs("sklearn"):
        from sklearn.datasets import load_digits
    digits = load_digits()
    return np.rint(digits.images[:, None] * (255 / 16)).astype(np.uint8), digits.target.astype(
        np.int64
    )


def _checked(path: Path, images: np.ndarray, given: ArrayLike) -> Samples:
    labels = np.asarray(given, dtype=np.int64)
    if len(images) != len(labels) or not len(labels):
        raise DataError(f"{path}: {len(images)} images but {len(labels)} labels")
    if labels.min() < 0 or labels.max() > 9:
        raise DataError(
            f"{path}: label {labels.max() if labels.max() > 9 else labels.min()} is outside 0..9 "
            f"(10 classes)"
        )
    return np.ascontiguousarray(images), labels


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0].rstrip(": ")
