"""The initial state of a run: its weights, the activity they cause on the training set, and which
gradients its optimizer can follow.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig

from fdi.config.floor import of_eps
from fdi.data.inputs import Input
from fdi.data.seeding import stream
from fdi.engine.cuda import trial
from fdi.init.draw import draw
from fdi.init.probe import probe
from fdi.init.verdict import Floor, warning
from fdi.runner import build
from fdi.runner.build import RunContext
from fdi.snn.network import Network
from fdi.track.files import PROBE, write_json
from fdi.train.smorms3 import SMORMS3


def configured(config: DictConfig) -> Floor:
    """The floor of the optimizer of a run, whatever its network."""
    any_weights: Any = torch.nn.Linear(1, 1)
    any_weights.leaks = {}  # of a network with fixed time constants
    return floor_of(build.optimizer(config, any_weights))


def floor_of(optimizer: torch.optim.Optimizer) -> Floor:
    """The floor of an optimizer, for elements of the gradient.

    SMORMS3      sqrt(eps): with |g| below it the step is min(lr, g^2 / eps), while the other
                 factor, grad / sqrt(g2), stays near 1; eps is no smaller than the least number
                 of its precision
    Adam & co.   eps: with |g| below it the step is lr |g| / eps
    SGD          0: its step is lr |g| everywhere; as for any other without one eps
    """
    kind = type(optimizer).__name__
    name = kind.lower()
    lr, eps = float(optimizer.defaults["lr"]), optimizer.defaults.get("eps")
    if not isinstance(eps, int | float):
        return Floor(f"{name} with lr={lr:g}", 0.0, lr, "raise optimizer.lr")
    named, lower = f"{name} with eps={eps:g}", "lower optimizer.eps"
    least = 0.0
    if isinstance(optimizer, SMORMS3):
        least = of_eps(kind, torch.finfo(optimizer.precision).tiny)
    return Floor(named, of_eps(kind, eps), lr, lower, least)


SAMPLES = 128  # of training, on which the initial state is measured,
POTENTIALS = 2**21  # fewer if the network has more than 2^14 neurons


def batch(context: RunContext) -> tuple[Input, np.ndarray]:
    """The samples on which initial states are measured, and their labels."""
    units = sum(population.units for population in context.network.hidden)
    samples = min(SAMPLES, max(1, POTENTIALS // units))
    seed, train = context.config.seed, context.data.train
    chosen = stream(seed, "init samples").permutation(len(train))[:samples]
    return train.batch(chosen, stream(seed, "init noise"))


def initial_network(context: RunContext) -> Network:
    """The network with the weights that the run starts from, on the CPU; the same at each call."""
    config, data, engine = context.config, context.data, context.engine
    inputs, _ = batch(context)
    strategy = build.strategy(config)
    weights = stream(config.seed, "weights")
    device = "cpu" if build.untried(config) else context.device
    network = build.network(config, data)
    draw(
        network,
        strategy,
        build.readout_strategy(config, strategy),
        nu_input=build.input_rate(data, network),
        measure=lambda below: engine.simulate(
            deepcopy(below).to(device), inputs, record=("moments",)
        ),
        analogue=data.nu is None,
        generator=torch.Generator().manual_seed(int(weights.integers(2**63))),
    )
    return network


def initialize(context: RunContext, initial: Network) -> list[dict[str, Any]]:
    """Give the network its initial weights and measure the state they put it in, with float64, on
    the CPU where the device may have none; with probe=none it is not measured.
    """
    config, data, network = context.config, context.data, context.network
    network.load_weights(initial.weights())
    if config.probe == "none":
        return []
    inputs, labels = batch(context)
    strategy, nu = build.strategy(config), build.input_rate(data, network)
    objective = context.phases[-1].objective
    measured = deepcopy(initial) if build.untried(config) else network
    rows = probe(measured, context.engine, inputs, labels, objective, strategy, nu)
    write_json(context.directory / PROBE, rows)
    floor = floor_of(context.optimizer)
    context.view.probe(rows, config.name.model, config.name.init, floor)
    for population, row in zip(network.hidden, rows):
        if line := warning(population.name, population.neuron, row["rate"], network.dt):
            context.view.say(line)
    return rows


COMPARED = 4


def compare_with_cpu(context: RunContext, initial: Network) -> None:
    """Says how many spikes, and by how much a gradient, of a training step from the `initial` state
    differ on the device of the run. Raises ValueError if rounding does not explain it.
    """
    inputs, labels = batch(context)
    x, y, engine = inputs[:COMPARED], labels[:SAMPLES], context.engine
    off = trial.compare(initial, x, y, engine, context.device, trial.OBJECTIVE)
    words = (
        f"{off.spikes:.0f} of {off.total:.0f} spikes differ from those of the CPU, and a "
        f"gradient by {off.gradient:.1g} of the largest"
    )
    spikes, gradient = trial.ROUNDED
    if not (off.spikes <= spikes * off.total and off.gradient <= gradient):
        raise ValueError(f"device = {context.config.device}: {words}; use device=cpu")
    context.view.say(f"fdi has never run on such a device; tried here, {words}")
