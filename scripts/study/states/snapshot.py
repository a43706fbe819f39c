"""One trial of a deep network before training, after priming and after the task: Randman, 5 layers
of 128 neurons, 800 training samples, the authors' 6,400 updates, strengths and thresholds, from
Kaiming and from fluctuation-driven weights (`experiment=restore`).
"""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pandas as pd
import torch
import yaml

from fdi.data.dataset import Dataset
from fdi.data.randman import randman
from fdi.engine.cpu.engine import CpuEngine
from fdi.engine.reference import ReferenceEngine
from fdi.init.baselines import Kaiming
from fdi.init.fluct import Fluct
from fdi.init.strategy import draw
from fdi.snn.models import dense
from fdi.snn.network import Network
from fdi.snn.objective import LowerBound, UpperBound
from fdi.train.optimizers import SMORMS3
from fdi.train.trainer import Progress, Trainer, phases
from states.tools import generator, raster, rows

LAYERS, PRIMING, EPOCHS, BATCH, SEED, NEURONS = 5, 6, 200, 25, 0, 5
BOUNDS = UpperBound(0.1, 4.0), LowerBound(100.0, 1e-3)
SOME = slice(0, 128, 4)  # neurons of each layer


def simulate() -> pd.DataFrame:
    """Columns init, moment (before, primed, after), part, unit, x (s), y.

    Parts: input and hidden (rasters, y unit; SOME of each layer, the last one on top), potential
    (of some neurons of the last layer, units of theta), readout (of each class), label (y: the
    class of the sample), optimizer.lr and optimizer.eps (y).
    """
    return pd.concat([_from(Kaiming(), "kaiming"), _from(Fluct(), "fluct")], ignore_index=True)


def _from(state: Kaiming | Fluct, init: str) -> pd.DataFrame:
    data = randman(**_arguments(), seed=SEED)
    network = dense(data.shape, data.classes, data.steps, data.dt, depth=LAYERS)
    draw(network, state, Kaiming(), nu_input=data.nu, measure=None, generator=generator(SEED))
    moments = [_trial("before", network, data)]
    trainer = Trainer(
        network, CpuEngine(None), SMORMS3(network.parameters()), batch_size=BATCH, seed=SEED
    )
    upper, lower = BOUNDS
    both = phases(epochs=EPOCHS, upper=upper, lower=lower, prime_epochs=PRIMING, joint=False)
    for phase, moment in zip(both, ("primed", "after")):
        time = data.steps * data.dt
        trainer.fit(data.train, data.valid, [phase], Progress(), duration=time)
        moments.append(_trial(moment, network, data))
    trained = [
        rows([0], value, part=f"optimizer.{key}", unit=0).assign(moment="after")
        for key, value in (("lr", 5e-3), ("eps", 1e-16))  # the optimizer's defaults
    ]
    return pd.concat([*moments, *trained], ignore_index=True).assign(init=init)


def _trial(moment: str, network: Network, data: Dataset) -> pd.DataFrame:
    """The first test sample through the network."""
    inputs, labels = data.test.batch(np.array([0]), np.random.default_rng(0))
    activity = ReferenceEngine().simulate(network, inputs, record=("spikes", "potentials"))
    time, last = np.arange(data.steps) * data.dt, network.hidden[-1].name
    potentials, readout = activity.potentials[last][:, 0].numpy(), activity.readout[:, 0].numpy()
    hidden = torch.cat([activity.spikes[each.name][:, 0, SOME] for each in network.hidden], 1)
    parts = [
        raster(inputs.dense()[:, 0], data.dt, part="input", unit=0),
        raster(hidden, data.dt, part="hidden", unit=0),
        *(rows(time, potentials[:, unit], part="potential", unit=unit) for unit in range(NEURONS)),
        *(rows(time, readout[:, unit], part="readout", unit=unit) for unit in range(data.classes)),
        rows([0], labels[0], part="label", unit=0),
    ]
    return pd.concat(parts).assign(moment=moment)


def _arguments() -> dict[str, object]:
    values = yaml.safe_load((files("fdi.conf") / "dataset" / "randman.yaml").read_text())
    return {key: value for key, value in values.items() if key != "_target_"} | {"max_train": 900}
