"""A network that training on the bounds alone brings to its initial state, once for a sweep."""

from __future__ import annotations

import json
import os
import zipfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fdi.config.cache import PRIMED, cache_folder, code_in, delete_unused
from fdi.config.identity import canonical
from fdi.data.dataset import keep
from fdi.init.homeostatic import LOWER, UPPER
from fdi.runner.build import RunContext
from fdi.snn.network import Network
from fdi.snn.objective import LowerBound, Objective, UpperBound
from fdi.track import evidence
from fdi.track.files import atomic, digest, open_file
from fdi.train.optimizers import SMORMS3
from fdi.train.trainer import Phase, Progress, Trainer, activity

UNUSED = 30 * 24 * 3600  # s, after which a primed network is deleted


def what_primes(context: RunContext) -> str:
    """What of a configuration, and of the data, decides how a network is primed."""
    config = json.loads(canonical(context.values))
    size = config.pop("trainer")["batch_size"]
    for key in ("optimizer", "scheduler", "homeostasis"):
        config.pop(key, None)
    return json.dumps([config, size, context.data.checksum, evidence.code(context.values)])


def primed(context: RunContext, network: Network, strategy: Any) -> tuple[Network, int]:
    """The network on the CPU, where the rule of the strategy is "bounds" trained on these alone,
    and by how many updates it was; kept, so that a sweep over step sizes primes each seed once.
    """
    if strategy.rule != "bounds":
        return network.to("cpu"), 0

    @keep
    def trained(what: str) -> tuple[tuple[np.ndarray, ...], int]:
        file = _kept_in(context, what)
        if file and (there := _known(file)):
            return there
        updates = prime(context, network, strategy)
        weights = tuple(w.clone().numpy() for w in network.to("cpu").weights().values())
        if file:
            with suppress(OSError):  # the folder may be deleted at any time
                with atomic(file) as temporary, temporary.open("wb") as opened:
                    np.savez(opened, *weights, updates=updates)
                delete_unused(file.parent, UNUSED)
        return weights, updates

    weights, updates = trained(what_primes(context))
    named = zip(network.to("cpu").weights(), map(torch.tensor, weights))
    network.load_weights(dict(named))
    return network, updates


def _kept_in(context: RunContext, what: str) -> Path | None:
    """The file that other processes of the same code, versions and processor find a primed network
    in; None where nothing can be kept.
    """
    now = evidence.origin(context.device, context.threads)
    # not by the commit, which changed code may share
    here = [now[key] for key in (*evidence.CHANGING, "accelerator") if key != "commit"]
    try:
        home = cache_folder(PRIMED)
    except OSError:
        return None
    return home / f"{digest(json.dumps([what, here, _source()]))}.npz"


@cache
def _source() -> str:
    """A hash of the code of fdi."""
    return code_in(sorted(Path(__file__).parents[1].rglob("*.py")))


def _known(file: Path) -> tuple[tuple[np.ndarray, ...], int] | None:
    """What such a file holds, if it is there and whole."""
    try:
        with open_file(file) as opened, np.load(opened) as there:
            updates, *names = there  # as numpy orders them
            os.utime(file)
            return tuple(there[name] for name in names), int(there[updates])
    except (OSError, ValueError, zipfile.BadZipFile):
        return None


def prime(context: RunContext, network: Network, strategy: Any) -> int:
    """Train the network on the bounds alone until it is on target or for the epochs of the
    strategy; returns by how many updates it was.
    """
    data = context.data
    duration = data.steps * data.dt
    objective = Objective(
        upper=UpperBound(UPPER, strategy.upper * duration),
        lower=LowerBound(LOWER, strategy.lower * duration),
        task_weight=0.0,
    )
    optimizer = SMORMS3(network.parameters(), strategy.lr)
    size, seed = context.trainer.batch_size, context.trainer.seed
    trainer = Trainer(network, context.engine, optimizer, batch_size=size, seed=seed)
    progress = Progress()
    for epochs in range(1, strategy.epochs + 1):
        found = activity(trainer.evaluate(data.train, objective), duration)
        rows = [
            {quantity: found[f"{quantity}/{p.name}"] for quantity in ("rate", "silent")}
            for p in network.hidden
        ]
        if all(map(strategy.on_target, rows)):
            break
        phases = [Phase("prime", objective, epochs)]
        progress.go_on(phases)
        trainer.fit(data.train, None, phases, progress, duration=duration)
    return progress.epoch * context.updates
