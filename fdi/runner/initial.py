"""The initial state of a run: the weights, and what they make of the training set."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch

from fdi.data.seeding import stream
from fdi.init.assumptions import warning
from fdi.init.draw import draw
from fdi.init.probe import probe
from fdi.runner import build
from fdi.runner.context import RunContext
from fdi.runner.floor import floor_of
from fdi.track.files import write_json
from fdi.track.layout import PROBE

SAMPLES = 128  # of training, on which the initial state is measured,
POTENTIALS = 2**21  # fewer if the network has more than 2^14 neurons


def initialize(context: RunContext) -> list[dict[str, Any]]:
    """Draw the weights and measure the state they put the network in; with probe=none it is not
    measured.
    """
    config, data, network = context.config, context.data, context.network
    engine = context.engine
    samples = min(
        SAMPLES,
        max(1, POTENTIALS // sum(population.units for population in network.hidden)),
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
    floor = floor_of(context.optimizer)
    context.view.probe(rows, config.name.model, config.name.init, floor)
    for population, row in zip(network.hidden, rows):
        if said := warning(population.name, population.neuron, row["rate"], network.dt):
            context.view.say(said)
    return rows
