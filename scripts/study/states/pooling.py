"""Why is the spread behind pooled spikes of an analogue image larger than the theory's? The digits,
two convolutions, pooling, and a third one that hears the same spikes with one thing changed.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from fdi.data.images import digits
from fdi.engine.reference import ReferenceEngine
from fdi.init.fluct import Fluct
from fdi.init.strategy import draw_weights, rate_of_equal_spread
from fdi.snn.models import conv
from states.tools import free_potential, generator

STEPS, DT, SAMPLES, START, SEEDS = 200, 2e-3, 16, 50, 3
"""START: steps after which the start of the trial is over."""


def simulate() -> pd.DataFrame:
    """Columns sources, seed, rate (Hz, of the pooled sources), sigma_u (of the third layer,
    over the whole trial, in units of theta), sigma_u_later (without its first START steps).
    """
    return pd.DataFrame([row for seed in range(SEEDS) for row in _states(seed)])


def _states(seed: int) -> list[dict[str, object]]:
    data, engine, strategy = digits(steps=STEPS, dt=DT, seed=seed), ReferenceEngine(), Fluct()
    rng = np.random.default_rng(seed)
    inputs, _ = data.train.batch(rng.permutation(len(data.train))[:SAMPLES], rng)
    network = conv(
        data.shape, 10, STEPS, DT, filters=(32, 32, 64), kernel=3, padding=2, pool=(1, 2, 1)
    )

    def measure(drawn):
        return engine.simulate(drawn, inputs, record=("moments",))

    nu = rate_of_equal_spread(data.blocks(), network.hidden[0].neuron, DT)
    draw_weights(
        network, strategy, strategy, nu_input=nu, measure=measure, generator=generator(seed),
        analogue=True,
    )  # fmt: skip
    spikes = engine.simulate(network, inputs, record=("spikes",)).spikes["h2"]
    pooled = torch.stack([max_pool2d(step, 2) for step in spikes])
    (last,) = network.afferents("h3")
    rows = []
    for name, sources in _changed(pooled, generator(seed)).items():
        potential = free_potential(
            torch.stack([last(step) for step in sources]).detach().numpy(), 20e-3, 10e-3, DT
        )
        whole, later = (u.var(0).mean() ** 0.5 for u in (potential, potential[START:]))
        rate = float(sources.mean()) / DT
        rows.append(
            {"sources": name, "seed": seed, "rate": rate, "sigma_u": whole, "sigma_u_later": later}
        )
    return rows


def _changed(spikes: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    """Spikes [T, B, C, H, W]: as they are, and with one thing after the other taken from them."""
    trains = spikes.flatten(1)
    shift = torch.randint(0, len(trains), (1, trains.shape[1]), generator=generator)
    shifted = trains.gather(0, (torch.arange(len(trains))[:, None] + shift) % len(trains))
    noise = torch.rand(spikes.shape, generator=generator)
    return {
        "as simulated": spikes,
        "each train from a moment of its own on": shifted.view_as(spikes),
        "Poisson, each source at its own rate": (noise < spikes.mean(0)).float(),
        "Poisson, all at the mean rate": (noise < spikes.mean()).float(),
    }
