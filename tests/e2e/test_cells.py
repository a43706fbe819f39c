"""The cells of a sweep in this process: what is told of them, and what is left."""

from __future__ import annotations

import gc
import json
import re
import weakref
from pathlib import Path

from commands import REFERENCE, SMALL, done
from fdi.track.state import lock

from fdi.track.files import write_status


def test_a_sweep_ends_in_a_table(fdi_run):
    found = fdi_run("-m", "seed=1,3", "model.depth=1,2", run=done)
    assert found.code == 0
    lines = [" ".join(line.split()) for line in found.out.splitlines()]
    for depth in "12":
        assert f"randman dense fluct {depth} 2 2.0 +- 1.4 50.0 +- 0.0 h1 12.0" in lines
    assert found.out.splitlines()[-1] == "4 cells: 4 done"


def test_a_sweep_says_a_line_a_cell(fdi_run, monkeypatch):
    """Also where the clock of this machine is ahead of that of its file system."""
    monkeypatch.setattr("time.time", lambda: 1e10)
    found = fdi_run("-m", "init=kaiming,fluct", "seed=3,4", run=done)
    lines = [line for line in found.out.splitlines() if line.startswith("cell ")]
    assert [line.partition("/")[0] for line in lines] == [f"cell {i}" for i in range(1, 5)]
    assert re.fullmatch(r"cell 1/4  kaiming seed=3  3\.0 % 12 s, [\d.]+ s left", lines[0])
    assert lines[-1] == "cell 4/4  fluct seed=4  4.0 % 12 s"


def test_overrides_may_stand_on_both_sides_of_a_flag(fdi_run):
    assert "2 cells: 2 done" in fdi_run("model=dense", "-m", "seed=1,2", run=done).out


def test_a_failure_stops_no_other_cell_and_is_told(fdi_run):
    def run(config, directory, *_):
        if config.seed == 1:
            write_status(
                directory, "failed", error="RuntimeError: the loss is nan in epoch 1, batch 1"
            )
            (directory / "run.log").write_text("Traceback")
            raise RuntimeError("the loss is nan in epoch 1, batch 1")
        return done(config, directory)

    found = fdi_run("-m", "seed=0,1,2", run=run)
    assert found.code == 1
    assert found.err == "", "the sweep prints it"
    *_, failure, count = found.out.splitlines()
    assert failure.startswith("failed  results/runs/randman/dense/fluct/seed=1-")
    assert failure.endswith("RuntimeError: the loss is nan in epoch 1, batch 1")
    assert count == "3 cells: 2 done, 1 failed"
    again = fdi_run("-m", "seed=0,1,2", run=done)
    assert again.out.startswith("2 of 3 already done, skipped\n")
    assert again.code == 0


def test_a_cell_that_another_process_runs_is_left_to_it(fdi_run):
    directory = Path(fdi_run("-m", "seed=0,1", "dry_run=true").out.split()[3])
    with lock(directory):
        write_status(directory, "running")
        found = fdi_run(
            "-m",
            "seed=0,1",
            run=lambda config, cell, *_: None if cell == directory else done(config, cell),
        )
    assert found.code == 1
    assert found.out.splitlines()[-3:] == [
        f"running elsewhere  {directory}",
        "2 cells: 1 done, 1 running elsewhere",
        "when the other process has ended, give the same command again for the rest",
    ]


def test_what_is_left_starts_again_when_a_launcher_loses_a_worker(fdi_run, monkeypatch):
    """As long as that brings some cell further, and once more."""
    launches = []

    def launch(arguments, cells, task, *_):
        launches.append([cell.config.seed for cell in cells])
        if len(launches) < 3:
            done(cells[0].config, cells[0].directory)
        raise RuntimeError("a worker was killed. It was worker 7.")

    monkeypatch.setattr("fdi.cli.sweep.launch", launch)
    found = fdi_run("-m", "seed=range(4)")
    assert launches == [[0, 1, 2, 3], [1, 2, 3], [2, 3], [2, 3]]
    assert found.code == 1
    assert found.err.splitlines() == ["fdi-run: RuntimeError: a worker was killed"] * 4
    assert found.out.splitlines()[-1] == "4 cells: 2 done, 2 not run yet"


def test_a_failed_cell_leaves_no_memory_behind(fdi_run):
    class Big:
        pass

    kept = []

    def run(config, directory, *_):
        big = Big()
        kept.append(weakref.ref(big))
        raise RuntimeError(f"seed {config.seed}")

    assert fdi_run("-m", "seed=0,1", run=run).code == 1
    gc.collect()
    assert [reference() for reference in kept] == [None, None]


def test_a_sweep_leaves_its_plan_for_fdi_status(fdi_run):
    fdi_run("-m", "experiment=quickstart", "seed=0,1", run=done)
    (plan,) = Path("results/sweeps").glob("quickstart-*.json")
    content = json.loads(plan.read_text())
    assert content["command"] == "fdi-run -m experiment=quickstart seed=0,1"
    assert all(
        (Path("results") / directory / "result.json").exists() for directory in content["cells"]
    )
    assert min(content["cells"].values()) == ["init=fluct", "experiment=quickstart", "seed=0"]


def test_a_refused_cell_of_a_sweep_leaves_nothing(fdi_run):
    sweep = ("-m", *SMALL, REFERENCE, "model=dale", "model.excitatory=8", "init=kaiming,fluct")
    found = fdi_run(*(word for word in sweep if word != "model.hidden=8"))
    assert found.code == 1
    assert found.err == ""
    refused = "  kaiming seed=0  refused: init=kaiming draws weights of both signs"
    assert found.out.count("draws weights of both signs") == found.out.count(refused) == 1
    assert found.out.splitlines()[-1] == "2 cells: 1 done, 1 refused"
    assert [path.name for path in Path("results/runs/randman/dale").iterdir()] == ["fluct"]


def test_what_fails_after_an_epoch_stays(fdi_run):
    def run(config, directory, *_):
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "metrics.csv").write_text("epoch\n1\n")
        write_status(directory, "failed", error="no", refused=True)
        raise ValueError("no")

    assert fdi_run("seed=0", run=run).code == 2
    assert fdi_run("-m", "seed=1,2", run=run).code == 1
    assert len(list(Path("results/runs/randman/dense/fluct").iterdir())) == 3


def test_control_c_ends_a_sweep_with_what_is_done(fdi_run):
    def run(config, directory, *_):
        if config.seed == 1:
            write_status(directory, "interrupted")
            raise KeyboardInterrupt
        return done(config, directory)

    found = fdi_run("-m", "seed=0,1,2", run=run)
    assert found.code == 130
    assert found.err == "fdi-run: interrupted; the same command resumes where it stopped\n"
    assert found.out.splitlines()[-1] == "3 cells: 1 done, 1 interrupted, 1 not run yet"


def test_a_sweep_whose_launcher_is_not_installed_leaves_no_plan(fdi_run, tmp_path, monkeypatch):
    def missing(*_, **__):
        raise RuntimeError("Unknown launcher 'X'")

    monkeypatch.setattr("hydra.core.plugins.Plugins.instantiate_launcher", missing)
    found = fdi_run("-m", *SMALL, "seed=0,1", "hydra/launcher=local")
    assert found.code == 2
    assert len(found.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_what_options_of_ones_own_say_cannot_steer_a_terminal(fdi_run, tmp_path):
    (tmp_path / "mine/optimizer").mkdir(parents=True)
    (tmp_path / "mine/optimizer/odd.yaml").write_text('"\\e[2J": 1\n')
    found = fdi_run("--config-dir", "mine", "optimizer=odd", "init=\x1b[31m")
    assert found.code == 2
    assert "\x1b" not in found.err + found.out
