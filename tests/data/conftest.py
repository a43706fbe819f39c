"""Small files in the formats of the real data sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from making import write_shd


@pytest.fixture
def digits_folder(tmp_path: Path) -> Path:
    """Twenty training and four test samples of two classes, 6 units, in the layout of SHD."""
    rng = np.random.default_rng(0)
    for part, n in (("train", 20), ("test", 4)):
        spikes = [(np.sort(rng.uniform(0, 0.1, 50)), rng.integers(0, 6, 50)) for _ in range(n)]
        write_shd(tmp_path / f"toy_{part}.h5", spikes, [0, 1] * (n // 2), keys=2)
    return tmp_path
