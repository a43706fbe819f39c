"""One run: its record, what is kept of it, and what of one's own it takes."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pandas as pd
import pytest
from commands import REFERENCE, SMALL, TINY, process, records

from fdi.config import identity
from fdi.track.record import Run


def recorded(folder: Path) -> tuple[Path, Run]:
    """The folder and the record of the one run below `folder`."""
    ((directory, run),) = records(folder).items()
    return directory, run


def test_one_run_records_and_is_not_repeated(fdi_run, tmp_path):
    first = fdi_run(*SMALL)
    assert first.code == 0, first.err
    directory, run = recorded(Path("results"))
    assert directory.match(f"results/runs/randman/dense/fluct/seed=0-{identity.run_id(run.config)}")
    assert first.out.splitlines()[-1] == str(directory)
    assert os.listdir() == ["results"]
    assert (run.state, run.epoch, run.words) == ("done", 2, [*SMALL])
    assert run.config["engine"]["name"] == "cpu"
    assert run.origin["command"] == f"fdi-run {' '.join(SMALL)}"
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert "already done, skipped" in fdi_run(*SMALL).out
    assert fdi_run(*SMALL, "dry_run=true").out == f"done         {directory}\n1 cell: 1 done\n"
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_first_run_says_what_to_type_next(fdi_run, tmp_path, monkeypatch):
    from fdi.cli import run

    asked: list[Any] = []
    monkeypatch.setattr("fdi.cli.task.run_cell", lambda *of: 0)
    monkeypatch.setattr("fdi.cli.task.print_result", asked.append)
    assert fdi_run().out == f"to compare it with Kaiming weights: {run.COMPARE}\n"
    assert fdi_run(*TINY).out == ""
    assert len(asked) == 2


def test_tags_and_note_stand_in_the_record(fdi_run, tmp_path):
    assert fdi_run(*TINY, "tags=[draft]", "note=for the paper").code == 0
    assert "already done" in fdi_run(*TINY, "tags=[]").out
    _, run = recorded(tmp_path)
    assert (run.tags, run.note) == (["draft"], "for the paper")
    for form, tag in (((), "paper"), (("-m",), "final")):
        assert "already done" in fdi_run(*form, *TINY, f"tags=[{tag}]").out
    assert recorded(tmp_path)[1] == replace(run, tags=["draft", "paper", "final"], updated=ANY)


def test_probe_only_measures_and_stops(fdi_run, tmp_path):
    words = (*SMALL, REFERENCE, "probe=only")
    found = fdi_run(*words)
    assert found.code == 0, found.err
    (file,) = tmp_path.rglob("init.json")
    assert not list(tmp_path.rglob("metrics.csv"))
    measured = file.stat().st_mtime_ns
    lines = fdi_run("-m", *words).out.splitlines()
    assert lines[:2] == [
        "1 of 1 already done, skipped",
        "initial states: randman, dense",
    ]
    assert lines[-3:-1] == [
        "1 cell: 1 probed",
        "fluct: no layer is off; only training tells what learns",
    ]
    assert lines[-1] == f"to train them: fdi-run -m {' '.join(words[:-1])}"
    assert fdi_run(*words).out.splitlines() == found.out.splitlines()[1:]  # but for the engine
    assert fdi_run(*words, "dry_run=true").out.splitlines()[-1] == "1 cell: 1 probed"
    assert file.stat().st_mtime_ns == measured


@pytest.mark.slow
def test_changed_code_of_ones_own_is_told(tmp_path):
    (tmp_path / "mine" / "init").mkdir(parents=True)
    (tmp_path / "mine" / "init" / "third.yaml").write_text("_target_: third.make\n")
    code = "from fdi.init.baselines import Kaiming\nfrom gains import GAIN\n"
    (tmp_path / "third.py").write_text(f"{code}def make():\n    return Kaiming(gain=GAIN)\n")

    def run(gains: str, *words: str) -> tuple[int, str]:
        (tmp_path / "gains.py").write_text(gains)
        command = ("--config-dir", "mine", "init=third", *TINY, *words)
        child = process(*command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path})
        _, error = child.communicate()
        return child.returncode, error

    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    assert run("GAIN = 1.0\n") == (0, "")
    for form in ((), ("-m",)):
        returned, error = run("GAIN = 2.0\n", *form)
        assert (returned, error.count("\n")) == (2, 1)
        assert "was run with other code: third.make" in error
    assert run("GAIN = 2.0\n", "name.init=third-2") == (0, "")


def test_what_was_not_validated_is_not_called_best(fdi_run):
    assert " % (no validation split); rates" in fdi_run(*TINY, "dataset.valid=0").out
    untested = fdi_run(*TINY, "dataset.valid=0", "trainer.test=false").out
    assert "neither validated nor tested; rates (Hz): h1" in untested


def test_early_stopping_is_told(fdi_run, tmp_path):
    words = (*TINY, "trainer.epochs=50", "trainer.patience=1")
    found = fdi_run(*words, "optimizer.lr=1e-9")  # no epoch is better than the first
    assert found.code == 0
    assert "stopped after epoch 2 of 50: none was better on validation than epoch 1" in found.out
    _, run = recorded(tmp_path)
    assert run.result is not None
    assert (run.state, run.result["epochs"], run.result["best_epoch"]) == ("done", 2, 1)


def test_training_ends_at_a_loss_and_the_result_says_how_far_it_moved(fdi_run, tmp_path):
    words = (*SMALL, REFERENCE, "trainer.epochs=12", "probe=none")
    fdi_run(*words, "paths.results=whole")
    losses = pd.read_csv(next((tmp_path / "whole").rglob("metrics.csv")))["train/task"]
    limit = float(losses[5])
    found = fdi_run(*words, f"trainer.stop_at_loss={limit}", "paths.results=stopped")
    result = recorded(tmp_path / "stopped")[1].result
    assert result is not None
    assert result["epochs"] == 1 + int((losses <= limit).argmax()) < 12
    assert f"stopped after epoch {result['epochs']} of 12: the training loss reached" in found.out
    assert result["train_loss_last"] == float(losses[result["epochs"] - 1])
    assert set(result["moved"]) == {"input->h1", "h1->readout"}
    assert all(value > 0 for value in result["moved"].values())
    assert set(result["alignment"]) == {"h1"}


def test_what_is_said_of_a_silent_network_helps(fdi_run):
    pytest.importorskip("sklearn")
    command = ["dataset=digits", "model=dale", "probe=only", REFERENCE, "threads=1"]
    command += ["model.excitatory=32", "model.inhibitory=8"]
    refused = fdi_run(*command)
    assert refused.code == 2
    (line,) = refused.err.splitlines()
    assert "e1 fires no spike" in line
    advice = line.split()[-1]
    assert advice == "dataset.encoding=poisson"
    assert fdi_run(*command, "init.sigma_u=10").code == 2, "what does not help"
    followed = fdi_run(*command, advice)
    assert followed.code == 0, followed.err
    assert "is silent" not in followed.out
