"""What the machine can do: products of matrices, and moving memory, with all threads of torch; the
best of some tries.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from fdi.engine.cpu.kernels.jit import kernel
from fdi.engine.cpu.kernels.rows import add_product, gather, scatter
from fdi.engine.cpu.memory import zeros
from fdi.track.evidence import origin

EDGE = 2048  # of the matrices
BLOCK = (784, 128, 128, 100)  # rows, inner, columns, and how often, of the product in the cache
TABLE = (700, 128, 2**14)  # rows, columns, and how many rows are taken, of a table in the cache
LENGTH = 2**26  # float32 numbers of a vector, 256 MiB: larger than the caches
TRIES = 7


def throughput() -> dict[str, float]:
    """Float32 operations in a second, a multiply-add being two, of torch.mm and of fdi's own
    kernel, bytes moved in the main memory, and bytes of a table of weights that come from the
    second level of the caches where its rows are added to one, and that come from there and go back
    where one is added to them, all in 10^9.
    """
    near, both = _rows()
    return {
        "gflops_torch": _torch_product(),
        "gflops_fdi": _own_product(),
        "gbps": _triad(),
        "gbps_near": near,
        "gbps_scatter": both,
    }


def name() -> str:
    processor = origin(torch.device("cpu"), 1)["processor"]
    return f"{processor}, {os.cpu_count()} cores, Python {platform.python_version()}"


def _torch_product() -> float:
    a, b, out = (torch.rand(EDGE, EDGE) for _ in range(3))
    return 2e-9 * EDGE**3 / _fastest(lambda: torch.mm(a, b, out=out))


def _own_product() -> float:
    rows, inner, columns, times = BLOCK
    product, number = kernel(add_product.py_func), np.dtype(np.float32)

    def work(_: int) -> None:
        sizes = (rows * inner, inner * columns, rows * columns)
        a, w, out = (zeros(n, dtype=number) for n in sizes)
        for _ in range(times):
            product(out, 0, columns, a, 0, inner, rows, w, 0, columns, inner, columns)

    seconds, threads = _on_all_threads(work)
    return 2e-9 * rows * inner * columns * times * threads / seconds


def _rows() -> tuple[float, float]:
    """Rows of a table, in any order, are added to one, and one is added to them."""
    rows, columns, taken = TABLE
    add, add_to = kernel(gather.py_func), kernel(scatter.py_func)
    units = np.random.default_rng(0).integers(rows, size=taken).astype(np.int32)
    none, number = np.empty(0, np.float32), np.dtype(np.float32)

    def there(_: int) -> None:
        row, table = zeros(columns, dtype=number), zeros(rows, columns, dtype=number)
        for _ in range(BLOCK[-1]):
            add(row, 0, columns, table, units, none, 0, taken)

    def back(_: int) -> None:
        row, table = zeros(columns, dtype=number), zeros(rows, columns, dtype=number)
        for _ in range(BLOCK[-1]):
            add_to(table, units, none, 0, taken, row, 0, (0, columns))

    (one, threads), (other, _) = map(_on_all_threads, (there, back))
    moved = 4e-9 * columns * taken * BLOCK[-1] * threads
    return moved / one, 2 * moved / other


def _on_all_threads(work: Callable[[int], None]) -> tuple[float, int]:
    """The seconds that `work` takes on each thread of torch at the same time, and how many."""
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(threads) as pool:
        return _fastest(lambda: list(pool.map(work, range(threads)))), threads


def _triad() -> float:
    """a = b + 2 c reads two vectors and writes one."""
    b, c, out = (torch.ones(LENGTH) for _ in range(3))
    return 3e-9 * out.nbytes / _fastest(lambda: torch.add(b, c, alpha=2, out=out))


def _fastest(call: Callable[[], object]) -> float:
    call()
    times = []
    for _ in range(TRIES):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)
