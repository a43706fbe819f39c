"""The status of a claim follows from the runs."""

from __future__ import annotations

import json

import pytest

from fdi.analysis.contrasts import accuracies, best, contrasts
from fdi.analysis.results import own
from fdi.analysis.studies import quotes
from fdi.study.circumstances import STANDARD, circumstances, of_authors
from fdi.study.claims import CLAIMS, claims, hearsay, status
from fdi.study.evidence import FLUCT, JOINT, KAIMING

FLUCT_CONFIG = {"init.sigma_u": 1.0, "init.alpha": 0.9, "init.nu": "auto"}
SETTINGS = {
    **STANDARD,
    **JOINT,
    "optimizer.eps": 1e-16,
    "homeostasis.upper.strength": 0.1,
    "homeostasis.lower.strength": 100.0,
}


def counts(samples):
    return {"classes": 10, "test_samples": samples} if samples else {}


ALONE = {"homeostasis.joint": False}


@pytest.fixture
def measured(write_run, tmp_path):
    """Runs of one layer with these differences between fluct and kaiming, one row per claim
    after.
    """

    def build(
        differences, layers=1, kaiming="kaiming", base=0.5, model="dense", samples=None, **config
    ):
        common = {**SETTINGS, "model.hidden": [128] * layers, **config}
        for seed, difference in enumerate(differences):
            rates = {f"h{layer}": 8.0 for layer in range(1, layers + 1)}
            name = {"rates": rates, "model": model, "result": counts(samples)}
            write_run("fluct", seed, base + difference, config=common | FLUCT_CONFIG, **name)
            write_run(kaiming, seed, base, config=common | KAIMING, **name)
        return claims(own(tmp_path)).set_index("claim")

    return build


@pytest.mark.parametrize(
    "other",
    [
        {"scheduler": {"_target_": "torch.optim.lr_scheduler.StepLR"}},
        {"model.norm": "tdbn"},
        {"neuron.surrogate": "triangle"},
        {"neuron.beta": 5.0},
    ],
)
def test_runs_with_what_the_authors_have_not_count_in_no_claim(measured, other):
    measured([0.10, 0.11, 0.12])
    found = measured([-0.10, -0.11, -0.12], **other)
    assert found.loc[ONE_LAYER, "status"] == "reproduced"


ONE_LAYER = "Networks with one hidden layer learn better than from Kaiming weights"


@pytest.mark.parametrize(
    ("differences", "said"),
    [
        ([0.10, 0.11, 0.12], "reproduced"),
        ([-0.10, -0.11, -0.12], "not"),
        ([0.10, -0.11, 0.12], "undecided"),
        ([0.10], "not measurable here"),
    ],
)
def test_status_of_a_comparison(measured, differences, said):
    table = measured(differences)
    assert table.loc[ONE_LAYER, "status"] == said
    assert (
        table.loc["Deep convolutional networks learn better than from Kaiming weights", "status"]
        == "not measurable here"
    )
    assert "96.3 [K]" in table.loc[ONE_LAYER, "published"]


def test_numbers_stand_with_n_and_interval(measured):
    text = measured([0.10, 0.11, 0.12]).loc[ONE_LAYER, "measured"]
    assert text == (
        "randman, dense, 1 layer, 200 epochs, both bounds, eps 1e-16: "
        "61.0 against 50.0, +11.0 (+8.5..+13.5), n = 3: better"
    )


def test_differences_of_accuracies_end_at_100(measured):
    assert "(-100.0..+100.0)" in measured([0.4, -0.4]).loc[ONE_LAYER, "measured"]


def test_a_data_set_that_was_cut_says_so(measured):
    text = measured([0.10, 0.11, 0.12], **{"dataset.max_train": 10_000}).loc[ONE_LAYER, "measured"]
    assert text.startswith("randman (10,000 samples), dense, 1 layer, 200 epochs, both ")


DEEP = "Deep networks learn better than from Kaiming weights"


def test_the_deepest_network_comes_first_and_how_many_speak_for_the_claim(measured):
    measured([0.10, -0.11, 0.12], layers=4)
    table = measured([0.10, 0.11, 0.12], layers=7)
    lines = [line.split(", ") for line in table.loc[DEEP, "measured"].splitlines()]
    said = [(line[2], line[-1].split()[-1]) for line in lines]
    assert said == [("7 layers", "better"), ("4 layers", "undecided")]
    assert table.loc[DEEP, "for it"] == "1 of 2"
    assert table.loc[ONE_LAYER, "for it"] == ""


def test_a_single_pair_is_shown_and_not_counted(measured):
    table = measured([0.10], layers=4)
    numbers = "60.0 against 50.0, +10.0, n = 1: one pair, not counted"
    line = f"randman, dense, 4 layers, 200 epochs, both bounds, eps 1e-16: {numbers}"
    assert table.loc[DEEP, "measured"] == line
    assert table.loc[DEEP, "for it"] == ""
    table = measured([0.10, 0.11, 0.12], layers=7)
    assert table.loc[DEEP, ["status", "for it"]].tolist() == ["reproduced", "1 of 1"]
    assert table.loc[DEEP, "measured"].splitlines()[-1] == line


def test_a_published_network_comes_first(measured, monkeypatch):
    chosen = [
        claim._replace(published=(("randman", "dense", 4),)) if claim.text == DEEP else claim
        for claim in CLAIMS
    ]
    monkeypatch.setattr("fdi.study.claims.CLAIMS", chosen)
    measured([0.10, 0.11, 0.12], layers=7)
    table = measured([0.10, -0.11, 0.12], layers=4)
    first, second = table.loc[DEEP, "measured"].splitlines()
    assert "4 layers" in first
    assert "7 layers" in second


def test_shallow_networks_are_no_evidence_about_depth(measured):
    table = measured([0.10, 0.11, 0.12], layers=3)
    for claim in (DEEP, AT_CHANCE):
        assert table.loc[claim, "status"] == "not measurable here"


AT_CHANCE = "Kaiming weights leave deep networks at chance"


def test_a_network_that_learns_is_not_at_chance(measured):
    table = measured([0.10, 0.11, 0.12], layers=7)
    assert table.loc[AT_CHANCE, ["status", "for it"]].tolist() == ["not", "0 of 1"]
    assert "Kaiming not at chance: against it" in table.loc[AT_CHANCE, "measured"]


def test_a_network_that_guesses_is(measured):
    table = measured([0.50, 0.51, 0.52], layers=7, base=0.1, samples=1000)
    assert table.loc[AT_CHANCE, ["status", "for it"]].tolist() == ["reproduced", "1 of 1"]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (ALONE, "no bounds, eps 1e-16"),
        ({"homeostasis.lower.strength": 0.0}, "upper bound, eps 1e-16"),
        ({"homeostasis.upper.strength": 0.0}, "lower bound, eps 1e-16"),
        ({"optimizer.eps": 1e-30}, "both bounds, eps 1e-30"),
    ],
)
def test_what_happens_at_other_settings_stands_beside_and_does_not_count(measured, other, said):
    measured([0.10, 0.11, 0.12])
    table = measured([-0.10, -0.11, -0.12], **other)
    assert table.loc[ONE_LAYER, ["status", "for it"]].tolist() == ["reproduced", "1 of 1"]
    assert "both bounds, eps 1e-16" in table.loc[ONE_LAYER, "measured"]
    (line,) = table.loc[ONE_LAYER, "without"].splitlines()
    assert line.startswith(f"randman, dense, 1 layer, 200 epochs, {said}: 39.0 against 50.0")
    assert line.endswith(": worse")


@pytest.mark.parametrize("model", ["dense", "recurrent", "conv", "dale"])
def test_the_bounds_of_the_authors_depend_on_the_model(model):
    run = {"model": model, **SETTINGS}
    both = model in ("dense", "recurrent")
    assert circumstances(run) == "both bounds, eps 1e-16"
    assert of_authors(run) == both
    assert of_authors(run | {"homeostasis.lower.strength": 0.0}) != both
    assert not of_authors(run | ALONE)


def test_kaiming_weights_under_another_name(measured):
    table = measured([0.10, 0.11, 0.12], kaiming="gain")
    assert table.loc[ONE_LAYER, "status"] == "reproduced"


def test_the_longest_training_counts_even_of_fewer_seeds(measured):
    measured([0.10, 0.11, 0.12, 0.10, 0.11], **{"trainer.epochs": 20})
    table = measured([-0.10, -0.11, -0.12], kaiming="gain", **{"trainer.epochs": 50})
    (line,) = table.loc[ONE_LAYER, "measured"].splitlines()
    assert "50 epochs" in line
    assert "n = 3: worse" in line


RESTORES = "Homeostasis restores activity and thus training in deep networks"


@pytest.mark.parametrize(
    ("bounded", "status"), [([0.5, 0.51, 0.52], "reproduced"), ([0.1] * 3, "not")]
)
def test_activity_without_training_restores_nothing(write_run, tmp_path, bounded, status):
    for seed, accuracy in enumerate(bounded):
        for joint in (True, False):
            rates = {f"h{layer}": 8.0 for layer in range(1, 4)}
            rates |= {"h4": 13.0 + seed / 10 if joint else 0.0}
            config = SETTINGS | KAIMING | {"homeostasis.joint": joint}
            name = {"rates": rates, "result": counts(1000)}
            write_run("kaiming", seed, accuracy if joint else 0.1, config=config, **name)
    table = claims(own(tmp_path)).set_index("claim")
    assert table.loc[RESTORES, "status"] == status
    assert "Hz in the last layer" in table.loc[RESTORES, "measured"]
    assert "; accuracy " in table.loc[RESTORES, "measured"]
    broadens = table.loc["Homeostasis broadens the range of good initial states"]
    assert broadens["status"] == status
    assert ("against it" in broadens["measured"]) == (status == "not")


@pytest.mark.parametrize(("bounded", "counted"), [(0.7, True), (0.2, False)])
def test_only_what_bounds_raised_they_make_up_for(write_run, tmp_path, bounded, counted):
    rates = {"h1": 8.0, "h2": 8.0}
    for seed in range(3):
        for joint in (True, False):
            config = SETTINGS | KAIMING | {"homeostasis.joint": joint}
            accuracy = (bounded if joint else 0.5) + seed / 100 * joint
            name = {"rates": rates}
            write_run("kaiming", seed, accuracy, config=config, **name)
        write_run("fluct", seed, 0.9, config=SETTINGS | FLUCT_CONFIG, rates=rates)
    table = claims(own(tmp_path)).set_index("claim")
    text = table.loc["Homeostasis makes up only partly for bad initial states", "measured"]
    assert bool(text) == counted


@pytest.mark.parametrize("layers", [1, 5])
def test_the_same_with_each_side_at_its_best_stands_beside_the_claims_about_it(
    write_run, tmp_path, layers
):
    best = {"fluct": 0.02, "kaiming": 0.1}  # step size
    reached = {("fluct", 0.02): 0.9, ("kaiming", 0.1): 0.8}
    sides = []
    for init, lr in best.items():
        common = SETTINGS | ALONE | {"model.hidden": [128] * layers, "optimizer.eps": 1e-60}
        common |= FLUCT_CONFIG if init == "fluct" else KAIMING
        settings = {}
        for setting, step in (("common", 0.005), ("best", lr)):
            rates = {f"h{layer}": 8.0 for layer in range(1, layers + 1)}
            name = {"config": common | {"optimizer.lr": step}, "rates": rates}
            good = reached.get((init, step), 0.3)
            runs = [
                write_run(init, seed, good + seed / (100 if init == "fluct" else 50), **name)
                for seed in range(3)
            ]
            paths = [str(run.relative_to(tmp_path / "runs")) for run in runs]
            settings[setting] = {"values": {"optimizer.lr": step}, "runs": paths}
        known = {"state": "chosen", "why": "", "accuracy": 0.9, "seeds": 1, "trials": []}
        chosen = {"init": init, "candidate": {"optimizer.lr": lr}, "settings": settings}
        sides.append(known | chosen)
    (tmp_path / "choices" / "best-0").mkdir(parents=True)
    (tmp_path / "choices" / "best-0" / "choice.json").write_text(json.dumps({"sides": sides}))
    table = claims(own(tmp_path)).set_index("claim")["best"]
    size = f"{layers} layer{'s' * (layers > 1)}"
    said = f"randman, dense, {size}, 200 epochs, no bounds: 91.0 against 82.0, +9.0"
    assert {text for text in table if text} == {f"{said} (+5.4..+12.6), n = 3: better"}
    deep = "Deep networks learn better than from Kaiming weights"
    assert bool(table[ONE_LAYER]) == (layers == 1)
    assert bool(table[deep]) == (layers == 5)


def test_hearsay_is_not_published():
    assert {entry.source for entry in quotes()[0]} == {"P", "K"}
    assert "no table or figure" in hearsay()


def test_runs_with_another_readout_are_not_counted(measured):
    table = measured([0.10, 0.11, 0.12], readout_init="same")
    assert set(table["status"]) == {"not measurable here"}


def test_the_rule():
    assert status([True, True]) == "reproduced"
    assert status([True, None]) == status([True, False]) == "partly"
    assert status([None, False]) == "not"
    assert status([None]) == "undecided"
    assert status([]) == "not measurable here"


def test_contrasts_agree_in_all_but_the_initialization(write_run, tmp_path):
    for epochs, accuracy in ((20, 0.6), (200, 0.9)):
        for seed in (0, 1):
            config = {"trainer.epochs": epochs, **FLUCT_CONFIG}
            write_run("fluct", seed, accuracy, config=config)
            config = {"trainer.epochs": epochs}
            name = {"config": config | KAIMING}
            write_run("kaiming", seed, 0.5, **name)
    found = list(contrasts(own(tmp_path).runs, FLUCT, KAIMING))
    assert sorted(c.difference.mean for c in found) == pytest.approx([10, 40])
    assert [c.difference.n for c in found] == [2, 2]


def test_the_best_of_a_sweep_is_chosen_on_validation(write_run, tmp_path):
    for seed in (0, 1):
        for sigma_u, accuracy in ((0.5, 0.7), (1.0, 0.9)):
            config = {"init.sigma_u": sigma_u}
            write_run("fluct", seed, accuracy, config=config)
    runs = own(tmp_path).runs
    runs.loc[runs["init.sigma_u"] == 0.5, "valid_accuracy_last"] = 0.99
    assert best(runs, ["init"], "init.sigma_u")["test_accuracy_last"].tolist() == [0.7, 0.7]


def test_intervals_within_0_and_100(write_run, tmp_path):
    for seed, accuracy in enumerate((1.0, 0.8)):
        write_run("fluct", seed, accuracy)
        write_run("kaiming", seed, 1 - accuracy)
    table = accuracies(own(tmp_path).runs, ["init"]).set_index("init")
    assert table.loc["fluct", ["low", "high"]].between(0, 100).all()
    assert table.loc["fluct", "verdict"] == "undecided"
    assert table.loc["kaiming", "verdict"] == ""


def test_the_base_of_a_comparison_may_be_one_value_of_a_sweep(write_run, tmp_path):
    for seed in (0, 1, 2):
        for gain, accuracy in ((1.0, 0.5), (10.0, 0.9)):
            config = {"init.gain": gain}
            name = {"config": config}
            write_run("gain", seed, accuracy + 0.01 * seed * gain / 10, **name)
    base = {"init": "gain", "init.gain": 1.0}
    table = accuracies(own(tmp_path).runs, ["init", "init.gain"], base=base)
    table = table.set_index("init.gain")
    assert table.loc[10.0, "versus"] == pytest.approx(40.9)
    assert table["verdict"].to_dict() == {1.0: "", 10.0: "better"}
