"""What stands in one row, and what is a pair: equal configuration, data, code and numerics."""

from __future__ import annotations

from typing import Any

import pytest

from fdi.analysis.collect import runs
from fdi.analysis.contrasts import contrasts
from fdi.analysis.render import readable
from fdi.analysis.summary import summarize
from fdi.cli import status


def record(source: str | None = "3f2a" * 4, split: str = "s", **more: Any) -> dict[str, Any]:
    run = {"data_source": source, "code": more.pop("code", {})}
    return {"data_checksum": split, "numerics": 1, "run": run, **more}


@pytest.mark.parametrize(
    ("other", "column"),
    [
        (record("91bc" * 4), "data"),
        (record(code={"model": "0123abcd"}), "code"),
        (record(numerics=2), "numerics"),
    ],
)
def test_what_differs_besides_the_config_is_a_row_of_its_own(write_run, tmp_path, other, column):
    for seed in range(4):
        write_run("fluct", seed, 0.5 + seed / 10, record=record() if seed < 2 else other)
    table = summarize(runs(tmp_path))
    assert sorted(table["n"]) == [2, 2]
    assert column in readable(table)
    for seed in range(2):
        write_run("kaiming", seed, 0.4, record=other)
    table = summarize(runs(tmp_path)).set_index(["init", column])
    fluct = table.loc["fluct"]
    assert fluct["versus_n"].fillna(0).tolist() == [0, 0], "seeds 0 and 1 differ in it"
    assert list(contrasts(runs(tmp_path), {"init": "fluct"}, {"init": "kaiming"})) == []


def test_a_seed_that_split_other_data_is_no_pair(write_run, tmp_path):
    for seed in range(3):
        write_run("fluct", seed, 0.5 + seed / 10, record=record(split=f"{seed}"))
        write_run("kaiming", seed, 0.4, record=record(split="x" if seed == 2 else f"{seed}"))
    fluct = summarize(runs(tmp_path)).set_index("init").loc["fluct"]
    assert (fluct["n"], fluct["versus_n"]) == (3, 2)
    (contrast,) = contrasts(runs(tmp_path), {"init": "fluct"}, {"init": "kaiming"})
    assert contrast.difference.n == 2


def test_runs_from_before_the_record_said_so_are_rows_as_they_were(write_run, tmp_path):
    for seed in range(3):
        write_run("fluct", seed, 0.5 + seed / 10)
        write_run("kaiming", seed, 0.4)
    table = summarize(runs(tmp_path)).set_index("init")
    assert table.loc["fluct", "versus_n"] == 3
    assert not {"data", "code", "numerics"} & set(table)


def test_an_initialization_of_ones_own_is_a_pair_with_the_baseline(write_run, tmp_path):
    for seed in range(3):
        write_run("kaiming", seed, 0.4, record=record())
        write_run("mine", seed, 0.5 + seed / 10, record=record(code={"init": "2-0123"}))
    mine = summarize(runs(tmp_path)).set_index("init").loc["mine"]
    assert mine["versus_n"] == 3
    for seed in range(3, 5):
        write_run("mine", seed, 0.5, record=record(code={"init": "2-4567"}))
    table = summarize(runs(tmp_path)).set_index("init")
    assert sorted(table.loc["mine", "n"]) == [2, 3]
    assert table.loc["mine", "init.own_code"].nunique() == 2


def test_a_run_that_went_on_with_other_numerics_is_a_row_of_its_own(write_run, tmp_path):
    went_on = record()
    went_on["run"]["resumed"] = [{"epoch": 3, "numerics": 2}]
    for seed in range(3):
        write_run("fluct", seed, 0.5, record=record() if seed else went_on)
    table = summarize(runs(tmp_path))
    assert dict(zip(table["numerics"], table["n"])) == {1: 2, "1, 2 after epoch 3": 1}


def test_a_run_at_the_name_of_another_or_without_its_record_is_broken(write_run, tmp_path):
    config = {"name.init": "fluct"}
    write_run("kaiming", 0, config=config)
    write_run("fluct_of_may", 1, config=config)
    write_run("fluct", 2, config=config | {"seed": 5})
    (write_run("fluct", 3, config=config) / "record.json").unlink()
    table = runs(tmp_path).set_index("seed")
    assert table["state"].to_dict() == {0: "broken", 1: "done", 2: "broken", 3: "broken"}
    assert table.loc[0, "error"] == ".hydra/config.yaml: init = fluct, in a folder of kaiming"
    assert table.loc[2, "error"] == ".hydra/config.yaml: seed = 5, in a folder of seed=2"
    assert table.loc[3, "error"].startswith("record.json: not whole")


def test_explain_says_why(write_run, tmp_path, capsys):
    write_run("fluct", 0, identity="a" * 16, record=record())
    write_run("fluct", 1, identity="b" * 16, record=record())
    write_run("fluct", 2, identity="c" * 16, record=record("91bc" * 4))
    write_run("fluct", 3, identity="d" * 16, record=record(), config={"trainer.epochs": 9})
    write_run("kaiming", 0, identity="e" * 16, record=record())
    write_run("kaiming", 1, identity="f" * 16, record=record(split="other"))

    def explained(*words: str) -> list[str]:
        assert status.main(["--results", str(tmp_path), "--explain", *words]) == 0
        return capsys.readouterr().out.splitlines()[1:]

    assert sorted(explained("a" * 16)) == [
        f"seed=1-{'b' * 16}: in one row",
        f"seed=2-{'c' * 16}: apart: data 3f2a3f2a, there 91bc91bc",
        f"seed=3-{'d' * 16}: apart: trainer.epochs 200, there 9",
    ]
    assert explained("a" * 16, "e" * 16) == [f"seed=0-{'e' * 16}: a pair"]
    assert explained("b" * 16, "f" * 16) == [
        f"seed=1-{'f' * 16}: no pair: the same seed splits other data"
    ]
    assert status.main(["--results", str(tmp_path), "--explain", "zzz"]) != 0
    assert "zzz: no run" in capsys.readouterr().err
