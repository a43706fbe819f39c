"""Figures of experiments: known runs in, known numbers out, and onto the axes."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from making import EVIDENCE, write_decision
from matplotlib.container import ErrorbarContainer

from fdi.analysis.results import own
from fdi.figures import best
from fdi.figures.catalogue import FIGURES, pages_of
from fdi.study import calibrated, dale, floor, gain, gradients, shallow

bounds, depth, homeostasis, instead, lazy, learning_rate, recurrent_alpha = (
    FIGURES[name]
    for name in ("bounds", "depth", "homeostasis", "instead", "lazy", "learning_rate",
                 "recurrent_alpha")
)  # fmt: skip
RUNS = ("shallow", "gradients", "depth", "homeostasis", "recurrent_alpha", "dale", "calibrated",
        "gain", "readout", "learning_rate", "floor", "bounds", "lazy", "instead")  # fmt: skip
SIGMAS = (0.2, 0.5, 1.0, 2.0)
FLUCT = {"init.alpha": 0.9, "init.nu": "auto"}
PAPER = {"trainer.epochs": 200}
SEEDS = ((0, -0.02), (1, 0.02))  # and what they add to the accuracy
OPTIMIZER, SMORMS3 = "optimizer._target_", "fdi.train.optimizers.SMORMS3"
ACCURACY = {1e-2: 0.1, 1e-8: 0.8, 1e-24: 0.9}  # by eps


def optimizer(name):
    return {OPTIMIZER: f"torch.optim.{name}"}


def together(one, other):
    """The tables of both."""
    runs, curves, probed = (
        pd.concat([getattr(each, name) for each in (one, other)])
        for name in ("runs", "curves", "probe")
    )
    return replace(other, runs=runs, curves=curves, probed=probed)


def sweep(init, accuracy, layers=1, **config):
    return [(init, seed, accuracy + more, layers, config) for seed, more in SEEDS]


def crossed(made, *axes):
    """Runs of `made` for each combination of values."""
    return [run for values in product(*axes) for run in made(*values)]


def changed(runs, **config):
    """The same runs, with other values of their configuration."""
    return [(*run[:4], run[4] | config) for run in runs]


def spreads(layers=1, scale=0.4, init="fluct", **config):
    """At each of SIGMAS, with an accuracy of `scale` times that."""
    return crossed(
        lambda s: sweep(init, scale * s, layers, **FLUCT, **{"init.sigma_u": s}, **config), SIGMAS
    )


def test_shallow(results, drawn):
    runs = [
        *spreads(**PAPER),
        *sweep("kaiming", 0.3, **PAPER),
        *sweep("fluct_mu", 0.5, **{"init.mu_u": -1.0, "init.xi": 2.0}, **PAPER),
    ]
    page = pages_of(shallow, results(runs))["randman_dense"]
    accuracy = page[page["quantity"] == "accuracy"].set_index(["init", "x"])
    assert accuracy.loc[("fluct", 0.5), "mean"] == pytest.approx(20)
    assert accuracy.loc[("fluct", 0.5), "sd"] == pytest.approx(4 / np.sqrt(2))
    assert accuracy.loc[("kaiming", 0.2), "mean"] == pytest.approx(30), (
        "a baseline stands at the spread its weights imply"
    )
    assert set(accuracy["n"]) == {2}
    assert page.loc[page["quantity"] == "before", "mean"].unique() == [10]
    assert page.loc[page["quantity"] == "after", "mean"].unique() == [5]
    xi = page[page["quantity"] == "xi"].set_index(["mu_u", "x"])["mean"]
    assert xi.to_dict() == pytest.approx({(-1.0, 2.0): 50, (0.0, 1.0): 40, (0.0, 2.0): 20})
    figure, axes = drawn(shallow, page)
    np.testing.assert_allclose(axes["accuracy"].lines[0].get_ydata().astype(float), [8, 20, 40, 80])
    texts = [text.get_text().replace("\n", " ") for text in figure.legends[0].get_texts()]
    assert "published [K, 24 June 2022, 2cd1734]" in texts


def test_gradients_of_states_that_were_never_trained(results, drawn):
    found = results([*spreads(layers=3), *sweep("kaiming", 0.1, 3)], state="probed")
    page = pages_of(gradients, found)["randman_dense"]
    means = page.groupby("population")["mean"].unique()
    assert {name: value.tolist() for name, value in means.items()} == {
        f"h{i}": pytest.approx([0.1 * i]) for i in (1, 2, 3)
    }
    assert page["x"].isna().sum() == 3
    _, axes = drawn(gradients, page)
    assert axes["fluct"].get_yscale() == "log"


def test_gradients_are_those_of_the_task_where_they_are_known(results):
    bounded = {"homeostasis.joint": True, "homeostasis.upper.strength": 0.1}
    found = results(spreads(layers=3, **bounded), state="probed")
    (page,) = pages_of(gradients, found).values()
    assert "task and bounds" in page["title"].iloc[0]
    known = replace(found, probed=found.probe.assign(grad_task=found.probe["grad"] / 4))
    (page,) = pages_of(gradients, known).values()
    assert "the task alone" in page["title"].iloc[0]
    assert page.groupby("population")["mean"].mean()["h2"] == pytest.approx(0.2 / 4)


def test_gradients_are_those_of_deep_networks(results):
    many = spreads(layers=1, **{"model.depth": 1.0}) + sweep("kaiming", 0.1, **{"model.depth": 1.0})
    assert pages_of(gradients, results(many)) == {}, "the readout is no hidden layer"
    deep = results([*many, *spreads(layers=2, **{"model.depth": 2.0})])
    (page,) = pages_of(gradients, deep).values()
    assert set(page["population"]) == {"h1", "h2"}


def test_depth(results, drawn):
    runs = []
    for layers in (1, 3, 7):
        key = {"model.depth": float(layers)}
        runs += [*spreads(layers, **key), *sweep("kaiming", 0.1, layers, **key)]
        for s in (0.5, 1.0):
            runs += sweep("fluct_calibrated", 0.6, layers, **{"init.sigma_u": s}, **key)
    page = pages_of(depth, results(runs))["randman_dense"]
    accuracy = page[page["quantity"] == "accuracy"]
    assert len(accuracy) == 3 * 7
    assert accuracy.loc[
        (accuracy["init"] == "fluct") & (accuracy["shade"] == 0.5), "mean"
    ].tolist() == pytest.approx([20] * 3)
    _, axes = drawn(depth, page)
    bars = axes["accuracy"].containers
    assert len(bars) == 7, "a line with intervals for each initial state"
    assert bars[0].lines[0].get_ydata().tolist() == pytest.approx([10, 10, 10])


def test_homeostasis(results, drawn):
    modes = [(False, 0), (True, 0), (False, 20), (True, 20)]
    runs = []
    for joint, prime in modes:
        key = {"homeostasis.joint": joint, "homeostasis.prime_epochs": prime}
        runs += [*spreads(3, **key), *sweep("kaiming", 0.1 + prime / 100, 3, **key)]
    page = pages_of(homeostasis, results(runs))["randman_dense"]
    found = page[(page["quantity"] == "accuracy") & (page["init"] == "kaiming")]
    expected = {"none": 10, "joint": 10, "prime": 30, "prime + joint": 30}
    assert found.set_index("x")["mean"].to_dict() == pytest.approx(expected)
    _, axes = drawn(homeostasis, page)
    marks = [label.get_text() for label in axes["rate"].get_xticklabels()]
    assert marks == ["none", "in the\nloss", "priming", "priming\nand in the\nloss"]


def test_states_of_another_experiment_are_left_out(results):
    free = {"homeostasis.joint": False, "homeostasis.prime_epochs": 0, "model.depth": 3.0}
    joint = free | {"homeostasis.joint": True}
    runs = [*sweep("kaiming", 0.1, 3, **free), *sweep("kaiming", 0.2, 3, **joint)]
    runs += sweep("lsuv", 0.3, 3, **joint)
    assert set(pages_of(homeostasis, results(runs))["randman_dense"]["init"]) == {"kaiming"}
    runs += sweep("lsuv", 0.3, 7, **joint | {"model.depth": 7.0})
    runs += sweep("xavier", 0.3, 1, **joint | {"model.depth": None})
    assert set(pages_of(depth, results(runs))["randman_dense"]["init"]) == {"lsuv"}


def test_alpha(results, drawn):
    wired = {"model.recurrent": True}
    runs = sweep("kaiming", 0.3, **wired)
    for a in (0.1, 0.5, 0.9):
        runs += sweep("fluct", a, **{"init.alpha": a, "init.sigma_u": 1.0}, **wired)
    page = pages_of(recurrent_alpha, results(runs, model="recurrent"))["randman_recurrent"]
    accuracy = page[page["quantity"] == "accuracy"]
    assert sorted(accuracy["mean"]) == pytest.approx([10, 30, 50, 90])
    drawn(recurrent_alpha, page)
    free = changed(runs, **{"model.recurrent": False})
    assert pages_of(recurrent_alpha, results(free)) == {}, "without recurrence alpha means nothing"


def test_dale(results, drawn):
    laws = [*spreads(2, 0.3), *spreads(2, 0.3, "fluct_lognormal")]
    free = results([*spreads(), *sweep("kaiming", 0.2)], model="recurrent")
    both = together(results(laws, model="dale"), free)
    page = pages_of(dale, both)["randman_dale"]
    means = page.groupby(["part", "init"])["mean"].apply(list)
    assert means["sigma", "fluct"] == pytest.approx([6, 15, 30, 60])
    assert means["free", "kaiming"] == pytest.approx([20])
    assert means["curve", "fluct"] == pytest.approx([10, 20, 30])
    drawn(dale, page)


def test_calibrated(results, drawn):
    runs = [*spreads(3), *sweep("kaiming", 0.1, 3), *sweep("lsuv", 0.2, 3, **{"init.sigma_u": 1.0})]
    for s in (0.5, 1.0):
        runs += sweep("fluct_calibrated", 0.7 * s, 3, **{"init.sigma_u": s})
    page = pages_of(calibrated, results(runs))["randman_dense"]
    accuracy = page[page["quantity"] == "accuracy"].set_index("init")["mean"]
    assert accuracy.to_dict() == pytest.approx(
        {"fluct": 40, "fluct_calibrated": 70, "kaiming": 10, "lsuv": 20}
    )
    spread = page[(page["quantity"] == "spread") & (page["init"] == "fluct")]
    assert spread["mean"].tolist() == pytest.approx([0.9, 1.8, 2.7])
    assert page["finding"].iloc[0].endswith("Accuracy 40.0 % before, 70.0 % after: undecided")
    drawn(calibrated, page)


def test_gain(results, drawn):
    runs = crossed(
        lambda d, g: sweep("gain", g / 20, d, **{"init.gain": g, "model.depth": float(d)}),
        (1, 3),
        (1.0, 2.0, 5.0, 10.0),
    )
    runs += sweep("fluct", 0.6, 1, **FLUCT, **{"init.sigma_u": 1.0, "model.depth": 1.0})
    runs += sweep("kaiming", 0.05, 1, **{"model.depth": 1.0})
    found = results(runs)
    found.probe["theory_sigma_u"] = 0.1 * found.probe["path"].map(
        found.runs.set_index("path")["init.gain"]
    ).fillna(8.0)
    page = pages_of(gain, found)["randman_dense"]
    assert page["unit"].unique() == pytest.approx([0.1])
    one = page[page["layers"] == 1].round(6).set_index(["init", "x"])
    assert one.loc[("gain", 5.0), "mean"] == pytest.approx(25)
    assert "kaiming" not in page["init"].values, "is the gain of 1, which is there already"
    assert one.loc[("fluct", 8.0), "mean"] == pytest.approx(60), "stands at the gain that it is"
    assert one.loc[("fluct", 8.0), "versus"] == pytest.approx(55), "against the gain of 1"
    assert one.index[one["chosen"]].tolist() == [("gain", 10.0)], "of the gains, on validation"
    _, axes = drawn(gain, page)
    assert list(axes) == ["1", "3"]
    band = axes["1"].patches[0].get_extents().transformed(axes["1"].transData.inverted())
    assert (band.x0, band.x1) == pytest.approx((10 / 3, 10))


def test_learning_rate_is_chosen_on_validation(results, drawn):
    runs = crossed(
        lambda init, rate: sweep(
            init, rate + (0.3 if init == "kaiming" else 0.4), **{"optimizer.lr": rate}
        ),
        ("kaiming", "fluct"),
        (0.1, 0.2, 0.3),
    )
    runs = [run for kind in ("Adam", "SGD") for run in changed(runs, **optimizer(kind))]
    found = results(runs)
    found.runs.loc[found.runs["optimizer.lr"] == 0.2, "valid_accuracy_last"] = 0.99
    page = pages_of(learning_rate, found)["randman_dense"]
    chosen = page[page["chosen"]]
    assert chosen["x"].tolist() == [0.2] * 4
    assert chosen["mean"].tolist() == pytest.approx([60, 50] * 2), "of the test set"
    assert chosen.loc[chosen["init"] == "fluct", "versus"].tolist() == pytest.approx([10, 10])
    _, axes = drawn(learning_rate, page)
    assert list(axes) == ["1 Adam", "1 SGD"]


def test_steps_that_a_choice_compared_are_no_sweep_of_steps(results):
    runs = crossed(lambda rate: sweep("fluct", 0.5, **{"optimizer.lr": rate}), (0.1, 0.2, 0.3))
    found = results(changed(runs, **optimizer("Adam")))
    assert pages_of(learning_rate, found)
    for name in ("best", "zoo, best"):
        assert not pages_of(learning_rate, replace(found, runs=found.runs.assign(sweeps=name)))
    both = found.runs.assign(sweeps="best, learning_rate")
    assert pages_of(learning_rate, replace(found, runs=both))


def test_two_arguments_of_an_initial_state_are_curves_and_a_shade_each(results, drawn):
    values = (0.5, 1.0, 1.5, 2.0, 3.0)
    runs = sweep("kaiming", 0.3, **{"init.gain": 1.0})
    for mu, xi in product((-1.0, 0.0, 0.4), values):
        runs += sweep("fluct_mu", 0.5 + mu / 10 + xi / 100, **{"init.mu_u": mu, "init.xi": xi})
    page = pages_of(FIGURES["regime_map"], results(runs))["randman_dense"]
    ours = page[page["init"] == "fluct_mu"].set_index(["shade", "x"])
    assert len(ours) == 15
    assert ours.loc[(2.0, 0.4), "mean"] == pytest.approx(56)
    assert ours["versus"].tolist() == pytest.approx((ours["mean"] - 30).tolist())
    figure, axes = drawn(FIGURES["regime_map"], page)
    bars = [line for line in axes["1"].containers if isinstance(line, ErrorbarContainer)]
    assert len({line.lines[0].get_color() for line in bars}) == len(values)
    (legend,) = figure.legends
    assert sum("xi" in text.get_text() for text in legend.get_texts()) == len(values)


def test_an_argument_beside_the_step_is_a_shade(results):
    own = {"neuron.tau_mem": 0.01, "optimizer.eps": 1e-60, "trainer.frozen": "[]"}
    runs = []
    for lr, share in product((1e-3, 2e-3, 4e-3), (None, 0.0, 0.95)):
        init = {} if share is None else {"init.identity": share}
        words = {"optimizer.lr": lr, "model.depth": 5.0, **init, **own}
        runs += sweep("fluct_rate" if init else "kaiming", 0.5 + 10 * lr, **words)
    (page,) = pages_of(FIGURES["how_deep"], results(runs)).values()
    assert set(page.loc[page["init"] == "fluct_rate", "shade"]) == {0.0, 0.95}


def test_floor(results, drawn):
    smorms3 = {OPTIMIZER: SMORMS3, "init.sigma_u": 1.0}
    runs = crossed(
        lambda eps, d, init: sweep(
            init, ACCURACY[eps], d, **{"optimizer.eps": eps, "model.depth": float(d)}, **smorms3
        ),
        ACCURACY,
        (2, 4),
        ("kaiming", "fluct"),
    )
    bounded = changed(runs, **{"homeostasis.joint": True, "homeostasis.upper.strength": 0.1})
    assert pages_of(floor, results(bounded)) == {}, "bounds hide the gradient of the task"
    page = pages_of(floor, results(runs))["randman_dense"]
    single = page[page["part"] == "ratio"]
    assert len(single) == 24
    config = smorms3 | {"optimizer.eps": 1e-8, "model.depth": 4.0, "init.sigma_u": 0.2}
    with_weak = pages_of(floor, results([*runs, *sweep("fluct", 0.1, 4, **config)]))[
        "randman_dense"
    ]
    assert (with_weak["part"] == "ratio").sum() == 26
    both = [part[part["part"] == "depth"].reset_index(drop=True) for part in (page, with_weak)]
    assert both[0]["mean"].equals(both[1]["mean"]), "a depth has one sigma_u"
    ratio = single.groupby("eps")["x"].unique().map(sorted)  # the largest gradients are 0.2, 0.4
    assert ratio[1e-2] == pytest.approx([2, 4])
    assert ratio[1e-24] == pytest.approx([2e11, 4e11])
    depths = page[(page["part"] == "depth") & (page["init"] == "kaiming")]
    assert depths.loc[depths["eps"] == 1e-8, "mean"].tolist() == pytest.approx([80, 80])
    assert set(page["chance"]) == {10}
    _, axes = drawn(floor, page)
    assert axes["ratio"].get_xscale() == "log"


def test_bounds(results, drawn):
    runs = []
    for layers, epochs in ((1, 200), (3, 50)):
        for upper, lower, more in ((0, 0, 0.3), (0.1, 0, 0.2), (0, 100, 0.1), (0.1, 100, 0)):
            key = {
                "homeostasis.joint": bool(upper or lower),
                "homeostasis.prime_epochs": 0,
                "homeostasis.upper.strength": upper,
                "homeostasis.lower.strength": lower,
                "model.depth": float(layers),
                "trainer.epochs": epochs,
            }
            for init, accuracy in (("kaiming", 0.2), ("fluct", 0.5)):
                runs += sweep(init, accuracy + more, layers, **key)
    page = pages_of(bounds, results(runs))["randman_dense"]
    kaiming = page[(page["init"] == "kaiming") & (page["layers"] == 3)].set_index("x")["mean"]
    assert kaiming.to_dict() == pytest.approx({"none": 50, "upper": 40, "lower": 30, "both": 20})
    assert page.loc[page["init"] == "fluct", "versus"].tolist() == pytest.approx([30] * 8)
    assert page.groupby("layers")["longest"].first().to_dict() == {1: 200, 3: 50}
    _, axes = drawn(bounds, page)
    assert list(axes) == ["1", "3"]
    assert page["finding"].iloc[0].startswith(bounds.figure.question + " Fluctuation-driven ")


def test_instead(results, drawn):
    kinds = [("none", False, 0.1), ("tdbn", False, 0.8), ("bntt", False, 0.85), ("none", True, 0.5)]
    runs = []
    for d, (norm, skip, kaiming) in product((4, 8), [*kinds, ("tdbn", True, 0.9)]):
        key = {"model.norm": norm, "model.skip": skip, "model.depth": float(d), OPTIMIZER: SMORMS3}
        runs += [*sweep("kaiming", kaiming, d, **key), *sweep("fluct", 0.9, d, **key)]
    found = results(runs)
    page = pages_of(instead, found)["randman_dense"]
    both = pages_of(instead, results([*runs, *changed(runs, **optimizer("Adam"))]))
    assert set(both) == {"randman_dense", "randman_dense_adam"}
    assert "Adam" in both["randman_dense_adam"]["title"].iloc[0]
    assert both["randman_dense"]["n"].equals(page["n"])
    fluct = page[(page["init"] == "fluct") & (page["layers"] == 8)].set_index("x")
    assert fluct["versus"].to_dict() == pytest.approx(
        {"neither": 80, "tdBN": 10, "BNTT": 5, "skip": 40, "tdBN + skip": 0}
    )
    cosine = {"scheduler._target_": "torch.optim.lr_scheduler.CosineAnnealingLR"}
    scheduled = pages_of(instead, replace(found, runs=found.runs.assign(**cosine)))
    assert "cosine schedule" in scheduled["randman_dense"]["title"].iloc[0]
    cut = pages_of(instead, replace(found, runs=found.runs.assign(**{"dataset.max_train": 2000.0})))
    assert cut["randman_dense"]["network"].unique() == ["randman, 2,000 samples, dense"]
    assert ", 2,000 samples, " in cut["randman_dense"]["title"].iloc[0]
    _, axes = drawn(instead, page)
    assert list(axes) == ["4", "8"]
    shallow = [run for run in runs if (run[0], run[3]) != ("fluct", 8)]
    _, without = drawn(instead, pages_of(instead, results(shallow))["randman_dense"])
    assert len(without["8"].lines) < len(axes["8"].lines), "a state that one depth lacks"
    marks = [mark.get_text().replace("\n", " ") for mark in axes["8"].get_xticklabels()]
    assert marks == ["neither", "tdBN", "BNTT", "skip", "tdBN + skip"]
    plain = [run for run in runs if (run[4]["model.norm"], run[4]["model.skip"]) == ("none", False)]
    shipped = {"source": "results/reference, commit 1234567"}
    alone, among = (
        pages_of(depth, replace(each, runs=each.runs.assign(**shipped)))
        for each in (results(plain), found)
    )
    pd.testing.assert_frame_equal(alone["randman_dense"], among["randman_dense"])


def test_lazy(results, drawn):
    keys = {"trainer.stop_at_loss": 0.5, "dataset.max_train": 100}
    runs = spreads(**keys)
    found = results([*runs, *changed(runs, **{"dataset.max_train": 1000})])
    found.runs["train_loss_last"] = np.where(found.runs["init.sigma_u"] < 0.3, 0.6, 0.4)
    found.runs["moved/input->h1"], found.runs["moved/h1->readout"] = 0.25, 9.0
    found.runs["alignment/h1"] = 0.75
    page = pages_of(lazy, found)["randman_dense"]
    means = page.groupby("quantity")["mean"].unique()
    assert means["moved"].tolist() == [0.25], "of hidden weights"
    assert means["alignment"].tolist() == [0.75]
    assert means["accuracy"].tolist() == pytest.approx([8, 20, 40, 80])
    assert set(page.loc[page["reached"] < 1, "x"]) == {0.2}
    _, axes = drawn(lazy, page)
    assert list(axes) == ["accuracy", "moved", "alignment", "epochs"]


def test_each_tick_of_a_small_energy_is_another_number(results, drawn):
    found = results([*sweep("kaiming", 0.4), *sweep("fluct", 0.5)])
    found.runs["operations/effective"] = 600.0
    figure = FIGURES["operations"]
    page = pages_of(figure, found)["randman_dense"].copy()
    page.loc[page.index[0], ["quantity", "x"]] = "energy", 0.6
    _, axes = drawn(figure, page)
    for panel in axes.values():
        ticks = [text.get_text() for text in panel.get_xticklabels()]
        assert len(ticks) == len({*ticks}), ticks


def test_the_network_with_most_runs_comes_first(results):
    few = results([*sweep("kaiming", 0.4), *sweep("fluct", 0.5)], "conv")
    many = results([*sweep("kaiming", 0.4), *sweep("fluct", 0.5), *sweep("lsuv", 0.5)], "dense")
    found = together(few, many)
    found = replace(found, runs=found.runs.assign(**{"operations/effective": 1e4}))
    for name in ("operations", "learning_curves"):
        assert [*pages_of(FIGURES[name], found)] == ["randman_dense", "randman_conv"]


def test_intervals_are_cut_where_what_runs_are_judged_by_ends(results):
    found = results([*sweep("kaiming", 0.1), *sweep("fluct", 0.98)])
    found.runs["operations/effective"] = 1e4
    accuracy, other = found, replace(found, runs=found.runs.assign(metric="R2 (%)"))
    for name in ("operations", "learning_curves"):
        pages = [pages_of(FIGURES[name], each)["randman_dense"] for each in (accuracy, other)]
        cut, free = ([page["low"].min(), page["high"].max()] for page in pages)
        assert cut == [0, 100], name
        assert free == [pytest.approx(10 - 2 * 12.7062), 100], name


def test_each_at_its_best_has_a_page_for_each_metric_and_names_that_fit(tmp_path, drawn):
    for name in ("first", "second_" + "long_" * 12, "third"):
        config = {"dataset.name": name, "dataset.file": f"recordings/{name}.npz"}
        made = {"config": config, "evidence": EVIDENCE | {"data": name}}
        write_decision(tmp_path, name, 0.1, {"kaiming": 0.1, "fluct": 0.2}, **made)
    found = own(tmp_path)
    found.runs["metric"] = found.runs["dataset.name"].map({"third": "R2 (%)"})
    found.runs.loc[found.runs["metric"].notna(), "test_accuracy_last"] -= 1.5
    pages = pages_of(best, found)
    assert set(pages) == {"", "R2"}
    assert pages[""]["network"].iloc[0].endswith("200\xa0epochs, dataset = first")
    assert set(pages[""]["setting"]) == {"common", "best"}, "one idea"
    for page in pages.values():
        _, axes = drawn(best, page)
        low, high = axes["all"].get_xlim()
        assert low < page["low"].min() < page["high"].max() < high


def test_missing_runs_give_no_pages(results):
    few = results(sweep("fluct", 0.5, **{"init.sigma_u": 1.0}))
    for name in RUNS:
        assert pages_of(FIGURES[name], few) == {}, name
    assert pages_of(shallow, results(spreads()[:4])) == {}, "it needs three spreads"
    assert pages_of(shallow, results(spreads(layers=2))) == {}, "and one layer"
