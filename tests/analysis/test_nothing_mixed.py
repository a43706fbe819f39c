"""What stands in one row, and what is a pair: equal configuration, data, code and numerics."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest
import yaml
from making import EVIDENCE, one_line, write_decision

from fdi.analysis.best import OF_ARMS, arms_in_words, each_at_its_best
from fdi.analysis.collect import runs
from fdi.analysis.conditions import LABELS, condition_columns, moments
from fdi.analysis.results import own
from fdi.analysis.summary import as_judged, readable, summarize
from fdi.study.contrasts import contrast_of, contrasts


def made(**other: Any) -> dict[str, Any]:
    """What a run is made of."""
    return {"evidence": EVIDENCE | other}


@pytest.mark.parametrize(
    ("other", "column"),
    [
        ({"data": "91bc" * 4}, "data"),
        ({"code": {"model": "0123abcd"}}, "code"),
        ({"numerics": 3}, "numerics"),
    ],
)
def test_what_differs_besides_the_config_is_a_row_of_its_own(write_run, tmp_path, other, column):
    for seed in range(4):
        write_run("fluct", seed, 0.5 + seed / 10, **made(**(other if seed > 1 else {})))
    table = summarize(runs(tmp_path))
    assert sorted(table["n"]) == [2, 2]
    assert column in readable(table)
    for seed in range(2):
        write_run("kaiming", seed, 0.4, **made(**other))
    table = summarize(runs(tmp_path)).set_index(["init", column])
    fluct = table.loc["fluct"]
    assert fluct["versus_n"].fillna(0).tolist() == [0, 0], "seeds 0 and 1 differ in it"
    assert list(contrasts(runs(tmp_path), {"init": "fluct"}, {"init": "kaiming"})) == []


@pytest.mark.parametrize("evidence", [None, {"numerics": 2, "data": None}])
def test_what_is_unknown_is_never_equal(write_run, tmp_path, evidence):
    for seed in range(2):
        write_run("fluct", seed, evidence=evidence)
        write_run("kaiming", seed)
    table = summarize(runs(tmp_path)).set_index("init")
    assert table["n"].to_dict() == {"fluct": 1, "kaiming": 2}
    assert table["versus_n"].isna().all()


@pytest.mark.parametrize(
    "key", ["model.delay", "model.bias", "objective", "trainer.frozen", "dataset.names"]
)
def test_runs_of_before_a_key_are_those_of_its_neutral_value(write_run, tmp_path, key):
    """Both have one id, so they are one condition, and pairs."""
    neutral = yaml.safe_load(files("fdi.conf").joinpath("config.yaml").read_text())
    value = neutral["identity"]["neutral"][key]
    for init in ("kaiming", "fluct"):
        for seed in range(4):
            late = (seed < 2) == (init == "fluct")
            write_run(init, seed, 0.4 + seed / 10, config={key: value} if late else {})
    table = runs(tmp_path)
    assert condition_columns(table) == [*LABELS]
    assert summarize(table)["n"].tolist() == [4, 4]
    assert summarize(table).set_index("init").loc["fluct", "versus_n"] == 4
    other = {"model.delay": 1, "trainer.frozen": ["h1"], "model.bias": True}.get(key, "other")
    write_run("kaiming", 0, 0.1, config={key: other})
    assert sorted(summarize(runs(tmp_path))["n"]) == [1, 4, 4]


def test_a_seed_that_split_other_data_is_no_pair(write_run, tmp_path):
    for seed in range(3):
        write_run("fluct", seed, 0.5 + seed / 10, **made(split=f"{seed}"))
        write_run("kaiming", seed, 0.4, **made(split="x" if seed == 2 else f"{seed}"))
    fluct = summarize(runs(tmp_path)).set_index("init").loc["fluct"]
    assert (fluct["n"], fluct["versus_n"]) == (3, 2)
    (contrast,) = contrasts(runs(tmp_path), {"init": "fluct"}, {"init": "kaiming"})
    assert contrast.difference.n == 2


def test_an_initialization_of_ones_own_is_a_pair_with_the_baseline(write_run, tmp_path):
    for seed in range(3):
        write_run("kaiming", seed, 0.4)
        write_run("mine", seed, 0.5 + seed / 10, **made(code={"init": "2-0123"}))
    assert summarize(runs(tmp_path)).set_index("init").loc["mine", "versus_n"] == 3
    for seed in range(3, 5):
        write_run("mine", seed, 0.5, **made(code={"init": "2-4567"}))
    table = summarize(runs(tmp_path)).set_index("init")
    assert sorted(table.loc["mine", "n"]) == [2, 3]
    assert table.loc["mine", "init.own_code"].nunique() == 2


def test_a_neuron_of_ones_own_is_named_and_its_code_only_where_it_changed(write_run, tmp_path):
    neuron = {"neuron._target_": "mine.leaky"}
    for seed in range(2):
        write_run("fluct", seed, 0.9)
        write_run("fluct", seed, 0.8, config=neuron, **made(code={"neuron": "01"}))
    assert condition_columns(runs(tmp_path)) == [*LABELS, "neuron._target_"]
    assert summarize(runs(tmp_path))["n"].tolist() == [2, 2]
    write_run("fluct", 2, 0.7, config=neuron, **made(code={"neuron": "02"}))
    assert condition_columns(runs(tmp_path)) == [*LABELS, "code", "neuron._target_"]


@pytest.mark.parametrize(
    ("other", "config"), [({"split": "x"}, {"dataset.max_train": 900}), ({"numerics": 3}, {})]
)
def test_runs_of_two_experiments_have_no_mean(write_run, tmp_path, other, config):
    for seed in range(2):
        write_run("fluct", seed, 0.9)
        write_run("fluct", seed + 2 * (not config), 0.5, config=config, **made(**other))
    with one_line("fluct.* other runs differ in more than the seed, .* choose them by"):
        moments(runs(tmp_path), ["init"], "test_accuracy_last")


def test_runs_of_one_seed_in_one_condition_count_once(write_run, tmp_path):
    for seed in (0, 1, 2):
        write_run("fluct", seed, [0.4, 0.9, 0.6][seed])
    table = runs(tmp_path).replace({"seed": 2}, 0)
    row = summarize(table).iloc[0]
    assert (row["n"], row["accuracy"]) == (2, pytest.approx(0.7))
    row = moments(table, ["init"], "test_accuracy_last").iloc[0]
    assert (row["n"], row["mean"]) == (2, pytest.approx(0.7))


@pytest.mark.parametrize(("third", "when"), [({"fluct": 0.2}, 4e9), ({}, 0)])
def test_a_best_common_step_is_one_that_was_chosen_for_all_together(tmp_path, third, when):
    """The step of most initial states counts, of two such ones the later one."""
    given = {"kaiming": 0.1, "xavier": 0.3, **third}
    path = write_decision(tmp_path, "best-1", 0.15, given)
    other = write_decision(tmp_path, "best-0", 1.4, {"kaiming": 0.1, "lsuv": 1.4})
    os.utime(other, (when, when))
    table = each_at_its_best(own(tmp_path))
    shared = table[table["setting"] == "shared"].set_index("init")["optimizer.lr"]
    assert shared.to_dict() == dict.fromkeys(given, 0.15)
    shown = arms_in_words(table).set_index("init")["best common step"]
    assert shown["lsuv"] == "-"
    path.write_text(path.read_text().replace("0.15", "0.0015"))
    edited = each_at_its_best(own(tmp_path))["optimizer.lr"]
    assert set(edited) == set(table["optimizer.lr"]), "a step is that of the runs"


def test_sides_are_told_in_what_their_runs_are_judged_by(tmp_path):
    write_decision(tmp_path, "best-0", 0.1, {"kaiming": 0.1, "fluct": 0.1})
    results = own(tmp_path)
    table = each_at_its_best(replace(results, runs=results.runs.assign(metric="error")))
    (cell,) = set(arms_in_words(table)["each at its best"].str.partition("\n")[0])
    assert cell == "0.251 +- 0.001, n=3"
    assert as_judged(OF_ARMS, table).startswith("test set, as each row is judged, after the last")


def test_a_side_at_its_best_has_the_runs_of_the_newest_numerics(tmp_path):
    write_decision(tmp_path, "best-0", 0.1, {"kaiming": 0.1, "fluct": 0.1})
    results = own(tmp_path)
    newer = results.runs["numerics"] + (results.runs["seed"] > 0)
    table = each_at_its_best(replace(results, runs=results.runs.assign(numerics=newer)))
    assert set(table["n"]) == {2}


def test_runs_of_other_numerics_are_no_pair(write_run, tmp_path):
    for seed in range(3):
        write_run("fluct", seed, 0.5, **made(numerics=3))
        write_run("kaiming", seed, 0.4)
    table = runs(tmp_path)
    assert contrast_of(*(table[table["init"] == init] for init in ("fluct", "kaiming"))) is None
