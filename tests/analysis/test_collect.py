"""Run folders to tables, whole ones and broken ones."""

from __future__ import annotations

from contextlib import nullcontext
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
from making import EVIDENCE

from fdi.analysis.collect import KEYS, NUMBERS, alike, config_columns, runs
from fdi.analysis.conditions import newest
from fdi.analysis.results import own, read_curves
from fdi.track.files import tell
from fdi.track.plans import SweepPlan, write_plan
from fdi.track.process import lock


def test_a_run_becomes_a_row_with_the_documented_columns(write_run, tmp_path):
    directory = write_run("fluct", 3, 0.9, config={"init.nu": "auto"}, tags=["a", "b"], note="mine")
    place = str(directory.relative_to(tmp_path))
    for experiment in ("depth", "width"):
        write_plan(tmp_path, SweepPlan("fdi-run", experiment, {place: []}))
    table = runs(tmp_path)
    assert tuple(table.columns[: len(KEYS) + 1 + len(NUMBERS)]) == (*KEYS, "error", *NUMBERS)
    expected = {
        "path": str(directory),
        "dataset": "randman",
        "model": "dense",
        "init": "fluct",
        "seed": 3,
        "id": directory.name.partition("-")[2],
        "state": "done",
        "epoch": 20,
        "epochs": 20,
        "best_epoch": 18,
        "seconds": 12.5,
        "test_accuracy_last": 0.9,
        "test_accuracy_best": 0.91,
        "valid_accuracy_last": 0.9,
        "valid_accuracy_best": 0.92,
        "rate/h1": 8.0,
        "rate/h2": 6.0,
        "silent/h1": 0.25,
        "init.sigma_u": 1.0,
        "init.nu": "auto",
        "model.hidden": "[128, 128]",
        "trainer.epochs": 200,
        "tags": "a, b",
        "note": "mine",
        "sweeps": "depth, width",
        "data_checksum": "abcd",
        "data": "generated",
        "code": "none",
        "numerics": 2,
    }
    assert table.iloc[0][[*expected]].to_dict() == expected
    assert table["model.depth"].isna().all()
    assert not any(isinstance(dtype, pd.StringDtype) for dtype in table.dtypes)


def test_each_column_holds_values_of_one_type(write_run, tmp_path):
    """As other libraries for tables ask: of runs that are done, failed, refused and missing."""
    write_run("fluct", 0, 0.9, config={"init.nu": "auto", "neuron.theta": True})
    write_run("fluct", 1, None, config={"init.nu": 8.5, "neuron.theta": 1}, state="failed")
    write_run("fluct", 2, None, state="failed", refused=True, evidence=None, epoch=0)
    write_run("fluct", 3, 0.9, evidence=EVIDENCE | {"numerics": "1, 2 after epoch 3"})
    write_run("fluct", 4, 0.9, evidence=EVIDENCE | {"numerics": None})
    table = alike(runs(tmp_path))
    for name in table:
        kinds = {float if type(v) is int else type(v) for v in table[name].dropna()}
        assert len(kinds) < 2, name
    assert table["init.nu"].tolist()[:2] == ["auto", "8.5"]
    assert table["neuron.theta"].tolist()[:2] == ["true", "1"]
    assert table["numerics"].tolist()[3] == "1, 2 after epoch 3"
    assert table["numerics"].tolist()[0] == "2"
    assert pd.isna(table["numerics"][2]), "nothing was measured"
    assert table["state"].tolist()[1:3] == ["failed", "refused"]
    assert len(newest(table)) == 2
    if find_spec("pyarrow"):
        table.to_parquet(tmp_path / "runs.parquet")
        assert pd.read_parquet(tmp_path / "runs.parquet")["init.nu"].tolist()[:2] == ["auto", "8.5"]


def test_keys_that_cannot_change_the_numbers_are_left_out(write_run, tmp_path):
    write_run(config={"device": "cuda", "devices": 1})
    columns = {*config_columns(runs(tmp_path))}
    assert columns & {"device", "devices", "paths.results", "name.dataset"} == {"devices"}


@pytest.mark.parametrize("state", ["running", "failed", "interrupted"])
def test_a_partial_run_is_marked_and_has_no_numbers(write_run, tmp_path, state):
    error = "Diverged: nan" if state == "failed" else None
    directory = write_run(accuracy=None, state=state, epoch=4, epochs=20, error=error)
    with lock(directory) if state == "running" else nullcontext():
        row = runs(tmp_path).iloc[0]
    assert (row["state"], row["epoch"], row["epochs"]) == (state, 4, 20)
    nobody_at_it = runs(tmp_path).iloc[0]["state"]
    assert nobody_at_it == ("interrupted" if state == "running" else state)
    assert np.isnan(row["test_accuracy_last"])
    assert row["error"] == error if error else pd.isna(row["error"])


def test_other_folders_and_files_are_passed_over(write_run, tmp_path):
    write_run()
    (tmp_path / "runs" / "notes.txt").write_text("mine")
    (tmp_path / "runs" / "randman" / "dense" / "fluct" / "old").mkdir()
    (tmp_path / "runs" / "randman" / "dense" / "fluct" / "seed=1-0123abcd").mkdir()
    assert runs(tmp_path)["state"].tolist() == ["done", "missing"]


def test_no_folder_is_an_empty_table_with_columns(tmp_path):
    table = runs(tmp_path / "nothing")
    assert table.empty
    assert set(KEYS) <= set(table.columns)
    assert read_curves(table).empty


def test_curves_have_a_row_per_run_and_epoch(write_run, tmp_path):
    write_run("fluct", 0, curve=[0.1, 0.2, 0.3])
    write_run("kaiming", 1, curve=[0.25])
    write_run("kaiming", 2, None, curve=[0.1])
    path = next(tmp_path.rglob("seed=2-*")) / "metrics.csv"
    path.write_text(path.read_text() + "2,task,1.5,0.")  # half-written
    table = read_curves(runs(tmp_path))
    assert table[["init", "seed", "epoch"]].to_numpy().tolist() == [
        *(["fluct", 0, epoch] for epoch in (1, 2, 3)),
        ["kaiming", 1, 1],
        ["kaiming", 2, 1],
    ]
    assert table["train/accuracy"].tolist() == [0.2, 0.4, 0.6, 0.5, 0.2]
    assert table["phase"].unique().tolist() == ["task"]


HEAD = "epoch,phase,seconds,train/accuracy,valid/accuracy,rate/h1\n"


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize(
    "damage",
    [
        lambda text: None,
        lambda text: text + "3,nope\n",
        lambda text: text.rpartition("2,task")[0],
        lambda text: text.replace(",0.4,", ",x,"),
        lambda text: text.replace("2,task", "1000000000,task"),
        lambda text: text.replace("2,task", "1.5,task"),
        lambda text: "",
        lambda text: "a,b\n1,2\n",
        lambda text: f"{HEAD}1,task,x,0.1,0.1,8\n",
        lambda text: "\0\n",
    ],
)
def test_a_damaged_learning_curve_is_told_and_harms_no_other(
    write_run, tmp_path, caplog, damage, done
):
    for seed in (0, 1, 2):
        write_run(seed=seed, accuracy=0.9 if done or seed else None, curve=[0.2, 0.4])
    path = next(tmp_path.rglob("seed=0-*")) / "metrics.csv"
    text = damage(path.read_text())
    path.unlink() if text is None else path.write_text(text)
    table = runs(tmp_path)
    line = f"{path.parent}: metrics.csv is damaged; this learning curve is left out"
    tell.cache_clear()  # runs of another test had this name
    assert set(read_curves(table)["seed"]) - {0} == {1, 2}
    if done:
        found = own(tmp_path).curves_of(table)
        assert caplog.messages == [line], "once"
        assert {*found["path"]} == {*table["path"][1:]}
        assert found["valid/accuracy"].tolist() == [0.2, 0.4] * 2
