"""More epochs after a run that is finished."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

import fdi

EPOCHS: Any = [{"trainer.epochs": n} for n in range(5)]
SMALL: dict[str, Any] = {
    "dataset.classes": 2,
    "dataset.samples": 40,
    "model.hidden": 8,
    "trainer.batch_size": 20,
    "threads": 1,
    "engine": "reference",
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def numbers(directory: Path) -> tuple[list[list[str]], dict[str, Any]]:
    """Curves and result without what is a time."""
    with (directory / "metrics.csv").open() as file:
        rows = [
            [value for key, value in row.items() if not key.startswith("seconds")]
            for row in csv.DictReader(file)
        ]
    result = json.loads((directory / "result.json").read_text())
    assert result.pop("seconds") > 0
    return rows, result


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"homeostasis.prime_epochs": 1, "optimizer": "adam"},
        {"trainer.patience": 1},
        {"scheduler": "plateau", "scheduler.patience": 0},
    ],
    ids=str,
)
def test_it_goes_on_with_the_numbers_of_a_run_from_the_start(options, capsys):
    before = fdi.run(**SMALL, **options, **EPOCHS[2])
    files = {path: path.read_bytes() for path in before.directory.rglob("*") if path.is_file()}
    capsys.readouterr()
    longer = fdi.run(**SMALL, **options, **EPOCHS[4])
    said = " ".join(capsys.readouterr().out.split())
    assert f"goes on after the 2 epochs of {before.directory}" in said
    whole = fdi.run(**SMALL, **options, **EPOCHS[4], results="whole")
    assert longer.directory.name == whole.directory.name != before.directory.name
    assert numbers(longer.directory) == numbers(whole.directory)
    assert {path: path.read_bytes() for path in files} == files, "nothing of the shorter changed"
    record = json.loads((longer.directory / "record.json").read_text())
    assert record["run"]["continues"] == str(before.directory)
    assert "trainer.epochs=4" in record["run"]["command"]
    assert fdi.load(longer.directory).predictions().shape[0] > 0


def test_a_schedule_that_depends_on_the_number_of_epochs_starts_from_the_beginning(capsys):
    fdi.run("scheduler=cosine", **SMALL, **EPOCHS[2])
    capsys.readouterr()
    longer = fdi.run("scheduler=cosine", **SMALL, **EPOCHS[3])
    said = " ".join(capsys.readouterr().out.split())
    assert "the schedule CosineAnnealingLR depends on trainer.epochs" in said
    assert "goes on" not in said
    whole = fdi.run("scheduler=cosine", **SMALL, **EPOCHS[3], results="whole")
    assert numbers(longer.directory) == numbers(whole.directory)


def test_other_values_seeds_and_longer_runs_are_left_alone(capsys):
    fdi.run("optimizer.lr=0.01", **SMALL, **EPOCHS[3])
    fdi.run(**SMALL, **EPOCHS[1], seed=1)
    capsys.readouterr()
    fdi.run(**SMALL, **EPOCHS[2])
    assert "goes on" not in capsys.readouterr().out
