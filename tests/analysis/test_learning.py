"""Known learning curves in, known speeds out."""

from __future__ import annotations

import io

import pandas as pd
import pytest

from fdi.analysis.learning import by_network, full
from fdi.analysis.results import own
from fdi.cli.table import main


@pytest.fixture
def learned(write_run, tmp_path):
    for seed, curve in enumerate(
        ([0.2, 0.6, 1.0], [0.2, 0.8, 0.8])
    ):  # twice the validation accuracies
        write_run("fluct", seed, 0.5, curve=curve)
    write_run("kaiming", 0, 0.1, curve=[0.2, 0.2, 0.2])
    for path in tmp_path.rglob("result.json"):
        path.write_text(path.read_text().replace("{", '{"classes": 10, "test_samples": 1000, ', 1))
    return own(tmp_path)


def test_speed_and_failures(learned):
    table = full(learned).set_index("init")
    assert table["target"].tolist() == pytest.approx([0.9 * 0.45] * 2)
    assert table.loc["fluct", "reached"] == 1, "0.5 in one run, 0.4 in the other"
    assert table.loc["fluct", "epochs_to"] == 3
    assert table.loc["fluct", "area"] == pytest.approx((0.3 + 0.325) / 2)
    assert table.loc["kaiming", "reached"] == 0
    assert pd.isna(table.loc["kaiming", "epochs_to"])
    assert table["chance"].tolist() == [0, 1]
    assert list(full(learned).columns[-6:]) == [
        "chance",
        "area",
        "target",
        "epochs_to",
        "reached",
        "published",
    ]


def test_epochs_count_from_the_start_of_the_task(write_run, tmp_path):
    directory = write_run("fluct", 0, 0.5, curve=[0.2, 0.2, 0.4, 1.0])
    text = (directory / "metrics.csv").read_text()
    (directory / "metrics.csv").write_text(
        text.replace("1,task", "1,prime").replace("2,task", "2,prime")
    )
    assert full(own(tmp_path))["epochs_to"].tolist() == [2]


def test_runs_without_curves_have_no_speed(write_run, tmp_path):
    write_run("fluct", 0, 0.5)
    row = full(own(tmp_path)).iloc[0]
    assert row["reached"] == 0
    assert pd.isna(row["area"])


def test_the_command(learned, tmp_path, capsys):
    assert main(["--full", "--csv", "--results", str(tmp_path)]) == 0
    table = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert table["chance"].tolist() == [0, 1]
    assert main(["--full", "--results", str(tmp_path)]) == 0
    assert "3.0 to 40, n=1" in capsys.readouterr().out


def test_a_summary_for_each_network(write_run, tmp_path):
    for depth in (1, 2):
        for init in ("fluct", "kaiming"):
            write_run(init, 0, 0.5, identity=f"{depth:08x}", config={"model.depth": depth})
    write_run("fluct", 0, 0.5, model="recurrent")
    found = list(by_network(own(tmp_path)))
    assert [len(table) for table in found] == [4, 1]
    assert found[0]["model.depth"].tolist() == [1, 2, 1, 2]
