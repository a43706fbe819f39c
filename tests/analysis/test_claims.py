"""The verdict on a claim follows from its design and from the runs."""

from __future__ import annotations

import numpy as np
import pytest
from making import write_decision

from fdi.analysis.results import own
from fdi.analysis.statistics import paired
from fdi.study.circumstances import STANDARD, circumstances, of_authors
from fdi.study.claims import claims, status
from fdi.study.contrasts import contrasts
from fdi.study.evidence import (
    AGAINST,
    DESIGNS,
    FLUCT,
    FOR,
    IDLE,
    JOINT,
    KAIMING,
    SHORT,
    WIDE,
    decide,
)
from fdi.study.published import published, quotes

ALONE = {"homeostasis.joint": False}
COUNTS = {"classes": 10, "test_samples": 1000}
RATES = {f"h{layer}": 8.0 for layer in range(1, 9)}


def rates(layers):
    return dict([*RATES.items()][:layers])


@pytest.fixture
def measured(authors_run, tmp_path):
    """Runs with these differences between fluct and kaiming, one row per claim after; `more` of
    `making.write_run`.
    """

    def build(differences, layers=1, kaiming="kaiming", base=0.5, more=(), **config):
        given = {"rates": rates(layers), "result": COUNTS} | dict(more)
        config = {"model.hidden": [128] * layers, **config}
        for seed, difference in enumerate(differences):
            authors_run("fluct", seed, base + difference, config, **given)
            authors_run(kaiming, seed, base, config, **given)
        return claims(own(tmp_path)).set_index("claim")

    return build


@pytest.mark.parametrize(
    "other",
    [
        {"scheduler": {"_target_": "torch.optim.lr_scheduler.StepLR"}},
        {"model.norm": "tdbn"},
        {"neuron.surrogate": "triangle"},
        {"neuron.beta": 5.0},
        {"readout_init": "same"},
        {"optimizer.eps": 1e-30},
        {"homeostasis.lower.strength": 0.0},
        {"homeostasis.upper.strength": 0.0},
        ALONE,
    ],
)
def test_runs_with_what_the_authors_have_not_count_in_no_claim(measured, other):
    measured([0.10, 0.11, 0.12])
    found = measured([-0.10, -0.11, -0.12], **other)
    assert found.loc[ONE_LAYER, ["status", "for it"]].tolist() == ["reproduced", "1 of 1"]


ONE_LAYER = "Networks with one hidden layer learn better than from Kaiming weights"


@pytest.mark.parametrize(
    ("differences", "said"),
    [
        ([0.10, 0.11, 0.12], "reproduced"),
        ([-0.10, -0.11, -0.12], "contradicted"),
        ([0.010, 0.011, -0.012, -0.008], "contradicted"),
        ([0.10, -0.11, 0.12], "too wide"),
        ([0.10], "too wide"),
    ],
)
def test_status_of_a_comparison(measured, differences, said):
    table = measured(differences)
    assert table.loc[ONE_LAYER, "status"] == said
    other = "Deep convolutional networks learn better than from Kaiming weights"
    assert table.loc[other, "status"] == "not run"
    assert "96.3 [K, 24 June 2022, 2cd1734]" in table.loc[ONE_LAYER, "published"]


@pytest.mark.parametrize(("cut", "data"), [(None, "randman"), (10_000, "randman (10,000 samples)")])
def test_numbers_stand_with_n_and_interval_and_say_where_data_were_cut(measured, cut, data):
    text = measured([0.10, 0.11, 0.12], **{"dataset.max_train": cut}).loc[ONE_LAYER, "measured"]
    assert text == (
        f"{data}, dense, 1 layer, 200 epochs, fluct against kaiming, both bounds: "
        "61.0 against 50.0, +11.0 (+8.5..+13.5), n = 3: for it"
    )


DEEP = "Deep networks learn better than from Kaiming weights"


def test_the_deepest_network_comes_first_and_how_many_speak_for_the_claim(measured):
    measured([0.10, -0.11, 0.12], layers=4)
    table = measured([0.10, 0.11, 0.12], layers=7)
    lines = [line.split(", ") for line in table.loc[DEEP, "measured"].splitlines()]
    said = [(line[2], line[-1].partition(": ")[2]) for line in lines]
    assert said == [("7 layers", "for it"), ("4 layers", "too wide")]
    assert table.loc[DEEP, ["status", "for it"]].tolist() == ["partly", "1 of 2"]
    assert table.loc[ONE_LAYER, "for it"] == ""


def test_a_published_network_comes_first(measured, monkeypatch):
    (deep,) = (design for design in DESIGNS["claims"] if design["claim"] == DEEP)
    monkeypatch.setitem(deep, "published", [["randman", "dense", 4]])
    measured([0.10, 0.11, 0.12], layers=7)
    table = measured([0.10, -0.11, 0.12], layers=4)
    first, second = table.loc[DEEP, "measured"].splitlines()
    assert "4 layers" in first
    assert "7 layers" in second


def test_shallow_networks_are_no_evidence_about_depth(measured):
    assert measured([0.10, 0.11, 0.12], layers=3).loc[DEEP, "status"] == "not run"


def test_networks_of_which_both_sides_guess_cannot_tell(measured):
    found = measured([0.0, 0.001, 0.0], layers=7, base=0.1).loc[DEEP]
    assert found[["status", "measured"]].tolist() == [IDLE, f"1 x {IDLE}: both arms guess"]


@pytest.mark.parametrize(
    ("batch", "cut", "said"),
    [(250, None, ""), (10_240, None, "156 of 6,400"), (25, 900, ""), (50, 900, "3,200 of 6,400")],
)
def test_a_training_shorter_than_the_authors_is_too_short(measured, batch, cut, said):
    config = {"trainer.batch_size": batch, "dataset.max_train": cut}
    if said.startswith("156"):
        config |= {"trainer.epochs": 156}  # of one update
    found = measured(
        [0.3, 0.31, 0.32], layers=7, **config, **{"dataset.valid": 0.1, "dataset.test": 0.1}
    ).loc[DEEP]
    assert found["status"] == (SHORT if said else "reproduced")
    assert f"too short: {said}" in found["measured"] or not said
    assert found["set aside"] == ("1 too short" if said else "")


@pytest.mark.parametrize(("base", "said"), [(0.6, "reproduced"), (0.1, SHORT)])
def test_networks_that_have_settled_above_chance_need_no_more_updates(measured, base, said):
    more, epochs = {"result": COUNTS | {"best_epoch": 12}}, {"trainer.epochs": 20}
    found = measured([0.9 - base + s / 100 for s in range(3)], 7, base=base, more=more, **epochs)
    assert found.loc[DEEP, "status"] == said


@pytest.mark.parametrize(("updates", "said"), [(100, SHORT), (6400, "reproduced")])
def test_what_the_record_knows_of_updates_counts_where_no_size_is_known(measured, updates, said):
    more = {"dataset": "mine", "probe": [{"population": "h1", "updates": updates}]}
    assert measured([0.30, 0.31, 0.32], more=more).loc[ONE_LAYER, "status"] == said


@pytest.mark.parametrize("model", ["dense", "recurrent", "conv", "dale"])
def test_the_bounds_of_the_authors_depend_on_the_model(model):
    run = {"model": model, **STANDARD, **JOINT, "optimizer.eps": 1e-16}
    run |= {"homeostasis.upper.strength": 0.1, "homeostasis.lower.strength": 100.0}
    both = model in ("dense", "recurrent")
    assert circumstances(run) == "both bounds, eps 1e-16"
    assert of_authors(run) == both
    assert of_authors(run | {"homeostasis.lower.strength": 0.0}) != both
    assert not of_authors(run | ALONE)


def test_the_longest_training_counts_even_of_fewer_seeds(measured):
    measured([0.10, 0.11, 0.12, 0.10, 0.11], **{"trainer.epochs": 200})
    table = measured([-0.10, -0.11, -0.12], kaiming="gain", **{"trainer.epochs": 500})
    (line,) = table.loc[ONE_LAYER, "measured"].splitlines()
    assert "500 epochs" in line
    assert "n = 3: against it" in line


RESTORES = "Homeostasis restores activity and thus training in deep networks"
BROADENS = "Homeostasis broadens the range of good initializations"
PARTLY = "Homeostasis makes up only partly for bad initializations"


@pytest.fixture
def bounded(authors_run, tmp_path):
    """Four layers with bounds in some phase and without, from Kaiming weights, and fluct with
    bounds at 90 %; one row per claim after.
    """

    def build(reached, alone=0.1, silent=1.0, rate=0.0, prime=0, joint=True, **config):
        states = [{"population": "h4", "silent": silent, "rate": rate}]
        given = {"rates": rates(4), "probe": states, "result": COUNTS}
        primed = {"homeostasis.joint": joint, "homeostasis.prime_epochs": prime}
        for seed in range(3):
            for bounds, accuracy in ((primed, reached + seed / 1000), (ALONE, alone)):
                authors_run("kaiming", seed, accuracy, config | bounds, **given)
            authors_run("fluct", seed, 0.9, config | primed, **given)
        return claims(own(tmp_path)).set_index("claim")["status"][[RESTORES, BROADENS, PARTLY]]

    return build


UPPER = {"homeostasis.lower.strength": 0.0}


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ({"reached": 0.5}, ["reproduced", "reproduced", "reproduced"]),
        ({"reached": 0.5, "prime": 6, "joint": False}, ["reproduced"] * 3),
        ({"reached": 0.5, "prime": 6}, ["reproduced"] * 3),
        ({"reached": 0.1}, ["contradicted", "contradicted", IDLE]),
        ({"reached": 0.1, **UPPER}, [IDLE, IDLE, IDLE]),
        ({"reached": 0.5, **UPPER, "rate": 50.0}, [IDLE, "reproduced", "reproduced"]),
        ({"reached": 0.5, "silent": 0.0}, [IDLE, IDLE, IDLE]),
        ({"reached": 0.7, "alone": 0.6}, [IDLE, IDLE, IDLE]),
        ({"reached": 0.1, "trainer.epochs": 15}, [SHORT, SHORT, IDLE]),
        ({"reached": 0.895}, ["reproduced", "reproduced", "contradicted"]),
    ],
)
def test_bounds_are_judged_where_they_can_act_for_as_long_as_the_authors(bounded, runs, said):
    assert bounded(**runs).tolist() == said


BAND = "A spread sigma_U of 1/3 to 1 of the threshold is best"


@pytest.mark.parametrize(
    ("reached", "said"),
    [
        ({0.2: 0.5, 0.5: 0.9, 1.0: 0.895, 2.0: 0.6}, ("reproduced", "2 of 2")),
        ({0.2: 0.5, 0.5: 0.9, 1.0: 0.6, 2.0: 0.6}, ("partly", "1 of 2")),
        ({0.2: 0.5, 0.5: 0.9, 1.0: 0.895, 2.0: 0.899}, ("partly", "1 of 2")),
        ({0.2: 0.5, 1.0: 0.895, 2.0: 0.95}, ("contradicted", "0 of 1")),
        ({0.5: 0.9, 1.0: 0.895}, ("not run", "")),
    ],
)
def test_within_the_best_spreads_all_are_as_good_and_outside_they_fail(
    authors_run, tmp_path, reached, said
):
    for seed in range(3):
        for sigma_u, accuracy in reached.items():
            given = {"config": {"init.sigma_u": sigma_u}, "result": COUNTS}
            authors_run("fluct", seed, accuracy + seed * sigma_u / 1000, **given)
    row = claims(own(tmp_path)).set_index("claim").loc[BAND]
    assert (row["status"], row["for it"]) == said


def test_a_spread_is_judged_among_runs_on_as_many_samples(authors_run, tmp_path):
    for seed in range(3):
        few = {"init.sigma_u": 1.0, "dataset.max_train": 900}
        authors_run("fluct", seed, 0.9 + seed / 1000, few | {"dataset.max_train": None})
        authors_run("fluct", seed, 0.7 + seed / 1000, few)
        authors_run("fluct", seed, 0.6, few | {"init.sigma_u": 0.2})
    assert "70.1 against 60.0, +10.1" in claims(own(tmp_path)).set_index("claim")["measured"][BAND]


@pytest.mark.parametrize(
    ("differences", "better", "same"),
    [
        ([5, 6, 7], FOR, AGAINST),
        ([-5, -6, -7], AGAINST, AGAINST),
        ([0.5, -0.4, 0.1, 0.0], AGAINST, FOR),
        ([1.0, 1.1, 1.2], AGAINST, FOR),
        ([1.5, 2.0, 2.5], FOR, WIDE),
        ([9, -9, 1], WIDE, WIDE),
        ([9], WIDE, WIDE),
    ],
)
def test_an_interval_wider_than_the_margin_decides_nothing(differences, better, same):
    found = paired(np.array(differences, float), np.zeros(len(differences)))
    assert (decide(found, False), decide(found, True)) == (better, same)


@pytest.mark.parametrize("layers", [1, 5])
def test_the_same_with_each_side_at_its_best_stands_beside_the_claims_about_it(
    authors_run, tmp_path, layers
):
    reached = {("fluct", 0.02): 0.9, ("kaiming", 0.1): 0.8}  # at which step

    def write(init, seed, _, config, **more):
        good = reached.get((init, config["optimizer.lr"]), 0.3)
        good += seed / (100 if init == "fluct" else 50)
        return authors_run(init, seed, good, config, **more)

    made = {"model.hidden": [128] * layers, "optimizer.eps": 1e-60}
    more = {"write": write, "config": ALONE | made, "rates": rates(layers)}
    write_decision(tmp_path, "best-0", None, dict(reached.keys()), **more)
    table = claims(own(tmp_path)).set_index("claim")["best"]
    size = f"{layers} layer{'s' * (layers > 1)}"
    said = f"randman, dense, {size}, 200 epochs, no bounds: 91.0 against 82.0, +9.0"
    assert {text for text in table if text} == {f"{said} (+5.4..+12.6), n = 3: better"}
    assert bool(table[ONE_LAYER]) == (layers == 1)
    assert bool(table[DEEP]) == (layers == 5)


def test_hearsay_is_not_published():
    assert {entry.source for entry in quotes()[0]} == {"P", "K"}


def test_the_rule():
    assert status([FOR, FOR, SHORT, IDLE]) == "reproduced"
    assert status([FOR, WIDE]) == status([FOR, AGAINST]) == "partly"
    assert status([WIDE, AGAINST, SHORT]) == "contradicted"
    assert status([SHORT, WIDE]) == WIDE
    assert status([IDLE, SHORT]) == SHORT
    assert status([IDLE]) == IDLE
    assert status([]) == "not run"


def test_all_nine_claims_have_a_design():
    assert len({design["claim"] for design in DESIGNS["claims"]}) == 9
    assert {design["differs"] for design in DESIGNS["claims"]} == {"init", "homeostasis", "spread"}


def test_contrasts_agree_in_all_but_the_initialization(authors_run, tmp_path):
    for epochs, accuracy in ((20, 0.6), (200, 0.9)):
        for seed in (0, 1):
            config = {"trainer.epochs": epochs}
            authors_run("fluct", seed, accuracy, config)
            authors_run("kaiming", seed, 0.5, config)
    found = list(contrasts(own(tmp_path).runs, FLUCT, KAIMING))
    assert sorted(c.difference.mean for c in found) == pytest.approx([10, 40])
    assert [c.difference.n for c in found] == [2, 2]


def test_published_values_need_the_same_network_and_configuration():
    run = {"dataset": "dvs_gesture", "model": "conv_deep", "init": "fluct", "init.sigma_u": 1.0}
    assert [entry.accuracy for entry in published(run, 4)] == [0.845], "a preset of conv"
    others = {"model": "dense"}, {"init.sigma_u": 0.5}, {"init": "kaiming"}, {"dataset": "shd"}
    assert not any(published(run | other, 4) for other in others)
    assert published(run, 3) == []


def test_what_the_notebooks_printed_stands_beside_runs_of_the_same_version():
    run = {"dataset": "shd", "init": "fluct", "init.sigma_u": 1.0, "readout_init": "normal"}
    found = [str(each) for each in published(run | {"model": "conv_recurrent"}, 3)]
    assert found == ["83.5 +- 1.5 [P] 3 layers", "78.6 [K, 8 January 2024, 2e9f45b] 3 layers"]
    dale = run | {"model": "dale", "model.tau_inh": 20e-3}
    assert [entry.accuracy for entry in published(dale, 1)] == [0.834]
    early = {"model.tau_inh": 5e-3, "model.tau_mem_inh": 10e-3}
    assert [entry.accuracy for entry in published(dale | early, 1)] == [0.81, 0.8]
    assert [e.accuracy for e in published(dale | early | {"readout_init": "fluct"}, 1)] == [0.694]


def test_every_number_of_a_notebook_has_its_commit_and_date():
    assert {(e.source, bool(e.commit), bool(e.date)) for e in quotes()[0]} == {
        ("K", True, True),
        ("P", False, False),
    }
