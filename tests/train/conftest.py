"""A data set that a small network learns in seconds, and its training."""

from __future__ import annotations

from typing import Any

import pytest
from compared import drawn

from fdi.data.dataset import Dataset
from fdi.data.randman import randman
from fdi.engine.reference import ReferenceEngine
from fdi.init.fluct import Fluct
from fdi.runner import training
from fdi.snn.models import dense
from fdi.track.files import read_checkpoint
from fdi.train.trainer import Progress, Trainer


@pytest.fixture(scope="session")
def data() -> Dataset:
    form: dict[str, Any] = dict(classes=2, units=10, spikes=1, manifold_dim=1, alpha=2.0)
    trial: dict[str, Any] = dict(samples=150, steps=40, dt=2e-3, active=0.5)
    return randman(**form, **trial, manifold_seed=1, valid=0.2, test=0.2)


@pytest.fixture
def build(data):
    """Makes a network with fluctuation-driven weights; `options`: of its model."""

    def made(sigma_u=1.0, model=dense, **options):
        network = model(data.shape, data.classes, data.steps, data.dt, **options)
        strategy = Fluct(sigma_u)
        return drawn(network, strategy, data.train.inputs, data.nu, readout=strategy)

    return made


@pytest.fixture
def train(data):
    """Trains a network, and returns the rows of its epochs, without times, and how far it got;
    `options`: of the trainer.
    """

    def fit(
        network,
        optimizer,
        stages,
        progress=None,
        on_epoch=lambda row: None,
        on_batch=lambda done, outcome: None,
        rows=None,
        **options,
    ):
        rows, progress = [] if rows is None else rows, progress or Progress()

        def remember(row):
            rows.append({key: value for key, value in row.items() if "seconds" not in key})
            on_epoch(row)

        given: dict[str, Any] = {"engine": ReferenceEngine(), "batch_size": 32, "seed": 0}
        Trainer(network, optimizer=optimizer, **given | options).fit(
            data.train,
            data.valid,
            stages,
            progress,
            duration=data.steps * data.dt,
            on_batch=on_batch,
            on_epoch=remember,
        )
        return rows, progress

    return fit


@pytest.fixture
def train_in_pieces(train, tmp_path):
    """Trains through `stages`, stopped after each epoch, with what `start` makes anew each time, a
    network, an optimizer and a schedule or None, and its checkpoint; returns the rows, how far it
    got and the network.
    """

    class Stop(Exception):
        pass

    def stop(row):
        raise Stop

    def fit(start, stages, **options):
        rows: list[dict[str, Any]] = []
        file, progress = tmp_path / "last.pt", Progress()
        while progress.phase < len(stages):
            network, optimizer, schedule = start()
            if file.exists():
                progress = training.load_checkpoint(
                    file, read_checkpoint(file), network, optimizer, schedule
                )
            with pytest.raises(Stop):
                train(
                    network,
                    optimizer,
                    stages,
                    progress,
                    stop,
                    rows=rows,
                    schedule=schedule,
                    **options,
                )
            training.save_checkpoint(file, network, optimizer, progress, schedule)
        return rows, progress, network

    return fit
