"""One run: its record, what it refuses, and what of one's own it takes."""

from __future__ import annotations

import json
import os

import pandas as pd
import pytest
from commands import REFERENCE, SMALL, process
from omegaconf import OmegaConf


def test_one_run_records_and_is_not_repeated(fdi_run, tmp_path):
    first = fdi_run(*SMALL)
    assert first.code == 0, first.err
    (directory,) = tmp_path.glob("results/runs/randman/dense/fluct/seed=0-*")
    assert first.out.splitlines()[-1] == str(directory.relative_to(tmp_path))
    assert os.listdir() == ["results"]
    assert json.loads((directory / "status.json").read_text())["state"] == "done"
    config = OmegaConf.load(directory / ".hydra" / "config.yaml")
    assert config.name.init == "fluct"
    assert config.engine.name == "cpu"
    result = (directory / "result.json").stat().st_mtime_ns
    second = fdi_run(*SMALL)
    assert second.code == 0
    assert "already done, skipped" in second.out
    assert (directory / "result.json").stat().st_mtime_ns == result
    assert (
        fdi_run(*SMALL, "dry_run=true").out
        == f"done         {directory.relative_to(tmp_path)}\n1 cell: 1 done\n"
    )


def test_probe_only_measures_and_stops(fdi_run, tmp_path):
    found = fdi_run(*SMALL, REFERENCE, "probe=only")
    assert found.code == 0, found.err
    (file,) = tmp_path.rglob("init.json")
    assert not list(tmp_path.rglob("metrics.csv"))
    measured = file.stat().st_mtime_ns
    again = fdi_run("-m", *SMALL, REFERENCE, "probe=only")
    assert again.code == 0
    lines = again.out.splitlines()
    assert lines[:2] == [
        "1 of 1 already done, skipped",
        "initial states: randman, dense, n = 1 seed",
    ]
    assert lines[-1] == "1 cell: 1 probed"
    shown = fdi_run(*SMALL, REFERENCE, "probe=only").out.splitlines()
    assert shown == found.out.splitlines()[1:]  # but for the engine
    assert fdi_run(*SMALL, REFERENCE, "probe=only", "dry_run=true").out.splitlines()[-1] == (
        "1 cell: 1 probed"
    )
    assert file.stat().st_mtime_ns == measured


def test_what_a_user_can_mend_is_one_line(fdi_run):
    found = fdi_run(
        "dataset.samples=20", REFERENCE, "model=conv", "model.kernel=50", "model.padding=0"
    )
    assert found.code == 2
    assert len(found.err.splitlines()) == 1
    assert "leaves no neuron" in found.err
    assert not os.listdir()
    assert fdi_run("model.depth=abc").code == 2


def test_options_of_ones_own(fdi_run, tmp_path, monkeypatch):
    (tmp_path / "mine" / "init").mkdir(parents=True)
    (tmp_path / "mine" / "init" / "half.yaml").write_text("_target_: half.make\nshare: 0.5\n")
    (tmp_path / "half.py").write_text(
        "from fdi.init.baselines import Kaiming\ndef make(share):\n    return Kaiming(gain=share)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = fdi_run("--config-dir", "mine", "init=half", *SMALL, REFERENCE)
    assert found.code == 0, found.err
    assert list(tmp_path.glob("results/runs/randman/dense/half/seed=0-*/result.json"))
    assert "half" in fdi_run("--help", "--config-dir", "mine").out


@pytest.mark.slow
def test_changed_code_of_ones_own_is_told(fdi_run, tmp_path, monkeypatch):
    (tmp_path / "mine" / "init").mkdir(parents=True)
    (tmp_path / "mine" / "init" / "third.yaml").write_text("_target_: third.Third\n")
    text = "from fdi.init.baselines import Kaiming\nfrom gains import GAIN\n"
    text += "def Third():\n    return Kaiming(gain=GAIN)\n"
    (tmp_path / "third.py").write_text(text)
    (tmp_path / "gains.py").write_text("GAIN = 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    command = ("--config-dir", "mine", "init=third", *SMALL, REFERENCE)
    assert fdi_run(*command).code == 0
    (result,) = tmp_path.glob("results/runs/*/*/third/*/result.json")
    (tmp_path / "gains.py").write_text("# one\nGAIN = 1.0\n")
    assert fdi_run(*command).code == 0, "a comment computes nothing"
    (tmp_path / "gains.py").write_text("GAIN = 2.0\n")
    for sweep in ((), ("-m",)):
        found = fdi_run(*command, *sweep)
        assert found.code == 2
        assert found.err.count("\n") == 1
        assert (
            "other code: third.Third, a module that it imports or a file beside them has changed"
            in found.err
        )
    result.unlink()
    _, error = process(*command, cwd=tmp_path).communicate()  # as this one has imported the code
    assert "other code: third.Third" in error, "nor does it go on"
    child = process(*command, "name.init=third-2", cwd=tmp_path)
    child.communicate()
    assert child.returncode == 0


def test_early_stopping_is_told_and_needs_a_validation_split(fdi_run, tmp_path):
    small = (*SMALL, REFERENCE, "trainer.epochs=50", "trainer.patience=1", "probe=none")
    found = fdi_run(*small, "optimizer.lr=1e-9")  # no epoch is better than the first
    assert found.code == 0
    assert "stopped after epoch 2 of 50: no better validation accuracy than in epoch 1" in found.out
    (result,) = (json.loads(file.read_text()) for file in tmp_path.rglob("result.json"))
    assert (result["epochs"], result["best_epoch"]) == (2, 1)
    (status,) = tmp_path.rglob("status.json")
    assert json.loads(status.read_text())["state"] == "done"
    refused = fdi_run(*small, "dataset.valid=0", "paths.results=other")
    assert refused.code == 2
    assert "trainer.patience = 1 waits for a better validation accuracy" in refused.err
    assert len(refused.err.splitlines()) == 1
    assert not (tmp_path / "other").exists()


def test_training_ends_at_a_loss_and_the_result_says_how_far_it_moved(fdi_run, tmp_path):
    small = (*SMALL, REFERENCE, "trainer.epochs=12", "probe=none")
    fdi_run(*small, "paths.results=whole")
    losses = pd.read_csv(next((tmp_path / "whole").rglob("metrics.csv")))["train/task"]
    limit = float(losses[5])
    found = fdi_run(*small, f"trainer.stop_at_loss={limit}", "paths.results=stopped")
    (result,) = (json.loads(file.read_text()) for file in (tmp_path / "stopped").rglob("result*"))
    assert result["epochs"] == 1 + int((losses <= limit).argmax()) < 12
    assert f"stopped after epoch {result['epochs']} of 12: the training loss reached" in found.out
    assert result["train_loss_last"] == float(losses[result["epochs"] - 1])
    assert set(result["moved"]) == {"input->h1", "h1->readout"}
    assert all(value > 0 for value in result["moved"].values())
    assert set(result["alignment"]) == {"h1"}


def test_an_early_control_c_is_one_line(fdi_run, monkeypatch):
    def press(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("fdi.cli.cells.compose_cells", press)
    found = fdi_run(*SMALL)
    assert found.code == 130
    assert found.err == "fdi-run: interrupted; the same command resumes where it stopped\n"


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
