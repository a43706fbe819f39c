"""Where the CPU time of a whole command goes, of this fdi and of another checkout, in turn.

Each run of NETWORKS is a process of its own with two threads, whose kernels were compiled before.
The time of a part is that of all threads of the process from its beginning to its end; of parts
within each other the outer one counts. "start" is what comes before the first part, imports and the
composed configuration, "rest" what lies between and behind them, until the process is gone.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[2]
NETWORKS = {
    "default run, 20 epochs": "trainer.epochs=20",
    "digits, 8 convolutions, initial state": (
        "probe=only dataset=digits model=conv_deep model.depth=8 init=fluct"
    ),
    "digits, 8 convolutions with tdBN and skip connections, 1 epoch": (
        "dataset=digits model=conv_deep model.depth=8 model.norm=tdbn model.skip=true "
        "trainer.epochs=1 dataset.max_train=250"
    ),
    "Randman, 16 layers, calibrated, initial state": (
        "probe=only model.depth=16 init=fluct_calibrated"
    ),
}
PARTS = ("start", "data", "draw", "probe", "steps", "evaluation", "rest")
ROUNDS = 3
PLACES = (
    ("draw", "fdi.init.strategy", "draw_weights"),
    ("probe", "fdi.init.probe", "probe_populations"),
    ("steps", "fdi.engine.cpu.engine", "CpuEngine.step"),
    ("steps", "fdi.engine.reference.engine", "ReferenceEngine.step"),
    ("evaluation", "fdi.engine.cpu.engine", "CpuEngine.evaluate"),
    ("evaluation", "fdi.engine.reference.engine", "ReferenceEngine.evaluate"),
    ("data", "fdi.runner.build", "dataset"),
)
"""Part, module and function; those above are there before a module below takes them by name."""


def measure(before: Path | None, rounds: int = ROUNDS) -> list[dict]:
    """A row for each network, checkout, round and part."""
    from benchmark import machine  # not there in the process that is watched

    checkouts = ({"before": before.resolve()} if before else {}) | {"now": HERE}
    rows = []
    with tempfile.TemporaryDirectory() as kernels:
        turns = product(NETWORKS.items(), range(rounds + 1), checkouts.items())
        for (network, words), turn, (name, checkout) in turns:
            seconds = _spent(checkout, words.split(), kernels)
            print(f"{network}, {name}: {sum(seconds.values()):.2f} CPU s", flush=True)
            if turn:  # the first compiles
                rows += [
                    dict(network=network, command=words, version=name, round=turn, part=part,
                         seconds=seconds[part], machine=machine.name())
                    for part in PARTS
                ]  # fmt: skip
    return rows


def _spent(checkout: Path, words: list[str], kernels: str) -> dict[str, float]:
    """CPU seconds of each part of `fdi-run` with these words."""
    with tempfile.TemporaryDirectory() as folder:
        told, before = Path(folder) / "parts.json", _of_children()
        subprocess.run(
            [sys.executable, str(Path(__file__).resolve()), str(told), *words, "threads=2"],
            env=os.environ | {"PYTHONPATH": str(checkout), "NUMBA_CACHE_DIR": kernels},
            cwd=folder, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        spent = json.loads(told.read_text())
    return spent | {"rest": _of_children() - before - sum(spent.values())}


def _of_children() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _watch(told: Path, words: list[str]) -> None:
    """Does what `fdi-run` does with these words, and tells how long the parts took."""
    spent = dict.fromkeys(PARTS, 0.0)
    begun: list[float] = []
    inside: list[str] = []

    def watched(part: str, function: Callable) -> Callable:
        def timed(*arguments: Any, **options: Any) -> Any:
            if inside:
                return function(*arguments, **options)
            start = time.process_time()
            begun.append(start)
            inside.append(part)
            try:
                return function(*arguments, **options)
            finally:
                inside.clear()
                spent[part] += time.process_time() - start

        return timed

    for part, module, place in PLACES:
        with suppress(ModuleNotFoundError):
            owner: Any = import_module(module)
            *names, function = place.split(".")
            for name in names:
                owner = getattr(owner, name)
            if hasattr(owner, function):
                setattr(owner, function, watched(part, getattr(owner, function)))
    sys.argv = ["fdi-run", *words]
    try:
        sys.exit(import_module("fdi.cli.run").main())
    finally:
        told.write_text(json.dumps(spent | {"start": begun[0]}))


if __name__ == "__main__":
    _watch(Path(sys.argv[1]), sys.argv[2:])
