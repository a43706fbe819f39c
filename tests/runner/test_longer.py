"""More epochs after a run that is finished."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from making import SMALL, numbers, one_line

import fdi
from fdi.track import record
from fdi.track.files import CHECKPOINT, read_checkpoint, write_checkpoint

EPOCHS: Any = [{"trainer.epochs": n} for n in range(5)]
pytestmark = pytest.mark.usefixtures("here")


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, marks=pytest.mark.slow),
        pytest.param({"trainer.patience": 1}, marks=pytest.mark.slow),
        pytest.param({"scheduler": "plateau", "scheduler.patience": 0}, marks=pytest.mark.slow),
        {"homeostasis.prime_epochs": 1, "optimizer": "adam"},
        {"model.bias": True, "model.dropout": 0.3, "model.depth": 2},
    ],
    ids=str,
)
def test_it_goes_on_with_the_numbers_of_a_run_from_the_start(options, capsys):
    before = fdi.run(**SMALL | options | EPOCHS[2])
    files = {path: path.read_bytes() for path in before.directory.rglob("*") if path.is_file()}
    capsys.readouterr()
    longer = fdi.run(**SMALL | options | EPOCHS[4])
    said = " ".join(capsys.readouterr().out.split())
    assert f"goes on after the 2 epochs of {before.directory}" in said
    whole = fdi.run(**SMALL | options | EPOCHS[4], results="whole")
    assert longer.directory.name == whole.directory.name != before.directory.name
    assert numbers(longer.directory) == numbers(whole.directory)
    assert {path: path.read_bytes() for path in files} == files, "nothing of the shorter changed"
    run = record.whole(longer.directory)
    assert run.origin["continues"] == str(before.directory)
    assert "trainer.epochs=4" in run.resumed[-1]["command"]
    assert fdi.load(longer.directory).predictions().shape[0] > 0


def test_the_checkpoint_of_another_run_is_named_and_the_longer_one_begins_anew(capsys):
    run, other = (fdi.run(**SMALL | EPOCHS[2], seed=seed).directory for seed in (0, 1))
    shutil.copyfile(other / CHECKPOINT, run / CHECKPOINT)
    capsys.readouterr()
    longer = fdi.run(**SMALL | EPOCHS[4])
    said = " ".join(capsys.readouterr().out.split())
    assert f"begins anew, since {run / CHECKPOINT} is that of {'/'.join(other.parts[-4:])}" in said
    whole = fdi.run(**SMALL | EPOCHS[4], results="whole")
    assert numbers(longer.directory) == numbers(whole.directory)


def test_a_checkpoint_that_does_not_say_whose_it_is_is_not_gone_on_with(capsys):
    run = fdi.run(**SMALL | EPOCHS[2]).directory
    state = read_checkpoint(run / CHECKPOINT)
    del state["run"]
    write_checkpoint(run / CHECKPOINT, state)
    for read in (
        lambda: fdi.load(run),
        lambda: fdi.run("init=from_run", f"init.run={run}", **SMALL),
    ):
        with one_line(f"{run / CHECKPOINT} is that of an unknown run after epoch 2"):
            read()
    assert len(fdi.run(**SMALL | EPOCHS[3]).metrics) == 3


def test_another_schedule_begins_anew(capsys):
    words = SMALL | {"scheduler": "cosine"}
    fdi.run(**words | EPOCHS[2])
    capsys.readouterr()
    longer = fdi.run(**words | EPOCHS[3])
    assert "goes on" not in capsys.readouterr().out
    assert len(longer.metrics) == 3


def test_the_schedule_of_the_finished_run_goes_on(capsys):
    fdi.run("scheduler=cosine", **SMALL | EPOCHS[2])
    capsys.readouterr()
    fdi.run("scheduler=cosine", "scheduler.T_max=2", **SMALL | EPOCHS[3])
    assert "goes on after the 2 epochs" in " ".join(capsys.readouterr().out.split())


def test_other_values_seeds_and_longer_runs_are_left_alone(capsys):
    fdi.run("optimizer.lr=0.01", **SMALL | EPOCHS[3])
    fdi.run(**SMALL | EPOCHS[1], seed=1)
    capsys.readouterr()
    fdi.run(**SMALL | EPOCHS[2])
    assert "goes on" not in capsys.readouterr().out
