"""Known learning curves in, known speeds out."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from scipy import integrate

from fdi.analysis.learning import area, by_network, first_epoch, full
from fdi.analysis.results import own
from fdi.cli.table import main

KNOWN = {"classes": 10, "test_samples": 1000}


@pytest.fixture
def learned(write_run, tmp_path):
    for seed, curve in enumerate(([0.1, 0.3, 0.5], [0.1, 0.4, 0.4])):
        write_run("fluct", seed, 0.5, curve=curve, result=KNOWN)
    write_run("kaiming", 0, 0.1, curve=[0.1, 0.1, 0.1], result=KNOWN)
    return own(tmp_path)


def test_speed_and_failures(learned):
    table = full(learned).set_index("init")
    assert table["target"].tolist() == pytest.approx([0.9 * 0.45] * 2)
    assert table["reached"].tolist() == [1, 0], "0.5 in one run, 0.4 in the other"
    assert table["epochs_to"].fillna(0).tolist() == [3, 0]
    assert table.loc["fluct", "area"] == pytest.approx((0.3 + 0.325) / 2)
    assert table["chance"].tolist() == [0, 1]
    added = ["chance", "area", "target", "epochs_to", "reached", "published"]
    assert list(full(learned).columns[-6:]) == added


def test_epochs_count_from_the_start_of_the_task(write_run, tmp_path):
    write_run("fluct", 0, 0.5, curve=[0.2, 0.5], prime=2)
    assert full(own(tmp_path))["epochs_to"].tolist() == [2]


def test_area_under_the_curve_and_the_first_epoch():
    epochs, curve = np.arange(1, 12), np.linspace(0, 1, 11) ** 2
    assert area(epochs[:1], np.array([0.7])) == 0.7
    assert area(epochs, curve) == pytest.approx(integrate.trapezoid(curve) / 10)
    kept = np.array([0, 5, 10])
    assert area(epochs[kept], curve[kept]) == pytest.approx((0.125 + 0.625) / 2)
    assert first_epoch(epochs[kept], curve[kept], 0.2) == 6
    assert np.isnan(first_epoch(epochs, curve, 1.1))


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
            write_run(init, 0, 0.5, config={"model.depth": depth})
    write_run("fluct", 0, 0.5, model="recurrent")
    found = list(by_network(own(tmp_path)))
    assert [len(table) for table in found] == [4, 1]
    assert found[0]["model.depth"].tolist() == [1, 2, 1, 2]
