"""The products of the backward pass: blocks of rows and columns, and what is left of both."""

from __future__ import annotations

import numpy as np
import pytest

from fdi.engine.cpu.kernels.jit import kernel
from fdi.engine.cpu.kernels.product import add_product, product

INNER, EXTRA = 5, 3  # numbers behind a row of either matrix


@pytest.mark.parametrize("fresh", [True, False])
def test_products_of_every_number_of_rows_and_columns(fresh):
    call = kernel((product if fresh else add_product).py_func)
    rng = np.random.default_rng(0)
    for columns in (3, 8, 16, 24, 32, 40, 64, 72, 109):
        w = rng.integers(-9, 9, (INNER, columns)).astype(float)
        for rows in range(1, 14):
            a = rng.integers(-9, 9, (rows, INNER + EXTRA)).astype(float)
            out = rng.integers(-9, 9, (rows, columns + EXTRA)).astype(float)
            wanted = out.copy()
            wanted[:, :columns] = (0 if fresh else out[:, :columns]) + a[:, :INNER] @ w
            call(
                out.reshape(-1), 0, columns + EXTRA, a.reshape(-1), 0, INNER + EXTRA, rows,
                w.reshape(-1), 0, INNER, columns,
            )  # fmt: skip
            np.testing.assert_array_equal(out, wanted)
