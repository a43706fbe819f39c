"""`fdi-status`: what was asked for against what is there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fdi.cli.status import main
from fdi.track import plans
from fdi.track.process import lock


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
    error = "Diverged: first line\nthe loss is nan in epoch 4, batch 1"
    failed = {"state": "failed", "epoch": 3, "error": error}
    cells = [
        write_run("fluct", 0),
        write_run("fluct", 1, None, **failed),
        write_run("fluct", 2, None, epoch=7),
        write_run("kaiming", 0, None, epoch=7),
        tmp_path / "runs/randman/dense/kaiming/seed=1-0123456789abcdef",
    ]
    names = [str(cell.relative_to(tmp_path)) for cell in cells]
    planned = {
        name: [f"init={name.split('/')[3]}", f"seed={name.split('seed=')[1][0]}", "init.nu=a b"]
        for name in names
    }
    plans.write_plan(tmp_path, plans.SweepPlan("fdi-run -m experiment=depth", "depth", planned))
    write_run("xavier", 5, None, words=["init=xavier", "seed=5"], **failed)
    return cells


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.strip()]


def test_counts_by_sweep_and_cell(status, sweep):
    with lock(sweep[3]):
        code, out, _ = status()
    assert code == 0
    lines = rows(out)
    assert lines[0] == ["depth:", "fdi-run", "-m", "experiment=depth"]
    head = "dataset model init cells done running failed interrupted not run yet"
    assert lines[1] == head.split()
    assert ["randman", "dense", "fluct", "3", "1", "1", "1"] in lines
    assert ["randman", "dense", "kaiming", "2", "1", "1"] in lines
    assert ["all", "5", "1", "1", "1", "1", "1"] in lines
    assert ["single", "runs"] in lines
    assert f"failed  {sweep[1]}  the loss is nan in epoch 4, batch 1" in out
    assert f"interrupted  {sweep[2]}  after epoch 7 of 20" in out


def test_one_experiment(status, sweep):
    assert "single runs" not in status("depth")[1]
    assert "no depht in " in (line := status("depht")[2])
    assert "did you mean depth?" in line
    assert status("shallow") == (
        1,
        "",
        f"fdi-status: no shallow in {sweep[0].parents[4]}; choose one of depth\n",
    )


@pytest.fixture
def victim(tmp_path):
    """Files that are none of fdi's business."""
    folder = tmp_path.parent / f"{tmp_path.name}-victim"
    folder.mkdir()
    (folder / "run.json").write_text('{"mine": 1}')
    return folder


WHOLE: dict[str, Any] = {"experiment": "e", "command": "x", "cells": {}}
PLACES = (
    *("../NAME", "FOLDER", ".", "runs", "runs/a/b/../../..", "a", "runs/a/b/../seed=0-1"),
    *(
        "runs/a/b/c/seed=0-1/../../../../../../NAME",
        "runs/a/b/c/seed=0-1/..",
        "runs/a/b/c/seed=x-1",
    ),
    *("/runs/a/b/c/seed=0-1", "runs/../../../../seed=0-0123abcd"),
)
BROKEN = (
    *(
        "",
        "[",
        [],
        1,
        {"cells": 1},
        {"cells": {}},
        WHOLE | {"cells": []},
        WHOLE | {"command": None},
    ),
    *(WHOLE | {"cells": {"runs/a/b/c/seed=0-1": words}} for words in (3, [1], None)),
    WHOLE | {"experiment": ["e"]},
)


@pytest.mark.parametrize(
    "plan", [*BROKEN, *(WHOLE | {"cells": {place: ["a=1"]}} for place in PLACES)]
)
def test_a_plan_that_is_broken_or_leads_elsewhere_is_one_line(
    status, write_run, tmp_path, victim, plan
):
    write_run()
    (tmp_path / "sweeps").mkdir()
    text = plan if isinstance(plan, str) else json.dumps(plan)
    text = text.replace("NAME", victim.name).replace("FOLDER", str(victim))
    (tmp_path / "sweeps/z.json").write_text(text)
    code, out, err = status()
    assert (code, len(err.splitlines()), "sweeps/z.json" in err) == (0, 1, True)
    assert "single runs" in out
    assert victim.name not in out
    assert (victim / "run.json").read_text() == '{"mine": 1}'
    assert not (victim / ".lock").exists()
