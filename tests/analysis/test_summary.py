"""The summary: known accuracies in, known statistics out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from making import one_line
from scipy import stats

from fdi.analysis.collect import runs
from fdi.analysis.conditions import condition_columns
from fdi.analysis.formats import short_names, shown
from fdi.analysis.statistics import paired, paired_noise, summary
from fdi.analysis.summary import latex, picked, readable, summarize

FLUCT, KAIMING = [0.95, 0.93, 0.97], [0.5, 0.55, 0.6]


@pytest.fixture
def both(write_run, tmp_path):
    for seed, (a, b) in enumerate(zip(FLUCT, KAIMING)):
        write_run("fluct", seed, a, rates={"h1": 8.0 + seed})
        write_run("kaiming", seed, b, rates={"h1": 1.0})
    write_run("fluct", 3, None, state="failed", epoch=2, error="Diverged")
    write_run("fluct", 4, None, epoch=9)
    write_run("kaiming", 5, 0.0)
    return runs(tmp_path)


def row(table: pd.DataFrame, **values: object) -> pd.Series:
    for column, value in values.items():
        table = table[table[column.replace("__", ".")] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_statistics_of_a_condition(both):
    fluct = row(summarize(both), init="fluct")
    assert (fluct["n"], fluct["failed"], fluct["partial"]) == (3, 1, 1)
    assert tuple(fluct[["accuracy", "sd", "low", "high"]]) == pytest.approx(summary(FLUCT)[1:])
    assert fluct["accuracy_best"] == pytest.approx(0.96)
    assert fluct["rate/h1"] == pytest.approx(9.0)


def test_difference_uses_the_seeds_both_have(both):
    table = summarize(both)
    fluct, kaiming = row(table, init="fluct"), row(table, init="kaiming")
    expected = paired(FLUCT, KAIMING)
    assert fluct["versus_n"] == 3
    assert tuple(fluct[["versus", "versus_low", "versus_high"]]) == pytest.approx(
        (expected.mean, expected.low, expected.high)
    )
    assert (fluct["versus_p"], fluct["verdict"]) == (pytest.approx(expected.p), "better")
    assert kaiming["n"] == 4
    assert kaiming["verdict"] == ""
    assert pd.isna(kaiming["versus"])


def test_only_differing_columns_make_conditions(write_run, tmp_path):
    for sigma_u in (0.5, 1.0):
        write_run("fluct", 0, sigma_u / 2, config={"init.sigma_u": sigma_u})
    write_run("kaiming", 0, 0.1)
    table = summarize(runs(tmp_path))
    assert list(table.columns[:5]) == ["dataset", "model", "init", "init.sigma_u", "n"]
    assert row(table, init="fluct", init__sigma_u=0.5)["accuracy"] == 0.25
    assert row(table, init="fluct", init__sigma_u=1.0)["versus"] == pytest.approx(0.4)


def test_baseline_has_the_same_config_but_for_init(write_run, tmp_path):
    for epochs, (a, b) in {20: (0.8, 0.5), 200: (0.9, 0.7)}.items():
        write_run("fluct", 0, a, config={"trainer.epochs": epochs})
        write_run("kaiming", 0, b, config={"trainer.epochs": epochs})
    table = summarize(runs(tmp_path))
    assert row(table, init="fluct", trainer__epochs=20)["versus"] == pytest.approx(0.3)
    assert row(table, init="fluct", trainer__epochs=200)["versus"] == pytest.approx(0.2)


def test_verdicts_hold_for_all_comparisons_of_a_table_together(write_run, tmp_path):
    others = [f"other{i}" for i in range(9)]
    for seed, more in enumerate((0.02, 0.03, 0.04)):
        write_run("kaiming", seed, 0.5)
        for init in ("fluct", *others):
            write_run(init, seed, 0.5 + more)
    table = summarize(runs(tmp_path))
    assert set(table.loc[table["init"] != "kaiming", "verdict"]) == {"undecided"}
    assert row(table, init="fluct")["versus_low"] < 0, "as the verdict says"
    alone = runs(tmp_path)
    alone = summarize(alone[~alone["init"].isin(others)])
    assert row(alone, init="fluct")["verdict"] == "better"
    assert row(alone, init="fluct")["versus_low"] > 0


def test_each_network_is_a_question_of_its_own(write_run, tmp_path):
    """Comparisons of another data set do not make those of this one harder to decide."""
    for dataset in ("randman", *(f"other{i}" for i in range(9))):
        for seed, more in enumerate((0.02, 0.03, 0.04)):
            write_run("kaiming", seed, 0.5, dataset=dataset)
            write_run("fluct", seed, 0.5 + more, dataset=dataset)
    table = summarize(runs(tmp_path))
    assert set(table.loc[table["init"] == "fluct", "verdict"]) == {"better"}


@pytest.mark.parametrize(
    ("metric", "cut"),
    [
        (None, (True, True)),  # of accuracies
        ("R2 (%)", (False, True)),
        ("error", (True, False)),
        ("of my own", (False, False)),
    ],
)
def test_intervals_end_where_the_values_of_a_metric_do(write_run, tmp_path, metric, cut):
    for seed, accuracy in enumerate((0.9, 1.0)):
        write_run("fluct", seed, accuracy)
        write_run("kaiming", seed, 1 - accuracy)
    table = summarize(runs(tmp_path).assign(metric=metric))
    low, high = row(table, init="kaiming")["low"], row(table, init="fluct")["high"]
    assert ((low == 0, high == 1), low <= 0, high >= 1) == (cut, True, True)
    versus_high = row(table, init="fluct")["versus_high"]
    assert versus_high > 1 if metric else versus_high == 1


def test_two_baselines_are_none(write_run, tmp_path):
    write_run("fluct", 0, 0.9)
    for gain in (1.0, 2.0):
        write_run("kaiming", 0, 0.5, config={"init.gain": gain})
    assert pd.isna(row(summarize(runs(tmp_path)), init="fluct")["versus"])


def test_a_key_that_goes_with_the_data_set_is_no_difference(write_run, tmp_path):
    write_run(dataset="randman", config={"trainer.epochs": 200})
    write_run(dataset="shd", config={"trainer.epochs": 100})
    assert condition_columns(runs(tmp_path)) == ["dataset", "model", "init"]


def test_an_object_differs_by_its_target_not_by_its_arguments(write_run, tmp_path):
    adam = {"_target_": "torch.optim.Adam", "lr": 0.001, "betas": [0.9, 0.999]}
    write_run()
    write_run(config={"optimizer": adam})
    assert condition_columns(runs(tmp_path)) == ["dataset", "model", "init", "optimizer._target_"]


def test_words_and_numbers_in_one_column(write_run, tmp_path):
    for nu in ("auto", 15.8, None):
        write_run(config={"init.nu": nu})
    table = readable(summarize(runs(tmp_path)))
    assert sorted(table["nu"]) == ["-", "15.8", "auto"]


def test_nothing_but_broken_runs_is_an_error(write_run, tmp_path):
    (write_run() / "run.json").write_text("{")
    with one_line("all 1 runs are broken"):
        summarize(runs(tmp_path))


def test_readable_text(both):
    fluct = row(readable(summarize(both)), init="fluct")
    assert fluct["95 %"] == "90.0..100.0"
    assert fluct["rates (Hz)"] == "h1 9.0"
    assert fluct["not finished"] == "1 failed\n1 partial"
    assert fluct["minus kaiming"] == "+40.0 better, n=3\n(+29.2..+50.8)"


def test_rates_of_many_populations_are_a_range(write_run, tmp_path):
    write_run(rates={f"h{i}": float(i) for i in range(1, 8)})
    assert readable(summarize(runs(tmp_path)))["rates (Hz)"].tolist() == ["1.0..7.0\nin 7"]


def test_short_names():
    short = {
        "init": "init",
        "model.hidden": "hidden",
        "homeostasis.upper.strength": "upper.strength",
        "homeostasis.lower.strength": "lower.strength",
        "optimizer._target_": "optimizer",
        "engine.name": "engine",
    }
    assert short_names([*short]) == short


def test_shown():
    values = (None, float("nan"), True, 1.0, 0.25, "[1, 2]", [1, 2], "torch.optim.Adam")
    texts = ["null", "null", "true", "1", "0.25", "[1,2]", "[1,2]", "Adam"]
    assert [shown(value) for value in values] == texts


def test_numbers_in_latex_have_a_true_minus_and_powers(both):
    pytest.importorskip("jinja2")
    table = readable(summarize(both)).iloc[:1]
    table = table.assign(mean="-0.2", sd="1e-05", init="fluct_mu", **{"95 %": "-48.3..55.7"})
    text = latex(picked(table, "init,mean,sd,95 %"), "95 % of it", "tab:x")
    assert r"fluct\_mu & $-$0.2 & $1 \times 10^{-5}$ & $-$48.3..55.7 \\" in text
    assert r"\caption{95 \% of it.}" in text
    assert r"init & mean & sd & 95 \% \\" in text


def test_the_baseline_may_be_another_initialization(both):
    table = summarize(both, versus="fluct")
    fluct, kaiming = row(table, init="fluct"), row(table, init="kaiming")
    assert pd.isna(fluct["versus"])
    assert kaiming["versus"] == pytest.approx(-paired(FLUCT, KAIMING).mean)
    assert kaiming["verdict"] == "worse"
    assert "minus fluct" in readable(table)
    with one_line(r"--versus fluc: no such run; did you mean fluct\?"):
        summarize(both, versus="fluc")


def test_a_full_summary_has_the_share_of_runs_at_chance(write_run, tmp_path):
    known = {"classes": 10, "test_samples": 1000}
    for seed, accuracy in enumerate((0.1, 0.5)):
        write_run("fluct", seed, accuracy, result=known)
    write_run("kaiming", 0, 0.3)
    table = summarize(runs(tmp_path), full=True)
    assert row(table, init="fluct")["chance"] == 0.5
    assert pd.isna(row(table, init="kaiming")["chance"]), "how many classes there are is not known"
    assert readable(table)["at chance"].tolist() == ["50.0", "-"]
    assert "chance" not in summarize(runs(tmp_path))


def test_a_difference_has_the_noise_of_samples_on_which_two_sides_disagree(write_run, tmp_path):
    """Where all runs know which test samples they hit; else that of two test sets."""
    shares = []
    for init, missed in (("fluct", 10), ("kaiming", 20)):
        hits = np.arange(100) >= missed + np.arange(7)[:, None]
        shares.append(hits.mean(axis=0))
        for seed, hit in enumerate(hits):
            told = {"test_samples": 100, "hits": np.packbits(hit).tobytes().hex()}
            write_run(init, seed, hit.mean(), result=told)
    known = runs(tmp_path)
    unknown = known.assign(hits=known["hits"].where(known["seed"] > 0))
    by_hits, apart = (summarize(of).set_index("init").loc["fluct"] for of in (known, unknown))
    assert by_hits["versus"] == apart["versus"] == pytest.approx(0.1)
    half, wider = (row["versus_high"] - row["versus"] for row in (by_hits, apart))
    assert half == pytest.approx(stats.norm.isf(0.025) * paired_noise(*shares))
    assert half < 0.7 * wider
