"""Known curves in, known means and spreads out, and onto the axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from fdi.analysis.results import own
from fdi.figures import learning_curves, sheet, style, words
from fdi.figures.catalogue import pages_of
from fdi.figures.learning_curves import panels
from fdi.study import looks


def lines(page, **values):
    for column, value in values.items():
        page = page[page[column] == value]
    return page


def test_mean_and_spread_over_seeds(write_run, tmp_path):
    write_run("fluct", 0, [0.1, 0.3])
    write_run("fluct", 2, [0.2, 0.5])
    pages = pages_of(learning_curves, own(tmp_path))
    assert list(pages) == ["randman_dense"]
    valid = lines(pages["randman_dense"], quantity="valid/accuracy")
    assert valid["epoch"].tolist() == [1, 2]
    assert valid["mean"].tolist() == pytest.approx([15, 40])
    assert valid["sd"].tolist() == pytest.approx([10 / np.sqrt(2), 20 / np.sqrt(2)])
    assert valid["low"].tolist() == [0, 0], "12.7 half widths of Student's t, cut"
    assert valid["high"].tolist() == pytest.approx([15 + 5 * 12.7062, 100], rel=1e-5)
    assert set(valid["n"]) == {2}
    rates = lines(pages["randman_dense"], quantity="rate/h1")
    assert rates["mean"].tolist() == [11, 11]
    train = lines(pages["randman_dense"], quantity="train/accuracy")
    assert train["mean"].tolist() == pytest.approx([30, 80])


def test_unfinished_runs_and_runs_without_curves_are_left_out(write_run, tmp_path):
    write_run("fluct", 0, [0.1, 0.3])
    write_run("fluct", 1, [0.9], done=False)
    (write_run("kaiming", 0, [0.1, 0.3]) / "metrics.csv").unlink()
    page = pages_of(learning_curves, own(tmp_path))["randman_dense"]
    assert set(page["line"]) == {"fluctuation-driven"}
    assert set(page["n"]) == {1}


@pytest.mark.parametrize("done", [True, False])
def test_no_curves_no_pages(write_run, tmp_path, done):
    (write_run("fluct", 0, [0.1], done=done) / "metrics.csv").unlink()
    assert pages_of(learning_curves, own(tmp_path)) == {}
    assert pages_of(learning_curves, own(tmp_path / "nothing")) == {}


def test_epochs_count_from_the_start_of_the_task(write_run, tmp_path):
    write_run("fluct", 0, [0.2, 0.4], prime=3)
    write_run("fluct", 1, [0.4, 0.6], prime=1)
    valid = lines(
        pages_of(learning_curves, own(tmp_path))["randman_dense"], quantity="valid/accuracy"
    )
    assert valid["epoch"].tolist() == [0, 1, 2]
    assert valid["mean"].tolist() == pytest.approx([10, 30, 50])


def test_configs_of_one_init_are_lines_of_their_own(write_run, tmp_path):
    for sigma_u in (0.5, 1.0):
        write_run("fluct", 0, [0.1, 0.3], sigma_u=sigma_u)
    write_run("kaiming", 0, [0.1, 0.1])
    page = pages_of(learning_curves, own(tmp_path))["randman_dense"]
    numbers = page.groupby("line", sort=False)["number"].first().to_dict()
    fluct = "fluctuation-driven, sigma_u ="
    assert numbers == {f"{fluct} 0.5": 0, f"{fluct} 1": 1, "Kaiming": 0}


def test_models_and_their_sizes_are_pages_of_their_own(write_run, tmp_path):
    write_run("fluct", 0, [0.1], hidden=64)
    write_run("fluct", 0, [0.1], hidden=128)
    write_run("fluct", 0, [0.1], model="recurrent")
    sizes = ["randman_dense_hidden_64", "randman_dense_hidden_128"]
    assert list(pages_of(learning_curves, own(tmp_path))) == [*sizes, "randman_recurrent"]
    for seed in (1, 2):
        write_run("fluct", seed, [0.1], hidden=64)
    assert list(pages_of(learning_curves, own(tmp_path)))[:2] == ["randman_dense", sizes[1]], (
        "what most have goes unsaid"
    )


@pytest.mark.parametrize("populations", [1, 2, 3, 4, 7])
def test_layout(write_run, tmp_path, populations):
    names = [f"h{i}" for i in range(1, populations + 1)]
    write_run("fluct", 0, [0.1], populations=names)
    (row,) = panels(pages_of(learning_curves, own(tmp_path))["randman_dense"])
    shown = names if populations < 4 else [names[0], names[populations // 2], names[-1]]
    assert list(dict.fromkeys(row))[2:] == [f"rate/{name}" for name in shown]


def test_what_is_drawn(write_run, tmp_path, drawn):
    for seed in range(3):
        write_run("fluct", seed, [0.1, 0.3, 0.4 + 0.01 * seed])
    write_run("kaiming", 0, [0.1, 0.1, 0.2])
    figure, axes = drawn(learning_curves, pages_of(learning_curves, own(tmp_path))["randman_dense"])
    valid = axes["valid/accuracy"]
    assert [line.get_color() for line in valid.lines if line.get_linestyle() != "None"] == [
        style.color("fluct"),
        style.color("kaiming"),
    ]
    np.testing.assert_allclose(valid.lines[0].get_ydata(), [10, 30, 41])
    bands = [len(band.get_paths()) for band in valid.collections]
    assert bands == [1, 0], "an interval of three seeds, none of a single one"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["fluctuation-driven", "Kaiming"]
    assert valid.get_ylim() == axes["train/accuracy"].get_ylim()


def test_priming_is_marked(write_run, tmp_path, drawn):
    write_run("fluct", 0, [0.1, 0.3], prime=2)
    figure, axes = drawn(learning_curves, pages_of(learning_curves, own(tmp_path))["randman_dense"])
    assert figure.legends[0].get_texts()[-1].get_text() == "priming, before the task"
    assert all(len(panel.patches) == 1 for panel in axes.values())


def test_no_text_overlaps_or_leaves_the_page(write_run, tmp_path, drawn):
    for init in ("fluct", "fluct_calibrated", "kaiming"):
        for sigma_u in (0.25, 1.0):
            write_run(
                init,
                0,
                np.linspace(0.1, 0.45, 200).tolist(),
                sigma_u=sigma_u,
                populations=[f"h{i}" for i in range(1, 8)],
                prime=20,
            )
    figure, axes = drawn(learning_curves, pages_of(learning_curves, own(tmp_path))["randman_dense"])
    assert len(axes) == 5
    assert len(figure.legends[0].get_texts()) == 7


def test_a_crowded_page_keeps_one_line_of_each_initialization(write_run, tmp_path):
    for sigma_u in (0.1, 0.2, 0.3, 0.5, 0.9, 2.0):
        write_run("fluct", 0, [0.1], sigma_u=sigma_u)
    write_run("kaiming", 0, [0.1])
    assert set(pages_of(learning_curves, own(tmp_path))["randman_dense"]["line"]) == {
        "fluctuation-driven",
        "Kaiming",
    }


def test_of_equal_sets_the_last_is_drawn_and_said(results):
    both = ({"homeostasis.joint": joint, "neuron.beta": 10 + joint} for joint in (True, False))
    runs = [("fluct", seed, 0.5, 1, config) for config in both for seed in (0, 1)]
    page = pages_of(learning_curves, results(runs))["randman_dense"]
    (title,) = page["title"].unique()
    assert title.endswith(", fully connected network, 3 epochs, activity regularization, beta = 11")
    assert set(page["n"]) == {2}
    left = "2 runs (homeostasis.joint = false, neuron.beta = 10)"
    assert (page["left"] == left).all()
    assert page["source"].iloc[0].endswith(f"; left out: {left}")


def test_one_other_key_of_few_values_has_a_line_for_each(results):
    steps = (0.005, 0.02)
    runs = [
        (init, 0, 0.5, 1, {"optimizer.lr": lr}) for init in ("fluct", "kaiming") for lr in steps
    ]
    page = pages_of(learning_curves, results(runs))["randman_dense"]
    names = ("fluctuation-driven", "Kaiming")
    assert {*page["line"]} == {f"{name}, lr = {lr:g}" for name in names for lr in steps}
    assert "left out" not in page["source"].iloc[0]
    few = pages_of(learning_curves, results([*runs, ("lsuv", 0, 0.5, 1, {"optimizer.lr": 0.005})]))
    assert set(few["randman_dense"]["line"]) == {*names, "LSUV"}, "LSUV has one step alone"


def test_one_seed_of_a_data_set_that_was_cut_says_so(results, drawn):
    page = pages_of(
        learning_curves, results([("fluct", 0, 0.5, 1, {"dataset.max_train": 10_000})])
    )["randman_dense"]
    figure, _ = drawn(learning_curves, page)
    details = figure.get_supxlabel().replace("\n", " ")
    assert ", 10,000 samples, fully connected network, 3 epochs; one seed; " in details


def test_lines_of_all_initializations_differ_without_colour(results, drawn):
    names = [name for name in words.INITS if name != "gain"]
    runs: list[tuple[Any, ...]] = [
        (init, seed, 0.5, 1, {}) for seed in (0, 1) for init in names
    ] + [("fluct", 2, 0.5, 1, {})]
    page = pages_of(learning_curves, results(runs))["randman_dense"]
    figure, _ = drawn(learning_curves, page)
    assert len({style.init_look(name)["marker"] for name in names}) == len(names)
    assert page["line"].nunique() == 6, "more would lie on one another"
    details = figure.get_supxlabel().replace("\n", " ")
    assert f"{len(names) - 6} more initializations not drawn" in details
    assert "; n\N{NBSP}=\N{NBSP}2 to 3 seeds; " in details


@pytest.mark.parametrize(
    ("n", "text"),
    [
        ([1, 1], "one seed; marks: means of fewer than 3 seeds, without an interval"),
        ([3, 3], "n = 3 seeds; marks: mean and 95 % interval"),
        (
            [1, 3],
            "n = 1 to 3 seeds; marks: mean and 95 % interval; hollow: fewer than 3 seeds, no "
            "interval",
        ),
    ],
)
def test_few_seeds_have_no_interval(n, text):
    seeds = pd.Series(n)
    assert f"{words.seeds_shown(seeds)}; {words.reading(seeds)}" == text


def test_no_figure_draws_an_interval_of_fewer_than_three_seeds():
    page = pd.DataFrame({"n": [1, 2, 3], "mean": 5.0, "low": 4.0, "high": 6.0})
    assert sheet.as_drawn(page)[["low", "high"]].notna().all(axis=1).tolist() == [
        False,
        False,
        True,
    ]


RATES = {"optimizer._target_": "fdi.train.optimizers.SMORMS3", "optimizer.eps": 1e-16}


def test_a_title_says_the_step_size_or_the_range_of_several():
    runs = pd.DataFrame({**RATES, "optimizer.lr": [0.005, 0.05], "homeostasis.joint": False})
    last = "eps 1e-16, no activity regularization"
    assert words.condition(runs.head(1)) == f"SMORMS3, step size 0.005, {last}"
    assert words.condition(runs) == f"SMORMS3, step size 0.005 to 0.05, {last}"
    assert words.condition(runs, ["optimizer.lr"]) == f"SMORMS3, {last}", "it is an axis"


def test_shades_get_darker():
    for number in range(1, 10):
        luminance = [sum(to_rgb(shade)) for shade in looks.shades(number)]
        assert luminance == sorted(set(luminance), reverse=True)


def test_one_colour_per_initialization():
    own = {name: style.color(name) for name in words.INITS if name != "gain"}
    assert len({*own.values(), *style.OTHER_COLORS}) == len(own) + len(style.OTHER_COLORS)
    assert style.color("mine") == style.color("mine")
    assert style.init_look("fluct", 7) != style.init_look("fluct", 2)


def test_last_bits_of_the_layout_do_not_reach_the_files(tmp_path):
    figure, axes = sheet.page([["a", "b"], ["c", "c"]])
    sheet.save(figure, tmp_path / "figure")
    for panel in axes.values():
        bounds = panel.get_position().bounds
        assert bounds == pytest.approx([round(bound, 6) for bound in bounds], rel=0, abs=1e-12)
