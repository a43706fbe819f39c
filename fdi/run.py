"""The story of one run: build, init, probe, fit, test, record."""

from __future__ import annotations

import traceback
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
from fdi.track.console import probe_table, reporter
from fdi.track.files import PROBE, RESULT, read_json, write_json, write_status
from fdi.track.lock import lock
from fdi.track.metrics import Metrics
from fdi.track.record import record
from fdi.train import checkpoint
from fdi.train.fit import Progress, activity, evaluate, fit

INIT_SAMPLES = 128  # training samples on which the initial state is measured


def run(config: DictConfig, directory: Path) -> dict[str, Any]:
    """Execute the run of `config` in `directory`, or go on where it stopped; returns the content of result.json.

    A run that is done is not run again. Raises ValueError for what a user can mend, Diverged for a training that fails, Busy if another
    process is at it; whatever is raised is in status.json and run.log first.
    """
    with lock(directory):
        result = read_json(directory / RESULT)
        if result is not None:
            return result
        try:
            return _run(config, directory)
        except KeyboardInterrupt:
            _stopped(directory, "interrupted", error=None)
            raise
        except Exception as error:
            (directory / "run.log").write_text(traceback.format_exc())
            _stopped(directory, "failed", error=f"{type(error).__name__}: {error}")
            raise


def _run(config: DictConfig, directory: Path) -> dict[str, Any]:
    console = Console()
    data = build.dataset(config)
    network = build.network(config, data)
    engine = build.engine(config)
    optimizer = build.optimizer(config, network)
    phases = build.training_phases(config)
    epochs = sum(phase.epochs for phase in phases)
    last = directory / "checkpoint" / "last.pt"

    if last.exists() and config.probe != "only":
        progress = checkpoint.load(last, network, optimizer)
        console.print(f"{directory}: resumed after epoch {progress.epoch}", soft_wrap=True, highlight=False)
    else:
        progress = Progress()
        _initialize(config, data, network, engine, phases[-1].objective, directory, console)
        if config.probe == "only":
            return {}
        write_json(directory / "record.json", record(data.checksum, config.device))

    write_status(directory, "running", epoch=progress.epoch, epochs=epochs)
    metrics = Metrics(directory / "metrics.csv", progress.epoch)
    with reporter(console, epochs, len(data.train), progress.epoch) as report:

        def on_epoch(row: dict[str, Any]) -> None:
            metrics.append(row)
            checkpoint.save(last, network, optimizer, progress)
            write_status(directory, "running", epoch=progress.epoch, epochs=epochs)
            report.row(row)

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
            on_batch=report.batch,
            on_epoch=on_epoch,
        )
    result = _test(config, data, network, engine, progress)
    write_json(directory / RESULT, result)
    write_status(directory, "done", epoch=progress.epoch, epochs=epochs)
    return result


def _initialize(
    config: DictConfig, data: Dataset, network: Network, engine: Any, objective: Objective, directory: Path, console: Console
) -> None:
    """Draw the weights and measure the state they put the network in."""
    chosen = stream(config.seed, "init samples").permutation(len(data.train))[:INIT_SAMPLES]
    inputs, labels = data.train.batch(chosen, stream(config.seed, "init noise"))
    strategy = build.strategy(config)
    nu = build.input_rate(data, network)
    weights = stream(config.seed, "weights")
    draw(
        network,
        strategy,
        build.readout_strategy(config, strategy, network),
        nu_input=nu,
        measure=lambda: engine.simulate(network, inputs, record=("moments",)),
        generator=torch.Generator().manual_seed(int(weights.integers(2**63))),
    )
    if config.probe != "none":
        rows = probe(network, engine, inputs, labels, objective, strategy, nu)
        write_json(directory / PROBE, rows)
        console.print(probe_table(rows, title=f"initial state: {config.name.model}, {config.name.init}"))


def _test(config: DictConfig, data: Dataset, network: Network, engine: Any, progress: Progress) -> dict[str, Any]:
    """Look at the test set, once with the last weights and once with those of the best validation epoch."""
    objective = Objective(config.trainer.readout)

    def test() -> Any:
        return evaluate(network, engine, data.test, objective, config.trainer.batch_size, config.seed)

    last = best = test()
    if progress.best_epoch != progress.epoch:
        network.load_state_dict(progress.best_weights)
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
        "rates": {name.removeprefix("rate/"): value for name, value in rates.items() if name.startswith("rate/")},
        "silent": {name.removeprefix("silent/"): value for name, value in rates.items() if name.startswith("silent/")},
        "parameters": sum(weight.numel() for weight in network.parameters()),
    }


def _stopped(directory: Path, state: str, **details: Any) -> None:
    before = read_json(directory / "status.json") or {}
    write_status(directory, state, epoch=before.get("epoch", 0), epochs=before.get("epochs"), **details)
