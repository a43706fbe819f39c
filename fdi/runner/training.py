"""The initial state of a run (its weights, the activity they cause on the training set, which
gradients its optimizer can follow), then its training, and its checkpoints: the state between two
epochs, on disk.
"""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fdi.config.identity import canonical
from fdi.data.dataset import SMALL, Split, keep, stream
from fdi.data.inputs import Input
from fdi.init.probe import follow_gradients, probe_populations
from fdi.init.strategy import Measure, draw_weights
from fdi.init.verdict import expected, unmoved
from fdi.runner import build
from fdi.runner.build import RunContext
from fdi.snn.network import Network
from fdi.track import evidence, record
from fdi.track.files import (
    CHECKPOINT,
    METRICS,
    PROBE,
    Metrics,
    refusing_damage,
    write_checkpoint,
    write_json,
)
from fdi.train.trainer import Progress, Schedule

SAMPLES = 128  # of training, on which the initial state is measured,
POTENTIALS = 2**21  # fewer if the network has more than 2^14 neurons


def batch(context: RunContext) -> tuple[Input, np.ndarray]:
    """The samples on which initial states are measured, and their labels."""
    units = sum(population.units for population in context.network.hidden)
    samples = min(SAMPLES, max(1, POTENTIALS // units))
    seed, train = context.trainer.seed, context.data.train
    chosen = stream(seed, "init samples").permutation(len(train))[:samples]
    return train.batch(chosen, stream(seed, "init noise"))


LATER = ("epochs", "patience", "stop_at_loss", "clip", "test")  # what of the trainer acts later


def what_begins(context: RunContext) -> str:
    """What of a configuration, and of the data, decides an initial state and what is measured of
    it, but for the optimizer's floor.
    """
    config = json.loads(canonical(context.values))
    for key in ("optimizer", "scheduler"):
        config.pop(key, None)
    for key in LATER:
        config["trainer"].pop(key, None)
    device, code = str(context.device), evidence.code(context.values)
    return json.dumps([config, device, context.data.checksum, code])


def initial_network(context: RunContext) -> tuple[Network, Measure, int | None]:
    """The network with the weights that a run starts from, on the CPU, the same at each call; what
    measured it while it was drawn, if this did; and by how many updates it was primed, where that
    belongs to its initial state.
    """
    data, device, strategy = context.data, context.device, context.strategy
    network, measure = context.new_network(), context.engine.measuring(batch(context)[0])

    def drawn(what: str) -> tuple[tuple[np.ndarray, ...], int | None]:
        weights, updates, made = stream(context.trainer.seed, "weights"), None, network
        strategy.check(made)
        draw_weights(
            made,
            strategy,
            context.readout,
            nu_input=build.input_rate(data, made),
            measure=lambda below: measure(
                below if str(device) == "cpu" else deepcopy(below).to(device)
            ),
            analogue=data.nu is None,
            generator=torch.Generator().manual_seed(int(weights.integers(2**63))),
        )
        if strategy.homeostatic:
            from fdi.runner.primed import primed  # only where networks are primed

            made, updates = primed(context, made.to(device), strategy)
        return tuple(weight.clone().numpy() for weight in made.weights().values()), updates

    weights, updates = keep(drawn, SMALL)(what_begins(context))
    network.to("cpu").load_weights(dict(zip(network.weights(), map(torch.tensor, weights))))
    return network, measure, updates


def take_initial_state(
    context: RunContext, initial: Network, measure: Measure, updates: int | None
) -> list[dict[str, Any]]:
    """Give the network its initial weights and measure the state they put it in; with probe=none it
    is not measured.
    """
    context.network.load_weights(initial.weights())
    if context.probe == "none":
        return []

    def measured(what: str) -> tuple[np.ndarray]:
        rows = _probed(context, measure, bool(context.probe_every))
        return (np.frombuffer(pickle.dumps(rows), np.uint8),)

    (content,) = keep(measured, SMALL)(what_begins(context))
    rows = _followed(context, pickle.loads(content.tobytes()))
    if context.strategy.homeostatic:
        tell_target(context.view, context.strategy, rows, updates)
    write_initial_state(context, rows)
    words, name = build.training_of(context.trainer.optimizer), context.name
    context.view.probe(rows, name["model"], name["init"], words)
    return rows


def _followed(context: RunContext, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of a probe, with the effective floors of the optimizer."""
    names = [row["population"] for row in rows]
    weights = {n: [p.weight for p in context.network.afferents(n)] for n in names}
    follow_gradients(rows, context.trainer.optimizer, weights)
    return rows


def _probed(context: RunContext, measure: Measure | None, selective: bool) -> list[dict[str, Any]]:
    """What the probe says of the network as it is."""
    network, (inputs, labels) = context.network, batch(context)
    strategy, nu = context.strategy, build.input_rate(context.data, network)
    objective = context.phases[-1].objective
    return probe_populations(
        network, context.engine, inputs, labels, objective, strategy, nu, measure, selective
    )


def tell_target(view: Any, strategy: Any, rows: list[dict[str, Any]], updates: int | None) -> None:
    """Add to the rows of hidden populations by how many updates they were primed and whether they
    are on target, and say so of all of them.
    """
    hidden = [row for row in rows if row["rate"] is not None]
    for row in hidden:
        row |= {"primed_updates": updates, "on_target": strategy.on_target(row)}
    off = ", ".join(row["population"] for row in hidden if not row["on_target"])
    view.say(
        f"init=homeostatic, {strategy.rule}: {f'{off} not' if off else 'all'} on target"
        + (f" after {updates} updates" if strategy.rule == "bounds" else "")
    )


def write_initial_state(context: RunContext, rows: list[dict[str, Any]]) -> None:
    """Write init.json, with what is expected of as many updates as the run makes."""
    updates = context.phases[-1].epochs * context.updates
    said = {"updates": updates, "expected": expected(rows)}
    for row in rows:
        row |= said
    write_json(context.directory / PROBE, rows, alone=False)


def save_checkpoint(
    path: Path,
    network: Network,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    schedule: Schedule | None = None,
    run: Mapping[str, Any] | None = None,
) -> None:
    """Write weights and time constants by name, the optimizer, the schedule, the progress, and of
    which `run` they are (fdi.track.evidence.owner), for any device. A kill or a power cut leaves
    either the old file or the new one.
    """
    state: dict[str, Any] = {
        "run": run,
        "weights": network.weights(),
        "time_constants": network.time_constants(),
        "optimizer": optimizer.state_dict(),
        "progress": asdict(progress),
    }
    if schedule is not None:
        state["schedule"] = schedule.state_dict()
    write_checkpoint(path, state)


def load_checkpoint(
    path: Path,
    state: Mapping[str, Any],
    network: Network,
    optimizer: torch.optim.Optimizer,
    schedule: Schedule | None = None,
) -> Progress:
    """Put the `state` that was read from `path` into `network`, `optimizer` and `schedule`; returns
    the progress. Raises ValueError for a damaged file, which stays as it is.
    """
    with refusing_damage(path):
        progress = Progress(**state["progress"])
        network.load_time_constants(state.get("time_constants", {}))
        network.load_weights(state["weights"])
        if schedule is not None:
            schedule.load_state_dict(optimizer, state["schedule"])
        optimizer.load_state_dict(state["optimizer"])
        return progress


SAVE_EVERY = 2.0  # s between two checkpoints, where epochs are shorter


def _begin_task(context: RunContext) -> tuple[dict[str, torch.Tensor], list[dict[str, Any]]]:
    """The weights after priming and, where runs are probed, what the probe says of them."""
    weights = {name: weight.cpu().clone() for name, weight in context.network.weights().items()}
    if context.probe == "none":
        return weights, []
    return weights, _followed(context, _probed(context, None, selective=False))


def _say_unmoved(
    context: RunContext,
    progress: Progress,
    row: Mapping[str, Any],
    weights: Mapping[str, torch.Tensor],
    probed: Iterable[dict[str, Any]],
) -> None:
    """Find what did not move in the first epoch of the task, of which `row` are the metrics; what
    weight decay moves counts as movement where a run was primed.
    """
    first, network = dict(weights), context.network
    if context.trainer.decays and len(context.phases) == 1:  # decay is no step of a gradient
        first |= network.weights() | progress.started
    learn = [each for each in probed if not each["frozen"]]
    words = build.training_of(context.trainer.optimizer).optimizer
    remembers = len(context.phases) > 1 and not context.phases[-1].fresh
    progress.unmoved = unmoved(learn, network, first, row, words, remembers)
    for population, why in progress.unmoved.items():
        context.view.say(f"{population}: {why}")


def train(
    context: RunContext,
    splits: dict[str, Split],
    progress: Progress,
    metrics: Metrics,
    mirror: Any,
    initial: Network,
    probed: list[dict[str, Any]],
) -> None:
    """Fit, with a row of metrics after each epoch, a checkpoint and the record after the first and
    those that end SAVE_EVERY seconds after the one before, and a checkpoint after the last: then
    the record of a run that has ended follows. After the first epoch of the task, says which layers
    did not move that were followed where it began: in the `initial` state, as `probed`, or,
    measured again, in that after priming.
    """
    data, directory = context.data, context.directory
    epochs = sum(phase.epochs for phase in context.phases)
    loss = context.phases[-1].objective.loss
    primes = sum(phase.epochs for phase in context.phases[:-1])
    begun = _begin_task(context) if progress.epoch == primes > 0 else (initial.weights(), probed)
    own, tables = evidence.owner(record.whole(directory)), record.tables(directory, PROBE)
    unsaved: list[dict[str, Any]] = []  # the mirror is told only of epochs that a checkpoint holds
    saved, first = time.monotonic(), progress.epoch + 1

    def on_epoch(row: dict[str, Any]) -> None:
        nonlocal saved, begun
        row |= in_training(context, progress, row["phase"])
        metrics.append(row)
        report.row(row)
        if progress.epoch == primes + 1:
            _say_unmoved(context, progress, row, *begun)
        elif progress.epoch == primes:
            begun = _begin_task(context)
        unsaved.append({key: value for key, value in row.items() if value is not None})
        # the first epoch is saved at once, unless all are about to end within that time
        share = 1 + epochs - progress.epoch if progress.epoch == first else 1
        late = share * (time.monotonic() - saved) >= SAVE_EVERY
        if progress.phase < len(context.phases) and not late:
            return
        metrics.sync()
        curve = {METRICS: metrics.checksum}
        state = context.network, context.trainer.optimizer, progress, context.trainer.schedule
        save_checkpoint(directory / CHECKPOINT, *state, own | {"files": curve})
        if late:
            record.change(directory, epoch=progress.epoch, files=tables | curve)
        for each in unsaved if mirror else ():
            mirror.row(each)
        unsaved.clear()
        saved = time.monotonic()

    with context.view.training(epochs, len(data.train), progress.epoch, loss) as report:
        context.trainer.fit(
            splits["train"],
            splits["valid"],
            context.phases,
            progress,
            duration=data.steps * data.dt,
            on_batch=report.batch,
            on_epoch=on_epoch,
        )
    if progress.epoch < epochs:
        why = f"none was better on validation than epoch {progress.best_epoch}"
        limit, reached = context.phases[-1].stop_at_loss, progress.train_task
        if limit is not None and reached is not None and reached <= limit:
            why = f"the training loss reached {reached:.3g}"
        context.view.say(f"stopped after epoch {progress.epoch} of {epochs}: {why}")


PROBED = (
    *("free_mean", "free_sigma", "mean", "sigma", "rate", "silent", "saturated"),
    *("fano", "decoded", "grad_task", "grad_bounds"),
)


def in_training(context: RunContext, progress: Progress, phase: str) -> dict[str, float | None]:
    """What the probe says of the hidden populations, as probe/<quantity>/<population>, after the
    last epoch of a phase and each probe_every-th of the task, else None; empty without probe_every.
    """
    if not (every := context.probe_every):
        return {}
    rows: list[dict[str, Any]] = [{"population": p.name} for p in context.network.hidden]
    if not progress.phase_epoch or (phase == "task" and progress.phase_epoch % every == 0):
        rows = _probed(context, None, selective=True)[:-1]
    return {f"probe/{key}/{row['population']}": row.get(key) for row in rows for key in PROBED}
