"""For the first person with a GPU: python scripts/gpu_check.py [--out gpu-check.md], from the
checkout, without installing fdi; it needs numpy and torch, and some minutes.

For each kind of neuron, in float64, whether small networks have the numbers of the reference
engine; for each workload of the bench, in float32, how far a training step of a few samples on data
kept on the card is from that of the reference engine on the CPU, whether it is as far the second
time, and its time and memory for a whole batch. The page is written anew after each row. Fails if
a row does; after a fault of the card none of the rows below it can pass.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

sys.path[:0] = [str(folder) for folder in Path(__file__).resolve().parents[:2]]
SAMPLES, WARM, ROUNDS = 8, 3, 9  # that are compared; steps: untimed, timed
SPIKES, GRADIENT = 1e-3, 5e-2  # shares that may differ: sums have another order in cuDNN


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("gpu-check.md"))
    out = parser.parse_args().out
    if not out.parent.is_dir():
        parser.error(f"--out {out}: there is no folder {out.parent}")
    if lacking := [name for name in ("numpy", "torch") if find_spec(name) is None]:
        sys.exit(f"gpu_check needs {', '.join(lacking)}: pip install {' '.join(lacking)}")
    import torch

    if not torch.cuda.is_available():
        sys.exit(
            f"gpu_check: PyTorch finds no CUDA device here (torch {torch.__version__} is built for "
            f"CUDA {torch.version.cuda}); it takes a GPU, and a PyTorch for its driver"
        )
    card = f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}, torch {torch.__version__}"
    sys.exit(write(out, card, rows(torch.device("cuda"))))


def write(out: Path, card: str, asked: Iterator[tuple[str, Callable[[], str]]]) -> bool:
    """The page; whether a row failed."""
    lines = ["# fdi on a GPU", "", card, "", "| what | | found |", "|---|---|---|"]
    failed = False
    for name, ask in asked:
        try:
            verdict, found = "PASS", ask()
        except Exception as error:
            verdict, found = "FAIL", " ".join(f"{type(error).__name__}: {error}".split())[:300]
            failed = True
        lines.append(f"| {name} | {verdict} | {found} |")
        print(*lines[-1:], flush=True)
        out.write_text("\n".join([*lines, ""]))
    print(f"wrote {out}; please send it to us")
    return failed


def rows(device) -> Iterator[tuple[str, Callable[[], str]]]:
    """What is asked, and what answers it or raises."""
    from benchmark.workloads import WORKLOADS

    from fdi.snn.neuron import KINDS

    for name, kind in KINDS.items():
        yield f"neuron {name}", partial(neuron, kind())
    for name, work in WORKLOADS.items():
        yield f"numbers of {name}", partial(numbers, work, device)
        yield f"a step of {name}", partial(cost, work, device)


def neuron(one) -> str:
    """The contract of an engine, for a kind of neuron."""
    from fdi.engine.cuda import CudaEngine
    from fdi.testing import check

    check(one, engine=CudaEngine())
    return "as the reference engine, to 1e-9"


def numbers(work: dict, device) -> str:
    """Spikes and gradients beside the reference engine's, of shuffled samples that are kept."""
    import numpy as np
    from benchmark.workloads import batch, network

    from fdi.engine.cuda import CudaEngine
    from fdi.engine.oracle import OBJECTIVE, compare

    net, (x, labels) = network(work), batch(work)
    order = np.random.default_rng(0).permutation(len(x))[:SAMPLES]
    given = net, x, labels[order], CudaEngine(), device, OBJECTIVE, order
    found, again = compare(*given), compare(*given)
    told = f"{found.spikes:g} of {found.total:g} spikes, {found.gradient:.1e} of a gradient differ"
    near = found.spikes <= SPIKES * found.total and found.gradient <= GRADIENT
    assert near, told
    assert found.total > 0, told
    assert found == again, f"{told}; the second time {again.gradient:.1e}"
    return told


def cost(work: dict, device) -> str:
    """Time and memory of a training step, beside the memory that was counted."""
    import torch
    from benchmark.workloads import batch, network

    from fdi.engine.cuda import CudaEngine
    from fdi.engine.oracle import OBJECTIVE

    (x, labels), net, engine = batch(work), network(work).to(device), CudaEngine()
    (counted,) = engine.plan(net, x.steps, len(x), {}, {}).lines
    kept = engine.keep(net, {"x": x})[0]["x"]
    optimizer = torch.optim.Adam(net.parameters(), 1e-4)
    times = []
    for _ in range(WARM + ROUNDS):
        start = time.perf_counter()
        engine.step(net, kept, labels, OBJECTIVE)
        optimizer.step()
        net.constrain()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(1e3 * (time.perf_counter() - start))
    told = f"{statistics.median(times[WARM:]):.2f} ms; {counted}"
    if device.type == "cuda":
        told += f"; {torch.cuda.max_memory_allocated() / 2**30:.3g} GiB at most until now"
    return told


if __name__ == "__main__":
    main()
