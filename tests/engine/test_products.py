"""Products and transposes of matrices: blocks of rows and columns, and what is left of both."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fdi.data.inputs import Frames
from fdi.engine.cpu import CpuEngine
from fdi.engine.cpu.kernels.jit import kernel
from fdi.engine.cpu.kernels.rows import STRIP, add_product, add_strips, add_taps, product, turn
from fdi.snn.models import dense
from fdi.snn.objective import Objective

INNER, EXTRA = 5, 3  # numbers behind a row of either matrix


@pytest.mark.parametrize("fresh", [True, False])
def test_products_of_every_number_of_rows_and_columns(fresh):
    call = kernel((product if fresh else add_product).py_func)
    rng = np.random.default_rng(0)
    for columns in (3, 8, 16, 24, 32, 40, 64, 72, 109):
        w = rng.integers(-9, 9, (INNER, columns + EXTRA)).astype(float)
        for rows in range(1, 14):
            a = rng.integers(-9, 9, (rows, INNER + EXTRA)).astype(float)
            out = rng.integers(-9, 9, (rows, columns + EXTRA)).astype(float)
            wanted = out.copy()
            wanted[:, :columns] = (0 if fresh else out[:, :columns]) + a[:, :INNER] @ w[:, :columns]
            call(
                out.reshape(-1), 0, columns + EXTRA, a.reshape(-1), 0, INNER + EXTRA, rows,
                w.reshape(-1), 0, columns + EXTRA, INNER, columns,
            )  # fmt: skip
            np.testing.assert_array_equal(out, wanted)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_strips_give_the_bits_of_the_product_of_the_whole_matrix(dtype):
    whole, call = kernel(add_product.py_func), kernel(add_strips.py_func)
    rng = np.random.default_rng(0)
    width, inner = STRIP // np.dtype(dtype).itemsize, 300
    for columns in (3, 16, 32, 40, 64, 109):
        w, full = rng.normal(size=(inner, columns)).astype(dtype), columns // width * width
        parts = [w[:, j : j + width].ravel() for j in range(0, full, width)]
        strips = np.concatenate([*parts, w[:, full:].ravel()])
        for rows in (1, 4, 7, 9):
            a = rng.normal(size=(rows, inner)).astype(dtype)
            out = rng.normal(size=(1, rows, columns + EXTRA)).astype(dtype).repeat(2, 0)
            given = 0, columns + EXTRA, a.reshape(-1), 0, inner, rows
            whole(out[0].reshape(-1), *given, w.reshape(-1), 0, columns, inner, columns)
            call(out[1].reshape(-1), *given, strips, 0, inner, columns)
            np.testing.assert_array_equal(*out)


def test_taps_of_every_number_of_rows():
    call, taps, gap = kernel(add_taps.py_func), 3, 7
    rng = np.random.default_rng(0)
    for columns in (8, 16, 24, 40):
        size = INNER * columns + gap
        w = rng.integers(-9, 9, (taps, size)).astype(float)
        for rows in range(1, 18):
            a = rng.integers(-9, 9, (taps - 1 + rows, INNER + EXTRA)).astype(float)
            out = rng.integers(-9, 9, (rows, columns + EXTRA)).astype(float)
            wanted = out.copy()
            for tap in range(taps):
                weights = w[tap, : INNER * columns].reshape(INNER, columns)
                first = taps - 1 - tap
                wanted[:, :columns] += a[first : first + rows, :INNER] @ weights
            call(
                out.reshape(-1), 0, columns + EXTRA, a.reshape(-1), (taps - 1) * (INNER + EXTRA),
                INNER + EXTRA, rows, w.reshape(-1), 0, INNER, columns, taps, size,
            )  # fmt: skip
            np.testing.assert_array_equal(out, wanted)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(20, 128), (16, 16), (5, 33), (47, 35)])
def test_a_matrix_is_turned_where_it_lies(shape, dtype):
    (rows, columns), random = shape, np.random.default_rng(0)
    w, out = random.random((rows, columns + 3)).astype(dtype), np.zeros((columns, rows + 2), dtype)
    turn(w.reshape(-1), 1, columns + 3, rows, columns, out.reshape(-1), 2, rows + 2)
    np.testing.assert_array_equal(out[:, 2:], w[:, 1 : columns + 1].T)
    assert not out[:, :2].any()


def test_weights_lie_in_memory_as_they_like():
    x = Frames((np.random.default_rng(0).random((3, 20, 9)) < 0.3).astype(np.uint8))
    found = []
    for turned in (False, True):
        torch.manual_seed(0)
        network = dense((9,), hidden=[33], recurrent=True, classes=4, steps=20, dt=2e-3)
        for p in network.projections:
            torch.nn.init.normal_(p.weight, 0.5)
            if turned:
                p.weight.data = p.weight.data.T.contiguous().T
        CpuEngine(1).step(network, x, np.zeros(3, np.int64), Objective())
        found.append([p.weight.grad.numpy() for p in network.projections])
    for plain, other in zip(*found):
        assert plain.any()
        np.testing.assert_array_equal(other, plain)
