"""Which runs belong to a sweep is what its plan says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from commands import TINY, records

import fdi.cli.status
import fdi.cli.table
from fdi.track import plans

SWEEP = ("-m", *TINY, "model.depth=1,2", "init=kaiming,fluct", "seed=range(3)")
MORE = ("-m", *TINY, "model.depth=1,2,3", "init=kaiming", "seed=0")


def planned(folder: Path) -> list[set[Path]]:
    """The runs of each plan below a folder, the largest sweep first."""
    found, broken = plans.read_plans(folder)
    assert broken == []
    return sorted(({folder / place for place in plan.cells} for plan in found), key=len)[::-1]


def table(fdi_run, folder: str) -> pd.DataFrame:
    found = fdi_run("--results", folder, "--runs", "runs.csv", main=fdi.cli.table.main)
    assert (found.code, found.err) == (0, "")
    return pd.read_csv("runs.csv", index_col="path")


@pytest.fixture
def twelve(fdi_run) -> set[Path]:
    """The folders of a sweep of 12 runs."""
    found = fdi_run(*SWEEP)
    assert (found.code, "12 cells: 12 done" in found.out.splitlines()) == (0, True)
    return {*records(Path("results"))}


def test_a_plan_names_the_runs_of_its_sweep_and_a_run_may_belong_to_two(fdi_run, twelve):
    assert planned(Path("results")) == [twelve]
    assert fdi_run(*MORE).out.startswith("2 of 3 already done, skipped\n")
    first, second = planned(Path("results"))
    assert (first, len(second), len(second - twelve)) == (twelve, 3, 1)
    one, other = (plan.title for plan in plans.read_plans(Path("results"))[0])
    sweeps = table(fdi_run, "results")["sweeps"].str.split(", ").map(set)
    for path in twelve | second:
        assert len(sweeps[str(path)]) == (path in first) + (path in second)
    assert sweeps[str(*second - twelve)] < sweeps[str(min(twelve & second))] == {one, other}


def test_a_sweep_of_done_runs_writes_its_plan(fdi_run, twelve):
    shutil.rmtree("results/sweeps")
    before = {path: path.stat().st_mtime_ns for path in twelve}
    for _ in range(2):
        assert fdi_run(*SWEEP).out.startswith("12 of 12 already done, skipped\n")
        assert planned(Path("results")) == [twelve]
    assert {path: path.stat().st_mtime_ns for path in twelve} == before


def test_runs_and_plans_that_are_copied_are_merged(fdi_run, twelve):
    fdi_run(*SWEEP[:-1], "seed=3,4", "paths.results=other")
    both = twelve | {Path("results") / path.relative_to("other") for path in records(Path("other"))}
    shutil.copytree("other", "results", dirs_exist_ok=True)
    merged = table(fdi_run, "results")
    assert {Path(path) for path in merged.index} == both
    assert (merged["state"] == "done").all()
    assert merged["sweeps"].value_counts().tolist() == [12, 8]
    rows = fdi_run(main=fdi.cli.table.main).out.splitlines()
    assert sum(line.split()[2:3] == ["5"] for line in rows) == 4, "of five seeds each"
    said = fdi_run(main=fdi.cli.status.main).out
    assert said.count("fdi-run -m") == 2


def test_a_broken_record_is_one_line_and_the_other_cells_run(fdi_run, twelve):
    edited, damaged, missing = sorted(twelve)[:3]
    text = (edited / "run.json").read_text()
    (edited / "run.json").write_text(text.replace('"lr": 0.005', '"lr": 0.05', 1))
    (damaged / "run.json").write_bytes(b"\0")
    shutil.rmtree(missing)
    before = {path: (path / "run.json").read_bytes() for path in twelve - {missing}}
    found = fdi_run(*SWEEP)
    assert (found.code, found.err) == (1, "")
    lines = found.out.splitlines()
    assert lines[-1] == "12 cells: 10 done, 2 broken"
    for path in (edited, damaged):
        assert sum(line.startswith(f"broken  {path}  run.json: ") for line in lines) == 1
    assert {path: (path / "run.json").read_bytes() for path in twelve - {missing}} == before
    assert len(records(missing)) == 1
