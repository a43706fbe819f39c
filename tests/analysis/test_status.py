"""`fdi-status`: what was asked for against what is there."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml

from fdi.cli.status import main
from fdi.track.files import write_json
from fdi.track.lock import lock


@pytest.fixture
def status(tmp_path, capsys):
    def call(*words: str) -> tuple[int, str, str]:
        code = main([*words, "--results", str(tmp_path)])
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def sweep(write_run, tmp_path):
    """Five cells of the experiment depth: done, failed, interrupted, running once locked, missing;
    and a run of its own.
    """
    error = {
        "state": "failed",
        "epoch": 3,
        "epochs": 20,
        "error": "Diverged: first line\nthe loss is nan in epoch 4, batch 1",
    }
    half = {"state": "running", "epoch": 7, "epochs": 20, "error": None}
    cells = [
        write_run("fluct", 0),
        write_run("fluct", 1, None, status=error),
        write_run("fluct", 2, None, status=half),
        write_run("kaiming", 0, None, status=half),
        tmp_path / "runs/randman/dense/kaiming/seed=1-0123abcd",
    ]
    names = [str(cell.relative_to(tmp_path)) for cell in cells]
    planned = {
        name: [f"init={name.split('/')[3]}", f"seed={name.split('seed=')[1][0]}", "nu=a b"]
        for name in names
    }
    (tmp_path / "sweeps").mkdir()
    write_json(
        tmp_path / "sweeps" / "depth-1.json",
        {"command": "fdi-run -m experiment=depth", "experiment": "depth", "cells": planned},
    )
    alone = write_run("xavier", 5, None, status=error)
    (alone / ".hydra" / "overrides.yaml").write_text("- init=xavier\n- seed=5\n")
    return cells


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.strip()]


def test_counts_by_sweep_and_cell(status, sweep):
    with lock(sweep[3]):
        code, out, _ = status()
    assert code == 0
    lines = rows(out)
    assert lines[0] == ["depth:", "fdi-run", "-m", "experiment=depth"]
    assert lines[1] == [
        "dataset",
        "model",
        "init",
        "cells",
        "done",
        "running",
        "failed",
        "interrupted",
        "missing",
    ]
    assert ["randman", "dense", "fluct", "3", "1", "1", "1"] in lines
    assert ["randman", "dense", "kaiming", "2", "1", "1"] in lines
    assert ["all", "5", "1", "1", "1", "1", "1"] in lines
    assert ["single", "runs"] in lines
    assert f"failed  {sweep[1]}  the loss is nan in epoch 4, batch 1" in out
    assert f"interrupted  {sweep[2]}  after epoch 7 of 20" in out


def test_failed_prints_commands_and_nothing_else(status, sweep):
    assert status("--failed")[1].splitlines() == [
        "fdi-run init=fluct seed=1 'nu=a b'",
        "fdi-run init=fluct seed=2 'nu=a b'",
        "fdi-run init=kaiming seed=0 'nu=a b'",
        "fdi-run init=xavier seed=5",
    ]


def test_what_was_refused_is_no_command(status, write_run):
    error = {"state": "failed", "error": "ValueError: init=kaiming cannot"}
    cell = write_run("kaiming", 0, None, status=error)
    assert status("--failed")[1] == f"# {cell}: ValueError: init=kaiming cannot\n"


def test_clean_shows_and_removes_what_failed_or_cannot_go_on(status, sweep):
    (sweep[2] / "checkpoint").mkdir()
    (sweep[2] / "checkpoint" / "last.pt").touch()
    code, out, _ = status("--clean", "depth")
    assert code == 1
    assert f"failed  {sweep[1]}  the loss is nan in epoch 4, batch 1" in out
    assert sweep[1].exists()
    code, out, _ = status("--clean", "depth", "--yes")
    assert (code, out.splitlines()[-1]) == (0, "2 removed")
    assert [cell.exists() for cell in sweep] == [True, False, True, False, False]


def test_failed_is_safe_for_a_shell_whatever_a_folder_is_called(status, tmp_path, write_run):
    """Each line is a comment or one command whose words are what was given."""
    evil = "x\ntouch owned; $(touch owned) `touch owned` 'touch owned' \x1b[2K"
    for name in ("fluct", "kaiming"):
        alone = write_run(name, 0, None, status={"state": "failed", "epoch": 0, "epochs": 1})
        if name == "kaiming":
            words = [f"name.dataset={evil.splitlines()[1]}".replace("\x1b[2K", "")]
            (alone / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(words))
        else:
            (alone / ".hydra" / "overrides.yaml").unlink(missing_ok=True)
            alone.rename(alone.with_name(evil))
    lines = status("--failed")[1].splitlines()
    script = tmp_path / "all.sh"
    script.write_text("fdi-run() { :; }\n" + "\n".join(lines))
    subprocess.run(["bash", script], cwd=tmp_path, check=True)
    assert not (tmp_path / "owned").exists()
    assert all(line.isprintable() for line in lines)
    assert {line.split()[0] for line in lines} <= {"#", "fdi-run"}


def test_one_experiment(status, sweep):
    assert "single runs" not in status("depth")[1]
    assert status("shallow") == (
        1,
        "",
        f"fdi-status: no shallow in {sweep[0].parents[4]}; fdi-run -m experiment=quickstart makes "
        f"some\n",
    )


def test_an_unreadable_status_is_a_broken_run(status, write_run):
    (write_run("fluct", 0, None) / "status.json").write_text(json.dumps({"state": "done"})[:-1])
    assert ["randman", "dense", "fluct", "1", "1"] in rows(status()[1])
    assert ["dataset", "model", "init", "cells", "broken"] in rows(status()[1])
