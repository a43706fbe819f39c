"""The table of readers in docs/howto/after-training.md says what they do."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from test_nir import STEPS, network, spikes

from fdi.interop.nir import to_nir
from fdi.snn.models import conv
from fdi.snn.neuron import Neuron

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "after-training.md"
DISTRIBUTIONS = {
    "Norse": "norse",
    "snnTorch": "snntorch",
    "SpikingJelly": "spikingjelly",
    "Sinabs": "sinabs",
}
ROWS = {
    found[1]: [cell.strip() for cell in found[3].split("|")]
    for found in re.finditer(
        r"^\| (\w+) ([\d.]+) \|(.*)\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
}
KINDS = ("dense", "recurrent", "conv1d", "conv2d")
STEP = {"snnTorch": 1e-4}  # s, which it assumes
# what their imports and their readers themselves warn of
pytestmark = pytest.mark.filterwarnings("ignore")


def made(kind: str, dt: float):
    """A network of two hidden layers whose time constants are so many steps."""
    neuron = Neuron(7.5 * dt, (3.5 * dt,), theta=0.9, reset="at_once")
    options: dict[str, Any] = {
        "dense": dict(hidden=20, depth=2),
        "recurrent": dict(hidden=20, depth=2, recurrent=True),
        "conv1d": dict(model=conv, filters=[3, 4], kernel=5, stride=2, padding=1),
        "conv2d": dict(model=conv, shape=(2, 9, 8), filters=[3, 4], kernel=3),
    }
    built = network(neuron=neuron, delay=0, **options[kind])
    built.dt = dt
    return built


def stepped(net, x: torch.Tensor) -> torch.Tensor:
    """Step by step, with the state handed on; [T, ...]."""
    state, outputs = None, []
    for signal in x:
        output, state = net(signal, state)
        outputs.append(output)
    return torch.stack(outputs)


def one_by_one(make, x: torch.Tensor) -> torch.Tensor:
    """A fresh network for each sample, without a batch: their Flatten would flatten it, too."""
    return torch.stack([stepped(make(), sample) for sample in x.unbind(1)], 1)


def norse(graph, x, dt):
    import norse.torch

    return one_by_one(lambda: norse.torch.from_nir(graph, dt=dt), x)


def snntorch(graph, x, dt):
    from snntorch.import_nir import import_from_nir

    return one_by_one(lambda: import_from_nir(graph), x)


def spikingjelly(graph, x, dt):
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    return stepped(import_from_nir(graph, dt=dt), x)


def sinabs(graph, x, dt):
    from sinabs.nir import from_nir

    found = from_nir(graph, batch_size=x.shape[1])(x.swapaxes(0, 1).flatten(0, 1))
    return found.unflatten(0, (x.shape[1], -1)).swapaxes(0, 1)


READERS = {"Norse": norse, "snnTorch": snntorch, "SpikingJelly": spikingjelly, "Sinabs": sinabs}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reader", READERS)
def test_a_reader_does_what_the_table_says(reader, kind):
    pytest.importorskip("nir")
    pytest.importorskip(DISTRIBUTIONS[reader])
    dt = STEP.get(reader, 2e-3)
    built = made(kind, dt)
    graph = to_nir(built, readout=False)
    x = torch.from_numpy(spikes(built.input_shape).swapaxes(0, 1).copy())
    wanted = arriving(built, x)
    assert wanted.abs().sum() > 100
    try:
        with torch.no_grad():
            found = READERS[reader](graph, x.float(), dt).reshape(wanted.shape)
        same = torch.allclose(found.double(), wanted, atol=1e-3)
        became = "yes" if same else "other spikes"
    except Exception as error:  # whatever a reader makes of it
        became = f"no ({type(error).__name__})"
    said = ROWS[reader][KINDS.index(kind)]
    assert became.partition(" ")[0] == said.partition(" ")[0], (
        f"{reader} {version(DISTRIBUTIONS[reader])}, {kind}: {became}"
    )


def arriving(built, x):
    """What the readout of a network gets in each step, [T, B, classes]."""
    activity, last = built.activity(x, ("spikes",)), built.hidden[-1].name
    with torch.no_grad():
        (link,) = built.afferents("readout")
        return torch.stack([link(s) for s in activity.spikes[last]])


def test_the_table_names_every_reader():
    assert set(ROWS) == set(READERS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_graph_says_what_fdi_computes(kind):
    pytest.importorskip("nir")
    from test_nir_files import euler

    built = made(kind, 2e-3)
    x = torch.from_numpy(spikes(built.input_shape).swapaxes(0, 1).copy())
    graph = to_nir(built, readout=False)
    assert len(x) == STEPS
    assert torch.allclose(euler(graph, x, 2e-3), arriving(built, x), atol=1e-6)
    whole = euler(to_nir(built), x, 2e-3)
    assert torch.allclose(whole, built.activity(x).readout, atol=1e-6)
