"""What predicts who learns: known quantities in, known areas out."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fdi.analysis.results import Results
from fdi.study.predict import RATIO, area, predictors

SMORMS3 = "fdi.train.optimizers.SMORMS3"


def network(depth, runs, joint=False):
    """A network of `runs` (accuracy, gradient, eps); its other quantities are the same in all."""
    table, layers = [], []
    for number, (accuracy, gradient, eps) in enumerate(runs):
        path = f"{depth}-{number}-{joint}"
        table.append(
            {
                "path": path,
                "dataset": "randman",
                "model": "dense",
                "init": "fluct",
                "seed": number,
                "state": "done",
                "classes": 10,
                "test_samples": 1000,
                "test_accuracy_last": accuracy,
                "model.depth": depth,
                "trainer.epochs": 5,
                "homeostasis.joint": joint,
                "homeostasis.upper.strength": 0.1,
                "optimizer._target_": SMORMS3,
                "optimizer.eps": eps,
            }
            | {f"rate/h{i + 1}": 5.0 for i in range(depth)}
        )
        state = {"free_sigma": 1.0, "rate": 5.0, "silent": 0.0, "grad": gradient}
        state |= {"grad_task_max": gradient, "floor_steady": eps**0.5, "floor_noisy": eps**0.5}
        layers += [{"path": path, "population": f"h{i + 1}"} | state for i in range(depth)]
    return table, layers


def results(*networks):
    runs, layers = (pd.DataFrame([*chain(*parts)]) for parts in zip(*networks))
    return Results(runs, None, layers, Path())


def found(table, quantity):
    return table.set_index("quantity").loc[quantity]


def test_what_separates_has_an_area_of_1_and_what_is_equal_one_of_a_half():
    learns = [(0.9, 1e-3 * i, 1e-8) for i in (1, 2, 3)]
    fails = [(0.1, 1e-3 * i, 1e-2) for i in (1, 2, 3)]  # the same gradients, another floor
    table = predictors(results(network(3, learns + fails), network(5, learns + fails)), False)
    ratio = found(table, RATIO)
    assert (ratio["networks"], ratio["auc"], ratio["held_out"]) == (2, 1, 1)
    for quantity in ("rate of the last layer", "largest gradient of a layer"):
        assert found(table, quantity)["auc"] == pytest.approx(0.5)
        assert found(table, quantity)["held_out"] <= 2 / 3


def test_a_threshold_is_judged_on_a_network_that_did_not_choose_it():
    low = [(0.9 if i > 3 else 0.1, 10.0**-i, 1e-30) for i in range(1, 7)]  # the wrong way round
    high = [(0.9 if i < 4 else 0.1, 10.0**-i, 1e-30) for i in range(1, 7)]
    table = predictors(results(network(3, high), network(5, high), network(7, low)), False)
    ratio = found(table, RATIO)
    assert ratio["auc"] == pytest.approx((1 + 1 + 0) / 3)
    assert ratio["held_out"] < 1


def test_bounds_are_apart_and_networks_in_which_all_learn_say_nothing():
    learns = [(0.9, 0.1, 1e-8)] * 6
    both = results(network(3, learns), network(3, [*learns, *[(0.1, 0.2, 1e-8)] * 3], joint=True))
    free, bounded = predictors(both, False), predictors(both, True)
    assert set(free["networks"]) == {0}
    assert free["auc"].isna().all()
    assert found(bounded, "largest gradient of a layer")["auc"] == 0
    assert np.isnan(found(bounded, RATIO)["auc"]), "bounds hide the gradient of the task"


def test_ranks_are_spearmans():
    runs = [(0.1 * i, 10.0**i, 1e-8) for i in range(1, 9)]
    ratio = found(predictors(results(network(3, runs)), False), RATIO)
    assert (ratio["ranked"], ratio["rank"]) == (1, pytest.approx(1))


def test_the_area_under_the_curve_is_that_of_the_ordered_verdicts():
    table = pd.DataFrame(
        {"expected": ["yes", "yes", "doubtful", "no"], "learns": [True, False, True, False]}
    )
    assert area(table) == pytest.approx((1 + 0.5 + 1 + 0) / 4)
    assert np.isnan(area(table.assign(learns=True)))
