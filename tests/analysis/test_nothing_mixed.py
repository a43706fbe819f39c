"""What stands in one row, and what is a pair: equal configuration, data, code and numerics."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import pytest
import yaml
from making import EVIDENCE

from fdi.analysis.collect import runs
from fdi.analysis.conditions import LABELS, condition_columns, moments
from fdi.analysis.summary import readable, summarize
from fdi.study.contrasts import contrasts


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


def test_runs_of_one_seed_in_one_condition_count_once(write_run, tmp_path):
    for seed in (0, 1, 2):
        write_run("fluct", seed, [0.4, 0.9, 0.6][seed])
    table = runs(tmp_path).replace({"seed": 2}, 0)
    row = summarize(table).iloc[0]
    assert (row["n"], row["accuracy"]) == (2, pytest.approx(0.7))
    row = moments(table, ["init"], "test_accuracy_last").iloc[0]
    assert (row["n"], row["mean"]) == (2, pytest.approx(0.7))
