"""Bias and dropout of hidden neurons, as options of the models."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from compared import frames, free_potential

import fdi
from fdi.engine.cpu.engine import CpuEngine
from fdi.engine.reference import ReferenceEngine
from fdi.engine.reference.simulation import simulate
from fdi.init.fluct import Fluct
from fdi.init.probe import probe_populations
from fdi.snn import models
from fdi.snn.network import Network
from fdi.snn.objective import Objective

T, B, DT, TAU_SYN = 400, 3, 2e-3, 10e-3
FORM: dict[str, Any] = dict(input_shape=(6,), classes=3, steps=T, dt=DT)
SMALL = ["dataset=poisson", "dataset.samples=12", "dataset.shape=[20]", "dataset.classes=3"]
SMALL += ["dataset.steps=30", "model.hidden=8", "model.depth=2", "dataset.valid=0.25"]
SMALL += ["dataset.test=0.25", "trainer.epochs=2", "threads=1", "probe=none"]


def network(model=models.dense, strength: float = 0.0, **options: Any) -> Network:
    net, generator = model(**FORM | options).double(), torch.Generator().manual_seed(0)
    for values in (*net.biases.values(), *(link.weight for link in net.projections)):
        values.data.uniform_(-0.05, 0.1, generator=generator)
    for link in net.projections:
        link.weight.data.mul_(strength)
    return net


@pytest.mark.parametrize(
    ("model", "options"),
    [
        (models.dense, dict(hidden=8, recurrent=True)),
        (models.conv, dict(filters=4, pool=2, input_shape=(1, 6, 6))),
        (models.dale, dict(excitatory=6, inhibitory=2)),
    ],
)
def test_a_bias_is_a_constant_part_of_the_mean_potential(model, options):
    """Of b / (1 - beta_s), after a while, and one of the theory."""
    net = network(model, bias=True, **options)
    free = simulate(net, torch.zeros(T, B, *net.input_shape).double(), ("free",)).free
    for p in net.hidden:
        expected = net.biases[p.name].detach() / (1 - math.exp(-DT / TAU_SYN))
        found = free[p.name][-1].transpose(0, 1).flatten(1).T
        torch.testing.assert_close(found, expected.expand_as(found), rtol=1e-6, atol=0)


def test_the_probe_predicts_and_measures_it():
    net = network(bias=True, hidden=8, strength=1.0)
    x = frames(net, T, 40, 0.1)
    labels, rate = np.zeros(40, np.int64), x.mean() / DT
    row, *_ = probe_populations(net, ReferenceEngine(), x, labels, Objective(), Fluct(), rate)
    below = T * DT / (T * DT - 30e-3)  # the first steps of a trial, in which the potential rises
    assert row["theory_mu_u"] == pytest.approx(row["free_mean"] * below, rel=0.03)
    net.biases["h1"].data.zero_()
    other, *_ = probe_populations(net, ReferenceEngine(), x, labels, Objective(), Fluct(), rate)
    assert row["theory_mu_u"] - other["theory_mu_u"] > 0.05
    assert row["theory_sigma_u"] == other["theory_sigma_u"]
    assert row["free_sigma"] == pytest.approx(other["free_sigma"], rel=0.02)


def test_dropout_silences_neurons_for_whole_trials_in_training_only():
    net = network(hidden=[200, 5], dropout=0.4, strength=30.0)
    net.afferents("h2")[0].weight.data.fill_(1.0)
    x = torch.ones(T, 4, 6).double()
    torch.manual_seed(0)
    activity = net.activity(x, ("spikes", "free"))
    first, spikes = net.activity(x, ("free",)).free["h2"], activity.spikes["h1"]
    assert spikes.sum() > 0
    assert not torch.equal(first, activity.free["h2"])  # other masks
    torch.manual_seed(0)
    mask = (torch.rand(4, 200) >= 0.4) / 0.6
    heard = (spikes * mask).sum(-1)  # [T, B]
    expected = torch.stack(free_potential(heard, DT))
    torch.testing.assert_close(activity.free["h2"][1:, :, 0], expected[:-1])  # a step later
    still = net.eval().activity(x, ("free",)).free["h2"]
    torch.testing.assert_close(still, simulate(net, x, ("free",)).free["h2"])


def test_engines_without_them_refuse_and_auto_chooses_another(tmp_path):
    for option, value in (("bias", True), ("dropout", 0.2)):
        net = network(hidden=8, **{option: value})
        with pytest.raises(fdi.Mistake, match=rf"model\.{option}.*; use engine=reference"):
            CpuEngine(1).check(net)
        word = f"model.{option}={str(value).lower()}"
        with pytest.raises(fdi.Mistake, match="use engine=reference"):
            fdi.run(*SMALL, word, "engine=cpu", results=tmp_path)
    with pytest.raises(fdi.Mistake, match=r"set model\.bias=false"):
        models.dense(**FORM, bias=True, norm="tdbn")


def test_their_neutral_values_are_no_part_of_what_a_run_is(tmp_path):
    words = [*SMALL, "engine=reference", "trainer.epochs=1"]
    plain = fdi.run(*words, results=tmp_path)
    same = fdi.run(*words, "model.bias=false", "model.dropout=0", results=tmp_path)
    assert plain.directory == same.directory
