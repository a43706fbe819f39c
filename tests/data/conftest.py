"""Small files in the formats of the real data sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest


@pytest.fixture
def write_shd() -> Callable[..., Path]:
    """Writes a file in the layout of SHD: `spikes` is a list of (times, units), one per sample."""

    def write(
        path: Path,
        spikes: Sequence,
        labels: Sequence[int],
        *,
        keys: int = 0,
    ) -> Path:
        with h5py.File(path, "w") as file:
            for name, column, kind in (("times", 0, np.float16), ("units", 1, np.uint16)):
                data = file.create_dataset(
                    f"spikes/{name}", (len(spikes),), dtype=h5py.vlen_dtype(kind)
                )
                for i, sample in enumerate(spikes):
                    data[i] = np.asarray(sample[column], dtype=kind)
            file["labels"] = np.asarray(labels, dtype=np.int32)
            if keys:
                file["extra/keys"] = np.array([f"{k}".encode() for k in range(keys)])
        return path

    return write


@pytest.fixture
def digits_folder(tmp_path: Path, write_shd) -> Path:
    """Twenty training and four test samples of two classes, 6 units, in the layout of
    SHD.
    """
    rng = np.random.default_rng(0)

    def samples(n: int) -> list:
        return [(np.sort(rng.uniform(0, 0.1, 50)), rng.integers(0, 6, 50)) for _ in range(n)]

    write_shd(
        tmp_path / "toy_train.h5",
        samples(20),
        [0, 1] * 10,
        keys=2,
    )
    write_shd(tmp_path / "toy_test.h5", samples(4), [0, 1, 0, 1], keys=2)
    return tmp_path
