"""What a step costs in a loop of one's own, as a multiple of the trainer's: the same network, the
same events and cross-entropy of the largest readout, no optimizer, by turns in one process on one
thread, in CPU time.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from benchmark import machine
from benchmark.workloads import DEFAULT, FIELD, WORKLOADS, batch, network
from fdi.engine.cpu import CpuEngine
from fdi.snn.objective import Objective

TURN = 0.3  # s
APART = 1e-5  # between gradients, as a share of the largest of a weight


def measure(rounds: int) -> list[dict]:
    """A row for each workload."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rows = [_compare(name, work, rounds) for name, work in (DEFAULT | WORKLOADS | FIELD).items()]
    torch.set_num_threads(threads)
    return rows


def _compare(name: str, work: dict, rounds: int) -> dict:
    x, y = batch(work)
    net, engine, objective, labels = network(work), CpuEngine(1), Objective(), torch.from_numpy(y)

    def trainer() -> None:
        engine.step(net, x, y, objective)

    def own() -> None:
        net.zero_grad()
        cross_entropy(net(x, readout="max"), labels).backward()

    found = []
    for step in (trainer, own):
        step()
        found.append([weight.grad.clone() for weight in net.parameters()])
    for a, b in zip(*found):
        assert (a - b).abs().max() <= APART * a.abs().max(), f"{name}: gradients differ"
    times = max(1, round(TURN / _seconds(trainer, 2)))
    pairs = [(_seconds(trainer, times), _seconds(own, times)) for _ in range(rounds)]
    ratios = [b / a for a, b in pairs]
    row = dict(
        workload=name, about=work["about"], rounds=rounds, least=min(ratios),
        median=float(np.median(ratios)), most=max(ratios),
        trainer_ms=1e3 * float(np.median([a for a, _ in pairs])),
        own_ms=1e3 * float(np.median([b for _, b in pairs])),
        torch=torch.__version__, threads=1, machine=machine.name(),
    )  # fmt: skip
    print(f"{name:10}{row['median']:.2f} [{row['least']:.2f}, {row['most']:.2f}]", flush=True)
    return row


def _seconds(step: Callable[[], None], times: int) -> float:
    """CPU time of one of so many steps."""
    start = time.thread_time()
    for _ in range(times):
        step()
    return (time.thread_time() - start) / times
