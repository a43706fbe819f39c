"""Compare training steps of fdi with other libraries: python scripts/bench.py [--workloads dense
conv ...] [--libraries stork ...] [--rounds 9] [--before FOLDER] [--out results/bench.csv].

Some workloads have a table of their own, which stands beside that of the others: "own_loop" is a
step in a loop of one's own beside the trainer's, "parts" are those of whole commands (`--before`:
of another checkout of fdi, too), "growth" is how times grow with sizes, "workers" the memory of a
sweep, "accuracy" trains libraries until they classify 90 % of Randman correctly, and "sizes" (or
--map) compares fdi with the fastest of other libraries over sizes of a network, and goes on where
it was interrupted. See benchmark/ for what is measured. Ends with a figure.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
from benchmark import accuracy, growth, own_loop, parts, sizes, workers
from benchmark.steps import compare
from benchmark.workloads import DEFAULT, FIELD, PAPER, WORKLOADS

from fdi.analysis.results import own
from fdi.figures.catalogue import render
from fdi.study import speed

BESIDE = ("own_loop", "growth", "workers", "parts", "accuracy", "sizes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    choices = [*WORKLOADS, *DEFAULT, *FIELD, *PAPER, *BESIDE]
    parser.add_argument("--workloads", nargs="+", default=choices, choices=choices)
    parser.add_argument("--map", action="store_const", const=["sizes"], dest="workloads")
    parser.add_argument("--libraries", nargs="+", default=[], help="these and fdi alone")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--before", type=Path, help="another checkout of fdi, for parts")
    parser.add_argument("--out", type=table, default=Path("results/bench.csv"))
    options = parser.parse_args()
    rows = []
    for workload in options.workloads:
        if workload not in BESIDE:
            rows += compare(workload, options.rounds, options.libraries)
            write(options.out, rows)  # what is measured stays if the rest is interrupted
    beside: dict[str, Callable[[], list[dict]]] = {
        "own_loop": partial(own_loop.measure, options.rounds),
        "growth": growth.measure,
        "workers": workers.measure,
        "parts": partial(parts.measure, options.before),
        "accuracy": accuracy.measure,
    }
    for name in BESIDE:
        file = options.out.with_stem(f"{options.out.stem}_{name}")
        if name == "sizes" and name in options.workloads:
            for known in sizes.measure(options.rounds, file):
                write(file, known)
        elif name in options.workloads:
            write(file, beside[name]())
    if rows:
        draw_speed(options.out)


def table(name: str) -> Path:
    """The file that is asked for; the figure at the end finds it by its name without .csv."""
    if not name.endswith(".csv") or Path(name).is_dir():
        raise argparse.ArgumentTypeError(f"{name} must be a file that ends in .csv")
    return Path(name)


def write(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(path, index=False)
    print(path)


def draw_speed(table: Path) -> None:
    """The figure of `table`, in the folder figures beside it."""
    page = speed.bench_page(own(table.parent).csv(table.stem))
    for file in render(speed, page, table.parent / "figures" / "speed"):
        print(file)


if __name__ == "__main__":
    main()
