"""`fdi-status`: what was asked for against what is there."""

from __future__ import annotations

import pytest

from fdi.analysis.collect import runs
from fdi.cli.status import main
from fdi.track import plans
from fdi.track.files import write_json
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
    plans.write_plan(tmp_path, plans.Plan("fdi-run -m experiment=depth", "depth", planned))
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
    assert lines[1] == [
        "dataset",
        "model",
        "init",
        "cells",
        "done",
        "running",
        "failed",
        "interrupted",
        "not",
        "run",
        "yet",
    ]
    assert ["randman", "dense", "fluct", "3", "1", "1", "1"] in lines
    assert ["randman", "dense", "kaiming", "2", "1", "1"] in lines
    assert ["all", "5", "1", "1", "1", "1", "1"] in lines
    assert ["single", "runs"] in lines
    assert f"failed  {sweep[1]}  the loss is nan in epoch 4, batch 1" in out
    assert f"interrupted  {sweep[2]}  after epoch 7 of 20" in out


def test_one_experiment(status, sweep):
    assert "single runs" not in status("depth")[1]
    assert status("shallow") == (
        1,
        "",
        f"fdi-status: no shallow in {sweep[0].parents[4]}; fdi-run -m experiment=quickstart makes "
        f"some\n",
    )


def test_an_unreadable_record_is_a_broken_run(status, write_run):
    (write_run("fluct", 0, None) / "run.json").write_text("{")
    assert ["randman", "dense", "fluct", "1", "1"] in rows(status()[1])
    assert ["dataset", "model", "init", "cells", "broken"] in rows(status()[1])


@pytest.fixture
def victim(tmp_path):
    """Files that are none of fdi's business."""
    folder = tmp_path.parent / f"{tmp_path.name}-victim"
    folder.mkdir()
    (folder / "run.json").write_text('{"mine": 1}')
    return folder


@pytest.mark.parametrize("place", ["../{name}", "{whole}", ".", "runs", "runs/a/b/../../..", "a",
        "runs/a/b/c/seed=0-1/../../../../../../{name}", "runs/a/b/../seed=0-1"])  # fmt: skip
def test_a_plan_that_leads_elsewhere_is_broken(status, tmp_path, victim, write_run, place):
    write_run()
    (tmp_path / "sweeps").mkdir()
    name = place.format(name=victim.name, whole=victim)
    write_json(
        tmp_path / "sweeps/z.json", {"experiment": "e", "command": "x", "cells": {name: ["a=1"]}}
    )
    code, out, err = status()
    assert (code, "Traceback" in err, "not a plan" in err) == (0, False, True)
    assert victim.name not in out
    assert (victim / "run.json").read_text() == '{"mine": 1}'
    assert not (victim / ".lock").exists()


def test_an_empty_folder_is_missing(status, tmp_path, write_run):
    """What Ctrl-C leaves in the first moment of a cell."""
    write_run()
    empty = tmp_path / "runs/randman/dense/fluct/seed=1-0123456789abcdef"
    with lock(empty):
        pass
    assert runs(tmp_path)["state"].tolist() == ["done", "missing"]


@pytest.mark.parametrize("plan", [
        {"experiment": "e", "command": "x", "cells": {"a": ["a"]}}, [], {"cells": 1},
        {"experiment": "e", "command": "x", "cells": {"runs/a/b/c/seed=0-1": 3}},
        {"experiment": ["e"], "command": "x", "cells": {}},
    ],
)  # fmt: skip
def test_a_broken_plan_is_one_line(status, write_run, tmp_path, plan):
    write_run()
    (tmp_path / "sweeps").mkdir()
    write_json(tmp_path / "sweeps/z.json", plan)
    code, out, err = status()
    assert (code, len(err.splitlines())) == (0, 1)
    assert "single runs" in out
