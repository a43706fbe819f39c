"""The initial state of a run: its weights, and the activity they cause on the training set."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import torch

from fdi.data.inputs import Input
from fdi.data.seeding import stream
from fdi.init.assumptions import warning
from fdi.init.draw import draw
from fdi.init.probe import probe
from fdi.runner import build
from fdi.runner.context import RunContext
from fdi.runner.floor import floor_of
from fdi.snn.network import Network
from fdi.track.files import write_json
from fdi.track.layout import PROBE

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
