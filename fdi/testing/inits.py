"""What an initialization draws."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fdi.data.inputs import Frames
from fdi.engine.oracle import simulate
from fdi.init.baselines import Kaiming
from fdi.init.strategy import Strategy, draw_weights
from fdi.snn.models import conv, dale, dense
from fdi.snn.network import Activity, Network
from fdi.testing.engines import refuses

STEPS, DT, CLASSES, RATE = 50, 2e-3, 3, 20.0


def check_init(strategy: Strategy) -> None:
    """See fdi.testing.check; networks that it refuses in one line are left out."""
    networks = (
        lambda: dense((20,), CLASSES, STEPS, DT, hidden=[30, 30], recurrent=True),
        lambda: dale((20,), CLASSES, STEPS, DT, excitatory=24, inhibitory=6),
        lambda: conv((2, 8, 8), CLASSES, STEPS, DT, filters=[4]),
    )
    name, drawn = type(strategy).__name__, 0
    for build in networks:
        found: list[list[Tensor]] = []

        def weights(seeds: tuple[int, ...], build: Any = build, found: Any = found) -> None:
            for seed in seeds:
                network, rng = build(), np.random.default_rng(0)
                spikes = rng.random((8, STEPS, *network.input_shape)) < RATE * DT
                x = Frames(spikes.astype(np.uint8))

                def measure(net: Network, x: Frames = x) -> Activity:
                    return simulate(net, x, record=("moments",))

                draw_weights(
                    network, strategy, Kaiming(), nu_input=RATE, analogue=False,
                    measure=measure,
                    generator=torch.Generator().manual_seed(seed),
                )  # fmt: skip
                found.append([p.weight.detach().clone() for p in network.projections])

        if refuses(partial(weights, (0, 0, 1)), name):
            continue
        drawn += 1
        one, same, other = found
        for p, a, b, c in zip(build().projections, one, same, other):
            where = f"{name}: the weights of {p.name}"
            assert torch.isfinite(a).all(), f"{where} are not finite"
            assert torch.equal(a, b), f"{where} differ with equal seeds"
            assert not torch.equal(a, c), f"{where} are the same with another seed"
            assert not p.nonnegative or (a >= 0).all(), f"{where} have the wrong sign"
    assert drawn, f"{name} refuses every network"
