"""Run folders to tables, whole ones and broken ones."""

from __future__ import annotations

import json
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
from fdi.track.directory import read_config
from fdi.track.state import lock

from fdi.analysis.collect import KEYS, NUMBERS, config_columns, runs
from fdi.analysis.metrics import accuracies, curves


def test_a_run_becomes_a_row_with_the_documented_columns(write_run, tmp_path):
    directory = write_run("fluct", 3, 0.9, config={"init.nu": "auto", "dataset.root": "/data"})
    table = runs(tmp_path)
    row = table.iloc[0]
    assert tuple(table.columns[: len(KEYS) + 1 + len(NUMBERS)]) == (*KEYS, "error", *NUMBERS)
    assert row["path"] == str(directory)
    assert (row["dataset"], row["model"], row["init"], row["seed"], row["id"]) == (
        "randman",
        "dense",
        "fluct",
        3,
        "0123abcd",
    )
    assert (row["state"], row["epoch"], row["epochs"]) == ("done", 20, 20)
    assert (row["test_accuracy_last"], row["test_accuracy_best"], row["best_epoch"]) == (
        0.9,
        0.91,
        18,
    )
    assert (row["valid_accuracy_best"], row["valid_accuracy_last"], row["seconds"]) == (
        0.92,
        0.9,
        12.5,
    )
    assert (row["rate/h1"], row["rate/h2"], row["silent/h1"]) == (8.0, 6.0, 0.25)
    assert (row["init.sigma_u"], row["init.nu"], row["model.hidden"]) == (1.0, "auto", "[128, 128]")
    assert pd.isna(row["model.depth"])
    assert row["trainer.epochs"] == 200


def test_keys_that_cannot_change_the_numbers_are_left_out(write_run, tmp_path):
    write_run(config={"dataset.root": "/data", "dataset.rooted": 1})
    columns = config_columns(runs(tmp_path))
    assert "dataset.rooted" in columns
    assert not {
        "dataset.root",
        "device",
        "paths.results",
        "name.dataset",
        "identity.exclude",
    } & set(columns)


@pytest.mark.parametrize("state", ["running", "failed", "interrupted"])
def test_a_partial_run_is_marked_and_has_no_numbers(write_run, tmp_path, state):
    error = "Diverged: nan" if state == "failed" else None
    directory = write_run(
        accuracy=None, status={"state": state, "epoch": 4, "epochs": 20, "error": error}
    )
    with lock(directory) if state == "running" else nullcontext():
        row = runs(tmp_path).iloc[0]
    assert (row["state"], row["epoch"], row["epochs"]) == (state, 4, 20)
    assert runs(tmp_path).iloc[0]["state"] == {"running": "interrupted"}.get(
        state, state
    )  # nobody is at it any more
    assert np.isnan(row["test_accuracy_last"])
    assert row["error"] == "Diverged: nan" if state == "failed" else pd.isna(row["error"])


def test_a_run_that_never_started_is_missing(write_run, tmp_path):
    (write_run(accuracy=None) / "status.json").unlink()
    assert runs(tmp_path)["state"].tolist() == ["missing"]


@pytest.mark.parametrize(
    "result",
    [
        b"",
        b'{"test_accuracy_last": 0.',
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"test_accuracy_last": "high"}',
    ],
)
def test_a_broken_result_is_marked(write_run, tmp_path, result):
    write_run(seed=1)
    (write_run(seed=0) / "result.json").write_bytes(result)
    table = runs(tmp_path)
    assert table["state"].tolist() == ["broken", "done"]
    assert table["error"].notna().tolist() == [True, False]
    assert table["seed"].tolist() == [0, 1]


@pytest.mark.parametrize("rates", [[1, 2], "fast", {"h1": "fast"}, {"h1": True}])
def test_wrong_rates_are_marked(write_run, tmp_path, rates):
    path = write_run() / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"rates": rates}))
    assert runs(tmp_path)["state"].tolist() == ["broken"]


@pytest.mark.parametrize(
    "config",
    [
        "",
        "dataset: {",
        "just words",
        "- a\n- b\n",
        "model:\n  hidden: 1\nmo",
        "dataset:\n\tx: 1\nseed: 0\n",
    ],
)
def test_a_broken_config_is_marked(write_run, tmp_path, config):
    (write_run() / ".hydra" / "config.yaml").write_text(config)
    assert runs(tmp_path)["state"].tolist() == ["broken"]


@pytest.mark.parametrize(
    "status",
    ["", "{", "[1]", '{"state": "dancing"}', '{"state": "done"}', '{"state": ["running"]}'],
)
def test_a_broken_status_is_marked(write_run, tmp_path, status):
    (write_run(accuracy=None) / "status.json").write_text(status)
    assert runs(tmp_path)["state"].tolist() == ["broken"]


def test_other_folders_and_files_are_passed_over(write_run, tmp_path):
    write_run()
    (tmp_path / "runs" / "notes.txt").write_text("mine")
    (tmp_path / "runs" / "randman" / "dense" / "fluct" / "old").mkdir()
    assert len(runs(tmp_path)) == 1


def test_no_folder_is_an_empty_table_with_columns(tmp_path):
    table = runs(tmp_path / "nothing")
    assert table.empty
    assert set(KEYS) <= set(table.columns)
    assert curves(table).empty


def test_config_equals_a_plain_reading_of_the_yaml(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(
        "seed: 0\ntext: 'two\n\n  lines: 3'\nempty: {}\nlist:\n- 1\n- a: b\nnested:\n  deep:\n    "
        "down: 1.0e-16\n"
        "flag: true\nidentity:\n  exclude:\n  - flag\n"
    )
    assert read_config(path) == {
        "seed": 0,
        "text": "two\nlines: 3",
        "list": '[1, {"a": "b"}]',
        "nested.deep.down": 1e-16,
        "identity.exclude": '["flag"]',
    }


def test_curves_have_a_row_per_run_and_epoch(write_run, tmp_path):
    write_run("fluct", 0, curve=[0.2, 0.4, 0.6])
    write_run("kaiming", 1, curve=[0.1, 0.2])
    table = curves(runs(tmp_path))
    assert table["init"].tolist() == ["fluct"] * 3 + ["kaiming"] * 2
    assert table["seed"].tolist() == [0, 0, 0, 1, 1]
    assert table["epoch"].tolist() == [1, 2, 3, 1, 2]
    assert table["train/accuracy"].tolist() == [0.2, 0.4, 0.6, 0.1, 0.2]
    assert table["phase"].unique().tolist() == ["task"]


def test_a_half_written_row_is_dropped(write_run, tmp_path):
    path = write_run(curve=[0.2, 0.4]) / "metrics.csv"
    path.write_text(path.read_text() + "3,task,1.5,0.")
    assert curves(runs(tmp_path))["epoch"].tolist() == [1, 2]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "epoch,phase\n",
        "a,b\n1,2\n",
        "epoch,phase,seconds,train/accuracy,valid/accuracy,rate/h1\n1,task,x,0.1,0.1,8\n",
        "\x00\n",
    ],
)
def test_a_broken_metrics_file_has_no_rows_and_harms_no_other(write_run, tmp_path, text):
    (write_run(seed=2, curve=[0.3]) / "metrics.csv").write_text(text)
    for seed in (0, 1, 3, 4):
        write_run(seed=seed, curve=[0.2, 0.4])
    assert curves(runs(tmp_path))["seed"].tolist() == [0, 0, 1, 1, 3, 3, 4, 4]


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_text(path.read_text() + "3,nope\n"),
        lambda path: path.write_text(path.read_text().rpartition("2,task")[0]),
        lambda path: path.write_text(path.read_text().replace("0.4", "x").replace("0.2", "y")),
    ],
    ids=["gone", "no row", "a row is missing", "no numbers"],
)
def test_a_damaged_learning_curve_is_told(write_run, tmp_path, caplog, damage):
    """Without it the accuracy that the epochs to a target are counted to is another one."""
    for seed in (0, 1):
        write_run(seed=seed, curve=[0.2, 0.4])
    damage(next(tmp_path.rglob("seed=0-*")) / "metrics.csv")
    write_run(seed=2, accuracy=None, status={"state": "missing"})
    table = runs(tmp_path)
    path = table["path"].iloc[0]
    line = f"{path}: metrics.csv is damaged; this learning curve is left out"
    assert curves(table)["seed"].tolist() == [1, 1]
    assert caplog.messages == [line]
    for _ in range(2):
        caplog.clear()
        assert path not in dict(accuracies(table, tmp_path))
        assert caplog.messages == [line]


@pytest.mark.parametrize(
    "text",
    [
        "zz: [2020-01-01]\n",
        "zz: !!set {a}\n",
        "zz: !!binary aGk=\n",
        "2020-01-01: 1\n",
        f"zz: {10**400}\n",
    ],
)
def test_what_no_config_holds_is_one_broken_run(write_run, tmp_path, text):
    write_run(seed=1)
    path = write_run(seed=0) / ".hydra/config.yaml"
    path.write_text(path.read_text() + text)
    assert runs(tmp_path)["state"].tolist() == ["broken", "done"]


@pytest.mark.parametrize("count", [{"classes": 0}, {"test_samples": 0}, {"classes": 10**400}])
def test_impossible_counts_are_one_broken_run(write_run, tmp_path, count):
    write_run(seed=1, curve=[0.5])
    path = write_run(seed=0, curve=[0.5]) / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | count))
    assert runs(tmp_path)["state"].tolist() == ["broken", "done"]


@pytest.mark.parametrize("epoch", ["1000000000", "3", "0", "-1", "1.5"])
def test_epochs_beyond_those_of_the_run_are_broken(write_run, tmp_path, epoch):
    """Of a billion of them, the area under the curve would take 20 GB."""
    for seed in (0, 1):
        write_run(seed=seed, curve=[0.2, 0.4])
    path = next(tmp_path.rglob("seed=0-*")) / "metrics.csv"
    path.write_text(path.read_text().replace("2,task", f"{epoch},task"))
    table = runs(tmp_path)
    assert curves(table)["seed"].tolist() == [1, 1]
    assert [list(values) for values in dict(accuracies(table, tmp_path)).values()] == [[0.1, 0.2]]


def test_texts_are_in_one_block(write_run, tmp_path):
    write_run()
    assert not any(isinstance(dtype, pd.StringDtype) for dtype in runs(tmp_path).dtypes)
