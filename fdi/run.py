"""The story of one run: build, init, probe, fit, test, record."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from rich.console import Console

from fdi import build
from fdi.data.dataset import Dataset, Split
from fdi.init.assumptions import warning
from fdi.init.draw import draw
from fdi.init.probe import probe
from fdi.layout import CHECKPOINT, LOG, METRICS, PROBE, RESERVE, RESULT, STATUS
from fdi.seeding import stream
from fdi.snn.engine import Engine
from fdi.snn.engine.cuda import CudaEngine
from fdi.snn.network import Network
from fdi.snn.objective import Objective
from fdi.snn.outcome import Outcome
from fdi.track.console import print_probe, reporter
from fdi.track.files import read_json, reserved, write_json, write_status
from fdi.track.interrupt import interruptible
from fdi.track.lock import lock
from fdi.track.metrics import Metrics
from fdi.track.origin import code, refuse_other_code, refuse_other_data, stamp, unchanged
from fdi.track.record import write_config, write_record
from fdi.track.state import finished, whole_result
from fdi.train import checkpoint
from fdi.train.fit import Progress, activity, evaluate, fit
from fdi.train.homeostasis import Phase

INIT_SAMPLES = 128  # training samples on which the initial state is measured,
INIT_POTENTIALS = 2**21  # fewer if the network has more than 2^14 neurons
SAVE_EVERY = 2.0  # s between two checkpoints, where epochs are shorter


@dataclass(frozen=True)
class RunContext:
    """What the chapters of a run share."""

    config: DictConfig
    directory: Path
    console: Console
    data: Dataset
    network: Network
    engine: Engine
    optimizer: torch.optim.Optimizer
    phases: list[Phase]


def run(config: DictConfig, directory: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Execute the run of `config` in `directory`, or go on where it stopped; returns the content of
    result.json. `overrides` lead to `config`, and are written down.

    A run that is done is not run again, and nothing in its directory is touched; with probe=only
    nothing is trained, and nothing returned. Raises ValueError for what a user can mend, Diverged
    for a training that fails, Busy if another process is at it; whatever is raised on the way is in
    status.json and run.log first.
    """
    if finished(directory, config.probe):
        refuse_other_code(directory, config)
        check_data(config, directory)
        return whole_result(directory) or {}
    with lock(directory), reserved(directory / RESERVE) as release:
        result = whole_result(directory)
        if result is not None:  # of another process, a moment ago
            return result
        _mark(directory, "running")
        write_config(directory, config, overrides)
        try:
            result = _run(config, directory)
        except (KeyboardInterrupt, SystemExit):
            with suppress(OSError):
                _mark(directory, "interrupted")
            raise
        except Exception as error:
            release()
            if isinstance(error, torch.cuda.OutOfMemoryError):
                error = MemoryError(
                    f"device {config.device} is out of memory; lower engine.memory = "
                    f"{config.engine.memory:g} (GiB of a training step) or trainer.batch_size"
                )
            with suppress(OSError):  # its folder is gone: only the caller can tell
                (directory / LOG).write_text(traceback.format_exc())
                refused = isinstance(error, ValueError)
                said = f"{type(error).__name__}: {error}"
                _mark(directory, "failed", error=said, refused=refused)
            raise error from None
        _mark(directory, "done" if result else "probed")
        return result


def check_data(config: DictConfig, directory: Path) -> None:
    """Raises ValueError if the data at hand are not those of the finished run in `directory`; reads
    them only if their files are not those that it saw.
    """
    if not unchanged(config.dataset, directory):
        checksum = build.dataset(config).checksum
        refuse_other_data(directory, config.dataset, checksum)


def _run(config: DictConfig, directory: Path) -> dict[str, Any]:
    files = stamp(config.dataset)
    data = build.dataset(config)
    device = build.device(config)
    network = build.network(config, data).to(device)
    context = RunContext(
        config=config,
        directory=directory,
        console=Console(),
        data=data,
        network=network,
        engine=build.engine(config),
        optimizer=build.optimizer(config, network),
        phases=build.training_phases(config, data),
    )
    context.engine.check(network)
    _say(context, f"engine {config.engine.name}, device {config.device}")
    if isinstance(context.engine, CudaEngine):
        for line in context.engine.plan(network, data.steps, config.trainer.batch_size):
            _say(context, line)
    progress = _resume(context)
    write_record(
        directory,
        progress.epoch,
        data.checksum,
        device,
        build.threads(config),
        seed=config.seed,
        engine=config.engine.name,
        data=data.form(),
        data_files=files,
        code=code(config),
    )
    if config.probe == "only":
        _initialize(context)
        return {}
    with build.mirror(config, directory, progress.epoch) as mirror:
        if progress.epoch:
            _say(context, f"{directory}: resumed after epoch {progress.epoch}")
        else:
            rows = _initialize(context)
            if mirror and rows:
                mirror.probe(rows)
        metrics = Metrics(directory / METRICS, progress.epoch)
        splits = _splits(context)
        _train(context, splits, progress, metrics, mirror)
        result = _test(context, splits["test"], progress)
        metrics.check()
        if mirror:
            mirror.result(result)
        write_json(directory / RESULT, result)
    return result


def _resume(context: RunContext) -> Progress:
    """The progress of the checkpoint, if there is one; raises ValueError if it is damaged or comes
    from other data or code.
    """
    path = context.directory / CHECKPOINT
    if context.config.probe == "only" or not path.exists():
        return Progress()
    refuse_other_code(context.directory, context.config)
    progress, checksum = checkpoint.load(path, context.network, context.optimizer)
    refuse_other_data(
        context.directory, context.config.dataset, context.data.checksum, known=checksum
    )
    return progress


def _splits(context: RunContext) -> dict[str, Split]:
    """Those of the data, on the GPU if it keeps them."""
    splits, engine = context.data.splits, context.engine
    if not isinstance(engine, CudaEngine):
        return splits
    fixed = {name: each for name, each in splits.items() if len(each) and each.transform is None}
    for name in splits:
        if len(splits[name]) and name not in fixed:
            _say(context, f"{name} sent batch by batch: it is transformed on the CPU")
    if not fixed:
        return splits
    kept, said = engine.keep(context.network, {name: each.inputs for name, each in fixed.items()})
    _say(context, said)
    return splits | {name: replace(fixed[name], inputs=inputs) for name, inputs in kept.items()}


def _train(
    context: RunContext, splits: dict[str, Split], progress: Progress, metrics: Metrics, mirror: Any
) -> None:
    """Fit, with a row of metrics after each epoch, and a checkpoint and a status after those that
    end SAVE_EVERY seconds after the one before, and after the last.
    """
    config, data = context.config, context.data
    epochs = sum(phase.epochs for phase in context.phases)
    write_status(context.directory, "running", epoch=progress.epoch, epochs=epochs)
    unsaved: list[dict[str, Any]] = []
    saved = 0.0
    with (
        reporter(context.console, epochs, len(data.train), progress.epoch) as report,
        interruptible() as check,
    ):

        def on_batch(done: int, outcome: Outcome) -> None:
            report.batch(done, outcome)
            check()

        def on_epoch(row: dict[str, Any]) -> None:
            metrics.append(row)
            report.row(row)
            unsaved.append(row)
            if progress.phase == len(context.phases) or time.monotonic() - saved >= SAVE_EVERY:
                save()

        def save() -> None:
            nonlocal saved
            metrics.sync()
            try:
                checkpoint.save(
                    context.directory / CHECKPOINT,
                    context.network,
                    context.optimizer,
                    progress,
                    data.checksum,
                )
            except FileNotFoundError:
                metrics.check()  # says more, if the whole folder is gone
                raise
            write_status(context.directory, "running", epoch=progress.epoch, epochs=epochs)
            for row in unsaved if mirror else ():
                mirror.row(row)
            unsaved.clear()
            saved = time.monotonic()

        fit(
            context.network,
            context.engine,
            context.optimizer,
            splits["train"],
            splits["valid"],
            context.phases,
            batch_size=config.trainer.batch_size,
            duration=data.steps * data.dt,
            seed=config.seed,
            progress=progress,
            on_batch=on_batch,
            on_epoch=on_epoch,
        )
    if progress.epoch < epochs:
        _say(
            context,
            f"stopped after epoch {progress.epoch} of {epochs}: none better on validation than "
            f"epoch {progress.best_epoch} in the last {config.trainer.patience}",
        )


def _initialize(context: RunContext) -> list[dict[str, Any]]:
    """Draw the weights and measure the state they put the network in; with probe=none it is not
    measured.
    """
    config, data, network = context.config, context.data, context.network
    engine = context.engine
    samples = min(
        INIT_SAMPLES,
        max(1, INIT_POTENTIALS // sum(population.units for population in network.hidden)),
    )
    chosen = stream(config.seed, "init samples").permutation(len(data.train))[:samples]
    inputs, labels = data.train.batch(chosen, stream(config.seed, "init noise"))
    strategy = build.strategy(config)
    nu = build.input_rate(data, network)
    weights = stream(config.seed, "weights")
    device = next(network.parameters()).device
    drawn = build.network(config, data)
    draw(
        drawn,
        strategy,
        build.readout_strategy(config, strategy),
        nu_input=nu,
        measure=lambda part: engine.simulate(
            deepcopy(part).to(device), inputs, record=("moments",)
        ),
        analogue=data.nu is None,
        generator=torch.Generator().manual_seed(int(weights.integers(2**63))),
    )
    network.load_weights(drawn.weights())
    if config.probe == "none":
        return []
    objective = context.phases[-1].objective
    rows = probe(network, engine, inputs, labels, objective, strategy, nu)
    write_json(context.directory / PROBE, rows)
    print_probe(context.console, rows, config.name.model, config.name.init)
    for population, row in zip(network.hidden, rows):
        if said := warning(population.name, population.neuron, row["rate"], network.dt):
            context.console.print(said, highlight=False)
    return rows


def _test(context: RunContext, split: Split, progress: Progress) -> dict[str, Any]:
    """Look at the test set, once with the last weights and once with those of the best validation
    epoch.
    """
    config, data, network = context.config, context.data, context.network
    objective = Objective(config.trainer.readout)

    def test() -> Outcome:
        return evaluate(
            network, context.engine, split, objective, config.trainer.batch_size, config.seed
        )

    last = best = test()
    if progress.best_epoch != progress.epoch:
        network.load_weights(progress.best_weights)
        best = test()
    rates = activity(last, data.steps * data.dt)
    return {
        **config.name,
        "seed": config.seed,
        "epochs": progress.epoch,
        "test_accuracy_last": last.correct / last.samples,
        "test_accuracy_best": best.correct / best.samples,
        "test_loss_last": last.task / last.samples,
        "best_epoch": progress.best_epoch,
        "valid_accuracy_best": progress.best_accuracy,
        "valid_accuracy_last": progress.accuracy,
        "classes": data.classes,
        "test_samples": last.samples,
        "seconds": progress.seconds,
        "rates": {
            name.removeprefix("rate/"): value
            for name, value in rates.items()
            if name.startswith("rate/")
        },
        "silent": {
            name.removeprefix("silent/"): value
            for name, value in rates.items()
            if name.startswith("silent/")
        },
        "parameters": sum(weight.numel() for weight in network.parameters()),
    }


def _mark(directory: Path, state: str, **details: Any) -> None:
    """Change the state and keep the epochs."""
    before = read_json(directory / STATUS)
    before = before if isinstance(before, dict) else {}
    write_status(
        directory, state, epoch=before.get("epoch", 0), epochs=before.get("epochs"), **details
    )


def _say(context: RunContext, text: str) -> None:
    context.console.print(text, soft_wrap=True, highlight=False)
