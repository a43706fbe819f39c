"""The cells of a sweep in this process: what is told of them, and what is left."""

from __future__ import annotations

import gc
import json
import re
import weakref
from pathlib import Path

from commands import TINY, fail, records

from fdi.cli.status import main as status_main
from fdi.cli.task import run_cell
from fdi.runner import story
from fdi.track.process import lock

SWEEP = ("-m", *TINY)
NAN = RuntimeError("the loss is nan in epoch 1, batch 1")


def test_a_sweep_ends_in_a_table(fdi_run):
    found = fdi_run(*SWEEP, "seed=1,3", "model.depth=1,2")
    assert found.code == 0
    lines = [" ".join(line.split()) for line in found.out.splitlines()]
    assert "randman, dense, fluct" in lines
    assert "depth n mean sd 95 % rates (Hz)" in lines
    for depth in "12":
        assert any(re.match(rf"{depth} 2 [\d.]+ [\d.]+ \S+ h1 [\d.]+", line) for line in lines)
    assert "4 cells: 4 done" in lines


def test_a_sweep_says_a_line_a_cell(fdi_run, monkeypatch):
    """Also where the clock of this machine is ahead of that of its file system."""
    monkeypatch.setattr("time.time", lambda: 1e10)
    found = fdi_run(*SWEEP, "init=kaiming,fluct", "seed=3,4")
    lines = [line for line in found.out.splitlines() if line.startswith("cell ")]
    assert [line.partition("/")[0] for line in lines] == [f"cell {i}" for i in range(1, 5)]
    words = r"%s seed=%s  [\d.]+ %% [\d.]+ s"
    assert re.fullmatch(f"cell 1/4  {words % ('kaiming', 3)}, [\\d.]+ s left", lines[0])
    assert re.fullmatch(f"cell 4/4  {words % ('fluct', 4)}", lines[-1])


def test_overrides_may_stand_on_both_sides_of_a_flag(fdi_run):
    assert "2 cells: 2 done" in fdi_run("model=dense", "-m", *TINY, "seed=1,2").out


def test_a_failure_stops_no_other_cell_and_is_told(fdi_run, monkeypatch):
    with monkeypatch.context() as broken:
        fail(broken, "train", NAN, lambda config: config.seed == 1)
        found = fdi_run(*SWEEP, "seed=0,1,2")
    assert found.code == 1
    assert found.err == "", "the sweep prints it"
    *_, failure, count = found.out.splitlines()
    assert failure.startswith("failed  results/runs/randman/dense/fluct/seed=1-")
    assert failure.endswith("RuntimeError: the loss is nan in epoch 1, batch 1")
    assert count == "3 cells: 2 done, 1 failed"
    again = fdi_run(*SWEEP, "seed=0,1,2")
    assert again.out.startswith("2 of 3 already done, skipped\n")
    assert again.code == 0


def test_a_cell_that_another_process_runs_is_left_to_it(fdi_run):
    directory = Path(fdi_run(*SWEEP, "seed=0,1", "dry_run=true").out.split()[3])
    with lock(directory):
        found = fdi_run(*SWEEP, "seed=0,1")
    assert found.code == 1
    assert found.out.splitlines()[-3:] == [
        f"running elsewhere  {directory}",
        "2 cells: 1 done, 1 running elsewhere",
        "when the other process has ended, give the same command again for the rest",
    ]


def test_what_is_left_starts_again_when_a_launcher_loses_a_worker(fdi_run, monkeypatch):
    """As long as that brings some cell further, and once more."""
    launches = []

    def launch(arguments, cells, *_):
        launches.append([cell.config.seed for cell in cells])
        if len(launches) < 3:
            run_cell(cells[0], sweep=True)
        raise RuntimeError("a worker was killed. It was worker 7.")

    monkeypatch.setattr("fdi.cli.sweep.launch", launch)
    found = fdi_run(*SWEEP, "seed=range(4)")
    assert launches == [[0, 1, 2, 3], [1, 2, 3], [2, 3], [2, 3]]
    assert found.code == 1
    assert found.err.splitlines() == ["fdi-run: RuntimeError: a worker was killed"] * 4
    assert found.out.splitlines()[-1] == "4 cells: 2 done, 2 not run yet"


def test_a_failed_cell_leaves_no_memory_behind(fdi_run, monkeypatch):
    class Big:
        pass

    kept = []

    def run(config, directory, *_):
        big = Big()
        kept.append(weakref.ref(big))
        raise RuntimeError(f"seed {config.seed}")

    monkeypatch.setattr(story, "execute", run)
    assert fdi_run("-m", "seed=0,1").code == 1
    gc.collect()
    assert [reference() for reference in kept] == [None, None]


def test_a_sweep_leaves_its_plan_for_fdi_status(fdi_run):
    words = ("-m", "experiment=quickstart", "init=fluct", "seed=0,1", *TINY)
    fdi_run(*words)
    (plan,) = Path("results/sweeps").glob("quickstart-*.json")
    content = json.loads(plan.read_text())
    assert content["command"].startswith("fdi-run -m experiment=quickstart init=fluct seed=0,1")
    assert {Path("results") / place for place in content["cells"]} == {*records(Path("results"))}
    first = next(iter(content["cells"].values()))
    assert {"init=fluct", "experiment=quickstart", "seed=0"} <= {*first}


def test_what_fails_after_an_epoch_stays(fdi_run, monkeypatch):
    fail(monkeypatch, "final_result", ValueError("no"))
    assert fdi_run(*TINY, "seed=0").code == 2
    assert fdi_run(*SWEEP, "seed=1,2").code == 1
    assert [run.refused for run in records(Path("results")).values()] == [True] * 3


def test_a_refused_cell_has_one_word_and_no_columns_of_its_own(fdi_run):
    """In the sweep, its summary, fdi-status, fdi-table and another dry run."""
    words = (*SWEEP, "seed=0,1", "dataset.max_train=7,null")
    swept = fdi_run(*words)
    assert swept.code == 1
    assert swept.out.count("  refused: valid = ") == 2
    assert swept.out.splitlines()[-1] == "4 cells: 2 done, 2 refused"
    rows = [" ".join(line.split()) for line in swept.out.splitlines()]
    assert "max_train n not finished mean sd 95 % rates (Hz)" in rows
    assert "7 0 2 refused - - -" in rows
    assert fdi_run(*words, "dry_run=true").out.splitlines()[4] == rows[-1]
    status = fdi_run(main=status_main)
    assert "init   cells  done  refused" in status.out
    assert status.out.count("\nrefused  results/runs/randman/dense/fluct/seed=") == 2
    assert "not run yet" not in status.out
    assert "the same command" not in status.out


def test_what_options_of_ones_own_say_cannot_steer_a_terminal(fdi_run, tmp_path):
    (tmp_path / "mine/optimizer").mkdir(parents=True)
    (tmp_path / "mine/optimizer/odd.yaml").write_text('"\\e[2J": 1\n')
    found = fdi_run("--config-dir", "mine", "optimizer=odd", "init=\x1b[31m")
    assert found.code == 2
    assert "\x1b" not in found.err + found.out
