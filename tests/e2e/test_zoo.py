"""experiment=zoo: random networks, each initial state at the default step and at its best."""

from __future__ import annotations

import json
import re
import runpy
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from commands import REFERENCE, records

from fdi.analysis.results import Results, own
from fdi.analysis.zoo import (
    SETTINGS,
    beyond_table,
    common,
    leads,
    learned_by_one,
    learning,
    members,
    one_row_each,
)
from fdi.cli.cells import compose_cell
from fdi.cli.tune import random_networks
from fdi.data import dataset
from fdi.track.record import Run

SCRIPT = Path(__file__).parents[2] / "scripts" / "study" / "export_reference.py"
EXPORT = runpy.run_path(str(SCRIPT))["export"]
WORDS = ("-m", "experiment=zoo", "budget=laptop", "init=kaiming,fluct")
ZOO = yaml.safe_load(Path("conf/experiment/zoo.yaml").read_text())["zoo"] | {"networks": 40}
SMALL = (
    *("dataset=randman", "dataset.samples=20", "dataset.steps=20", "dataset.units=5"),
    *("model=dense", "model.hidden=6", "model.depth=2", "homeostasis=none", "optimizer=sgd"),
    *(
        "zoo.networks=2",
        "trainer.epochs=2",
        "threads=1",
        REFERENCE,
        "tune.values=[1e-3,1e-1]",
        "tune.extend=0",
        "tune.seeds=[1000]",
    ),
)


def test_each_network_is_compared_at_the_default_step_and_at_the_step_that_validation_prefers(
    fdi_run, tmp_path
):
    assert fdi_run(*WORDS, *SMALL, "zoo.networks=1").code == 0
    first = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("run.json")}
    found = fdi_run(*WORDS, *SMALL)
    assert found.code == 0, found.err
    assert "optimizer.lr for 4 arms: about 8 trainings to choose" in found.out
    assert {path: path.stat().st_mtime_ns for path in first} == first, "more networks, not others"
    *_, sentence, command = found.out.splitlines()
    _, more = command.split(": ", 1)
    assert "networks" in sentence
    assert fdi_run(*shlex.split(more)[1:], "dry_run=true").code == 0
    runs = records(tmp_path / "results")
    tried = [run for run in runs.values() if not run.config["trainer"]["test"]]
    assert {run.config["seed"] for run in tried} == {1000}
    table = members(own(tmp_path / "results"))
    assert table.groupby(["network", "init", "setting"]).size().tolist() == [1] * 8
    assert set(table["state"]) == {"done"}
    assert set(table[table["setting"] == "common"]["optimizer.lr"]) == {2.5e-2}
    for _, row in table[table["setting"] == "best"].iterrows():
        valid = {
            run.config["optimizer"]["lr"]: (run.result or {})["valid_accuracy_last"]
            for run in tried
            if run.config["name"]["init"] == row["init"]
            and f"neuron.tau_mem={run.config['neuron']['tau_mem']:.3g}" in row["words"]
        }
        assert len(valid) == 2
        assert valid[row["optimizer.lr"]] == max(valid.values())
        assert row["validated"] == pytest.approx(max(valid.values()))
    assert table["expected"].isin(["not known", "no"]).all()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("run.json")}
    shown = found.out.partition("Networks that learn")[2]
    assert shown
    assert fdi_run(*WORDS, *SMALL).out.endswith(shown)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("run.json")} == before
    measured(table, tmp_path)
    kept = tmp_path / "results" / "zoo" / "seed=0.json"
    content = kept.read_bytes()
    for other in ("optimizer=adam", "neuron.tau_mem=1e-2", "trainer.epochs=3"):
        found = fdi_run(*WORDS, *SMALL, other, "init=lsuv")
        assert found.code != 0
        assert "seed=0.json holds another zoo of this seed: give another zoo.seed" in found.err
    assert kept.read_bytes() == content
    assert fdi_run(*WORDS, *SMALL, "seed=0,1").code == 0
    both = members(own(tmp_path / "results"))
    assert len(both) == len(table), "a network learns in the mean over its seeds"
    runs = records(tmp_path / "results")
    for _, row in both.iterrows():
        ran = [run for run in runs.values() if asked(row, run)]
        assert sorted(run.config["seed"] for run in ran) == [0, 1]
        mean = np.mean([(run.result or {})["test_accuracy_last"] for run in ran])
        assert row["accuracy"] == pytest.approx(mean)
    EXPORT(tmp_path / "results", tmp_path / "reference")
    assert "seed=0,1, commit" in (tmp_path / "reference" / "zoo.csv").read_text()
    assert fdi_run(*WORDS, *SMALL, "zoo.networks=1", "init=lsuv").code == 0
    more = members(own(tmp_path / "results"))
    assert len(more) == len(both) + 2, "other states beside those that are there"
    shared(tmp_path, kept)
    kept.write_text("{}")
    assert "seed=0.json: damaged; remove it" in fdi_run(*WORDS, *SMALL).err


def shared(home: Path, kept: Path) -> None:
    """What is exported in two parts, of other networks and initializations, is what is at once."""
    EXPORT(home / "results", home / "whole")
    content = kept.read_text()
    whole = json.loads(content)
    for part, mine in (("first", True), ("second", False)):
        sides = [s for s in whole["sides"] if (s["network"] == 0 and s["init"] != "lsuv") == mine]
        kept.write_text(json.dumps(whole | {"sides": sides, "command": f"fdi-run {part}"}))
        EXPORT(home / "results", home / "parts")
    for file in (home / "whole").iterdir():
        told, *lines = (home / "parts" / file.name).read_text().splitlines()
        assert re.match(r"# fdi-run first, commit .*; and fdi-run second, commit ", told)
        assert sorted(lines) == sorted(file.read_text().splitlines()[1:])
    whole["networks"][0]["words"] = ["model=conv"]
    kept.write_text(json.dumps(whole))
    with pytest.raises(ValueError, match=r"network 0 of zoo\.seed=0 is another one"):
        EXPORT(home / "results", home / "parts")
    kept.write_text(content)


def test_a_state_that_cannot_be_drawn_is_a_result_and_no_failure(fdi_run, tmp_path):
    small = [word for word in SMALL if not word.startswith(("model", "optimizer", "zoo", "tune.v"))]
    dale = ("model=dale", "model.excitatory=8", "zoo.networks=1", "tune.values=[1]")
    found = fdi_run(*WORDS, *small, *dale)
    assert "1 refused" in found.out
    assert found.code == 0, found.err
    assert set(members(own(tmp_path / "results"))["init"]) == {"fluct"}


def asked(row: pd.Series, run: Run) -> bool:
    """Whether a run compares the network, initial state and step of a row."""
    config = run.config
    return (
        config["trainer"]["test"]
        and config["name"]["init"] == row["init"]
        and config["optimizer"]["lr"] == row["optimizer.lr"]
        and f"neuron.tau_mem={config['neuron']['tau_mem']:.3g}" in row["words"]
    )


def measured(table: pd.DataFrame, home: Path) -> None:
    """Measurements get the table, and none of the runs of networks that nobody chose."""
    assert EXPORT(home / "results", home / "reference") == (table["state"] == "done").sum()
    names = ["zoo.csv", "zoo_curves.csv", "zoo_grid.csv", "zoo_states.csv"]
    assert sorted(path.name for path in (home / "reference").iterdir()) == names
    again = members(Results(pd.DataFrame(), None, None, home / "reference"))
    assert again["source"].iloc[0].startswith("fdi-run -m experiment=zoo ")
    assert again["learns"].tolist() == table["learns"].tolist()
    assert again["words"].map(list).tolist() == table["words"].map(list).tolist()
    for row in again.to_dict("records"):
        words = row["command"].removeprefix("fdi-run -m ").split()
        assert f"optimizer.lr={row['optimizer.lr']:g}" in words, "whatever the default is later"
        assert compose_cell("", [*words, "threads=1", REFERENCE]).directory.name.endswith(row["id"])
    curves, grid, states = (pd.read_csv(home / "reference" / n, comment="#") for n in names[1:])
    assert set(curves.groupby(["network", "init", "setting"]).size()) == {2}
    best = again[again["setting"] == "best"].set_index(["network", "init"])
    tried = grid.groupby(["network", "init"])
    assert tried["accuracy"].max().to_dict() == best["validated"].round(5).to_dict()
    assert states.groupby(["network", "init"])["population"].agg(list).map(len).tolist() == [2] * 4
    assert states["sigma"].notna().all()


def test_the_first_networks_stay_when_there_are_more_and_what_is_given_is_not_random_networks():
    few = random_networks(ZOO | {"networks": 5})
    assert few == random_networks(ZOO)[:5]
    assert few != random_networks(ZOO | {"networks": 5, "seed": 1})
    given = random_networks(ZOO | {"networks": 5}, ["neuron=lif"])
    for member, other in zip(few, given):
        assert other.words == tuple(w for w in member.words if not w.startswith("neuron="))


@pytest.mark.parametrize(
    ("model", "kinds"),
    [("dense", {"dense", "normalized"}), ("dale", {"dale"}), ("conv", {"conv"})],
)
def test_a_given_model_leaves_the_kinds_that_have_it(model, kinds):
    members = random_networks(ZOO, [f"model={model}"])
    assert {member.kind for member in members} == kinds
    assert not any(word.startswith("model=") for member in members for word in member.words)


def test_shares_and_ranges_are_those_that_are_declared():
    many = random_networks(ZOO | {"networks": 500})
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


@pytest.mark.parametrize("failed", [False, True])
def test_a_network_learns_in_the_mean_over_its_seeds_and_not_where_one_failed(failed):
    last = ("failed", None) if failed else ("done", 1.0)
    rows = [("done", 0.2), ("done", 0.6), last]
    table = pd.DataFrame(rows, columns=["state", "accuracy"]).assign(
        zoo=0, network=0, init="kaiming", setting="best"
    )
    (row,) = one_row_each(table).to_dict("records")
    assert row["state"] == ("failed" if failed else "done")
    assert pd.isna(row["accuracy"]) if failed else row["accuracy"] == pytest.approx(0.6)


@pytest.mark.parametrize("text", ["", "[]", '{"zoo": {"seed": 0}, "networks": [], "sides": [{}]}'])
def test_a_damaged_list_of_networks_is_one_line(tmp_path, caplog, text):
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / "seed=0.json").write_text(text)
    assert members(own(tmp_path)).empty
    (line,) = caplog.messages
    assert "seed=0.json is left out: damaged; remove it" in line


def test_learns_is_three_times_chance_and_what_dale_forbids_counts_nowhere(tmp_path):
    rows = [
        ("dense", "kaiming", "done", 0.29, 10),
        ("dense", "fluct", "done", 0.31, 10),
        ("dense", "lsuv", "refused", None, None),
        ("dale", "kaiming", "refused", None, None),
        ("dale", "fluct", "done", 0.76, 2),
        ("dense", "kaiming", "done", 0.74, 2),
    ]
    columns = ["kind", "init", "state", "accuracy", "classes"]
    table = pd.DataFrame(rows, columns=columns).assign(
        zoo=0, network=[0, 0, 0, 1, 1, 2], setting="best", words="a b", expected="yes"
    )
    table.to_csv(tmp_path / "zoo.csv", index=False)
    found = members(Results(pd.DataFrame(), None, None, tmp_path))
    assert found["learns"].tolist() == [False, True, False, True, False]
    assert common(found[found["init"] != "lsuv"])["network"].tolist() == [0, 0]
    assert common(found).empty, "lsuv cannot be drawn for any"


def test_networks_count_whose_trainings_have_all_ended():
    table = drawn(kaiming=np.full(4, 0.2), fluct=np.full(4, 0.5))
    of_fluct = table["init"] == "fluct"
    for network, state in enumerate(("failed", "missing", "interrupted")):
        table.loc[of_fluct & (table["network"] == network), ["state", "accuracy"]] = state, None
    lacking = table.assign(network=9, state="failed", accuracy=None, classes=None)
    counted = common(pd.concat([table, lacking], ignore_index=True))
    assert counted.groupby("network")["accuracy"].min().to_dict() == {0: 0.1, 3: 0.2}


def test_a_package_that_is_missing_refuses_no_initialization(fdi_run, monkeypatch, tmp_path):
    dataset._kept.clear()  # of digits that another test read
    monkeypatch.setattr("fdi.data.images.find_spec", lambda package: None)
    words = ("-m", "dataset=digits", "init=kaiming,fluct", "model=dense", "trainer.epochs=1")
    found = fdi_run(*words)
    assert found.code == 1
    assert "2 cells: 2 failed" in found.out
    assert [run.refused for run in records(tmp_path / "results").values()] == [False, False]
    assert found.out.count("install it with: pip install 'fdi-snn[data]'") >= 2


def drawn(**states) -> pd.DataFrame:
    """Members with these accuracies, the same in both settings."""
    rows = [
        {
            "init": init,
            "network": i,
            "accuracy": reached,
            "setting": setting,
            "learns": reached >= 0.3,
        }
        for init, values in states.items()
        for i, reached in enumerate(values)
        for setting in SETTINGS
    ]
    return pd.DataFrame(rows).assign(
        zoo=0, state="done", classes=10, test_samples=300, kind="dense"
    )


def test_leads_are_means_over_the_networks_that_all_states_can_be_drawn_for():
    chance = np.random.default_rng(1)
    base, noise = chance.uniform(0.1, 0.6, 40), chance.normal(0, 0.1, 40)
    table = drawn(kaiming=base, fluct=base + 0.1 + noise, lsuv=base + 0.1 + noise)
    table.loc[(table["init"] == "lsuv") & (table["network"] == 7), ["state", "accuracy"]] = (
        "refused", None,
    )  # fmt: skip
    found = leads(table)
    rest = np.delete(10 + 100 * noise, 7)
    for setting in SETTINGS:
        one = found["fluct", "kaiming", setting]
        assert one.n == 39
        assert one.mean == pytest.approx(rest.mean())
        assert found["lsuv", "fluct", setting].mean == pytest.approx(0)
        assert found["lsuv", "fluct", setting].p == 1
    error = rest.std() / np.sqrt(39)
    alone = leads(table[table["setting"] == "best"], [("fluct", "kaiming")])
    (plain,) = alone.values()
    assert plain.high - plain.low == pytest.approx(2 * 1.96 * error, rel=0.05)
    assert one.high - one.low > plain.high - plain.low, "surer, since it is one of several"
    table.loc[(table["init"] == "fluct") & (table["network"] == 3), ["state", "accuracy"]] = (
        "failed", None,
    )  # fmt: skip
    failed = leads(table)["fluct", "kaiming", "best"]
    missing = 100 * (0.1 - base[3]) - (10 + 100 * noise[3])
    assert failed.mean == pytest.approx(rest.mean() + missing / 39), "as good as guessing"
    (row,) = learning(table).query("init == 'fluct'").to_dict("records")
    assert row["default step: learn"].endswith(" of 39")


def test_a_pair_of_states_shares_its_error_with_the_others_of_the_table():
    steps = {"kaiming": 0, "fluct": 6, "fluct_calibrated": 6, "lsuv": 12}
    table = drawn(**{init: [0.9] * k + [0.1] * (12 - k) for init, k in steps.items()})
    own, other, p = learned_by_one(table, "best")["fluct", "kaiming"][0]
    assert (own, other, p) == (6, 0, pytest.approx(5 / 2**5)), "0.031, five are as small"
    line = next(line for line in beyond_table(table) if line.startswith("only one of the two"))
    assert "fluct 6 against 0 of kaiming (undecided, p = 0.16; by each rule)" in line
    assert "fluct_calibrated 0 against 0 of fluct (undecided, p = 1; by each rule)" in line
    assert "lsuv 12 against 0 of kaiming (better, p = 0.0029; by each rule)" in line


def test_a_verdict_that_another_rule_of_learning_does_not_give_says_so():
    table = drawn(kaiming=[0.29] * 12, fluct=[0.31] * 12)
    line = next(line for line in beyond_table(table) if line.startswith("only one of the two"))
    assert "12 against 0 of kaiming (better, p = 0.00049; by the other rules 0 and 0" in line


@pytest.mark.parametrize("word", ["zoo.networks=0", "zoo.networks=-1", "zoo.seed=-4"])
def test_a_number_out_of_range_is_refused(fdi_run, word):
    end = fdi_run("-m", "experiment=zoo", word, "dry_run=true")
    assert (end.code, end.err.count("\n")) == (2, 1)
    assert f"{word.replace('=', ' = ')} must be an integer at least" in end.err
