"""experiment=zoo: random networks, each initial state at the default step and at its best."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from commands import finish

from fdi.analysis.results import Results, own
from fdi.analysis.zoo import area, members, only, ranked, share
from fdi.cli.zoo import drawn
from fdi.track.files import write_status

SCRIPT = Path(__file__).parents[2] / "scripts" / "study" / "export_reference.py"
EXPORT = runpy.run_path(str(SCRIPT))["export"]
WORDS = ("-m", "experiment=zoo", "budget=laptop", "zoo.networks=3", "init=kaiming,fluct")
ZOO = yaml.safe_load(Path("conf/experiment/zoo.yaml").read_text())["zoo"] | {"networks": 40}
BEST = {"kaiming": 0.125, "fluct": 0.001}  # on validation
REFUSED = ("fluct", 1)  # and the place of the network that cannot have it


def run(config, directory: Path, *_) -> dict:
    """Validation likes the step of BEST, and the test set what is below 0.1."""
    lr, init = config.optimizer.lr, config.name.init
    place = places.setdefault(config.neuron.tau_mem, len(places))
    calls.append((place, init, lr, config.seed, config.trainer.test))
    if (init, place) == REFUSED:
        write_status(directory, "failed", error="h1 fires no spike", refused=True)
        raise ValueError("h1 fires no spike")
    valid = 0.9 - abs(np.log10(lr / BEST[init])) / 10
    test = (0.5 if lr < 0.1 else 0.1) if config.trainer.test else None
    result = {
        "test_accuracy_last": test,
        "test_accuracy_best": test,
        "valid_accuracy_last": valid,
        "valid_accuracy_best": valid,
        "classes": 10,
        "test_samples": 300 if config.trainer.test else None,
        "rates": {"h1": 10.0},
        "seconds": 1.0,
        "epochs": config.trainer.epochs,
    }
    says = "yes" if init == "fluct" else "no"
    (directory / "init.json").write_text(json.dumps([{"population": "h1", "expected": says}]))
    return finish(config, directory, result)


places: dict[float, int] = {}
calls: list[tuple[int, str, float, int, bool]] = []


@pytest.fixture
def trials(monkeypatch):
    monkeypatch.setitem(sys.modules, "fdi.runner.story", SimpleNamespace(run=run))
    calls.clear()
    places.clear()


def test_each_network_is_compared_at_the_default_step_and_at_the_step_that_validation_prefers(
    fdi_run, tmp_path, trials
):
    found = fdi_run(*WORDS, "tune.extend=0", "optimizer=smorms3")
    assert "network 0 (" in found.out
    assert "optimizer.lr for 6 sides: 24 trainings of 10 epochs and 12 that are" in found.out
    tested = {call for call in calls if call[4]}
    assert {call[3] for call in tested} == {0}
    assert {call[3] for call in calls if not call[4]} == {1000}
    expected = {
        (place, init, lr, 0, True)
        for place in range(3)
        for init in ("kaiming", "fluct")
        for lr in (5e-3, BEST[init])
    }
    ran = {call for call in expected if (call[1], call[0]) != REFUSED}
    assert {call for call in tested if (call[1], call[0]) != REFUSED} == ran
    table = members(own(tmp_path / "results"))
    counts = table.groupby(["init", "setting"])["learns"].sum()
    assert counts.to_dict() == {
        ("fluct", "best"): 2,
        ("fluct", "common"): 2,
        ("kaiming", "best"): 0,  # validation chose a step that the test set dislikes
        ("kaiming", "common"): 3,
    }
    refused = table[table["state"] == "refused"]
    assert set(zip(refused["init"], refused["network"])) == {REFUSED}
    assert not refused["learns"].any()
    ranks = ranked(table)[table["setting"] == "common"]
    assert ranks.tolist() == [1.5, 1.5, 1.0, 2.0, 1.5, 1.5]
    assert only(table, "fluct", "best")[:2] == (2, 0)
    assert "3 of 3 (100 %" in found.out
    _exported_alone(tmp_path / "results", tmp_path / "reference", table)
    before = len(calls)
    again = fdi_run(*WORDS, "tune.extend=0", "optimizer=smorms3")
    assert {call[:2] for call in calls[before:]} <= {REFUSED[::-1]}  # what was refused, again
    assert "3 of 3 (100 %" in again.out


def _exported_alone(results: Path, folder: Path, table: pd.DataFrame) -> None:
    """Measurements get the table and none of the runs, of networks that nobody chose."""
    assert EXPORT(results, folder) == (table["state"] == "done").sum() == 10
    assert [path.name for path in folder.iterdir()] == ["zoo.csv"]
    again = members(Results(pd.DataFrame(), None, None, folder))
    assert again["source"].iloc[0].startswith("unknown, commit unknown, ")
    assert again["learns"].tolist() == table["learns"].tolist()
    assert again["words"].map(list).tolist() == table["words"].map(list).tolist()


def test_the_first_networks_stay_when_there_are_more_and_what_is_given_is_not_drawn():
    few = drawn(ZOO | {"networks": 5})
    assert few == drawn(ZOO)[:5]
    assert few != drawn(ZOO | {"networks": 5, "seed": 1})
    given = drawn(ZOO | {"networks": 5}, ["neuron=lif"])
    for member, other in zip(few, given):
        assert other.words == tuple(w for w in member.words if not w.startswith("neuron="))


@pytest.mark.parametrize(
    ("model", "kinds"),
    [("dense", {"dense", "normalized"}), ("dale", {"dale"}), ("conv", {"conv"})],
)
def test_a_given_model_leaves_the_kinds_that_have_it(model, kinds):
    members = drawn(ZOO, [f"model={model}"])
    assert {member.kind for member in members} == kinds
    assert not any(word.startswith("model=") for member in members for word in member.words)


def test_shares_and_ranges_are_those_that_are_declared():
    many = drawn(ZOO | {"networks": 500})
    kinds = pd.Series([member.kind for member in many]).value_counts(normalize=True)
    for kind, share_of_kind in kinds.items():
        assert share_of_kind == pytest.approx(ZOO["kinds"][kind]["share"], abs=0.04)
    values = pd.DataFrame(dict(w.split("=") for w in m.words) for m in many)
    tau = values["neuron.tau_mem"].astype(float)
    assert 5e-3 <= tau.min() < 5.2e-3
    assert 3.9e-2 < tau.max() <= 4e-2
    assert tau.median() == pytest.approx(np.sqrt(5e-3 * 4e-2), rel=0.1)
    hidden = values["model.hidden"].dropna().astype(int)
    assert (hidden.min(), hidden.max()) == (16, 128)
    assert set(values["model.depth"].dropna().astype(int)) == {*range(1, 13)}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("seed=0,1",), "a zoo has one run of each"),
        (
            ("zoo.kinds.dense.share=-1",),
            "zoo.kinds.dense.share = -1 must be a number of at least 0",
        ),
        (("zoo.networks=0",), "zoo.networks = 0 must be at least 1"),
        (("optimizer.lr=0.1",), "optimizer.lr is what is chosen"),
        (("+zoo.draw.neuron.theta=1",), "zoo"),
    ],
)
def test_a_zoo_that_cannot_be_drawn_is_refused_before_anything_runs(fdi_run, trials, words, reason):
    found = fdi_run(*WORDS, *words)
    assert found.code != 0
    assert reason in found.err
    assert len(found.err.splitlines()) == 1
    assert not calls


def test_the_area_under_the_curve_is_that_of_the_ordered_verdicts():
    table = pd.DataFrame(
        {"expected": ["yes", "yes", "doubtful", "no"], "learns": [True, False, True, False]}
    )
    assert area(table) == pytest.approx((1 + 0.5 + 1 + 0) / 4)
    assert np.isnan(area(table.assign(learns=True)))
    assert share(table["learns"]) == "2 of 4 (50 %, 15..85)"


@pytest.mark.parametrize("text", ["", "[]", '{"zoo": {"seed": 0}, "networks": [], "runs": [{}]}'])
def test_a_damaged_list_of_networks_is_one_line(tmp_path, text):
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / "seed=0.json").write_text(text)
    with pytest.raises(ValueError, match=r"seed=0.json is damaged; remove it"):
        members(own(tmp_path))
