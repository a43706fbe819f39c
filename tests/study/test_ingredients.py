"""What carries the effect: the commands, the choice of the step, and what is said."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from compared import drawn, free_potential

from fdi.analysis.results import Results
from fdi.data.inputs import Frames
from fdi.snn.models import dense
from fdi.study import longer
from fdi.study.ingredients import ARMS, DESIGN, PAIRS, answer, by_network, commands, differences

HOUSE = Path(__file__).parents[2]
STUDY, REFERENCE = HOUSE / "scripts" / "study", HOUSE / "results" / "reference"
CHANCE = np.random.default_rng(7)
DT = 2e-3
STEPS = (0.001, 0.005, 0.025)


def test_each_arm_is_trained_at_three_steps_with_seeds_that_choose():
    published = longer.published(Results(pd.DataFrame(), None, None, REFERENCE))
    told = [*commands(published, pd.DataFrame())]
    assert len(told) == DESIGN["networks"] * len(ARMS)
    sgd = ["optimizer=sgd" in line for line in told]
    assert sgd == [" optimizer.lr=0.005,0.025,0.125 seed=0,1,1000,1001 " in line for line in told]
    assert [not of for of in sgd] == [
        " optimizer.lr=0.001,0.005,0.025 seed=0,1,1000,1001 " in line for line in told
    ]
    assert all(line.count("init=") == line.count("seed=") == 1 for line in told)
    places = {line.rpartition("paths.results=")[2].rpartition("/")[0] for line in told}
    drawn = longer.drawn(published)[: DESIGN["networks"]]
    assert places == {f"{seed}-{network}" for seed, network in drawn}


def test_a_change_is_one_of_what_it_stands_beside():
    for arm, other in PAIRS:
        assert "beside" not in ARMS[other]
        own, beside = (ARMS[name]["words"].split() for name in (arm, other))
        assert own[0] == beside[0] or own[0] == "init=lsuv_in_parts"
        assert len(own) == 2


def trainings(**ahead: float) -> pd.DataFrame:
    """Points by which each arm is ahead at its best step, the middle one."""
    rows = [
        {
            "zoo": 2,
            "network": network,
            "arm": arm,
            "optimizer.lr": step,
            "seed": seed,
            "state": "done",
            "validated": 0.5 if step == STEPS[1] else 0.4,
            "accuracy": np.nan
            if seed in DESIGN["choose"]
            else (0.5 if step == STEPS[1] else 0.9)
            + ahead.get(arm, 0) / 100
            + 0.01 * (-1) ** (network + [*ARMS].index(arm)),
            "classes": 10,
        }
        for network, arm, step, seed in product(
            range(DESIGN["networks"]), ARMS, STEPS, DESIGN["seeds"] + DESIGN["choose"]
        )
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("ahead", "said", "named"),
    [
        ({"sigma_U = 4": -20}, "The scale carries", "points) reaches less; of 10"),
        (
            {"sigma_U = 4": -20, "LSUV to 4": -30},
            "The scale carries",
            "points) and LSUV to 4 (-30.0 points) reach less;",
        ),
        ({"LSUV, normal weights": -20, "LSUV to 4": -9}, "More than the scale", "LSUV to 4 (-"),
        ({"LSUV to 1/2": 20}, "What carries the effect is undecided", "LSUV to 1/2 (+"),
    ],
)
def test_what_carries_the_effect_is_said(ahead, said, named):
    table = trainings(**ahead)
    assert answer(table).startswith(said)
    assert named in answer(table)
    assert f"of {len(PAIRS) - len(ahead)} other changes" in answer(table)
    assert len(differences(table)) == len(PAIRS) == 11


def test_validation_chooses_the_step_and_nothing_is_said_before_all_are_trained():
    table = trainings()
    assert by_network(table).mean().mean() == pytest.approx(50, abs=1), "not the best test accuracy"
    part = table[(table["network"] > 0) | (table["arm"] != "LSUV to 4")]
    assert answer(part) == f"11 of the {DESIGN['networks']} networks that tell are trained."
    assert answer(table[:0]).startswith("0 of the")
    failed = table.assign(state="failed", validated=np.nan, accuracy=np.nan)
    assert (by_network(failed) == 10).all(axis=None)


def test_the_page_lists_each_change(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(STUDY)
    from pages.confirmed import carried, carrying

    measured = Results(pd.DataFrame(), None, None, tmp_path)
    assert carrying(measured).startswith("0 of the 12")
    trainings(**{"sigma_U = 4": -20}).to_csv(tmp_path / "ingredients.csv", index=False)
    assert carried(measured).startswith("The scale carries")
    head, _, *rows = carrying(measured).strip().splitlines()
    assert head == "| weights | beside | accuracy (%) | points |"
    assert len(rows) == len(PAIRS)
    table = trainings(**{"sigma_U = 4": -20})
    table.loc[(table["network"] == 3) & (table["arm"] == "LSUV to 4"), "state"] = "refused"
    table.to_csv(tmp_path / "ingredients.csv", index=False)
    (note,) = carrying(measured).strip().splitlines()[len(PAIRS) + 3 :]
    assert "12 of 1872 trainings, of LSUV to 4" in note
    assert note.endswith("reaches less; of 10 other changes no difference is decided (n = 11).")


@pytest.mark.parametrize("part", ["normal", "centred", "as_shown"])
def test_parts_of_lsuv_are_exchanged_one_at_a_time(part, monkeypatch):
    monkeypatch.syspath_prepend(STUDY)
    from lsuv_in_parts import LsuvInParts

    spikes, steps = (CHANCE.random((32, 60, 50)) < 0.05).astype(np.uint8), 60
    network = dense((50,), 2, steps, DT, hidden=40)
    drawn(network, LsuvInParts(**{part: True}), Frames(spikes), 0.05 / DT)
    weight = network.projections[0].weight.detach().double()
    product = weight @ weight.T
    apart = (product - product.diag().diag()).abs().max() / product.diag().mean()
    assert (apart < 1e-3) == (part == "as_shown"), "orthogonal"
    assert (weight.mean(1).abs().max() < 1e-6) == (part == "centred")
    arriving = (spikes @ weight.numpy().T).transpose(1, 0, 2)
    trace = np.array(free_potential(arriving, DT))
    shown = np.sqrt(trace.var(0).mean())
    assert (shown == pytest.approx(1.0, rel=0.03)) == (part == "as_shown")
