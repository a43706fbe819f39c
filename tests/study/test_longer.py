"""Longer trainings of random networks: which are drawn, and what is said of a lead."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from making import write_run

from fdi.analysis.results import Results
from fdi.study import confirmed, ingredients, longer
from fdi.study.longer import DESIGN, UPDATES, answer, commands, drawn, leads

SCRIPTS = Path(__file__).parents[2] / "scripts" / "study"
CHANCE = np.random.default_rng(5)
NEEDED = sum(DESIGN["shares"].values())


def members() -> pd.DataFrame:
    """Two zoos of dense networks, every fourth of which does not learn."""
    rows = [
        {
            "zoo": seed,
            "network": place,
            "init": state,
            "setting": "best",
            "kind": "dense",
            "optimizer": ("sgd", "adam", "smorms3")[place % 3],
            "depth": 1 + place % 7,
            "accuracy": 0.2 if place % 4 == 0 else 0.5,
            "state": "done",
            "command": f"fdi-run -m model.depth=3 init={state} trainer.epochs=10 seed=0",
        }
        for seed in (2, 61120261)
        for place in range(40)
        for state in ("kaiming", "kaiming_scaled", "fluct", "fluct_calibrated", "lsuv")
    ]
    return pd.DataFrame(rows)


def test_networks_that_learn_are_drawn_by_optimizer_and_depth_whatever_the_lead():
    table = members()
    places = drawn(table)
    assert len({*places}) == len(places) == NEEDED
    about = table.drop_duplicates(["zoo", "network"]).set_index(["zoo", "network"]).loc[places]
    assert about["optimizer"].value_counts().to_dict() == DESIGN["shares"]
    assert {place % 4 for _, place in places} == {1, 2, 3}
    low = about["depth"] <= DESIGN["shallow"]
    assert low.groupby(about["optimizer"]).sum().to_dict() == {"sgd": 2, "adam": 5, "smorms3": 5}
    assert {*about["optimizer"][:3]} == {*DESIGN["shares"]}, "the first are as mixed as all"
    ahead = (table["init"] == "fluct") & (table["network"] % 4 != 0)
    assert drawn(table.assign(accuracy=table["accuracy"] + 0.3 * ahead)) == places


def test_networks_of_other_kinds_and_those_without_all_states_are_not_drawn():
    table = members()
    other = table.assign(kind=np.where(table["network"] % 2, "normalized", "dense"))
    assert all(place % 2 == 0 for _, place in drawn(other))
    refused = (table["network"] % 5 == 0) & (table["init"] == "lsuv")
    without = table.assign(state=np.where(refused, "refused", "done"))
    assert all(place % 5 for _, place in drawn(without))


def test_the_published_networks_are_of_the_declared_optimizers():
    reference = Path(__file__).parents[2] / "results" / "reference"
    table = longer.published(Results(pd.DataFrame(), None, None, reference))
    declared = table[table["zoo"] == confirmed.DESIGN["seed"]]
    assert {*declared.loc[declared["state"] != "refused", "optimizer"]} == {"adam"}
    about = table.drop_duplicates(["zoo", "network"]).set_index(["zoo", "network"])
    of = about.loc[drawn(table), "optimizer"]
    assert of.value_counts().to_dict() == DESIGN["shares"]


def test_commands_train_what_is_published_for_longer():
    told = [*commands(members(), pd.DataFrame())]
    assert len(told) == NEEDED * len(DESIGN["states"])
    assert all(" trainer.epochs=10,40,267 seed=0,1 paths.results=" in line for line in told)
    assert all(line.count("trainer.epochs=") == line.count("seed=") == 1 for line in told)


def test_commands_leave_out_what_is_measured():
    rows = [
        (*drawn(members())[0], "fluct", updates, seed)
        for updates in UPDATES
        for seed in DESIGN["seeds"]
    ]
    known, every = pd.DataFrame(rows, columns=longer.KEY), [*commands(members(), pd.DataFrame())]
    left = [*commands(members(), known)]
    (gone,) = {*every} - {*left}
    assert "init=fluct " in gone
    assert [*commands(members(), known[1:])] == every, "one of its trainings is missing"


def trainings(noise: float, **ahead: tuple[float, float, float]) -> pd.DataFrame:
    """Points by which each state is ahead after each number of updates."""
    base = CHANCE.uniform(0.3, 0.6, NEEDED)
    rows = [
        {
            "zoo": 2,
            "network": place,
            "init": state,
            "updates": updates,
            "seed": seed,
            "state": "done",
            "accuracy": base[place]
            + ahead.get(state, (0, 0, 0))[at] / 100
            + noise * CHANCE.normal(),
            "classes": 10,
        }
        for place in range(NEEDED)
        for state in DESIGN["states"]
        for at, updates in enumerate(UPDATES)
        for seed in DESIGN["seeds"]
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("lead", "noise", "said"),
    [
        ((20.0, 10.0, 2.0), 0.02, "Mostly faster"),
        ((20.0, 19.0, 18.0), 0.02, "Better"),
        ((20.0, 15.0, 10.0), 0.02, "Undecided"),
        ((0.0, 0.0, -20.0), 0.02, "Undecided"),
    ],
)
def test_what_is_left_of_the_lead_is_said(lead, noise, said):
    assert answer(trainings(noise, fluct=lead)).startswith(said)


def test_nothing_is_said_before_all_are_trained():
    table = trainings(0.02, fluct=(20, 10, 2))
    part = table[(table["network"] > 3) | (table["updates"] < 6400)]
    assert answer(part) == f"{NEEDED - 4} of the {NEEDED} networks that decide are trained."
    assert answer(table[:0]).startswith("0 of the")
    assert leads(part)["fluct", "kaiming", 240].n == NEEDED - 4
    assert len(leads(table)) == len(UPDATES) * len(DESIGN["pairs"])


def test_a_training_that_failed_has_the_accuracy_of_guessing():
    table = trainings(0.0)
    failed = (table["network"] == 0) & (table["init"] == "fluct")
    table.loc[failed, ["state", "accuracy", "classes"]] = "failed", None, None
    assert longer.by_network(table).loc[(2, 0), (240, "fluct")] == 10


def test_a_training_that_failed_is_one_of_those_that_ended(tmp_path):
    of = {"trainer.epochs": 10, "optimizer.lr": 0.1}
    for place in ("longer/2-7", "ingredients/2-7/0"):
        write_run(tmp_path / place, "kaiming", config=of)
        for init, state in (("fluct", "failed"), ("lsuv", "running")):
            write_run(tmp_path / place, init, accuracy=None, config=of, state=state)
    for experiment in (longer, ingredients):
        table = experiment.trained(tmp_path / experiment.NAME)
        assert sorted(table["state"]) == ["done", "failed"]


def test_the_page_says_how_many_are_trained_and_lists_the_pairs(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    from pages.confirmed import outlasting

    measured = Results(pd.DataFrame(), None, None, tmp_path)
    assert outlasting(measured).startswith("0 of the 24")
    table = trainings(0.02, fluct=(20, 10, 2))
    table.to_csv(tmp_path / "longer.csv", index=False)
    said, *rows = outlasting(measured).strip().splitlines()
    assert said == answer(table)
    assert len([row for row in rows if row.startswith("| fluctuation-driven against")]) == 2
    assert "+20" in rows[3]
    assert "better" in rows[3]


def test_what_is_trained_is_added_to_what_other_machines_trained(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(SCRIPTS)
    script = importlib.import_module("declared")
    reference, folder = tmp_path / "reference", tmp_path / "trained"
    reference.mkdir()
    monkeypatch.setattr("sys.argv", ["declared.py", "longer", str(reference)])
    assert script.main() == 1
    assert "networks are missing" in capsys.readouterr().out
    monkeypatch.setattr(script.confirmed, "is_complete", lambda members: True)
    monkeypatch.setattr("sys.argv", ["declared.py", "longer", str(reference), str(folder)])
    for place, accuracy in (("2-13", 0.5), ("2-13", 0.6), ("2-7", 0.7)):
        shutil.rmtree(folder, ignore_errors=True)
        for epochs in DESIGN["epochs"].values():
            write_run(folder / place, accuracy=accuracy, config={"trainer.epochs": epochs})
        assert script.main() == 0
    table = pd.read_csv(reference / "longer.csv", comment="#")
    assert [*table["network"]] == [7] * 3 + [13] * 3
    assert [*table["updates"]] == [*UPDATES] * 2
    assert [*table["accuracy"]] == [0.7] * 3 + [0.6] * 3
