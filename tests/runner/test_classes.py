"""Classes that are rare, and classes that are taken for each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from making import one_line

import fdi
from fdi.analysis.results import own
from fdi.config.identity import run_id
from fdi.figures.catalogue import FIGURES, pages_of

RNG = np.random.default_rng(0)
LABELS = np.repeat([0, 0, 0, 1], 60)
X = (RNG.random((240, 30, 6)) < 0.05 + 0.1 * LABELS[:, None, None]).astype(np.uint8)
WORDS = {"model.hidden": 8, "threads": 1, "trainer.batch_size": 20}


def run(tmp_path, **more: Any) -> Any:
    return fdi.run(data=(X, LABELS), results=tmp_path, **{**WORDS, "trainer.epochs": 2, **more})


def test_classes_are_weighted_by_their_counts_and_runs_without_keep_their_id(tmp_path):
    alike, balanced = (run(tmp_path, **{"trainer.class_weights": w}) for w in (None, "balanced"))
    del alike.config.trainer["class_weights"]
    assert alike.directory.name == f"seed=0-{run_id(alike.config)}"
    labels = balanced.predictions()["label"]
    assert labels.mean() == pytest.approx(0.25, abs=0.05)
    given = run(tmp_path, **{"trainer.class_weights": [2 / 3, 2]})
    assert given.directory != balanced.directory != alike.directory
    losses = [each.metrics["train/loss"].iloc[0] for each in (balanced, given, alike)]
    assert losses[0] == pytest.approx(losses[1], rel=0.01)
    assert losses[0] != losses[2]


def test_the_test_set_is_counted_by_class_and_predicted_class(tmp_path):
    done = [run(tmp_path, init=init, seed=s) for init in ("fluct", "kaiming") for s in (0, 1)]
    for each in done:
        found, table = np.array(each.result["confusion"]), each.predictions()
        wanted = np.zeros((2, 2), int)
        np.add.at(wanted, (table["label"], table["predicted"]), 1)
        np.testing.assert_array_equal(found, wanted)
        right = found.trace() / found.sum()
        assert right == pytest.approx(each.result["test_accuracy_last"])
        bits = np.unpackbits(np.frombuffer(bytes.fromhex(each.result["hits"]), np.uint8))
        assert [*bits[: len(table)]] == [*(table["label"] == table["predicted"])]
    (page,) = pages_of(FIGURES["confusion"], own(tmp_path)).values()
    shares = page[page["init"] == "kaiming"].pivot(index="x", columns="predicted", values="mean")
    counts = [np.array(each.result["confusion"]) for each in done[2:]]
    wanted = np.mean([100 * n / n.sum(1, keepdims=True) for n in counts], 0)
    np.testing.assert_allclose(shares, wanted)
    drawn = fdi.figures.draw("confusion", tmp_path)
    assert [panel.get_title(loc="left") for panel in drawn.axes][-1] == "accuracy of each class (%)"
    assert "; n\xa0=\xa02 seeds;" in " ".join(text.get_text() for text in drawn.texts)
    assert {panel.get_xlim()[0] for panel in fdi.figures.draw("operations", tmp_path).axes} == {0}


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ({"trainer.class_weights": [1, 2, 3]}, r"trainer\.class_weights = \[1,2,3\] must be b"),
        ({"trainer.class_weights": [0, 0]}, r"one for each class, not all 0$"),
        (
            {"trainer.class_weights": "even"},
            r"trainer\.class_weights = even must be balanced, or",
        ),
    ],
)
def test_weights_that_are_none_are_one_line(tmp_path, words, line):
    with one_line(line):
        run(tmp_path, **words)
