"""Simulate the states that figures show: `python scripts/study/simulate_states.py [name ...]`, all
by default. About a minute.
"""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import Any

import torch
from export_reference import write_with_source
from states import alpha, dale, membrane, pooling, regimes, snapshot

from fdi.track.evidence import origin

SIMULATIONS = {
    "membrane": membrane,
    "regimes": regimes,
    "alpha": alpha,
    "dale": dale,
    "snapshot": snapshot,
    "pooling": pooling,
}
FOLDER = Path("results/reference")


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in SIMULATIONS]
    if unknown:
        print(
            f"simulate_states: no state {unknown[0]}; choose one of {', '.join(SIMULATIONS)}",
            file=sys.stderr,
        )
        return 2
    torch.set_num_threads(1)  # the same sums on any number of cores
    made = origin(torch.device("cpu"), 1)  # before the files below change under git
    for name in names or SIMULATIONS:
        path = FOLDER / f"{name}.csv"
        write_with_source(SIMULATIONS[name].simulate(), path, provenance(name, made))
        print(path)
    return 0


def provenance(name: str, made: dict[str, Any]) -> str:
    """One line that says what made a file, from `fdi.track.evidence.origin`."""
    commit, dirty, _ = (made["commit"] or "unknown").partition("+changes")
    return (
        f"simulate_states.py {name}, commit {commit[:7]}{dirty}, torch {made['torch']}, "
        f"{made['processor']}, {date.today()}"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
