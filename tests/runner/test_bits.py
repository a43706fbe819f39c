"""Weights in fewer bits, after training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from making import SMALL, numbers, one_line

import fdi
from fdi.analysis.results import own
from fdi.cli.cells import compose_cell
from fdi.config.identity import run_id
from fdi.figures.catalogue import figure_named
from fdi.runner import build
from fdi.track import record
from fdi.track.files import CHECKPOINT, read_checkpoint

pytestmark = pytest.mark.usefixtures("here")
KEPT: Any = {"model.norm": "layer", "homeostasis.prime_epochs": 1}


def rounded(weight: torch.Tensor, bits: int) -> np.ndarray:
    """The nearest of the evenly spaced values of a row, one by one."""
    rows = weight.double().flatten(1).numpy()
    values = np.linspace(-1, 1, 2**bits - 1)
    most = np.abs(rows).max(1, keepdims=True) + 1e-300
    nearest = np.abs(rows[..., None] / most[..., None] - values).argmin(-1)
    return (values[nearest] * most).reshape(weight.shape)


@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("model", ["dense", "conv", "recurrent"])
def test_the_weights_of_each_neuron_or_map_are_rounded_and_nothing_else(bits, model):
    words = f"model={model}", "dataset=digits"
    config = compose_cell("", words).config
    network = build.network(config, build.dataset(config))
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(generator=torch.Generator().manual_seed(weight.numel()))
        network.projections[0].weight[0] = 0  # of a neuron that receives nothing
    before = {name: weight.clone() for name, weight in network.weights().items()}
    network.quantize(bits)
    own = {projection.name for projection in network.projections}
    for name, after in network.weights().items():
        wanted = rounded(before[name], bits) if name in own else before[name]
        np.testing.assert_allclose(after, wanted, rtol=1e-5, atol=1e-6)
        if name in own:
            assert all(len(row.unique()) <= 2**bits - 1 for row in after.flatten(1))


@pytest.mark.parametrize(
    "options",
    [{"model.bias": True}, KEPT, {"trainer.patience": 1, "trainer.epochs": 4}, {"probe_every": 3}],
    ids=str,
)
def test_a_run_of_fewer_bits_is_trained_once_and_keeps_its_training(options, capsys):
    few: Any = SMALL | options | {"quantize": 2}
    whole = fdi.run(**few, results="whole")
    trained = fdi.run(**SMALL | options)
    del trained.config["quantize"]
    assert trained.directory.name == f"seed=0-{run_id(trained.config)}"
    capsys.readouterr()
    run = fdi.run(**few)
    said = " ".join(capsys.readouterr().out.split())
    epochs = trained.config.trainer.epochs
    assert f"goes on after the {epochs} epochs of {trained.directory}" in said
    assert run.directory.name == whole.directory.name != trained.directory.name
    assert numbers(run.directory) == numbers(whole.directory)
    assert run.metrics["train/loss"].equals(trained.metrics["train/loss"])
    weights = [read_checkpoint(each.directory / CHECKPOINT)["weights"] for each in (trained, run)]
    for name, weight in weights[0].items():
        assert torch.equal(weight, weights[1][name]), "in full precision"
        assert torch.equal(weight, trained.network.weights()[name])
    trained.network.quantize(2)
    assert all(map(torch.equal, trained.network.weights().values(), run.network.weights().values()))
    assert run.result is not None
    data = build.dataset(run.config)
    shown = run.predictions(data.test.inputs)["predicted"]
    right = float((shown.to_numpy() == data.test.labels).mean())
    assert right == pytest.approx(run.result["test_accuracy_last"])


def test_a_longer_run_goes_on_with_the_weights_of_training_whatever_the_bits():
    fdi.run(**SMALL, quantize=4)
    longer: Any = SMALL | {"trainer.epochs": 4}
    assert record.whole((run := fdi.run(**longer)).directory).origin["continues"]
    assert numbers(run.directory) == numbers(fdi.run(**longer, results="whole").directory)


def test_bits_that_are_none_are_refused_and_a_sweep_is_drawn():
    bits: Any
    for bits in (1, 17, 2.5, "few"):
        with one_line("quantize"):
            fdi.run(**SMALL, quantize=bits)
    for bits in (None, 2, 8):
        for init in ("kaiming", "fluct"):
            fdi.run(**SMALL, quantize=bits, init=init)
    found = own(Path("results"))
    ((page, _),) = figure_named("quantize", found.runs, []).data(found).values()
    assert set(page["init"]) == {"kaiming", "fluct"}
    assert len(page) == 6
