"""One trial before and after training: Randman, 128 hidden neurons, fluctuation-driven, 30 epochs
with the paper's other settings.
"""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pandas as pd
import yaml

from fdi.data.dataset import Dataset
from fdi.data.randman import randman
from fdi.engine.cpu.engine import CpuEngine
from fdi.engine.reference import ReferenceEngine
from fdi.init.fluct import Fluct
from fdi.init.strategy import draw
from fdi.snn.models import dense
from fdi.snn.network import Network
from fdi.snn.objective import LowerBound, Objective, UpperBound
from fdi.train.optimizers import SMORMS3
from fdi.train.trainer import Phase, Progress, Trainer
from states.tools import generator, raster, rows

EPOCHS, BATCH, SEED, NEURONS = 30, 250, 0, 5


def simulate() -> pd.DataFrame:
    """Columns moment (before, after), part, unit, x (s), y.

    Parts: input and hidden (rasters, y unit), potential (of some hidden neurons, units of theta),
    readout (of each class), label (y: the class of the sample), optimizer.lr and
    optimizer.eps (y).
    """
    data = randman(**_arguments(), seed=SEED)
    network = dense(data.shape, data.classes, data.steps, data.dt)
    draw(network, Fluct(), Fluct(), nu_input=data.nu, measure=None, generator=generator(SEED))
    before = _trial("before", network, data)
    objective = Objective("max", UpperBound(0.1, 4.0), LowerBound(100.0, 1e-3))
    trainer = Trainer(
        network, CpuEngine(None), SMORMS3(network.parameters()), batch_size=BATCH, seed=SEED
    )
    trainer.fit(
        data.train,
        data.valid,
        [Phase("task", objective, EPOCHS)],
        Progress(),
        duration=data.steps * data.dt,
    )
    trained = [
        rows([0], value, part=f"optimizer.{key}", unit=0).assign(moment="after")
        for key, value in (("lr", 5e-3), ("eps", 1e-16))  # the optimizer's defaults
    ]
    return pd.concat([*before, *_trial("after", network, data), *trained], ignore_index=True)


def _trial(moment: str, network: Network, data: Dataset) -> list[pd.DataFrame]:
    """The first test sample through the network."""
    inputs, labels = data.test.batch(np.array([0]), np.random.default_rng(0))
    activity = ReferenceEngine().simulate(network, inputs, record=("spikes", "potentials"))
    time = np.arange(data.steps) * data.dt
    potentials, readout = activity.potentials["h1"][:, 0].numpy(), activity.readout[:, 0].numpy()
    parts = [
        raster(inputs.dense()[:, 0], data.dt, part="input", unit=0),
        raster(activity.spikes["h1"][:, 0], data.dt, part="hidden", unit=0),
        *(rows(time, potentials[:, unit], part="potential", unit=unit) for unit in range(NEURONS)),
        *(rows(time, readout[:, unit], part="readout", unit=unit) for unit in range(data.classes)),
        rows([0], labels[0], part="label", unit=0),
    ]
    return [part.assign(moment=moment) for part in parts]


def _arguments() -> dict[str, object]:
    values = yaml.safe_load((files("fdi.conf") / "dataset" / "randman.yaml").read_text())
    return {key: value for key, value in values.items() if key != "_target_"}
