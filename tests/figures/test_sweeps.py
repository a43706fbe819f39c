"""The figure of a sweep from the file of an experiment, and of sweeps that no file describes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import product
from pathlib import Path

import pytest
from making import one_line, write_plan, write_run

import fdi.figures
from fdi.analysis.derived import COLUMNS
from fdi.analysis.results import own
from fdi.cli.figures import main
from fdi.config.lookup import described
from fdi.config.settings import DERIVED, Config, Figure
from fdi.figures import words
from fdi.figures.catalogue import FIGURES, figure_named, over, pages_of
from fdi.figures.sweep import Sweep, experiments, of_file
from fdi.figures.sweeps import others
from fdi.track.record import look

NODE = """# @package _global_
figure:
  title: Steps of my own
  question: Does the step size matter?
  x: optimizer.lr
hydra:
  sweeper:
    params:
      seed: 0,1
      init: kaiming,fluct
      optimizer.lr: 1e-3,1e-1
"""
TINY = ["dataset.samples=60", "dataset.steps=20", "trainer.epochs=1", "model.hidden=8",
        "probe=none"]  # fmt: skip


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess:
    code = "import sys; from fdi.cli.run import main; sys.exit(main())"
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture
def mine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mine" / "experiment" / "steps.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(NODE)
    return file


def test_an_own_experiment_gets_a_figure_without_python(mine, tmp_path, capsys, caplog):
    done = run("-m", "--config-dir", "mine", "experiment=steps", *TINY, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    directory = next(tmp_path.glob("results/runs/*/*/fluct/*/run.json")).parent
    assert "figure" not in look(directory).config, "a run does not know how it is drawn"
    assert main(["--own", "steps"]) == 0
    assert "results/figures/steps_randman_dense.png" in capsys.readouterr().out
    assert main(["--own"]) == 0
    names = {file.stem for file in (tmp_path / "results" / "figures").glob("*.png")}
    assert "steps_randman_dense" in names, "all figures are those of own experiments, too"
    mine.write_text(NODE.replace("x: optimizer.lr", "x: optimizer.lr\n  labell: step"))
    assert main(["--own", "steps"]) == 1
    assert capsys.readouterr().err.startswith("fdi-figures: no figure steps")
    assert "steps.yaml: figure.labell: no such key; did you mean label?" in caplog.text


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("title:", "titel:", "figure.titel"),
        ("x: optimizer.lr", "x: optimiser.lr", "figure.x: optimiser.lr is no key of the config"),
        ("x: optimizer.lr", "x: optimizer.lr\n  scale: logg", "figure.scale = logg is unknown"),
        ("  x: optimizer.lr\n", "", "figure.x"),
        ("  x: optimizer.lr\n", "  x: optimizer.lr\n  least: few\n", "figure.least"),
    ],
)
def test_what_is_wrong_with_a_node_is_one_line_before_anything_runs(
    mine, tmp_path, before, after, said
):
    mine.write_text(NODE.replace(before, after))
    refused = run("-m", "--config-dir", "mine", "experiment=steps", *TINY, cwd=tmp_path)
    assert refused.returncode != 0
    assert refused.stderr.count("\n") == 1
    assert said in refused.stderr
    assert not (tmp_path / "results").exists()


def test_any_key_of_ones_own_runs_is_drawn(results, drawn):
    runs = [
        (
            init,
            seed,
            accuracy + i / 10 + seed / 50,
            1,
            {"model.twist": 10.0**i, "neuron.wide": None},
        )
        for init, accuracy in (("kaiming", 0.2), ("fluct", 0.6))
        for i in range(3)
        for seed in (0, 1, 2)
    ]
    figure = figure_named("model.twist", results(runs).runs)
    (page,) = pages_of(figure, results(runs)).values()
    fluct = page[page["init"] == "fluct"]
    assert fluct["mean"].tolist() == pytest.approx([62, 72, 82])
    assert fluct["versus"].tolist() == pytest.approx([40] * 3), "against kaiming at the same x"
    assert page["finding"].unique() == [
        "Fluctuation-driven against Kaiming: +40 points, undecided in 3 of 3"
    ]
    _, axes = drawn(figure, page)
    assert axes["accuracy"].get_xscale() == "log"
    assert figure_named("model.turns", results(runs).runs) is None


def test_an_initial_state_without_the_key_is_a_level(results, drawn):
    rules = [("homeostatic", s, 0.7, 1, {"init.rule": r}) for s in (0, 1) for r in ("a", "b")]
    runs = [*rules, *(("kaiming", s, 0.1, 1, {}) for s in (0, 1))]
    rule = Sweep(Figure(x="init.rule"))
    (page,) = pages_of(rule, results(runs)).values()
    assert page.loc[page["init"] == "kaiming", "x"].isna().all()
    _, axes = drawn(rule, page)
    (panel,) = axes.values()
    assert [text.get_text() for text in panel.get_xticklabels()] == ["a", "b"]
    assert 10.0 in [line.get_ydata()[0] for line in panel.lines if len(line.get_ydata()) == 2]


def test_null_is_a_value(results, drawn):
    runs = [
        ("fluct", seed, 0.5, 1, {"trainer.clip": clip}) for clip in (None, 1.0) for seed in (0, 1)
    ]
    clip = Sweep(Figure(x="trainer.clip"))
    (page,) = pages_of(clip, results(runs)).values()
    assert page["x"].tolist() == ["1", "null"]
    drawn(clip, page)


def two_keys(**more):
    """Runs over sigma_u and over the synaptic time constant, whose lines cross."""
    return [
        (init, seed, 0.3 + place / 10 + seed / 50, 1,
         {"neuron.tau_syn": tau, "init.sigma_u": sigma if init == "fluct" else None, **more})
        for init in ("kaiming", "fluct")
        for tau, sigmas in ((0.005, (0.5, 1, 2)), (0.04, (2, 1, 0.5)))
        for place, sigma in enumerate(sigmas)
        if init == "fluct" or not place
        for seed in (0, 1, 2)
    ]  # fmt: skip


def test_a_second_key_that_was_swept_is_a_line_each_with_its_words_and_unit(results, drawn):
    found = results(two_keys())
    figure = figure_named("init.sigma_u", found.runs)
    assert (figure.figure.shade, figure.figure.panels) == ("neuron.tau_syn", [])
    (page,) = pages_of(figure, found).values()
    assert page["left"].unique() == [""], "nothing is left out"
    drawing, axes = drawn(figure, page)
    (legend,) = drawing.legends
    labels = " ".join(" ".join(text.get_text().split()) for text in legend.get_texts())
    for tau in (5, 40):
        assert f"fluctuation-driven, synaptic time constant = {tau} ms" in labels
    assert axes["accuracy"].get_xlabel() == "$\\sigma_U$ (units of threshold)"
    lines = [c.lines[0].get_xdata().tolist() for c in axes["accuracy"].containers]
    assert lines == [[0.5, 1, 2]] * 2, "no mark stands beside its value"
    turned = figure_named("neuron.tau_syn", found.runs)
    assert turned.figure.shade == "init.sigma_u"
    (page,) = pages_of(turned, found).values()
    _, axes = drawn(turned, page)
    assert axes["accuracy"].get_xlabel() == "synaptic time constant (ms)"
    assert axes["accuracy"].containers[0].lines[0].get_xdata().tolist() == [5, 40]


def test_more_keys_that_were_swept_are_panels_and_what_goes_together_is_one(results, drawn):
    adam = {"optimizer._target_": "torch.optim.Adam", "optimizer.lr": 1e-3}
    other = {"optimizer._target_": "fdi.train.SMORMS3", "optimizer.lr": 5e-3}
    found = results([*two_keys(**adam), *two_keys(**other)])
    figure = figure_named("init.sigma_u", found.runs)
    assert (figure.figure.shade, figure.figure.panels) == ("neuron.tau_syn", ["optimizer"])
    (page,) = pages_of(figure, found).values()
    _, axes = drawn(figure, page)
    assert [panel.get_title("left") for panel in axes.values()] == ["Adam", "SMORMS3"]
    apart = [run for run in two_keys(**other) if run[4]["init.sigma_u"] in (None, 1)]
    swept = others(results([*two_keys(**adam), *apart]).runs, "init.sigma_u")
    assert swept == ["neuron.tau_syn"], "at one value of sigma_u the other optimizer compares none"


def test_a_sweep_is_drawn_as_one_asks(results):
    runs = results([*two_keys(**{"model.hidden": 8}), *two_keys(**{"model.hidden": 64})]).runs
    asked = over(runs, "init.sigma_u", "model.hidden", ["neuron.tau_syn"])
    assert (asked.figure.shade, asked.figure.panels) == ("model.hidden", ["neuron.tau_syn"])
    for given, said in (
        ({"x": "init.sigma"}, "init.sigma is no key of these runs; did you mean init.sigma_u"),
        ({"x": "init.sigma_u", "hue": "init"}, "init is no key"),
        ({"x": "model.hidden", "panels": ["model.hidden"]}, "give each key once"),
        ({"x": "model.hidden", "name": "depth"}, "give the name of a figure, or the key x"),
        ({"hue": "model.hidden"}, "give the name of a figure, or the key x"),
    ):
        with pytest.raises(ValueError, match=said):
            fdi.figures.draw(runs=runs, **given)


def test_a_key_has_the_words_and_the_unit_of_its_comment():
    assert described("neuron.tau_mem") == ("membrane time constant", "s")
    assert described("homeostasis.upper.rate") == ("", "Hz"), "a unit alone"
    assert described("model.twist") == described("twist.a") == ("", "")
    assert words.phrase("neuron.tau_mem", 0.02) == "membrane time constant = 20 ms"
    assert words.phrase("model.twist", 2.0) == "model.twist = 2"


@pytest.mark.slow
def test_every_combination_is_drawn(results, drawn):
    runs = [
        (init, seed, 0.3 + lr, layers,
         {"optimizer.lr": lr, "model.depth": float(layers), "model.norm": norm})
        for init in ("kaiming", "fluct")
        for layers in (1, 2)
        for norm in ("none", "tdbn")
        for lr in (0.001, 0.01, 0.1)
        for seed in (0, 1)
    ]  # fmt: skip
    found = results(runs)
    for panels in ([], ["layers"], ["layers", "model.norm"]):
        for quantities in (["accuracy"], ["accuracy", "rate"]):
            figure = Figure(x="optimizer.lr", panels=panels, quantities=quantities)
            if len(panels) < 2:
                figure.only = {"model.norm": "none"}
            if not panels:
                figure.only |= {"layers": 1}
            sweep = Sweep(figure)
            (page,) = pages_of(sweep, found).values()
            drawn(sweep, page)


def test_a_quantity_that_is_none_is_one_line(results):
    runs = [("fluct", 0, 0.5, 1, {"optimizer.lr": lr}) for lr in (0.1, 0.2)]
    with one_line(r"figure\.quantities: secnds is no quantity; did you mean"):
        pages_of(Sweep(Figure(x="optimizer.lr", quantities=["secnds"])), results(runs))


def test_words_have_one_home():
    assert {*DERIVED} == {*COLUMNS} - {entry.name for entry in fields(Config)}


def test_each_experiment_of_fdi_is_read():
    assert {"readout", "bounds", "depth"} <= set(experiments())


def test_a_file_without_a_node_says_nothing(tmp_path):
    (tmp_path / "a.yaml").write_text("trainer:\n  epochs: 3\n")
    assert of_file(tmp_path / "a.yaml") is None


def sweep(results: Path, depths: Sequence[int], inits: Sequence[str], seeds: int, **more) -> None:
    """Writes runs of some depths, init by init."""
    for depth, init, seed in product(depths, inits, range(seeds)):
        rates = {f"h{layer}": 8.0 for layer in range(1, depth + 1)}
        config = {"model.depth": depth, "model.hidden": 128, **more.get("config", {})}
        accuracy = 0.5 + 0.1 * (init == "fluct") + 0.01 * seed
        write_run(results, init, seed, accuracy, config=config, rates=rates, result=COUNTED)


COUNTED = {"classes": 10, "test_samples": 1000}
OTHER = {"config": {"optimizer.eps": 1e-8}}


def test_runs_by_hand_do_not_take_the_place_of_a_comparison_and_are_named(tmp_path):
    sweep(tmp_path, (1, 2), ("kaiming", "fluct"), 3)
    sweep(tmp_path, (1, 2, 3), ("kaiming",), 1, **OTHER)
    (page,) = pages_of(FIGURES["depth"], own(tmp_path)).values()
    accuracy = page[page["quantity"] == "accuracy"]
    assert set(accuracy["init"]) == {"kaiming", "fluct"}
    assert set(accuracy["n"]) == {3}
    assert page["left"].iloc[0] == "3 runs (model.depth = 3, optimizer.eps = 1e-08)"
    assert page["source"].iloc[0].endswith(page["left"].iloc[0])


def test_figures_of_one_set_of_runs_say_which_others_they_leave_out(results):
    """Of two files, and of runs that are judged in two ways; files are compared where one asks."""
    runs = [
        (init, seed, 0.5, 1, {"dataset.file": f"{name}.npz", "dataset.name": name, "data": name})
        for name, init, seed in product("ab", ("kaiming", "fluct"), range(3))
    ]
    found = results([*runs, *((*run[:4], run[4] | {"loss": "squares"}) for run in runs[:6])])
    squares = found.runs["loss"].eq("squares")
    found.runs["metric"] = squares.map({True: "R2 (%)"})
    found.runs["operations/effective"] = 1e4
    for name in ("states", "operations"):
        (page,) = pages_of(FIGURES[name], found).values()
        assert page["left"].iloc[0].startswith("12 runs ("), name
        assert page["source"].iloc[0].endswith(page["left"].iloc[0])
    (page,) = pages_of(Sweep(Figure(x="dataset.file")), found).values()
    assert page["x"].unique().tolist() == ["a.npz", "b.npz"]
    assert page["left"].iloc[0] == "6 runs (loss = squares)"
    assert pages_of(Sweep(Figure(x="loss")), found) == {}, "no axis has two metrics"


def test_a_page_of_runs_that_one_chose_says_by_which_value(results):
    """And where an argument stands that the baseline lacks."""
    runs = [
        (init, seed, 0.5, 1, config | {"neuron.tau_syn": tau})
        for (init, config), seed, tau in product(
            [("kaiming", {}), *(("fluct", {"init.alpha": alpha}) for alpha in (0.5, 0.9))],
            range(3),
            (0.005, 0.04),
        )
    ]
    every = results(runs)
    few = replace(every, runs=every.runs[every.runs["neuron.tau_syn"] == 0.04])
    (page,) = pages_of(FIGURES["states"], few, every.runs).values()
    said = "own runs with neuron.tau_syn = 0.04, init.alpha = 0.9; left out: 3 runs"
    assert page["source"].iloc[0] == f"{said} (init.alpha = 0.5)"


def test_a_figure_of_an_experiment_shows_its_plan_before_all_others(tmp_path):
    sweep(tmp_path, (1, 2), ("kaiming", "fluct"), 1, **OTHER)
    write_plan(tmp_path, "depth")
    sweep(tmp_path, (1, 2, 3), ("kaiming", "fluct"), 3)
    (page,) = pages_of(FIGURES["depth"], own(tmp_path)).values()
    assert set(page.loc[page["quantity"] == "accuracy", "n"]) == {1}
    assert page["left"].iloc[0].startswith("18 runs (")
