"""experiment=best: a step size for each initial state, chosen on validation, then a comparison."""

from __future__ import annotations

import json
import runpy
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from commands import TINY, fail, records, trials_and_tests, write_classes
from omegaconf import OmegaConf

import fdi.conf
from fdi.analysis.best import each_at_its_best, networks
from fdi.analysis.results import own
from fdi.study.measured import read_export
from fdi.track.process import lock

FEW = ("tune.seeds=[1000]", "tune.short=2", "tune.keep=1", "tune.extend=0", "optimizer=sgd")
WORDS = (
    *("-m", "experiment=best", "init=kaiming,fluct", "seed=0", "dataset=arrays"),
    *("model.hidden=8", "trainer.epochs=4", "trainer.batch_size=4", "threads=1", "probe=none"),
    *("dataset.file=data.npz", "dataset.valid=0.3", "tune.values=[1e-6,1]", *FEW),
)
STEP = "optimizer.lr"
SCRIPT = Path(__file__).parents[2] / "scripts" / "study" / "export_reference.py"


@pytest.fixture
def data(tmp_path) -> None:
    write_classes(tmp_path)


def decision(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("results/choices/*/choice.json")
    return json.loads(path.read_text())


def chosen(content: dict[str, Any]) -> dict[str | None, float]:
    """Initial state -> step; of what all have in common the name is None."""
    return {side["init"]: side["candidate"][STEP] for side in content["sides"]}


def test_each_gets_the_step_that_validation_prefers_and_is_compared_with_other_seeds(
    fdi_run, tmp_path, data
):
    said = fdi_run(*WORDS, "dry_run=true")
    assert (said.code, {path.name for path in tmp_path.iterdir()}) == (0, {"data.npz"})
    assert "optimizer.lr for 2 arms: about " in said.out
    found = fdi_run(*WORDS)
    assert found.code == 0, found.err
    assert said.out.partition(" compared")[0] in found.out
    assert "each at its best" in found.out
    assert ", n=1" in found.out
    assert "nan" not in found.out
    *_, told, command = found.out.splitlines()
    assert "decides nothing" in told
    _, more = command.split(": ", 1)
    assert shlex.split(more)[1:] == [*(w for w in WORDS if w != "seed=0"), "seed=range(5)"]
    assert fdi_run(*shlex.split(more)[1:], "dry_run=true").code == 0
    tried, _ = trials_and_tests(tmp_path / "results")
    content = decision(tmp_path)
    for side in content["sides"]:
        whole = {t[STEP]: t["accuracy"] for t in side["trials"] if t["epochs"] == 4}
        assert whole[side["candidate"][STEP]] == side["accuracy"] == max(whole.values())
        inits = [side["init"]] if side["init"] else ["kaiming", "fluct"]
        measured = [
            run.result["valid_accuracy_last"]
            for run in tried
            if (run.config["name"]["init"] in inits and run.result)
            and (run.config["trainer"]["epochs"], run.config["optimizer"]["lr"])
            == (4, side["candidate"][STEP])
        ]
        assert side["accuracy"] == pytest.approx(np.mean(measured))
    table = each_at_its_best(own(tmp_path / "results"))
    assert table["setting"].tolist() == ["common", "shared", "best"] * 2
    steps = table.set_index(["setting", "init"])[STEP]
    assert steps["common"].tolist() == [0.025, 0.025]
    assert set(steps["shared"]) == {chosen(content)[None]}
    assert steps["best"].to_dict() == {k: v for k, v in chosen(content).items() if k}
    best = table[table["setting"] == "best"]
    assert (best["validated"] > 90).all()
    assert (best["mean"] < 30).all(), "validation and test disagree"

    runpy.run_path(str(SCRIPT))["export"](tmp_path / "results", tmp_path / "reference")
    published = each_at_its_best(read_export(tmp_path / "reference"))
    assert published["mean"].tolist() == pytest.approx(table["mean"].tolist(), rel=1e-4)

    runs = records(tmp_path / "results")
    gone = next(path for path, run in runs.items() if run in tried)
    shutil.rmtree(gone)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("run.json")}
    assert fdi_run(*WORDS).code == 0
    assert decision(tmp_path) == content
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("run.json")}
    assert {path for path in after if after[path] != before.get(path)} == {gone / "run.json"}


def test_the_first_line_says_what_the_budget_leaves_of_the_epochs_that_are_tuned(
    fdi_run, tmp_path, data
):
    words = [*(word for word in WORDS if word != "trainer.epochs=4"), "dry_run=true"]
    alone = ("dataset=arrays", "dataset.file=data.npz", "--cfg", "job")
    tuned, whole = (
        OmegaConf.create(fdi_run(*alone, *more).out).trainer.epochs
        for more in ((), ("model=recurrent", "trainer.epochs=7"))
    )
    said = f"trains 15 of the {tuned} epochs that conf/tuned gives (budget=laptop)"
    assert whole == 7 < 15 < tuned
    assert said in fdi_run(*words, "budget=laptop").out.splitlines()[0]
    for more in ((), ("budget=paper",), ("budget=laptop", "trainer.epochs=7")):
        assert "conf/tuned" not in fdi_run(*words, *more).out, "nothing is shortened"
    best = OmegaConf.load(Path(fdi.conf.__file__).parent / "experiment" / "best.yaml")
    of_own: dict[str, Any] = {"defaults": [{"own": "${budget}"}, {"override /dataset": "arrays"}]}
    of_own |= {"dataset": {"file": "data.npz"}, "tune": best.tune}
    short = tmp_path / "mine" / "experiment" / "own" / "laptop.yaml"
    short.parent.mkdir(parents=True)
    for path, node in (
        (short, {"trainer": {"epochs": 9}}),
        (short.parents[1] / "own.yaml", of_own),
    ):
        path.write_text(f"# @package _global_\n{OmegaConf.to_yaml(node)}")
    own = (
        "-m",
        "--config-dir=mine",
        "experiment=own",
        "init=kaiming,fluct",
        "budget=laptop",
        "dry_run=true",
    )
    assert f"trains 9 of the {tuned} epochs" in fdi_run(*own).out.splitlines()[0]


def test_what_was_chosen_in_a_few_epochs_is_repeated_in_as_many_as_are_tuned(
    fdi_run, tmp_path, data
):
    """Where that costs less than the choice: 2 runs of 9 epochs, after 8 and more of 4."""
    for name, node in (
        ("dataset/mine", {"defaults": ["arrays"], "file": "data.npz", "valid": 0.3}),
        ("tuned/mine", {"trainer": {"epochs": 9}}),
        ("experiment/own/laptop", {"trainer": {"epochs": 4}}),
    ):
        path = tmp_path / "mine" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        package = "" if name.startswith("dataset") else "# @package _global_\n"
        path.write_text(f"{package}{OmegaConf.to_yaml(node)}")
    best = (Path(fdi.conf.__file__).parent / "experiment" / "best.yaml").read_text()
    (tmp_path / "mine" / "experiment" / "own.yaml").write_text(best.replace("- best:", "- own:"))
    given = [w for w in WORDS if not w.startswith(("dataset", "experiment", "trainer.epochs"))]
    words = (*given, "--config-dir=mine", "experiment=own", "dataset=mine", "budget=laptop")
    many = "tune.values=[1e-6,1e-4,1e-2,1]"
    found = fdi_run(*words, many)
    assert found.code == 0, found.err
    first, *_, short, long, _ = found.out.splitlines()
    assert "trains 4 of the 9 epochs that conf/tuned gives (budget=laptop); then the two" in first
    assert short.startswith("each at its best, chosen at 4 of the 9 epochs: ")
    assert long.startswith("with what was chosen, at 9 epochs: undecided between ")
    content, runs = decision(tmp_path), records(tmp_path / "results")
    whole = [run for run in runs.values() if run.config["trainer"]["epochs"] == 9]
    assert {run.config["name"]["init"]: run.config["optimizer"]["lr"] for run in whole} == {
        init: step for init, step in chosen(content).items() if init
    }
    told = [f"({run.result['test_accuracy_last']:.1%})".replace("%", " %") for run in whole]
    assert all(accuracy in long for accuracy in told)
    compared = {
        path for side in content["sides"] for of in side["settings"].values() for path in of["runs"]
    }
    assert (
        not {str(path).partition("runs/")[2] for path, run in runs.items() if run in whole}
        & compared
    )
    shutil.rmtree(tmp_path / "results")
    assert "with what was chosen" not in fdi_run(*words).out, "it would cost more than the choice"


def test_what_did_not_end_is_unknown_and_the_same_command_goes_on(
    fdi_run, tmp_path, data, monkeypatch
):
    """A full disk in the trainings of one side."""
    words = (*WORDS, "tune.values=[1e-2]")
    full = OSError(28, "No space left on device")
    with monkeypatch.context() as disk:
        fail(disk, "final_result", full, lambda c: c.name.init == "kaiming" and c.seed == 1000)
        found = fdi_run(*words)
    assert found.code == 1
    assert "not all is chosen: 1 of 1 candidates have a training that did not end" in found.err
    states = {side["init"]: side["state"] for side in decision(tmp_path)["sides"]}
    assert states.keys() == {"kaiming", "fluct"}, "nothing suits both as far as one knows"
    assert [states[init] == "unknown" for init in ("kaiming", "fluct")] == [True, False]
    table = each_at_its_best(own(tmp_path / "results"))
    assert table.groupby("init")["setting"].apply(list).to_dict() == {
        "fluct": ["common", "best"],
        "kaiming": ["common"],
    }
    assert fdi_run(*words).code == 0
    assert {side["candidate"][STEP] for side in decision(tmp_path)["sides"]} == {0.01}


def test_what_another_process_is_at_is_refused_or_not_known(fdi_run, tmp_path, data):
    words = (*WORDS, "tune.values=[1e-2]")
    fdi_run(*words)
    (folder,) = tmp_path.glob("results/choices/*")
    with lock(folder):
        found = fdi_run(*words)
    assert (found.code, found.err.count("\n")) == (2, 1)
    assert f"{folder.relative_to(tmp_path)} is being run by process" in found.err
    content = decision(tmp_path)
    gone = next(p for p, r in records(tmp_path / "results").items() if r.config["seed"] == 1000)
    shutil.rmtree(gone)
    with lock(gone):
        found = fdi_run(*words)
    assert found.code == 1
    assert "not all is chosen: 1 of 1 candidates have a training that did not end" in found.err
    assert fdi_run(*words).code == 0
    assert decision(tmp_path) == content
    (gone / "run.json").write_text("")
    assert "mend what is broken, then the same command goes on" in fdi_run(*words).err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("optimizer", "floors"),
    [("sgd", {None}), ("adam", {1e-8, 1e-16, 1e-24}), ("smorms3", {10**-e for e in (8, 16, 24)})],
)
def test_a_floor_is_chosen_where_the_optimizer_has_one(fdi_run, tmp_path, data, optimizer, floors):
    """One that has no float64 has none whose square is 0 in float32."""
    words = (*WORDS[:-1], f"optimizer={optimizer}", "tune.values=[5e-3]")
    assert fdi_run(*words).code == 0
    tried = {t.get("optimizer.eps") for side in decision(tmp_path)["sides"] for t in side["trials"]}
    assert tried >= floors
    assert optimizer == "smorms3" or tried == floors
    assert fdi_run(*words, "tune.beside=null", "paths.results=step").code == 0
    (path,) = Path("step").glob("choices/*/choice.json")
    sides = json.loads(path.read_text())["sides"]
    assert len({t.get("optimizer.eps") for side in sides for t in side["trials"]}) == 1


@pytest.mark.slow
def test_networks_that_differ_in_another_key_are_not_mixed(fdi_run, tmp_path, data):
    """Each is compared with the baseline of its own size, and named by it."""
    for hidden in (4, 9):
        fdi_run(*WORDS, f"model.hidden={hidden}", "tune.values=[5e-3]")
    results = own(tmp_path / "results")
    table = each_at_its_best(results).set_index(["settings", "init"])
    best = table[table["setting"] == "best"]
    for size in ("hidden = 4", "hidden = 9"):
        mine, other = (best.loc[(size, init)] for init in ("fluct", "kaiming"))
        assert mine["difference"] == pytest.approx(mine["mean"] - other["mean"])
    assert [len(sides) for sides in networks(results)] == [6, 6]


@pytest.mark.parametrize("text", ["", "[]", '{"sides": [{"init": "fluct", "trials": [{}]}]}'])
def test_a_damaged_decision_is_one_line_and_counts_as_none(tmp_path, caplog, text):
    path = tmp_path / "choices" / "best-0" / "choice.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert each_at_its_best(own(tmp_path)).empty
    assert caplog.messages == [
        f"{path} is left out: not a decision; fdi-run -m experiment=best writes it again"
    ]


def test_a_run_that_is_not_tested_is_in_no_table_of_test_accuracies(fdi_run):
    found = fdi_run(*TINY, "trainer.test=false")
    assert found.code == 0, found.err
    assert "validation" in found.out
    table: pd.DataFrame = own(Path("results")).runs
    assert table["state"].tolist() == ["untested"]
    assert table["test_accuracy_last"].isna().all()
