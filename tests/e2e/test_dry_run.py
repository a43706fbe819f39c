"""`dry_run=true`: what would run, and what it would cost."""

from __future__ import annotations

import re

import pytest
from commands import REFERENCE, SMALL, TINY

from fdi.cli import cost, sweep
from fdi.cli.cells import compose_cells
from fdi.cli.run import parse
from fdi.data.download import SOURCES
from fdi.data.stand_in import published, stand_in


@pytest.fixture
def untried(monkeypatch):
    monkeypatch.setattr(cost, "KINDS_ASKED", 0)


def test_dry_run_lists_cells_and_makes_nothing(fdi_run, tmp_path, untried):
    lines = fdi_run("-m", "init=kaiming,fluct", "seed=range(2)", "dry_run=true").out.splitlines()
    assert lines[-2:] == ["4 cells: 4 not run yet", "4 cells, cost not known"]
    assert [line[:11] for line in lines[:-2]] == ["not run yet"] * 4
    assert lines[0].split()[3].startswith("results/runs/randman/dense/kaiming/seed=0-")
    assert not list(tmp_path.iterdir())


def test_a_dry_run_says_what_dales_law_forbids(fdi_run, tmp_path, untried):
    asked = ("experiment=readout", "budget=laptop", "model=dale", "dry_run=true")
    states = "init=kaiming,fluct,fluct_calibrated"
    shortened, *lines = fdi_run("-m", *asked, states, "seed=0,1").out.splitlines()
    assert shortened.startswith("experiment=readout trains 50 of the 200 epochs")
    assert sorted(line.split()[0] for line in lines[:-3]) == ["not"] * 8 + ["refused"] * 4
    why = "init=kaiming draws weights of both signs, and Dale's law forbids them; use init=fluct, "
    assert lines[-3:] == [
        "12 cells: 4 refused, 8 not run yet",
        f"{why}fluct_lognormal or fluct_calibrated",
        "8 cells, cost not known",
    ]


def test_a_dry_run_says_what_the_directory_does_not(fdi_run, untried):
    lines = fdi_run("-m", "seed=0,1", "model.depth=1,2", "dry_run=true").out.splitlines()
    assert [line.split()[4] for line in lines[:-2]] == ["model.depth=1", "model.depth=2"] * 2


@pytest.mark.parametrize(
    ("words", "number", "epochs"),
    [
        (["seed=range(4)"], 4, 8),
        (["seed=range(4)", "probe=only"], 4, 4),
        (["seed=1", "homeostasis=prime", "homeostasis.prime_epochs=3"], 1, 5),
        (["model.hidden=4,8"], 1, 2),
        (["engine=cpu,reference"], 1, 2),
    ],
)
def test_what_cells_cost_follows_from_an_epoch_of_their_kind(words, number, epochs):
    cells = compose_cells(parse(["-m", *TINY, "trainer.epochs=2", *words]))
    assert cost.total(cells, {cost.same_cost(cells[0].values): 7.0}) == (number, 7 * epochs)


TRAINED = {  # samples of training and validation, from the publications
    "shd": (7340, 816),
    "ssc": (75466, 9981),
    "nmnist": (54000, 6000),
    "dvs_gesture": (969, 108),
    "cifar10": (45000, 5000),
    "mnist": (54000, 6000),
    "fashion_mnist": (54000, 6000),
}


FAST = ("engine=cpu", "device=cpu", "threads=null")


@pytest.mark.parametrize(
    ("words", "epoch", "short"),
    [
        ([*FAST, "trainer.epochs=5"], 0.1, True),
        ([*FAST, "trainer.epochs=5"], 4.0, False),  # 20 core-seconds are the most
        ([*FAST, "trainer.epochs=50"], 0.01, False),
        ([*FAST, "trainer.epochs=1", "model.hidden=4,8"], 0.1, False),  # one kind is not known
        ([*FAST, "trainer.epochs=5", "threads=1"], 0.1, False),
        (["engine=reference", "trainer.epochs=5", "threads=null"], 0.1, False),
    ],
)
def test_few_short_cells_need_no_second_process(monkeypatch, words, epoch, short):
    """They run here where as many processes as cores may run them, and no others do."""
    arguments = parse(["-m", *TINY, *words, "seed=range(5)", "hydra/launcher=local"])
    cells, here = compose_cells(arguments), []
    monkeypatch.setattr(cost, "_tried", lambda *_: {cost.same_cost(cells[0].values): epoch})
    assert cost.short(cells) == short
    if short:
        monkeypatch.setattr(sweep, "run_cell", lambda cell, **_: here.append(cell.values["seed"]))
        sweep.launch(arguments, cells)
        assert here == [*range(5)]


def test_an_epoch_is_tried_and_nothing_is_written_or_downloaded(fdi_run, tmp_path):
    given = ("-m", *SMALL, REFERENCE, "seed=0,1", "dry_run=true", "trainer.epochs=1000000")
    line = fdi_run(*given).out.splitlines()[-1]
    assert re.match(r"2 cells, about [\d,.e+]+ \w+ on \d+ cores? \(by some steps", line)
    small = ("dataset=shd", "dataset.dt=0.1", "trainer.batch_size=20", "model.hidden=4")
    assert fdi_run(*small, "dry_run=true").out.splitlines()[-1].startswith("1 cell, ")
    where = fdi_run("dataset=japanese_vowels", "dry_run=true").out.splitlines()[-1]
    assert where == "1 cell, cost not known"
    assert not list(tmp_path.iterdir())


NOT_HERE = [name for name, source in SOURCES.items() if source.form]


@pytest.mark.parametrize("name", NOT_HERE)
def test_what_is_not_here_has_a_stand_in_of_its_form(name):
    """As many samples, steps and units as the files have, spikes at their rate or images."""
    options = compose_cells(parse([f"dataset={name}"]))[0].values["dataset"]
    data, (train, valid) = stand_in(name, options, 25), published(name, options)
    assert len(data.train) >= 25
    assert (train, valid) == TRAINED[name]
    form = SOURCES[name].form or {}
    assert data.shape == (*form["shape"],)
    assert data.steps == options.get("steps") or data.steps == round(options["duration"] / 0.002)
    if "rate" in form:
        assert data.nu == pytest.approx(form["rate"], rel=0.1)
    else:
        assert data.nu is None


def test_a_swept_key_counts_for_the_cells_that_have_it(fdi_run, untried):
    sweep = (
        "-m",
        "seed=0,1",
        "init=kaiming,fluct,fluct_mu",
        "init.sigma_u=0.5,1",
        "init.xi=1,2,3",
        "dry_run=true",
    )
    assert fdi_run(*sweep).out.splitlines()[-2] == "12 cells: 12 not run yet"


def test_the_command_line_wins_over_the_sweep_of_an_experiment(fdi_run, untried):
    lines = fdi_run("-m", "experiment=quickstart", "init=pytorch", "dry_run=true").out.splitlines()
    assert lines[0].startswith("experiment=quickstart trains 25 of the 200 epochs that conf/tuned")
    assert [line.split("/")[4] for line in lines[1:-2]] == ["pytorch"] * 2
