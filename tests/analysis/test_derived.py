"""Columns that are made of others."""

from __future__ import annotations

import pandas as pd

from fdi.analysis.derived import COLUMNS, guesses, unbounded, with_layers
from fdi.analysis.results import with_origin
from fdi.init import baselines
from fdi.study.contrasts import depth


def test_bounds_of_strength_0_are_none():
    names = ("joint", "prime_epochs", "upper.strength", "lower.strength")
    rows = [(False, 0, 0.1, 100), (True, 0, 0, 0), (True, 0, 0.1, 0), (False, 5, 0, 1), (None,) * 4]
    runs = pd.DataFrame(rows, columns=[f"homeostasis.{name}" for name in names])
    assert unbounded(runs).index.tolist() == [0, 1, 4]


def test_a_fresh_optimizer_after_priming_is_a_condition_of_its_own():
    """Before numerics 3 all were fresh, whatever the neutral value of the key says."""
    runs = pd.DataFrame(
        {
            "homeostasis.prime_epochs": [0, 6, 6, 0, 6, 0],
            "homeostasis.joint": [False, False, False, True, True, True],
            "homeostasis.fresh_optimizer": [True, False, True, True, False, False],
            "numerics": [3, 3, 3, 3, 1, "unknown of 01234567"],
        }
    )
    prime, both = "prime, reset optimizer", "prime + joint, reset optimizer"
    found = [*COLUMNS["homeostasis"].of(runs)]
    assert found == ["none", "prime", prime, "joint", both, "joint"]


def test_excitatory_and_inhibitory_neurons_are_one_layer():
    run = {"rate/e1": 8.0, "rate/i1": 9.0, "rate/h2": float("nan"), "n": 1}
    assert depth(run) == 1
    assert with_layers(pd.DataFrame([run]))["layers"].tolist() == [1]
    assert with_layers(pd.DataFrame({"n": [1]}))["layers"].tolist() == [0]


def test_what_is_not_known_is_no_guess():
    runs = {
        "test_accuracy_last": [0.1, 0.2, 0.1],
        "classes": 10,
        "test_samples": [1000, 1000, None],
    }
    assert guesses(pd.DataFrame(runs)).tolist() == [True, False, False]


def test_baselines_are_those_of_fdi():
    targets = ["fdi.init.baselines.Lsuv", "fdi.init.fluct.Fluct", "nowhere.Kaiming", None]
    runs = with_origin(pd.DataFrame({"init._target_": targets}), "own runs")
    assert runs["baseline"].tolist() == [True, False, False, False]
    kinds = [kind for kind in vars(baselines).values() if isinstance(kind, type)]
    own = [kind for kind in kinds if kind.__module__ == baselines.__name__]
    assert [kind for kind in own if not issubclass(kind, baselines.Baseline)] == []
    assert baselines.Baseline.baseline
