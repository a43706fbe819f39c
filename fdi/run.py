"""The story of one run: build, init, probe, fit, test, record."""

from __future__ import annotations

import traceback
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from rich.console import Console

from fdi import build
from fdi.data.dataset import Dataset
from fdi.init.draw import draw
from fdi.init.probe import probe
from fdi.seeding import stream
from fdi.snn.network import Network
from fdi.snn.objective import Objective
from fdi.snn.outcome import Outcome
from fdi.track.console import print_probe, reporter
from fdi.track.files import CHECKPOINT, PROBE, RESULT, STATUS, read_json, write_json, write_status
from fdi.track.interrupt import interruptible
from fdi.track.lock import lock
from fdi.track.metrics import Metrics
from fdi.track.record import write_record
from fdi.train import checkpoint
from fdi.train.fit import Progress, activity, evaluate, fit
from fdi.train.homeostasis import Phase

INIT_SAMPLES = 128  # training samples on which the initial state is measured,
INIT_POTENTIALS = 2**21  # fewer if the network has more than 2^14 neurons


def run(config: DictConfig, directory: Path) -> dict[str, Any]:
    """Execute the run of `config` in `directory`, or go on where it stopped; returns the content of
    result.json.

    A run that is done is not run again; with probe=only nothing is trained, and nothing returned.
    Raises ValueError for what a user can mend, Diverged for a training that fails, Busy if another
    process is at it; whatever is raised is in status.json and run.log first.
    """
    with lock(directory):
        result = read_json(directory / RESULT)
        if result is not None:
            return result
        _mark(directory, "running")
        try:
            result = _run(config, directory)
        except (KeyboardInterrupt, SystemExit):
            _mark(directory, "interrupted")
            raise
        except Exception as error:
            (directory / "run.log").write_text(traceback.format_exc())
            _mark(directory, "failed", error=f"{type(error).__name__}: {error}")
            raise
        _mark(directory, "done" if result else "probed")
        return result


def _run(config: DictConfig, directory: Path) -> dict[str, Any]:
    console = Console()
    data = build.dataset(config)
    device = build.device(config)
    network = build.network(config, data).to(device)
    engine = build.engine(config)
    engine.check(network)
    console.print(f"engine {config.engine.name}, device {config.device}", highlight=False)
    optimizer = build.optimizer(config, network)
    phases = build.training_phases(config)
    last = directory / CHECKPOINT

    if config.probe == "only":
        write_record(
            directory,
            0,
            data.checksum,
            device,
            build.threads(config),
            seed=config.seed,
            engine=config.engine.name,
            data=data.form(),
        )
        _initialize(config, data, network, engine, phases[-1].objective, directory, console)
        return {}
    progress = checkpoint.load(last, network, optimizer) if last.exists() else Progress()
    write_record(
        directory,
        progress.epoch,
        data.checksum,
        device,
        build.threads(config),
        seed=config.seed,
        engine=config.engine.name,
        data=data.form(),
    )
    with build.mirror(config, directory, progress.epoch) as mirror:
        if progress.epoch:
            console.print(
                f"{directory}: resumed after epoch {progress.epoch}",
                soft_wrap=True,
                highlight=False,
            )
        else:
            rows = _initialize(
                config, data, network, engine, phases[-1].objective, directory, console
            )
            if mirror and rows:
                mirror.probe(rows)
        _train(
            config, data, network, engine, optimizer, phases, progress, directory, mirror, console
        )
        result = _test(config, data, network, engine, progress)
        if mirror:
            mirror.result(result)
    write_json(directory / RESULT, result)
    return result


def _train(
    config: DictConfig,
    data: Dataset,
    network: Network,
    engine: Any,
    optimizer: torch.optim.Optimizer,
    phases: list[Phase],
    progress: Progress,
    directory: Path,
    mirror: Any,
    console: Console,
) -> None:
    """Fit, with a row of metrics, a checkpoint and a status after each epoch."""
    epochs = sum(phase.epochs for phase in phases)
    write_status(directory, "running", epoch=progress.epoch, epochs=epochs)
    metrics = Metrics(directory / "metrics.csv", progress.epoch)
    with (
        reporter(console, epochs, len(data.train), progress.epoch) as report,
        interruptible() as check,
    ):

        def on_batch(done: int, outcome: Outcome) -> None:
            report.batch(done, outcome)
            check()

        def on_epoch(row: dict[str, Any]) -> None:
            metrics.append(row)
            checkpoint.save(directory / CHECKPOINT, network, optimizer, progress)
            write_status(directory, "running", epoch=progress.epoch, epochs=epochs)
            report.row(row)
            if mirror:
                mirror.row(row)

        fit(
            network,
            engine,
            optimizer,
            data.train,
            data.valid,
            phases,
            batch_size=config.trainer.batch_size,
            duration=data.steps * data.dt,
            seed=config.seed,
            progress=progress,
            on_batch=on_batch,
            on_epoch=on_epoch,
        )


def _initialize(
    config: DictConfig,
    data: Dataset,
    network: Network,
    engine: Any,
    objective: Objective,
    directory: Path,
    console: Console,
) -> list[dict[str, Any]]:
    """Draw the weights and measure the state they put the network in; with probe=none it is not
    measured.
    """
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
        build.readout_strategy(config, strategy, network),
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
    rows = probe(network, engine, inputs, labels, objective, strategy, nu)
    write_json(directory / PROBE, rows)
    print_probe(console, rows, config.name.model, config.name.init)
    return rows


def _test(
    config: DictConfig, data: Dataset, network: Network, engine: Any, progress: Progress
) -> dict[str, Any]:
    """Look at the test set, once with the last weights and once with those of the best validation
    epoch.
    """
    objective = Objective(config.trainer.readout)

    def test() -> Any:
        return evaluate(
            network, engine, data.test, objective, config.trainer.batch_size, config.seed
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
    before = read_json(directory / STATUS) or {}
    write_status(
        directory, state, epoch=before.get("epoch", 0), epochs=before.get("epochs"), **details
    )
