"""`dry_run=true`: what would run, and what it would cost."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from commands import REFERENCE, SMALL, TINY

from fdi.cli import cost


@pytest.fixture(autouse=True)
def two_cores_and_no_trials(monkeypatch):
    monkeypatch.setattr(cost, "cores", lambda: 2)
    monkeypatch.setattr(cost, "KINDS", 0)


def test_dry_run_lists_cells_and_makes_nothing(fdi_run, tmp_path):
    lines = fdi_run("-m", "init=kaiming,fluct", "seed=range(2)", "dry_run=true").out.splitlines()
    assert lines[-2] == "4 cells: 4 not run yet"
    assert lines[-1] == "4 cells, cost not known: no run of their kind is done yet"
    assert [line[:11] for line in lines[:-2]] == ["not run yet"] * 4
    assert lines[0].split()[3].startswith("results/runs/randman/dense/kaiming/seed=0-")
    assert not list(tmp_path.iterdir())


def test_a_dry_run_says_what_the_directory_does_not(fdi_run):
    lines = fdi_run("-m", "seed=0,1", "model.depth=1,2", "dry_run=true").out.splitlines()
    assert [line.split()[4] for line in lines[:-2]] == ["model.depth=1", "model.depth=2"] * 2


def take_hours() -> None:
    """The runs took two hours an epoch, on one thread, but for the first one, which compiled."""
    for file in Path("results").rglob("metrics.csv"):
        file.write_text("epoch,seconds,seconds_valid\n1,9000,0\n2,6000,1200\n")


def test_a_dry_run_says_what_the_rest_will_cost(fdi_run):
    """By the seconds of an epoch, on each of its threads, of a run of the same kind."""
    kind = ("-m", *TINY, "trainer.epochs=2", "dry_run=true")
    fdi_run(*kind[:-1], "seed=0")
    take_hours()
    more = fdi_run(*kind, "seed=range(4)").out.splitlines()
    assert more[-1] == "3 cells, about 6 h on 2 cores"
    measured = fdi_run(*kind, "seed=range(4)", "probe=only").out.splitlines()
    assert measured[-1] == "3 cells, about 3 h on 2 cores"
    primed = fdi_run(*kind, "seed=1", "homeostasis=prime", "homeostasis.prime_epochs=3")
    assert primed.out.splitlines()[-1] == "1 cell, about 5 h on 2 cores"
    other = fdi_run(*kind, "seed=0", "model.hidden=4,8").out.splitlines()
    assert other[-2] == "2 cells: 1 done, 1 not run yet"
    assert other[-1] == "1 cell, cost not known: no run of its kind is done yet"
    slow = fdi_run(*kind, "seed=1", "engine=cpu").out.splitlines()
    assert slow[-1] == "1 cell, cost not known: no run of its kind is done yet"
    both = fdi_run(*kind, "seed=1", "model.hidden=4,8").out.splitlines()
    assert (
        both[-1] == "1 of 2 cells, about 2 h on 2 cores; the others are of a kind not measured yet"
    )


def test_a_swept_key_counts_for_the_cells_that_have_it(fdi_run):
    sweep = (
        "-m",
        "seed=0,1",
        "init=kaiming,fluct,fluct_mu",
        "init.sigma_u=0.5,1",
        "init.xi=1,2,3",
        "dry_run=true",
    )
    assert fdi_run(*sweep).out.splitlines()[-2] == "12 cells: 12 not run yet"
    typo = fdi_run("-m", "init=kaiming,fluct", "init.sgima_u=0.5,1")
    assert typo.code == 2
    assert (
        typo.err
        == "fdi-run: init.sgima_u: no such key; did you mean sigma_u? choose one of alpha, nu, "
        "sigma_u\n"
    )


def test_the_command_line_wins_over_the_sweep_of_an_experiment(fdi_run):
    lines = fdi_run("-m", "experiment=quickstart", "init=pytorch", "dry_run=true").out.splitlines()
    assert [line.split("/")[4] for line in lines[:-2]] == ["pytorch"] * 2


def test_a_kind_without_a_run_is_tried_for_some_steps(fdi_run, tmp_path, monkeypatch):
    monkeypatch.setattr(cost, "KINDS", 1)
    given = ("-m", *SMALL, REFERENCE, "seed=0,1", "dry_run=true")
    line = fdi_run(*given).out.splitlines()[-1]
    assert line.startswith("2 cells, less than a minute (by some steps of training, within a fac")
    long = fdi_run(*given, "trainer.epochs=1000000").out.splitlines()[-1]
    assert re.match(r"2 cells, about [\d,.e+]+ \w+ on 2 cores \(by some steps", long)
    assert not list(tmp_path.iterdir()), "nothing is written"
    away = fdi_run("dataset=shd", "dry_run=true").out.splitlines()[-1]
    assert away == "1 cell, cost not known: no run of its kind is done yet", "nothing is downloaded"


def test_a_large_sweep_says_what_it_costs_before_it_starts(fdi_run):
    words = ["-m", "experiment=recurrent_alpha", "dataset=randman", "model=recurrent", *TINY]
    words += ["homeostasis=none", "init.alpha=0.5"]
    unknown = fdi_run(*words, "seed=0").out
    assert re.match(r"budget=laptop: \d+ cells?, cost not known: no run of", unknown)
    take_hours()
    cost = r" \d+ cells?, about [\d.]+ h on 2 cores\n"
    small = fdi_run(*words, "seed=1", "budget=laptop").out
    assert re.search(f"to run:{cost}", small)
    assert "budget=laptop:" not in small
    large = fdi_run(*words, "seed=2").out
    assert re.search(f"to run:{cost}budget=laptop:{cost}", large)


def test_a_dry_run_names_the_smaller_edition(fdi_run):
    words = ["-m", "experiment=depth", "seed=0", "model.depth=1", "dataset=randman", *TINY]
    words += ["init=fluct", "init.sigma_u=1", "homeostasis=none"]
    fdi_run(*words, "trainer.epochs=2")
    take_hours()
    *_, whole, smaller = fdi_run(*words, "dry_run=true").out.splitlines()
    assert re.fullmatch(r"\d+ cells?, about [\d.]+ (h|min) on 2 cores", whole)
    assert re.fullmatch(r"budget=laptop: \d+ cells?, about [\d.]+ (h|min) on 2 cores", smaller)
    assert "budget=laptop:" not in fdi_run(*words, "dry_run=true", "budget=laptop").out
