"""`fdi-status --merge`: runs of two machines in one folder of results."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from fdi.analysis.collect import runs
from fdi.cli import merge as merging
from fdi.cli.status import main
from fdi.track.files import write_json, write_status
from fdi.track.state import lock

CELL = "runs/randman/dense/{}/seed={}-0123456789abcdef"
CONFIG = "seed: {}\nidentity:\n  exclude:\n  - device\ndevice: {}\n"


def cell(results: Path, init: str, seed: int, accuracy: float | None = 0.9, **record) -> Path:
    """A finished run, or without accuracy one that stopped after its second epoch."""
    path = results / CELL.format(init, seed)
    (path / ".hydra").mkdir(parents=True)
    (path / ".hydra/config.yaml").write_text(CONFIG.format(seed, "cpu"))
    (path / "metrics.csv").write_text("epoch,seconds\n1,0.5\n2,0.5\n")
    (path / "checkpoint").mkdir()
    (path / "checkpoint/last.pt").write_bytes(b"weights")
    write_json(path / "record.json", {"torch": "2.6", "data_checksum": "d", "run": {}} | record)
    if accuracy is not None:
        result = {"test_accuracy_last": accuracy, "test_accuracy_best": accuracy, "rates": {}}
        write_json(path / "result.json", result | {"seconds": os.urandom(1)[0] / 10})
    write_status(path, "interrupted" if accuracy is None else "done", epoch=2, epochs=5)
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


@pytest.fixture
def merge(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*folders: str) -> tuple[int, list[str], str]:
        code = main(["--results", "here", "--merge", *folders])
        out, err = capsys.readouterr()
        return code, out.splitlines(), err

    return call


def test_what_is_not_here_is_copied_and_what_is_here_stays(merge, tmp_path):
    mine = cell(tmp_path / "here", "fluct", 0)
    theirs = [cell(tmp_path / "there", "fluct", 1), cell(tmp_path / "there", "fluct", 2, None)]
    cell(tmp_path / "there", "fluct", 0)
    (tmp_path / "there/sweeps").mkdir()
    write_json(tmp_path / "there/sweeps/depth-1.json", {"cells": {}})
    before = files(mine)
    assert merge("there") == (0, ["1 there already, 2 copied"], "")
    assert files(mine) == before
    for path in theirs:
        assert files(tmp_path / "here" / path.relative_to(tmp_path / "there")) == files(path)
    assert (tmp_path / "here/sweeps/depth-1.json").exists()
    assert not (tmp_path / "here/.merge").exists()
    assert sorted(runs(tmp_path / "here")["state"]) == ["done", "done", "interrupted"]
    assert merge("there") == (0, ["3 there already"], "")


def test_the_same_cell_twice_is_told_with_what_differs(merge, tmp_path):
    cell(tmp_path / "here", "fluct", 0, 0.9)
    cell(tmp_path / "there", "fluct", 0, 0.8, torch="2.7")
    cell(tmp_path / "here", "fluct", 1, 0.9)
    cell(tmp_path / "there", "fluct", 1, None)
    before = files(tmp_path / "here")
    code, lines, _ = merge("there")
    assert code == 1
    first, second = (f"there twice  here/{CELL.format('fluct', seed)}" for seed in (0, 1))
    assert lines == [
        f"{first}: test_accuracy_last 0.9, there 0.8; test_accuracy_best 0.9, there 0.8; "
        "torch 2.6, there 2.7",
        f"{second}: done after epoch 2, there interrupted after epoch 2",
        "2 there twice",
    ]
    assert files(tmp_path / "here") == before


def test_a_cell_with_an_id_of_before_is_the_same_cell(merge, tmp_path):
    mine = cell(tmp_path / "here", "fluct", 0)
    theirs = cell(tmp_path / "there", "fluct", 0)
    theirs.rename(theirs.with_name("seed=0-fedcba98"))
    assert merge("there")[1] == ["1 there already"]
    assert [path.name for path in mine.parent.iterdir()] == [mine.name]


def test_what_runs_what_is_broken_and_what_a_link_leads_to_is_left_alone(merge, tmp_path):
    path = cell(tmp_path / "there", "fluct", 0, None)
    broken = cell(tmp_path / "there", "fluct", 1)
    (broken / "result.json").write_text("{")
    elsewhere = cell(tmp_path / "elsewhere", "fluct", 2)
    (tmp_path / "there" / CELL.format("fluct", 2)).symlink_to(elsewhere)
    with lock(path):
        write_status(path, "running", epoch=2, epochs=5)
        code, lines, _ = merge("there")
    assert code == 0
    assert [line.split("  ")[2].split(";")[0] for line in lines[:3]] == [
        "running",
        "result.json: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        "reached by a link",
    ]
    assert lines[3] == "3 left alone"
    assert not (tmp_path / "here/runs").exists()
    with lock(cell(tmp_path / "here", "fluct", 0, None)):
        write_status(tmp_path / "here" / CELL.format("fluct", 0), "running", epoch=1)
        assert "running; merge again" in merge("there")[1][0]


def test_a_run_that_begins_while_it_is_copied_does_not_appear(merge, tmp_path, monkeypatch):
    path = cell(tmp_path / "there", "fluct", 0, None)
    copied = merging._copied

    def slowly(source, stage):
        copy = copied(source, stage)
        write_status(path, "interrupted", epoch=3, epochs=5)
        return copy

    monkeypatch.setattr(merging, "_copied", slowly)
    assert merge("there")[1][-1] == "1 left alone"
    assert not (tmp_path / "here/runs").exists()


def test_an_interrupted_copy_leaves_nothing_and_is_made_again(merge, tmp_path, monkeypatch):
    cell(tmp_path / "there", "fluct", 0)
    copy = shutil.copy2

    def full(source, target):
        if Path(source).name == "result.json":
            raise OSError("No space left on device")
        return copy(source, target)

    monkeypatch.setattr(shutil, "copy2", full)
    assert merge("there") == (1, [], "fdi-status: No space left on device\n")
    assert files(tmp_path / "here") == {}
    monkeypatch.setattr(shutil, "copy2", copy)
    (tmp_path / "here/.merge/killed/seed=0").mkdir(parents=True)  # of a process that was killed
    assert merge("there")[:2] == (0, ["1 copied"])
    assert not (tmp_path / "here/.merge").exists()


@pytest.mark.parametrize(
    ("folder", "line"),
    [
        ("nowhere", "nowhere has no runs/ in it; give the other machine's folder of results"),
        ("here", "here is the folder of results itself; give that of the other machine"),
    ],
)
def test_what_is_no_other_folder_of_results_is_one_line(merge, tmp_path, folder, line):
    cell(tmp_path / "here", "fluct", 0)
    assert merge(folder) == (1, [], f"fdi-status: {line}\n")


def test_two_at_once_are_refused(merge, tmp_path):
    cell(tmp_path / "there", "fluct", 0)
    with merging._stage(tmp_path / "here"):
        code, _, error = merge("there")
    assert code == 1
    assert "another fdi-status --merge is at work; wait for it" in error
    assert json.loads((tmp_path / "there" / CELL.format("fluct", 0) / "result.json").read_text())
