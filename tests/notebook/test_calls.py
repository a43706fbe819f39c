"""fdi.run, fdi.sweep, fdi.probe and their tables: what the commands do, from Python."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import making
import numpy as np
import pandas as pd
import pytest
import torch
from making import one_line
from matplotlib.figure import Figure

import fdi
from fdi.analysis.summary import summarize
from fdi.notebook.calls import sweep_words, text

SMALL: dict[str, Any] = making.SMALL | {"model.hidden": 16, "trainer.epochs": 3}
pytestmark = pytest.mark.usefixtures("here")


def test_a_run_is_that_of_the_command(capsys, monkeypatch):
    from fdi.cli.run import main

    words = [f"{key}={value}" for key, value in SMALL.items()]
    monkeypatch.setattr(sys, "argv", ["fdi-run", "init=kaiming", *words])
    assert main() == 0
    (directory,) = Path("results").rglob("seed=0-*")
    before = (directory / "metrics.csv").read_bytes()
    capsys.readouterr()
    run = fdi.run("init=kaiming", **SMALL)
    assert run.directory == directory
    assert (directory / "metrics.csv").read_bytes() == before
    assert capsys.readouterr().out == ""  # already done
    loaded = fdi.load(directory).result
    assert run.result is not None
    assert loaded is not None
    assert run.result["test_accuracy_last"] == loaded["test_accuracy_last"]
    assert run.network.weights()["input->h1"].shape == (16, 20)
    accuracy = f"{100 * run.result['test_accuracy_last']:.1f} %"
    assert repr(run) == f"<run {directory}: 3 epochs, test accuracy {accuracy}>"
    one, unfinished = replace(run, metrics=run.metrics[:1]), replace(run, result=None)
    assert ": 1 epoch, test" in repr(one)
    assert repr(unfinished).endswith(": 3 epochs, not finished>")


def test_a_run_leaves_torch_its_threads_and_says_how_it_goes(capsys):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        fdi.run(results="elsewhere", **SMALL)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert "epoch 3/3" in capsys.readouterr().out
    assert len(list(Path("elsewhere").rglob("run.json"))) == 1
    assert not Path("results").exists()


def test_a_sweep_is_a_table_in_its_own_order(capsys):
    runs = fdi.sweep(init=["kaiming", "fluct"], seed=range(2), **SMALL)
    assert list(zip(runs["init"], runs["seed"].astype(int))) == [
        ("kaiming", 0),
        ("kaiming", 1),
        ("fluct", 0),
        ("fluct", 1),
    ]
    assert set(runs["state"]) == {"done"}
    assert fdi.results().shape == runs.shape
    assert len(fdi.curves(runs)) == 4 * 3
    assert "4 cells: 4 done" in capsys.readouterr().out
    plan = next(Path("results/sweeps").glob("*.json")).read_text()
    assert "fdi-run -m init=kaiming,fluct seed=0,1 dataset.classes=2" in plan
    again = fdi.sweep(init=["kaiming", "fluct"], seed=range(3), **SMALL)
    assert "4 of 6 already done, skipped" in capsys.readouterr().out
    assert len(again) == 6


def test_a_sweep_says_what_failed_and_goes_on(capsys):
    runs = fdi.sweep(**{**SMALL, "optimizer": "sgd", "+optimizer.weight_decay": [0.0, 1e30]})
    assert list(runs["state"]) == ["done", "failed"]
    assert runs["error"].iloc[1].startswith("Diverged: ")


def test_the_probe_is_a_table_with_a_verdict(capsys):
    table = fdi.probe("model.depth=2", init="kaiming", **SMALL)
    assert list(table["population"]) == ["h1", "h2", "readout"]
    assert table["verdict"].iloc[1] == "silent"
    assert table["target_sigma_u"].dtype == float
    said = capsys.readouterr().out
    assert "h1 is silent" in said
    assert "Hz  silent" not in said
    assert not list(Path("results").rglob("metrics.csv"))
    again = fdi.probe("model.depth=2", init="kaiming", **SMALL)
    pd.testing.assert_frame_equal(table, again)


@pytest.mark.slow
def test_figures_are_those_of_matplotlib():
    learning = {"model.hidden": 64, "dataset.samples": 200, "optimizer.lr": 0.02}
    runs = fdi.sweep(**SMALL | learning | {"trainer.epochs": 6})
    figure = fdi.figures.draw("learning_curves", runs)
    assert isinstance(figure, Figure)
    assert figure._repr_png_()[0][:4] == b"\x89PNG"
    assert fdi.figures.draw("learning_curves").axes
    with pytest.raises(ValueError, match=r"^learning_curves has no page shd; choose"):
        fdi.figures.draw("learning_curves", runs, page="shd")
    with pytest.raises(ValueError, match=r"^no figure lern; choose one"):
        fdi.figures.draw("lern")
    with pytest.raises(ValueError, match=r"^depth needs runs with at least two values"):
        fdi.figures.draw("depth", runs)


NOT_RUNS = pd.DataFrame({"init": ["kaiming"]})
MISSPELT: dict[str, Any] = {"trainer.epoch": 3}


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: fdi.run(**MISSPELT), "trainer.epoch: no such key; did you mean"),
        (lambda: fdi.run(3), "3 must be a word such as"),  # type: ignore[arg-type]
        (lambda: fdi.run("probe=only"), "probe = only trains nothing; use fdi.probe"),
        (lambda: fdi.run("dry_run=true"), "dry_run = true is for fdi-run"),
        (lambda: fdi.run(config_dir="nowhere"), "--config-dir nowhere is not a folder"),
        (lambda: fdi.sweep(seed=[]), "seed has no values"),
        (lambda: fdi.sweep(seed=[0, "a"]), "seed = a must be an integer"),
        (lambda: fdi.results("nowhere"), "no runs in nowhere/runs; make some"),
        (lambda: fdi.curves(NOT_RUNS), "the table of runs lacks the columns path, dataset, model,"),
        (lambda: summarize(NOT_RUNS), "the table of runs lacks the columns path, dataset, model,"),
        (
            lambda: fdi.figures.draw("learning_curves", NOT_RUNS),
            "the table of runs lacks the columns path, dataset, model, seed, id, state, test_accu",
        ),
    ],
)
def test_what_cannot_run_is_one_line_and_leaves_nothing(call, line):
    with one_line(f"^{re.escape(line)}"):
        call()
    assert list(Path().iterdir()) == []


def test_an_option_changed_between_two_calls_counts():
    folder = Path("conf/init")
    folder.mkdir(parents=True)
    for sigma_u in (0.5, 2.0):
        (folder / "mine.yaml").write_text(
            f"_target_: fdi.init.fluct.Fluct\nsigma_u: {sigma_u}\nnu: auto\nalpha: 0.9\n"
        )
        table = fdi.probe(init="mine", config_dir="conf", **SMALL)
        assert table["target_sigma_u"].iloc[0] == sigma_u


def test_values_become_words():
    plain = {"null": None, "true": True, "0.001": 1e-3, "0.5": np.float32(0.5), "3": np.int64(3)}
    plain |= {"[16,32]": [16, 32], "fluct": "fluct", "'a b,c'": "a b,c", r"'it\'s'": "it's"}
    plain |= {"'null'": "null", "'12'": "12", "/tmp/x": Path("/tmp/x")}
    assert {word: text(value) for word, value in plain.items()} == {word: word for word in plain}


def test_several_values_become_a_sweep():
    found = sweep_words({"seed": np.arange(2), "model.hidden": [[16, 8], 4], "init": "fluct"})
    assert found == ["seed=0,1", "model.hidden=[16,8],4", "init=fluct"]


@pytest.mark.slow
def test_threads_take_turns():
    alone = [fdi.run(seed=seed, results="alone", **SMALL).result for seed in range(3)]
    with ThreadPoolExecutor(3) as pool:
        runs = pool.map(lambda seed: fdi.run(seed=seed, **SMALL), range(3))
        tables = pool.map(lambda init: fdi.sweep(seed=range(2), init=init, **SMALL), INITS)
        together = [run.result for run in runs]
        assert [len(table) for table in tables] == [2, 2]
    for one, other in zip(alone, together):
        assert one
        assert other
        assert one | {"seconds": 0} == other | {"seconds": 0}


INITS = ("kaiming", "fluct")
PROGRAM = """
import fdi, hydra, joblib
from hydra.core.hydra_config import HydraConfig

@hydra.main(version_base="1.2", config_path=None, config_name=None)
def main(config):
    small = dict(SMALL)
    assert fdi.run(**small).result
    assert len(fdi.sweep(seed=range(2), **small)) == 2
    parallel = joblib.Parallel(n_jobs=2, prefer="threads")
    runs = parallel(joblib.delayed(fdi.run)(seed=seed, **small) for seed in (2, 3))
    assert all(run.result for run in runs)
    print(HydraConfig.get().job.name, HydraConfig.get().overrides.task)

main()
"""


@pytest.mark.slow
def test_a_program_with_a_hydra_of_its_own_may_call_it(tmp_path):
    (tmp_path / "mine.py").write_text(PROGRAM.replace("dict(SMALL)", repr(SMALL)))
    command = [sys.executable, "mine.py", "+x=1", "hydra.run.dir=."]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "mine ['+x=1']"
