"""Runs whose targets are numbers, or classes of each step, from the data to the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from making import one_line

import fdi
from fdi.analysis.collect import metric_of
from fdi.analysis.summary import caption, readable, summarize
from fdi.runner import build

SAMPLES, T, UNITS = 60, 12, 5
SMALL = ["engine=reference", "model.hidden=8", "trainer.epochs=2", "trainer.batch_size=20"]
SMALL += ["dataset.dt=0.002", "threads=1", "homeostasis=none", "probe=none"]
SQUARE = "objective=mean_square"

OWN = """
from dataclasses import dataclass
from fdi.snn.objective import Loss

@dataclass(frozen=True)
class Far(Loss):
    power: float = 1.0

    def each(self, prediction, target):
        return (prediction - target).abs().pow(self.power).sum(-1)
"""


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def spikes() -> np.ndarray:
    return (rng().random((SAMPLES, T, UNITS)) < 0.4).astype(np.uint8)


def numbers(*steps: int) -> np.ndarray:
    return rng().normal(size=(SAMPLES, *steps, 2)).astype(np.float32)


def classes() -> np.ndarray:
    return rng().integers(0, 3, (SAMPLES, T))


def mask() -> np.ndarray:
    return np.arange(T) < rng().integers(4, T, SAMPLES)[:, None]


def run(results: Path, y: np.ndarray, *words: str, **more: Any) -> Any:
    data = {"x": spikes(), "y": y, **more}
    return fdi.run(*SMALL, *words, data=data, results=results)


@pytest.mark.parametrize(
    ("words", "y", "metric", "columns"),
    [
        ([SQUARE, "trainer.readout=last"], numbers(), "R2", ["target/0", "target/1"]),
        ([SQUARE, "trainer.readout=every"], numbers(T), "R2", ["step", "target/0", "target/1"]),
        (
            [SQUARE, "objective.metric=sMAPE", "trainer.readout=every"],
            numbers(),
            "sMAPE",
            ["step", "target/0", "target/1"],
        ),
        ([SQUARE, "objective.metric=error", "trainer.readout=mean"], numbers(), "error", []),
        (["trainer.readout=every"], classes(), "accuracy", ["step", "label", "predicted"]),
    ],
)
def test_a_run_is_judged_by_what_its_objective_says(tmp_path, words, y, metric, columns):
    done = run(tmp_path, y, *words)
    assert done.result[f"test_{metric}_last"] is not None
    assert f"valid/{metric}" in done.metrics
    assert f"test {metric}" in repr(done)
    table = done.predictions()
    assert {"sample", "readout/0", *columns} <= set(table)
    assert len(table) == 12 * (T if "step" in columns else 1)
    row = fdi.results(tmp_path).iloc[0]
    assert row["test_accuracy_last"] == done.result[f"test_{metric}_last"]


def test_words_of_steps_are_classes_and_a_mask_takes_steps_away(tmp_path):
    words = np.array(["a", "b", "c"])[classes()]
    there = mask()
    one = run(tmp_path, classes(), "trainer.readout=every", mask=there)
    other = run(tmp_path, words, "trainer.readout=every", mask=there)
    assert one.result["test_accuracy_last"] == other.result["test_accuracy_last"]
    hidden = np.where(there, classes(), 2 - classes())  # what is masked does not matter
    again = run(tmp_path / "again", hidden, "trainer.readout=every", mask=there)
    assert again.result["test_accuracy_last"] == one.result["test_accuracy_last"]
    assert again.result["train_loss_last"] == one.result["train_loss_last"]


@pytest.mark.parametrize("readout", ["max", "mean", "last", "every"])
def test_a_class_with_a_mask_is_read_out_of_the_steps_that_count(tmp_path, readout):
    y = rng().integers(0, 3, SAMPLES)
    done = run(tmp_path, y, f"trainer.readout={readout}", mask=mask())
    assert 0 <= done.result["test_accuracy_last"] <= 1


def test_an_objective_of_your_own(tmp_path):
    (tmp_path / "mine.py").write_text(OWN)
    words = ["objective._target_=mine.Far", "+objective.power=2", "trainer.readout=last"]
    own: Any = fdi.run(
        *SMALL, *words, data=(spikes(), numbers()), results=tmp_path, config_dir=tmp_path
    )
    square = run(tmp_path, numbers(), SQUARE, "objective.metric=error", "trainer.readout=last")
    assert own.result["metric"] == {"name": "error", "unit": "", "lower": True}
    scale = own.result["test_error_last"] / square.result["test_error_last"]
    assert scale == pytest.approx(2, rel=0.3)  # a sum in place of a mean of two
    assert own.directory != square.directory


def test_the_compiled_engine_trains_as_the_reference(tmp_path):
    words = [SQUARE, "trainer.readout=every"]
    one, other = (
        run(tmp_path, numbers(T), *words, f"engine={engine}") for engine in ("cpu", "reference")
    )
    first, second = (each.result["train_loss_last"] for each in (one, other))
    assert first == pytest.approx(second, rel=1e-4)


def test_the_best_epoch_is_the_one_with_the_lowest_error(tmp_path):
    words = [SQUARE, "objective.metric=error", "trainer.readout=last", "trainer.epochs=6"]
    done = run(tmp_path, numbers(), *words)
    assert done.result["valid_error_best"] == done.metrics["valid/error"].min()
    assert done.result["best_epoch"] == done.metrics["valid/error"].idxmin() + 1


@pytest.mark.parametrize("metric", ["R2", "error"])
def test_tables_know_which_way_is_better(tmp_path, metric):
    for init in ("fluct", "kaiming"):
        for seed in range(3):
            words = [SQUARE, f"objective.metric={metric}", f"init={init}", f"seed={seed}"]
            run(tmp_path, numbers(), "trainer.readout=last", *words)
    runs = fdi.results(tmp_path)
    summary = summarize(runs)
    row = summary[summary["init"] == "fluct"].iloc[0]
    way = -1 if metric != "R2" else 1
    wanted = "undecided" if row["versus_p"] >= 0.05 else {1: "better", -1: "worse"}
    found = wanted if isinstance(wanted, str) else wanted[int(np.sign(way * row["versus"]))]
    assert row["verdict"] == found
    assert metric_of(runs).sign == way
    text = readable(summary)
    assert list(text["judged by"]) == [str(metric_of(runs))] * 2
    assert "as each row is judged" in caption(summary)


def test_cross_entropy_is_no_part_of_the_identity_of_a_run(tmp_path):
    from fdi.config.identity import run_id

    done = run(tmp_path, rng().integers(0, 3, SAMPLES))
    before = {key: value for key, value in done.config.items() if key != "objective"}
    assert run_id(before) == run_id(done.config)
    assert build.loss(done.config).judged_by.name == "accuracy"
    assert [*fdi.results(tmp_path)["objective._target_"]] == ["fdi.snn.objective.CrossEntropy"]


@pytest.mark.parametrize(
    ("y", "words", "line"),
    [
        (numbers(), [], "the targets of these data are numbers; choose objective=mean_square"),
        (classes(), [SQUARE], "the targets of these data are classes; choose objective=cross_entr"),
        (classes(), [], "differ from step to step; choose trainer.readout=every"),
        (numbers(T), [SQUARE], "differ from step to step; choose trainer.readout=every"),
        (numbers(T)[:, 1:], [SQUARE], "targets of 11 steps in the train split, of trials of 12"),
        (numbers()[:, 0], [], r"numbers that are no classes; give them as \(samples, outputs\)"),
        (numbers() * 0, [SQUARE], "nothing to learn"),
        (np.full((SAMPLES, T), -2), [], "is outside"),
        (numbers() + np.inf, [SQUARE], "infinite numbers"),
        (numbers(), [SQUARE, "objective.metric=r2"], "objective.metric = r2 must be R2 or sMAPE"),
        (numbers(), [SQUARE, "trainer.label_smoothing=0.1"], "is of objective=cross_entropy"),
    ],
)
def test_targets_that_do_not_fit_are_one_line(tmp_path, y, words, line):
    with one_line(line):
        run(tmp_path, y, *words)


def test_masks_that_do_not_fit_are_one_line(tmp_path):
    for given, line in (
        (mask().astype(int), "its mask must be bool"),
        (mask()[:, 1:], "12 steps, and 11 in its mask"),
        (mask() & False, "a sample without a step that counts"),
    ):
        with one_line(line):
            run(tmp_path, classes(), "trainer.readout=every", mask=given)
