"""An engine beside autograd."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from fdi.data.inputs import Frames
from fdi.engine import Engine
from fdi.engine.oracle import OBJECTIVE, compare
from fdi.snn.models import conv, dense
from fdi.snn.neuron import Neuron

STEPS, SAMPLES, CLASSES, DT = 24, 5, 3, 2e-3


def refuses(call: Callable[[], object], name: str) -> bool:
    """Whether a call is refused, in one line."""
    try:
        call()
    except ValueError as error:
        said = str(error)
    else:
        return False
    assert "\n" not in said, f"{name}: refuses in more than a line"
    return True


def check_engine(engine: Engine, n: Neuron) -> None:
    """Trials and gradients of small networks of the neuron, or one line that refuses them."""
    rng, given = np.random.default_rng(0), (CLASSES, STEPS, DT, n)
    generator = torch.Generator().manual_seed(0)
    for network in (
        dense((9,), *given, hidden=[20, 17], recurrent=True),
        conv((2, 6, 6), *given, filters=[4, 3], kernel=3, padding=1, pool=[2, 1]),
    ):
        name = f"{type(engine).__name__} with neurons of kind {type(n).__name__}"
        for p in network.double().projections:
            p.weight.data.normal_(0, 6 * n.theta / p.fan_in**0.5, generator=generator)
        if refuses(partial(engine.check, network), name):
            continue
        x = Frames((rng.random((SAMPLES, STEPS, *network.input_shape)) < 0.3).astype(np.uint8))
        labels, device = np.arange(SAMPLES) % CLASSES, torch.device(engine.devices[0])
        found = compare(network, x, labels, engine, device, OBJECTIVE)
        assert found.total > 0, f"{name}: no spikes, so nothing is compared"
        said = f"{found.spikes:g} of {found.total:g} spikes and {found.gradient:.2g} of a gradient"
        near = found.spikes == 0 and found.gradient < 1e-9
        assert near, f"{name}: {said} differ from autograd"
        again = compare(network, x, labels, engine, device, OBJECTIVE)
        assert again == found, f"{name}: another result the second time"
