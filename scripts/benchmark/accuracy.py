"""How long a library trains until it classifies 90 % of Randman correctly: network, data and
batches of the default run, from the weights that fdi draws, with Adam.

Each library has the step size that suits it: of RATES the one with which a training from TUNING
gets there after the fewest epochs on the validation split. Then it trains from each of SEEDS, in
turn with the others, and is asked on the test split after each epoch. A training has a process of
its own, on one thread. Its seconds are those of the CPU in training steps: no evaluation, nothing
compiled, and batches made before.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
import torch

from benchmark import machine
from benchmark.libraries import available
from benchmark.libraries.tools import Learner
from benchmark.steps import version_of
from benchmark.workloads import DEFAULT
from fdi.cli.cells import compose_cells
from fdi.cli.run import parse
from fdi.data.dataset import Split
from fdi.runner import build

PEERS = ("fdi", "stork", "snntorch", "spikingjelly")
RATES = (1e-1, 5e-2, 2e-1, 2e-2, 5e-1, 1e-2)  # the likeliest first: none goes on longer than it
TUNING, SEEDS = 1000, (0, 1, 2, 3, 4)
GOAL, MOST = 0.9, 30  # accuracy; epochs


class Training(NamedTuple):
    """Epochs until GOAL (inf where MOST were not enough), seconds of the CPU, last accuracy."""

    epochs: float
    seconds: float
    accuracy: float


def measure(seeds: tuple[int, ...] = SEEDS) -> list[dict]:
    """A row for each library and seed."""
    builders = {name: builder for name, builder in available().items() if name in PEERS}
    rates = {name: best_rate(name, builder) for name, builder in builders.items()}
    rows = []
    for seed in seeds:
        for name, builder in builders.items():
            found = alone(builder, seed, rates[name], MOST, on_test=True)
            rows.append(
                dict(
                    library=name,
                    seed=seed,
                    lr=rates[name],
                    goal=GOAL,
                    **found._asdict(),
                    version=version_of(name),
                    torch=torch.__version__,
                    machine=machine.name(),
                )
            )
            print(
                f"{name:14} seed {seed}: {GOAL:.0%} after {found.epochs:g} epochs and "
                f"{found.seconds:.2f} CPU seconds",
                flush=True,
            )
    return rows


def best_rate(name: str, builder: Callable[[dict], Learner]) -> float:
    """The first of those that need the fewest epochs."""
    best, fewest = math.nan, math.inf
    for rate in RATES:
        found = alone(builder, TUNING, rate, int(min(MOST, fewest - 1)), on_test=False)
        print(f"{name:14} lr {rate:g}: {found.accuracy:.1%} after {found.seconds:.2f} CPU seconds")
        if found.epochs < fewest:
            best, fewest = rate, found.epochs
    if not min(RATES) < best < max(RATES):
        print(f"{name}: the best step size may lie outside of {min(RATES):g} to {max(RATES):g}")
    return best


def alone(
    builder: Callable[[dict], Learner], seed: int, rate: float, most: int, on_test: bool
) -> Training:
    """`train` in a process of its own."""
    with (
        patch.dict(os.environ, OMP_NUM_THREADS="1"),
        get_context("spawn").Pool(1) as pool,
    ):
        return pool.apply(train, (builder, seed, rate, most, on_test))


def train(
    builder: Callable[[dict], Learner], seed: int, rate: float, most: int, on_test: bool
) -> Training:
    """Until GOAL of the validation or of the test split is right, at most for `most` epochs."""
    (cell,) = compose_cells(parse([f"seed={seed}"]))  # that of `fdi-run`
    config = cell.config
    data, size = build.dataset(config), config.trainer.batch_size
    work = dict(
        DEFAULT["default"], classes=data.classes, steps=data.steps, batch=size, seed=seed, lr=rate,
        nu_input=float(data.train.inputs.mean()) / data.dt,
    )  # fmt: skip
    held = data.test if on_test else data.valid
    first = builder(work)  # what it compiles, the second does not
    first.step(first.put(*next(batches(data.train, size))))
    first.correct(first.put(*next(batches(held, size))))
    learner, rng = builder(work), np.random.default_rng(seed)
    seconds = accuracy = 0.0
    for epoch in range(1, most + 1):
        for batch in batches(data.train, size, rng.permutation(len(data.train))):
            given = learner.put(*batch)
            start = time.process_time()
            learner.step(given)
            seconds += time.process_time() - start
        correct = sum(learner.correct(learner.put(*batch)) for batch in batches(held, size))
        accuracy = correct / len(held)
        if accuracy >= GOAL:
            return Training(epoch, seconds, accuracy)
    return Training(math.inf, seconds, accuracy)


def batches(split: Split, size: int, order: np.ndarray | None = None) -> Iterator[tuple]:
    order = np.arange(len(split)) if order is None else order
    for i in range(0, len(order), size):
        yield split.batch(order[i : i + size], np.random.default_rng(0))
