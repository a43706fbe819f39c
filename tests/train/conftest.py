"""A data set that a small network learns in seconds, and its training."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from fdi.data.dataset import Dataset
from fdi.data.randman import randman
from fdi.engine.reference import ReferenceEngine
from fdi.init.fluct import Fluct
from fdi.init.strategy import draw
from fdi.snn.models import dense
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
        strategy, generator = Fluct(sigma_u), torch.Generator().manual_seed(0)
        engine, nu = ReferenceEngine(), data.nu
        measure = engine.measuring(data.train.inputs)  # not called: this strategy measures nothing
        draw(network, strategy, strategy, nu_input=nu, measure=measure, generator=generator)
        return network

    return made


@pytest.fixture
def train(data):
    """Trains a network, and returns the rows of its epochs and how far it got; `options`: of the
    trainer.
    """

    def fit(
        network,
        optimizer,
        stages,
        progress=None,
        on_epoch=lambda row: None,
        on_batch=lambda done, outcome: None,
        **options,
    ):
        rows, progress = [], progress or Progress()

        def remember(row):
            rows.append(row)
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
