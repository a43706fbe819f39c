"""One call draws any network: those of fdi, with torch and numpy alone, by every strategy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import compared
import pytest
import torch
import yaml

import fdi
from fdi.data.inputs import Frames
from fdi.init.named import NAMES, named
from fdi.init.strategy import Strategy
from fdi.snn.models import conv, dale, dense

CONF = Path(__file__).parents[2] / "conf" / "init"
X = (torch.rand(100, 16, 30, generator=torch.Generator().manual_seed(0)) < 0.03).float()


def options(name: str) -> dict[str, object]:
    read = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    below = {} if "defaults" not in read else options(read.pop("defaults")[0])
    return below | read


OF_RUNS = ("from_run", "homeostatic")  # need runs, and training
STATES = sorted(path.stem for path in CONF.glob("*.yaml") if path.stem not in OF_RUNS)


@pytest.mark.parametrize("name", STATES)
def test_a_name_is_what_the_configuration_calls_so(name):
    values = options(name)
    target = values.pop("_target_")
    made = named(name)
    assert f"{type(made).__module__}.{type(made).__name__}" == target
    assert {key: getattr(made, key) for key in values} == values


def test_every_name_is_in_the_configuration():
    assert sorted(NAMES) == STATES


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("fluc", {}, r"init = 'fluc': did you mean fluct\?"),
        ("fluct", {"sigma": 1.0}, r"init = fluct has no sigma; did you mean sigma_u\?"),
        ("fluct", {"sigma_u": -1.0}, r"sigma_u = -1\.0 must be a number above 0"),
        ("kaiming", {"nu": 3.0}, r"init = kaiming has no nu"),
    ],
)
def test_what_is_no_state_is_said(name, values, message):
    with pytest.raises(fdi.Mistake, match=message):
        named(name, **values)


NETWORKS = {
    "dense": lambda: dense((30,), 3, 100, 2e-3, hidden=40, depth=2),
    "recurrent": lambda: dense((30,), 3, 100, 2e-3, hidden=40, depth=2, recurrent=True),
    "conv": lambda: conv((30,), 3, 100, 2e-3, filters=[8, 8], kernel=5, pool=2),
    "normalized": lambda: dense((30,), 3, 100, 2e-3, hidden=40, depth=2, norm="tdbn"),
    "dale": lambda: dale((30,), 3, 100, 2e-3, excitatory=40, inhibitory=10, depth=2),
}


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("name", NAMES)
def test_every_state_draws_every_network_of_fdi_or_says_why_not(name, kind):
    network = NETWORKS[kind]()
    x = X[:, :, None] if kind == "conv" else X
    before, random = network.state_dict(), torch.get_rng_state()
    before = {key: value.clone() for key, value in before.items()}
    generator = torch.Generator().manual_seed(1)
    try:
        rows = fdi.initialize(network, name, batch=x, generator=generator)
    except fdi.Mistake:
        assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
        assert kind == "dale" or name == "fluct_lognormal"
        assert torch.equal(generator.get_state(), torch.Generator().manual_seed(1).get_state())
    else:
        assert all(projection.weight.any() for projection in network.projections)
        buffers = dict(network.named_buffers())
        assert all(torch.equal(value, before[key]) for key, value in buffers.items())
        if name in ("fluct_calibrated", "lsuv"):
            hidden = [row.sigma_u for row in rows if row.neuron != "readout"]
            assert hidden == pytest.approx([1.0] * len(hidden), rel=0.03)
    assert torch.equal(random, torch.get_rng_state())


class Own(Strategy):
    def draw(self, drawing):
        for projection in drawing.afferents:
            projection.weight.data.normal_(generator=drawing.generator)


def test_weights_are_those_of_a_run():
    drawn, wanted = NETWORKS["dense"](), NETWORKS["dense"]()
    strategy = named("fluct_calibrated", sigma_u=0.7)
    nu = float(X.double().mean()) / 2e-3
    compared.drawn(wanted, strategy, Frames(X.byte().numpy().swapaxes(0, 1)), nu, 3)
    generator = torch.Generator().manual_seed(3)
    fdi.initialize(drawn, sigma_u=0.7, batch=X.numpy(), generator=generator)
    for name, weight in wanted.weights().items():
        assert torch.equal(weight, drawn.weights()[name])
    fdi.initialize(drawn, Own(), batch=X)
    with pytest.raises(fdi.Mistake, match="gain is given to a Strategy that is already made"):
        fdi.initialize(drawn, Own(), batch=X, gain=2.0)


def test_without_a_generator_the_global_one_goes_on():
    one, two = NETWORKS["dense"](), NETWORKS["dense"]()
    torch.manual_seed(0)
    fdi.initialize(one, "kaiming", batch=X)
    fdi.initialize(two, "kaiming", batch=X)
    assert not torch.equal(one.projections[0].weight, two.projections[0].weight)
    torch.manual_seed(0)
    fdi.initialize(two, "kaiming", batch=X)
    assert torch.equal(one.projections[0].weight, two.projections[0].weight)


def test_an_analogue_input_is_drawn_for_its_own_variance():
    x = torch.randn(100, 16, 30, generator=torch.Generator().manual_seed(0)) + 1
    network = NETWORKS["dense"]()
    rows = fdi.initialize(network, "fluct", batch=x)
    assert rows[0].sigma_u == pytest.approx(1, rel=0.1)
    with pytest.raises(fdi.Mistake, match="whole numbers up to 3; say what they are: kind=spikes"):
        fdi.initialize(network, batch=X * 3)
    with pytest.raises(fdi.Mistake, match="input is the same in all samples and steps"):
        fdi.initialize(network, batch=torch.full_like(X, 0.3))
    with pytest.raises(fdi.Mistake, match="the batch holds nan or infinite values"):
        fdi.initialize(network, batch=X * torch.nan)
    with pytest.raises(fdi.Mistake, match="steps = 2: no spike reaches the membrane"):
        fdi.initialize(network, batch=X[:2])
    refused: list[Any] = [-1, "a", 1e-3]
    for dt in refused:
        with pytest.raises(fdi.Mistake, match=r"steps of this network take 0\.002 s"):
            fdi.initialize(network, batch=X, dt=dt)


BARE = """
import sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        if root not in {"torch", "numpy", "fdi"} and root in BLOCKED:
            raise ModuleNotFoundError(f"no {name}", name=root)
BLOCKED = %r
sys.meta_path.insert(0, Nothing())
import torch, fdi
from fdi.snn.models import dense
x = (torch.rand(60, 8, 20) < 0.1).float()
network = dense((20,), 3, 60, 2e-3, hidden=30)
print(round(fdi.initialize(network, batch=x)[0].sigma_u, 1))
print(round(fdi.initialize(network, batch=x + 0.1, sigma_u=0.8)[0].sigma_u, 1))
print(fdi.interop.probe(network, x).layers[0].verdict)
"""
BLOCKED = (
    *("hydra", "omegaconf", "pandas", "numba", "scipy", "h5py", "matplotlib", "rich", "yaml"),
    *("tonic", "torchvision", "pooch", "triton", "nir", "sklearn", "tensorboard", "wandb"),
)


def test_torch_and_numpy_are_enough():
    found = subprocess.run(
        [sys.executable, "-c", BARE % (BLOCKED,)], capture_output=True, text=True
    )
    assert found.stdout.split("\n")[:3] == ["1.0", "0.8", "within 1.5"], found.stderr[-3000:]
