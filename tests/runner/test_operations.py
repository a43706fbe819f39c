"""Spikes and synaptic operations of a sample are those that one counts by hand, step by step."""

from __future__ import annotations

from io import StringIO
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from making import write_run

import fdi
from fdi.analysis.derived import QUANTITIES, energy
from fdi.cli.report import main as report
from fdi.cli.table import main as table
from fdi.data.dataset import Split
from fdi.data.inputs import Constant, Events, Frames, sparse
from fdi.engine.reference import ReferenceEngine
from fdi.runner.operations import operations
from fdi.snn.models import conv, dale, dense
from fdi.snn.objective import Objective

COUNTED = {"classes": 10, "test_samples": 1000}
T, B, UNITS = 20, 6, 7
FORM: dict[str, Any] = {"classes": 3, "steps": T, "dt": 2e-3}
NETWORKS = {
    "dense": lambda: dense((UNITS,), hidden=[9, 8], skip=True, **FORM),
    "recurrent": lambda: dense((UNITS,), hidden=[9], recurrent=True, **FORM),
    "dale": lambda: dale((UNITS,), excitatory=[9], inhibitory=[3], **FORM),
    "conv": lambda: conv((2, 6, 6), filters=[4, 5], pool=1, recurrent_kernel=3, **FORM),
    "pooled": lambda: conv((2, 6, 6), filters=[4, 5], pool=2, **FORM),
}


def network(name: str):
    net, generator = NETWORKS[name](), torch.Generator().manual_seed(0)
    for p in net.projections:
        weight = torch.randn(p.weight.shape, generator=generator) * 3 / p.fan_in**0.5
        weight *= torch.rand(p.weight.shape, generator=generator) > 0.2
        p.weight.data.copy_(weight.abs() if p.nonnegative else weight)
    return net


def by_hand(net, x_TB: torch.Tensor, activity) -> dict[str, float]:
    """Each input that is not 0 through each weight that is not."""
    ones = torch.tensor([-1.0, 0.0, 1.0])
    found = dict.fromkeys(("dense", "effective", "MAC"), 0.0)
    pools = {p.name: p.pool for p in net.hidden}
    for p in net.projections:
        spikes = x_TB if p.source == "input" else activity.spikes[p.source]
        if not p.recurrent and pools.get(p.source, 1) > 1:
            spikes = torch.stack([F.max_pool2d(step, pools[p.source]) for step in spikes])
        weight = (p.weight.detach() != 0).to(spikes.dtype)
        for step in spikes:
            for key, x, w in (
                ("effective", (step != 0).to(step.dtype), weight),
                ("dense", torch.ones_like(step), torch.ones_like(weight)),
            ):
                if p.convolutional:
                    used = F.conv2d(x, w, stride=p.stride, padding=p.padding)
                else:
                    used = F.linear(x.flatten(1), w)
                found[key] += float(used.sum()) / B
                if key == "effective" and p.source == "input" and not torch.isin(x_TB, ones).all():
                    found["MAC"] += float(used.sum()) / B
    return found | {"spikes": sum(float(s.sum()) for s in activity.spikes.values()) / B}


def inputs(kind: str, shape: tuple[int, ...]) -> tuple[Any, np.ndarray]:
    rng = np.random.default_rng(0)
    x = (rng.random((B, T, *shape)) < 0.3).astype(np.float32)
    if kind == "currents":
        x *= rng.normal(size=x.shape).astype(np.float32)
    if kind == "constant":
        image = x[:, 0] * 2.5
        return Constant(image, T), np.repeat(image[:, None], T, 1)
    if kind == "events":
        events = sparse(x.reshape(B, T, -1))
        return Events(events.indptr, events.units, shape, T), x
    return Frames(x, currents=kind == "currents"), x


@pytest.mark.parametrize("kind", ["events", "frames", "currents", "constant"])
@pytest.mark.parametrize("name", NETWORKS)
def test_operations_are_those_of_each_step(name, kind):
    net, engine = network(name), ReferenceEngine()
    given, x = inputs(kind, net.input_shape)
    split = Split(given, np.arange(B) % 3)
    outcome = engine.evaluate(net, given, split.labels, Objective())
    activity = engine.simulate(net, given, ("spikes",))
    wanted = by_hand(net, torch.from_numpy(x).transpose(0, 1), activity)
    found = operations(net, engine, split, outcome, 4, 0)
    assert found == pytest.approx(wanted, rel=1e-6)


def test_averaged_spikes_have_no_number(tmp_path):
    net = network("pooled")
    net.projections[-1].average = (2, 2)
    assert operations(net, ReferenceEngine(), None, None, 4, 0) is None  # type: ignore[arg-type] # not looked at


def test_a_run_says_what_it_costs_and_a_figure_what_is_reached_by_it(tmp_path):
    words = ["dataset=poisson", "dataset.samples=12", "engine=reference", "model.hidden=8"]
    words += ["trainer.epochs=1", "dataset.steps=30", "threads=1", "probe=none"]
    words += ["dataset.valid=0.2", "dataset.test=0.2"]
    done: Any = fdi.run(*words, results=tmp_path)
    cost = done.result["operations"]
    assert cost["dense"] == 30 * (100 * 8 + 8 * 10)
    spikes = done.result["rates"]["h1"] * 8 * 30 * 2e-3
    assert cost["spikes"] == pytest.approx(spikes)
    assert fdi.results(tmp_path)["operations/effective"][0] == cost["effective"]

    runs = fdi.sweep(*words, results=tmp_path, init=["fluct", "kaiming"], seed=range(2))
    page = fdi.figures.draw("operations", runs)
    panel, other = page.axes
    assert panel.get_xlabel() == "synaptic operations per sample"
    assert panel.get_title(loc="left") + panel.get_title() == "test accuracy (%)"
    assert other.get_xlabel() == "estimated energy (nJ, at 0.9 and 4.6 pJ)"
    nj = cost["dense"] * 4.6e-3
    assert other.get_title(loc="left") + other.get_title() == f"if dense: {nj:,.1f} nJ"


def test_energy_adds_what_adds_and_what_multiplies(monkeypatch):
    counts = {"effective": [100.0, 50.0], "MAC": [30.0, 0.0], "dense": [1000.0, 400.0]}
    runs = pd.DataFrame({f"operations/{name}": values for name, values in counts.items()})
    assert energy(runs).tolist() == pytest.approx([(70 * 0.9 + 30 * 4.6) / 1e3, 0.045])
    assert energy(runs, dense=True).tolist() == pytest.approx([4.6, 1.84])
    monkeypatch.setenv("FDI_ENERGY", "0.03,0.2")
    assert energy(runs).tolist() == pytest.approx([(70 * 0.03 + 30 * 0.2) / 1e3, 0.0015])
    assert QUANTITIES["energy"].of(runs)[1] == pytest.approx(0.0015)
    assert energy(pd.DataFrame(index=[0])).isna().all(), "of runs that counted nothing"


@pytest.mark.parametrize("said", ["0.9", "0.9,4.6,1", "a,b", "-1,4.6", "nan,1"])
def test_constants_of_the_energy_that_are_none_are_one_line(monkeypatch, said):
    monkeypatch.setenv("FDI_ENERGY", said)
    with pytest.raises(fdi.Mistake, match=f"^FDI_ENERGY = {said} must be two numbers.*0.9,4.6$"):
        energy(pd.DataFrame({"operations/effective": [1.0]}))


def test_energy_stands_in_tables_and_the_report(tmp_path, monkeypatch, capsys):
    counts = {"effective": 1e5, "MAC": 0.0, "dense": 1e6, "spikes": 10.0}
    for seed in range(2):
        write_run(tmp_path, "fluct", seed, 0.9, result=COUNTED | {"operations": counts})
    assert table(["--results", str(tmp_path), "--full", "--csv"]) == 0
    rows = pd.read_csv(StringIO(capsys.readouterr().out))
    assert rows[["energy", "energy_dense"]].to_numpy().tolist() == [[pytest.approx(90), 4600]]
    monkeypatch.setenv("FDI_ENERGY", "0.5,2")
    assert table(["--results", str(tmp_path), "--full", "--latex"]) == 0
    shown = capsys.readouterr().out
    assert "50.0 & 2,000.0" in shown
    assert "at 0.5 pJ an addition and 2 pJ" in shown
    assert report(["--results", str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "<th>energy (nJ)</th><th>if dense</th>" in page
    assert ">2,000.0<" in page
