"""`fdi-status`: what was asked for against what is there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

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
    plans.write(tmp_path, plans.Plan("fdi-run -m experiment=depth", "depth", planned))
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


def test_failed_prints_commands_and_nothing_else(status, sweep):
    assert status("--failed")[1].splitlines() == [
        "fdi-run init=fluct seed=1 'init.nu=a b'",
        "fdi-run init=fluct seed=2 'init.nu=a b'",
        "fdi-run init=kaiming seed=0 'init.nu=a b'",
        "fdi-run init=xavier seed=5",
    ]


def test_what_was_refused_is_no_command(status, write_run):
    cell = write_run("kaiming", 0, state="failed", error="init=kaiming cannot", refused=True)
    assert status("--failed")[1] == f"# {cell}: init=kaiming cannot\n"


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
    words = [f"name.dataset={evil.splitlines()[1]}".replace("\x1b[2K", "")]
    write_run("kaiming", 0, state="failed", words=words)
    alone = write_run("fluct", 0, state="failed")
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


def test_an_unreadable_record_is_a_broken_run(status, write_run):
    (write_run("fluct", 0, None) / "run.json").write_text("{")
    assert ["randman", "dense", "fluct", "1", "1"] in rows(status()[1])
    assert ["dataset", "model", "init", "cells", "broken"] in rows(status()[1])


def test_clean_is_named_where_it_removes_something(status, write_run):
    going = write_run("fluct", 0, None, epoch=2)
    checkpoint = going / "checkpoint/last.pt"
    checkpoint.parent.mkdir()
    checkpoint.touch()
    assert "--clean" not in status()[1]
    checkpoint.unlink()
    assert "; --clean removes those that failed or have no checkpoint" in status()[1]


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
    for words in ((), ("--failed",), ("--clean", "--yes")):
        code, out, err = status(*words)
        assert (code, "Traceback" in err, "not a plan" in err) == (0, False, True)
        assert victim.name not in out
    assert (victim / "run.json").read_text() == '{"mine": 1}'
    assert not (victim / ".lock").exists()


@pytest.mark.parametrize("linked", ["runs", "runs/randman", "runs/randman/dense/fluct", ""])
def test_clean_follows_no_link_out_of_results(status, write_run, victim, tmp_path, linked):
    directory = write_run("fluct", 0, state="failed", error="nan")
    link = tmp_path / linked if linked else directory
    target = victim / "taken"
    link.rename(target)
    link.symlink_to(target)
    before = sorted(target.rglob("*"))
    assert status("--clean", "--yes")[1] == "no cells that failed or stopped without a checkpoint\n"
    assert sorted(target.rglob("*")) == before


def test_clean_looks_again_before_it_removes(status, write_run, monkeypatch):
    """What finishes, or is started again, while it asks, stays."""
    cells = [write_run("fluct", i, state="failed", error="nan") for i in range(4)]
    done, busy, gone, useless = cells
    held = lock(busy)

    def answer(_):
        shutil.rmtree(done)
        write_run("fluct", 0)
        held.__enter__()
        shutil.rmtree(gone)
        return "y"

    monkeypatch.setattr("builtins.input", answer)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    code, out, _ = status("--clean")
    held.__exit__(None, None, None)
    assert code == 1
    assert f"{done} is done now, so it stays" in out
    assert f"{busy} is being run by process" in out
    assert out.endswith("1 removed\n")
    assert [path.exists() for path in (done, busy, gone, useless)] == [True, True, False, False]


@pytest.mark.parametrize("word", [
        "--config-dir=results/conf", "-m", "--multirun", "hydra/launcher=slurm", "a=1",
        "++hydra.job_logging.handlers.file.filename=/tmp/x", "hydra.run.dir=/tmp", "+hydra.x=1",
        "paths.modules=[/tmp/evil]", "paths={modules:[x]}", "paths.results=/elsewhere",
        "name.dataset=${oc.env:HOME}", "seed=1\nseed=2", "~hydra",
    ],
)  # fmt: skip
def test_what_somebody_else_planned_is_shown_and_not_offered(status, write_run, word):
    cell = write_run("fluct", 0, state="failed", error="nan", words=["init=fluct", word])
    (line,) = status("--failed")[1].splitlines()
    assert line.startswith(f"# {cell}: fdi-run init=fluct ")
    assert "before you run that" in line


@pytest.mark.parametrize(("jobs", "state"), [("7_1", "queued"), ("8", "interrupted")])
def test_a_queued_job_is_not_offered_again(write_run, tmp_path, jobs, state):
    """As squeue says, which is asked once in a process."""
    squeue = tmp_path / "bin" / "squeue"
    squeue.parent.mkdir()
    squeue.write_text(f"#!/bin/sh\necho {jobs}\n")
    squeue.chmod(0o755)
    write_run("fluct", 0, state="queued", epoch=3, job="7_1")
    code = "from fdi.cli.status import main; main([]); main(['--failed'])"
    environment = {**os.environ, "PATH": f"{squeue.parent}:{os.environ['PATH']}"}
    environment |= {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code.replace("[", f"['--results', {str(tmp_path)!r}, ")]
    out = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert ["dataset", "model", "init", "cells", state] in rows(out)
    assert ("fdi-run" in out) == (state == "interrupted")


def test_an_empty_folder_is_missing_and_can_be_removed(status, tmp_path, write_run):
    """What Ctrl-C leaves in the first moment of a cell."""
    write_run()
    empty = tmp_path / "runs/randman/dense/fluct/seed=1-0123456789abcdef"
    with lock(empty):
        pass
    assert runs(tmp_path)["state"].tolist() == ["done", "missing"]
    assert f"missing  {empty}  nothing in it" in status("--clean", "--yes")[1]
    assert not empty.exists()


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
