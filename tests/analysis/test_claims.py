"""The status of a claim follows from the runs."""

from __future__ import annotations

import pytest

from fdi.analysis.claims import CLAIMS, STANDARD, claims, status
from fdi.analysis.contrasts import accuracies, best, contrasts
from fdi.analysis.evidence import FLUCT, JOINT, KAIMING
from fdi.analysis.results import own

FLUCT_CONFIG = {"init.sigma_u": 1.0, "init.alpha": 0.9, "init.nu": "auto"}


@pytest.fixture
def measured(write_run, tmp_path):
    """Runs of one layer with these differences between fluct and kaiming, a row a claim after."""

    def build(differences, layers=1, **config):
        common = {**STANDARD, **JOINT, "model.hidden": [128] * layers, **config}
        for seed, difference in enumerate(differences):
            rates = {f"h{layer}": 8.0 for layer in range(1, layers + 1)}
            name = {"rates": rates, "identity": f"{layers:08x}"}
            write_run("fluct", seed, 0.5 + difference, config=common | FLUCT_CONFIG, **name)
            write_run("kaiming", seed, 0.5, config=common, **name)
        return claims(own(tmp_path)).set_index("claim")

    return build


ONE_LAYER = "One hidden layer learns better than with Kaiming weights"


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
    assert table.loc["So do convolutional ones", "status"] == "not measurable here"
    assert "96.3 [K]" in table.loc[ONE_LAYER, "published"]


def test_numbers_stand_with_n_and_interval(measured):
    text = measured([0.10, 0.11, 0.12]).loc[ONE_LAYER, "measured"]
    assert text == (
        "randman, dense, 1 layer, 200 epochs: 61.0 against 50.0, +11.0 (+8.5..+13.5), n = 3: better"
    )


def test_differences_of_accuracies_end_at_100(measured):
    assert "(-100.0..+100.0)" in measured([0.4, -0.4]).loc[ONE_LAYER, "measured"]


def test_a_data_set_that_was_cut_says_so(measured):
    text = measured([0.10, 0.11, 0.12], **{"dataset.max_train": 10_000}).loc[ONE_LAYER, "measured"]
    assert text.startswith("randman (10,000 samples), dense, 1 layer, 200 epochs: ")


def test_the_deepest_network_comes_first_and_how_many_speak_for_the_claim(measured):
    measured([0.10, -0.11, 0.12], layers=2)
    table = measured([0.10, 0.11, 0.12], layers=3)
    deep = "Deep networks learn, where Kaiming weights leave them at chance"
    lines = [line.split(", ") for line in table.loc[deep, "measured"].splitlines()]
    said = [(line[2], line[-1].split()[-1]) for line in lines]
    assert said == [("3 layers", "better"), ("2 layers", "undecided")]
    assert table.loc[deep, "for it"] == "1 of 2"
    assert table.loc[ONE_LAYER, "for it"] == ""


def test_a_single_pair_is_shown_and_not_counted(measured):
    deep = "Deep networks learn, where Kaiming weights leave them at chance"
    table = measured([0.10], layers=2)
    numbers = "60.0 against 50.0, +10.0, n = 1: one pair, not counted"
    line = f"randman, dense, 2 layers, 200 epochs: {numbers}"
    assert table.loc[deep, "measured"] == line
    assert table.loc[deep, "for it"] == ""
    table = measured([0.10, 0.11, 0.12], layers=3)
    assert table.loc[deep, ["status", "for it"]].tolist() == ["reproduced", "1 of 1"]
    assert table.loc[deep, "measured"].splitlines()[-1] == line


def test_a_published_network_comes_first(measured, monkeypatch):
    deep = "Deep networks learn, where Kaiming weights leave them at chance"
    chosen = [
        claim._replace(published=(("randman", "dense", 2),)) if claim.text == deep else claim
        for claim in CLAIMS
    ]
    monkeypatch.setattr("fdi.analysis.claims.CLAIMS", chosen)
    measured([0.10, 0.11, 0.12], layers=3)
    table = measured([0.10, -0.11, 0.12], layers=2)
    first, second = table.loc[deep, "measured"].splitlines()
    assert "2 layers" in first
    assert "3 layers" in second


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
            write_run("fluct", seed, accuracy, identity=f"{epochs:08x}", config=config)
            config = {"trainer.epochs": epochs}
            write_run("kaiming", seed, 0.5, identity=f"{epochs:08x}", config=config)
    found = list(contrasts(own(tmp_path).runs, FLUCT, KAIMING))
    assert [c.difference.mean for c in found] == pytest.approx([10, 40])
    assert [c.difference.n for c in found] == [2, 2]


def test_the_best_of_a_sweep_is_chosen_on_validation(write_run, tmp_path):
    for seed in (0, 1):
        for sigma_u, accuracy in ((0.5, 0.7), (1.0, 0.9)):
            config = {"init.sigma_u": sigma_u}
            write_run("fluct", seed, accuracy, identity=f"{int(10 * sigma_u):08x}", config=config)
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
            name = {"identity": f"{int(gain):08x}", "config": config}
            write_run("gain", seed, accuracy + 0.01 * seed * gain / 10, **name)
    base = {"init": "gain", "init.gain": 1.0}
    table = accuracies(own(tmp_path).runs, ["init", "init.gain"], base=base)
    table = table.set_index("init.gain")
    assert table.loc[10.0, "versus"] == pytest.approx(40.9)
    assert table["verdict"].to_dict() == {1.0: "", 10.0: "better"}
