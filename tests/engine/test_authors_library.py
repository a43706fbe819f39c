"""All engines against numbers computed with the authors' own library, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from fdi.data.inputs import Frames
from fdi.engine import Engine
from fdi.engine.cpu import CpuEngine
from fdi.engine.cuda import CudaEngine
from fdi.engine.reference import ReferenceEngine
from fdi.snn.models import conv, dale, dense
from fdi.snn.network import Network
from fdi.snn.neuron import alif
from fdi.snn.objective import LowerBound, Objective, UpperBound

OBJECTIVE = Objective(upper=UpperBound(0.1, 1.0, axes=1), lower=LowerBound(100.0, 1e-3))
SPEC: dict[str, Any] = dict(classes=5, steps=60, dt=2e-3, readout_u_init=-1e-3)
NETWORKS = {
    "dense": lambda: dense((30,), hidden=(16, 12), **SPEC),
    "recurrent": lambda: dense((30,), hidden=(16, 12), recurrent=True, **SPEC),
    "conv1d_rec": lambda: conv(
        (1, 40), filters=(4, 6), kernel=(7, 5), stride=(3, 2), padding=2, recurrent_kernel=5, **SPEC
    ),
    "conv2d": lambda: conv((2, 6, 6), filters=(4, 5), kernel=3, padding=2, pool=(2, 1), **SPEC),
    "dale": lambda: dale((30,), excitatory=16, inhibitory=4, **SPEC),
    "alif": lambda: dense((30,), hidden=(16, 12), recurrent=True, neuron=alif(a=0.5), **SPEC),
}
ENGINES: dict[str, Callable[[], Engine]] = {
    "reference": ReferenceEngine,
    "cpu": lambda: CpuEngine(threads=2, chunk=3),
    "cuda": CudaEngine,
}
DALE_ORDER = ("input->e1", "input->i1", "i1->i1", "i1->e1", "e1->i1", "e1->e1", "e1->readout")


@pytest.fixture(params=NETWORKS)
def case(request, shared) -> tuple[Network, list[torch.nn.Parameter], dict[str, np.ndarray]]:
    """A network with the given weights, its weights in the order of the file, and the expected
    numbers.
    """
    expected: dict[str, np.ndarray] = dict(np.load(shared / "reference" / f"{request.param}.npz"))
    network = NETWORKS[request.param]().double()
    by_name = {projection.name: projection.weight for projection in network.projections}
    weights = (
        [by_name[name] for name in DALE_ORDER]
        if request.param == "dale"
        else list(by_name.values())
    )
    for i, weight in enumerate(weights):
        with torch.no_grad():
            weight.copy_(torch.from_numpy(expected[f"w_{i}"]))
    return network, weights, expected


def test_spikes_and_potentials_equal_the_authors_library(case):
    network, _, expected = case
    activity = ReferenceEngine().simulate(
        network, Frames(expected["x"]), record=("spikes", "potentials")
    )
    for i, population in enumerate(network.hidden):
        spikes = activity.spikes[population.name].numpy().swapaxes(0, 1)
        assert spikes.sum() > 0
        np.testing.assert_array_equal(spikes, expected[f"spikes_{i}"])
        potentials = activity.potentials[population.name].numpy().swapaxes(0, 1)
        np.testing.assert_allclose(potentials, expected[f"mem_{i}"], rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("case", "name"),
    [
        pytest.param(
            case, name, marks=[pytest.mark.slow] * (name == "cpu" and case.startswith("conv"))
        )
        for case in NETWORKS
        for name in ENGINES
    ],
    indirect=["case"],
)  # maps are compiled for it in float64
def test_readout_loss_and_gradients_equal_the_authors_library(name, case):
    network, weights, expected = case
    engine, x = ENGINES[name](), Frames(expected["x"])
    np.testing.assert_allclose(
        engine.simulate(network, x).readout.numpy().swapaxes(0, 1),
        expected["readout"],
        rtol=0,
        atol=1e-9,
    )
    outcome = engine.step(network, x, expected["y"], OBJECTIVE)
    assert outcome.task / outcome.samples == pytest.approx(float(expected["loss"]), abs=1e-9)
    assert outcome.regularizer / outcome.samples == pytest.approx(float(expected["reg"]), abs=1e-9)
    for i, population in enumerate(network.hidden):
        np.testing.assert_array_equal(
            outcome.counts[population.name], expected[f"spikes_{i}"].sum((0, 1))
        )
    for i, weight in enumerate(weights):
        assert np.abs(expected[f"grad_{i}"]).max() > 0
        np.testing.assert_allclose(weight.grad.numpy(), expected[f"grad_{i}"], rtol=0, atol=1e-9)
