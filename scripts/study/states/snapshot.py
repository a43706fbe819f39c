"""One trial of a deep network before training, after priming and after the task: Randman, 5 layers
of 128 neurons, 800 training samples, the authors' 6,400 updates, strengths and thresholds, from
Kaiming and from fluctuation-driven weights (`experiment=restore`). Of the test set the first sample
that both know after the task.
"""

from __future__ import annotations

from copy import deepcopy
from importlib.resources import files
from inspect import signature

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
from fdi.init.strategy import draw_weights
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
    data = randman(**_arguments(), seed=SEED)
    trained = {"kaiming": _trained(Kaiming(), data), "fluct": _trained(Fluct(), data)}
    labels = data.test.labels
    known = [_readout(networks["after"], data).max(1).argmax(1) for networks in trained.values()]
    sample = int(np.flatnonzero((known[0] == labels) & (known[1] == labels))[0])
    parts = [
        _trial(network, data, sample).assign(moment=moment, init=init)
        for init, networks in trained.items()
        for moment, network in networks.items()
    ]
    defaults = signature(SMORMS3).parameters
    optimizer = [
        rows([0], defaults[key].default, part=f"optimizer.{key}", unit=0).assign(
            moment="after", init=init
        )
        for init in trained
        for key in ("lr", "eps")
    ]
    return pd.concat([*parts, *optimizer], ignore_index=True)


def _trained(state: Kaiming | Fluct, data: Dataset) -> dict[str, Network]:
    """The network at each moment."""
    network = dense(data.shape, data.classes, data.steps, data.dt, depth=LAYERS)
    draw_weights(
        network, state, Kaiming(), nu_input=data.nu, measure=None, generator=generator(SEED)
    )
    moments = {"before": deepcopy(network)}
    trainer = Trainer(
        network, CpuEngine(None), SMORMS3(network.parameters()), batch_size=BATCH, seed=SEED
    )
    upper, lower = BOUNDS
    both = phases(epochs=EPOCHS, upper=upper, lower=lower, prime_epochs=PRIMING, joint=False)
    for phase, moment in zip(both, ("primed", "after")):
        time = data.steps * data.dt
        trainer.fit(data.train, data.valid, [phase], Progress(), duration=time)
        moments[moment] = deepcopy(network)
    return moments


def _readout(network: Network, data: Dataset) -> np.ndarray:
    """The potentials of the readout [samples, steps, classes], of the whole test set."""
    inputs, _ = data.test.batch(np.arange(len(data.test)), np.random.default_rng(0))
    readout = ReferenceEngine().simulate(network, inputs).readout
    return readout.detach().numpy().swapaxes(0, 1)


def _trial(network: Network, data: Dataset, sample: int) -> pd.DataFrame:
    """One test sample through the network."""
    inputs, labels = data.test.batch(np.array([sample]), np.random.default_rng(0))
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
    return pd.concat(parts)


def _arguments() -> dict[str, object]:
    values = yaml.safe_load((files("fdi.conf") / "dataset" / "randman.yaml").read_text())
    return {key: value for key, value in values.items() if key != "_target_"} | {"max_train": 900}
