"""`dry_run=true`: what would run, and what it would cost."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from commands import REFERENCE, SMALL, done
from omegaconf import OmegaConf

from fdi.cli import cost
from fdi.cli.cells import Cell
from fdi.track.files import write_json


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(cost, "cores", lambda: 2)


def test_dry_run_lists_cells_without_torch_and_makes_nothing(tmp_path):
    code = (
        "import sys\nfrom fdi.cli.run import main\ntry:\n    main()\nfinally:\n    assert "
        "'torch' not in sys.modules"
    )
    command = [
        sys.executable,
        "-c",
        code,
        "-m",
        "init=kaiming,fluct",
        "seed=range(2)",
        "dry_run=true",
    ]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    lines = found.stdout.splitlines()
    assert lines[-2] == "4 cells: 4 not run yet"
    assert re.fullmatch(r"4 cells, about [0-9.]+ min on \d+ cores?", lines[-1])
    assert [line[:11] for line in lines[:-2]] == ["not run yet"] * 4
    assert lines[0].split()[3].startswith("results/runs/randman/dense/kaiming/seed=0-")
    assert not list(tmp_path.iterdir())


def test_a_dry_run_says_what_the_directory_does_not(fdi_run):
    lines = fdi_run("-m", "seed=0,1", "model.depth=1,2", "dry_run=true").out.splitlines()
    assert [line.split()[4] for line in lines[:-2]] == ["model.depth=1", "model.depth=2"] * 2


@pytest.fixture
def nothing_shipped(monkeypatch, tmp_path):
    """fdi as if it came without measured costs."""
    (tmp_path / "epochs.csv").write_text(f"{cost.SECONDS}\n")
    monkeypatch.setattr(cost, "SHIPPED", tmp_path / "epochs.csv")


def hour_long(config, directory, *_):
    """Two threads, an hour an epoch, but for the first one, which compiled."""
    done(config, directory)
    rows = "epoch,seconds,seconds_valid\n1,9000,0\n2,3000,600\n"
    (directory / "metrics.csv").write_text(rows)
    write_json(directory / "record.json", {"threads": 2})
    (directory / ".hydra").mkdir()
    OmegaConf.save(config, directory / ".hydra" / "config.yaml")


@pytest.fixture
def nothing_tried(monkeypatch):
    monkeypatch.setattr(cost, "KINDS", 0)


@pytest.mark.usefixtures("nothing_shipped", "nothing_tried")
def test_a_dry_run_says_what_the_rest_will_cost(fdi_run):
    """By the seconds of an epoch, on each of its threads, of a run of the same kind."""
    kind = ("-m", "trainer.epochs=2", "dry_run=true")
    fdi_run("-m", "trainer.epochs=2", "seed=0", run=hour_long)
    more = fdi_run(*kind, "seed=range(4)").out.splitlines()
    assert more[-1] == "3 cells, about 6 h on 2 cores"
    measured = fdi_run(*kind, "seed=range(4)", "probe=only").out.splitlines()
    assert measured[-1] == "3 cells, about 3 h on 2 cores"
    primed = fdi_run(*kind, "seed=1", "homeostasis=prime", "homeostasis.prime_epochs=3")
    assert primed.out.splitlines()[-1] == "1 cell, about 5 h on 2 cores"
    other = fdi_run(*kind, "seed=0", "model.hidden=128,64").out.splitlines()
    assert other[-2] == "2 cells: 1 done, 1 not run yet"
    assert other[-1] == "cost not known: no run of its kind is done yet"
    slow = fdi_run(*kind, "seed=1", "engine=reference").out.splitlines()
    assert slow[-1] == "cost not known: no run of its kind is done yet"
    both = fdi_run(*kind, "seed=1", "model.hidden=128,64").out.splitlines()
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
    assert [line.split("/")[4] for line in lines[:-2]] == ["pytorch"]


def test_what_costs_next_to_nothing_is_said_so(monkeypatch, tmp_path):
    cell = Cell((), {}, tmp_path)
    monkeypatch.setattr(cost, "_core_seconds", lambda cells: [3.6 for _ in cells])
    assert cost.estimate([cell]) == "1 cell, less than a minute"


@pytest.mark.usefixtures("nothing_shipped")
def test_a_kind_without_a_run_is_tried_for_some_steps(fdi_run, tmp_path):
    given = ("-m", *SMALL, REFERENCE, "seed=0,1", "dry_run=true")
    line = fdi_run(*given).out.splitlines()[-1]
    assert line.startswith("2 cells, less than a minute (by some steps of training, within a fac")
    long = fdi_run(*given, "trainer.epochs=1000000").out.splitlines()[-1]
    assert re.match(r"2 cells, about [\d.e+]+ h on 2 cores \(by some steps", long)
    assert [path.name for path in tmp_path.iterdir()] == ["epochs.csv"], "nothing is written"
    away = fdi_run("dataset=shd", "dry_run=true").out.splitlines()[-1]
    assert away == "cost not known: no run of its kind is done yet", "nothing is downloaded"


@pytest.mark.usefixtures("nothing_shipped", "nothing_tried")
def test_a_depth_that_is_not_given_costs_as_if_it_were(fdi_run):
    words = ("-m", "model=conv", "model.filters=[4,4,4]", "dataset=digits", "trainer.epochs=1")
    fdi_run(*words, "model.depth=3", run=hour_long)
    assert fdi_run(*words, "dry_run=true").out.splitlines()[-1] == "1 cell, about 1 h on 2 cores"
    deeper = fdi_run(*words, "model.depth=4", "dry_run=true").out.splitlines()
    assert deeper[-1] == "cost not known: no run of its kind is done yet"


def test_a_large_sweep_says_what_it_costs_before_it_starts(fdi_run, monkeypatch):
    monkeypatch.setattr(cost, "_core_seconds", lambda cells: [3 * 3600.0 for _ in cells])
    words = ["-m", "experiment=recurrent_alpha", "dataset=randman", "model=recurrent", "seed=0"]
    words.append("init.alpha=0.5")
    small = fdi_run(*words, "budget=laptop", "homeostasis=none", run=done).out.splitlines()
    large = fdi_run(*words, run=done).out.splitlines()
    assert re.fullmatch(r"to run: \d+ cells?, about [\d.]+ h on 2 cores", large[0])
    assert re.fullmatch(r"budget=laptop: \d+ cells?, about [\d.]+ h on 2 cores", large[1])
    assert small[0].startswith("to run: ")
    assert not small[1].startswith("budget=laptop")


def test_a_dry_run_names_the_smaller_edition(fdi_run, monkeypatch):
    monkeypatch.setattr(cost, "_core_seconds", lambda cells: [3 * 3600.0 for _ in cells])
    words = ["-m", "experiment=depth", "dry_run=true", "seed=0", "model.depth=1", "dataset=randman"]
    words += ["init=fluct", "init.sigma_u=1", "homeostasis=none"]
    *_, whole, smaller = fdi_run(*words).out.splitlines()
    assert re.fullmatch(r"\d+ cells?, about [\d.]+ h on 2 cores", whole)
    assert re.fullmatch(r"budget=laptop: \d+ cells?, about [\d.]+ h on 2 cores", smaller)
    assert "budget=laptop:" not in fdi_run(*words, "budget=laptop").out
