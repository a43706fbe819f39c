"""The tables of the README and of docs/."""

from __future__ import annotations

import importlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from making import EVIDENCE, write_plan

from fdi.analysis.collect import config_columns
from fdi.analysis.derived import with_layers
from fdi.analysis.results import own
from fdi.study.measured import read_export

REFERENCE = Path(__file__).parents[2] / "results" / "reference"
SCRIPTS = Path(__file__).parents[2] / "scripts" / "study"


@pytest.fixture
def page(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    return lambda name: importlib.import_module(f"pages.{name}")


@pytest.fixture
def measured(authors_run, tmp_path):
    for seed, more in enumerate((0.0, 0.01, 0.02)):
        for init, accuracy in (("fluct", 0.7 + more), ("kaiming", 0.5), ("xavier", 0.7)):
            authors_run(init, seed, accuracy)
    return own(tmp_path)


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[word.strip() for word in line.strip("|").split("|")] for line in lines]


def test_claims(page, measured):
    table = rows(page("claims").full(measured))
    claim = "Networks with one hidden layer learn better than from Kaiming weights"
    assert table[2][:4] == [claim, "reproduced on Randman", "1 of 1", ""]
    assert "71.0 against 50.0, +21.0 (+18.5..+23.5), n = 3: for it" in table[2][4]


def test_what_else_was_compared_changes_no_verdict_of_the_headline(page, tmp_path):
    """The family is what the table prints: a third state at its best stands in another one."""
    for path in REFERENCE.iterdir():
        if path.name != "choices":
            (tmp_path / path.name).symlink_to(path)
    shutil.copytree(REFERENCE / "choices", tmp_path / "choices")
    before, every = (page("headline").headline, page("headline").at_their_best)
    table, long = before(read_export(tmp_path)), every(read_export(tmp_path))
    for path in [*tmp_path.glob("choices/*/choice.json")]:
        content = json.loads(path.read_text())
        fluct = [side for side in content["sides"] if side["init"] == "fluct"]
        content["sides"] = [side | {"init": "lsuv"} for side in fluct]
        added = path.parent.with_name(f"{path.parent.name}-lsuv") / path.name
        added.parent.mkdir()
        added.write_text(json.dumps(content))
    assert before(read_export(tmp_path)) == table
    assert every(read_export(tmp_path)) != long


def test_advice(page, measured):
    head, _, row = rows(page("advice").advice(measured))
    found = dict(zip(head, row))
    assert found["best on validation"] == "fluct (sigma_u = 1): 71.0 (68.5..73.5), n = 3"
    assert found["undecided against it"] == "xavier"
    assert found["worse"] == "kaiming -21.0"


def test_advice_does_not_mix_sizes_of_the_data(page, authors_run, tmp_path):
    for i, cut in enumerate((None, 100)):
        for seed in range(2):
            for init, accuracy in (("fluct", 0.7 - i / 10), ("kaiming", 0.5)):
                authors_run(init, seed, accuracy, {"dataset.max_train": cut})
    found = sorted(row[0] for row in rows(page("advice").advice(own(tmp_path)))[2:])
    sizes = ("randman (100 samples)", "randman")
    assert found == [f"{size}, dense, 1 layer, 200 epochs" for size in sizes]


def test_convolutions(page, authors_run, tmp_path):
    common = {"homeostasis.lower.strength": 0.0, "init.sigma_u": 1.0, "dataset.max_train": None}
    rates = {f"h{i}": 8.0 for i in range(1, 5)}
    given = {"dataset": "cifar10", "model": "conv_deep", "rates": rates}
    cut = common | {"dataset.max_train": 100}
    for init, seed, accuracy, config in (
        ("fluct", 0, 0.6, common),
        ("fluct", 1, 0.7, common),
        ("lsuv", 0, 0.5, common),
        ("fluct", 0, 0.3, cut),
        ("kaiming", 0, 0.2, cut),
        ("fluct", 0, 0.9, common | {"trainer.epochs": 2000}),
    ):
        authors_run(init, seed, accuracy, config, **given)
    whole, part = sorted(rows(page("images").convolutions(own(tmp_path)))[2:], reverse=True)
    assert whole[0] == "cifar10, conv_deep, 4 layers, 200 epochs"
    assert whole[1:] == ["", "65.0 (1.5..100.0), n = 2", "", "50.0, n = 1", ""]
    assert part[0] == "cifar10 (100 samples), conv_deep, 4 layers, 200 epochs"
    assert part[1:] == ["20.0, n = 1", "30.0, n = 1", "", "", ""]


def test_a_cell_holds_one_configuration(page, authors_run, tmp_path):
    """A cell for runs that differ in more than their numerics, and precision, is refused."""
    for seed in range(5):
        authors_run("kaiming", seed, 0.2, evidence=EVIDENCE | {"numerics": 1})
    for seed in range(3):
        authors_run("kaiming", seed, 0.8, {"neuron.beta": 100.0})
        authors_run("kaiming", seed, 0.3, {"neuron.beta": 50.0})
    averaged = page("tables").averaged(with_layers(own(tmp_path).runs), ["layers", "neuron.beta"])
    assert sorted(averaged["n"]) == [3, 3, 5]
    runs = with_layers(own(tmp_path).runs)
    with pytest.raises(ValueError, match=r"runs that differ in neuron\.beta"):
        page("tables").accuracy(runs)
    same = runs.drop(columns="neuron.beta")
    assert page("tables").accuracy(same[same["test_accuracy_last"] < 0.5]) == (
        "30.0 (30.0..30.0), n = 3"
    )
    assert page("tables").accuracy(runs.iloc[:0]) == ""


def test_bounds_stand_beside_none_on_the_same_data(page, authors_run, tmp_path):
    free = {"homeostasis.joint": False, "homeostasis.prime_epochs": 0}
    for seed, more in enumerate((0.0, 0.01, 0.02)):
        for size, lift in ((900, 0.2), (None, 0.6)):
            few = {"dataset.max_train": size}
            authors_run("kaiming", seed, 0.1, few | free)
            authors_run("kaiming", seed, 0.1 + lift + more, few)
    write_plan(tmp_path, "restore")
    text = page("findings").primed(own(tmp_path))
    assert [row[2:4] for row in rows(text)[2:]] == [
        ["none", "10.0 (10.0..10.0), n = 3"],
        ["in the loss", "31.0 (28.5..33.5), n = 3"],
        ["none", "10.0 (10.0..10.0), n = 3"],
        ["in the loss", "71.0 (68.5..73.5), n = 3"],
    ]
    assert [row[4] for row in rows(text)[3::2]] == ["+21.0 (+18.5..+23.5)", "+61.0 (+58.5..+63.5)"]


AVERAGED = [
    ("findings", "one_layer"),
    ("lazy", "laziness"),
    ("lazy", "decaying"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("module", "table"), AVERAGED)
def test_no_cell_of_a_page_mixes_configurations(page, monkeypatch, module, table):
    said = importlib.import_module("fdi.analysis.conditions")
    mixed: list[Any] = []
    average = said.moments

    def watched(runs, by, quantity, *limits):
        columns = [name for name in config_columns(runs) if "." in name or name in said_too]
        for cell, group in runs.groupby(list(by), dropna=False):
            names = {name for name in columns if name not in by and _differs(group, name)}
            mixed.extend([(cell, names)] if names - named else [])
        return average(runs, by, quantity, *limits)

    tables = page("tables")
    said_too, named = tables.OTHERS, {"seed", *tables.NAMES}
    for place in (said, tables, page(module), importlib.import_module("fdi.figures.sweep")):
        if hasattr(place, "moments"):
            monkeypatch.setattr(place, "moments", watched)
    text = getattr(page(module), table)(read_export(SCRIPTS.parents[1] / "results" / "reference"))
    assert len(rows(text)) > 2 or "*Not measured yet" in text
    assert not mixed


def _differs(group, name):
    return group[name].nunique(dropna=False) > 1


def test_without_runs(page, tmp_path):
    assert "*Not measured yet" in page("images").convolutions(own(tmp_path))
    assert "*Not measured yet" in page("advice").advice(own(tmp_path))
    assert "not run" in page("claims").full(own(tmp_path))
    assert page("tables").behind("gain", own(tmp_path)).startswith("*Not measured yet: `fdi-run")


def test_advice_decides_over_the_comparisons_of_a_network(page, authors_run, tmp_path):
    """Each difference has p = 0.0136 by itself, 0.054 as one of four."""
    for i in range(4):
        for seed, more in enumerate((0.1, 0.12, 0.15)):
            authors_run("fluct", seed, 0.5 + more, dataset=f"data{i}")
            authors_run("kaiming", seed, 0.5, dataset=f"data{i}")
    found = rows(page("advice").advice(own(tmp_path)))[2:]
    assert [bool(row[3]) for row in found] == [True] * 4
    for seed in range(3):
        for init in ("pytorch", "xavier", "orthogonal"):
            authors_run(init, seed, 0.5, dataset="data3")
    found = rows(page("advice").advice(own(tmp_path)))[2:]
    assert [bool(row[3]) for row in found] == [True] * 3 + [False]


def test_runs_with_another_eps_are_no_advice(page, authors_run, tmp_path):
    for seed in range(3):
        for init, accuracy in (("fluct", 0.9), ("kaiming", 0.5)):
            authors_run(init, seed, accuracy, {"optimizer.eps": 1e-30})
    assert "*Not measured yet" in page("advice").advice(own(tmp_path))


def test_normalized_runs_have_a_row_and_no_part_in_other_tables(page, authors_run, tmp_path):
    kinds = {("none", False): 0.2, ("tdbn", False): 0.6, ("none", True): 0.5, ("tdbn", True): 0.7}
    for seed, more in enumerate((0.0, 0.01, 0.02)):
        for (norm, skip), kaiming in kinds.items():
            config = {"model.norm": norm, "model.skip": skip}
            for init, accuracy in (("fluct", 0.7 + more), ("kaiming", kaiming)):
                authors_run(init, seed, accuracy, config, rates=TWO)
    found = own(tmp_path)
    head, _, row = rows(page("instead").normalized(found))
    compared = dict(zip(head, row))
    assert compared["network"] == "randman, dense, 2 hidden layers"
    assert compared["n"] == "3"
    assert compared["neither"] == "71 against 20: better"
    assert compared["tdBN"] == "71 against 60: better"
    assert compared["tdBN + skip"] == "71 against 70: undecided"
    ((_, best, undecided, worse, _),) = rows(page("advice").advice(found))[2:]
    assert (best[:5], undecided, worse) == ("fluct", "", "kaiming -51.0")


TWO = {"h1": 8.0, "h2": 8.0}


def test_step_sizes_behind_a_normalization_have_a_row_each(page, authors_run, tmp_path):
    cosine = {"scheduler": {"_target_": "torch.optim.lr_scheduler.CosineAnnealingLR"}}
    cells = [("fluct", 0.005, 0.1, 0.5), ("fluct", 0.05, 1.0, 0.9), ("kaiming", 0.005, 1.0, 0.9)]
    for init, lr, moved, accuracy in cells:
        for norm in ("tdbn", "none"):
            result = {"moved": {"input->h1": moved, "h1->h2": moved, "h2->readout": 9.0}}
            varied = cosine | {"model.skip": False, "optimizer.lr": lr, "model.norm": norm}
            authors_run(init, 0, accuracy, varied, result=result, rates=TWO)
    assert [row[1:] for row in rows(page("instead").moving(own(tmp_path)))[2:]] == [
        ["fluct", "0.005", "0.10", "50.0, n = 1", ""],
        ["fluct", "0.05", "1.00", "90.0, n = 1", "+40.0"],
        ["kaiming", "0.005", "1.00", "90.0, n = 1", ""],
    ]


def test_surrogates_have_a_row_each_with_the_gradient_and_the_accuracy(page, authors_run, tmp_path):
    free = {"homeostasis.joint": False, "neuron.beta": None}
    for number, name in enumerate(("superspike", "triangle")):
        config = free | {"neuron.surrogate": name, "homeostasis.prime_epochs": 0}
        states = (("fluct", 0.9, 1e-2), ("kaiming", 0.5 - 0.4 * number, 1e-9))
        for init, accuracy, gradient in states:
            most = gradient * (1 - number)
            layer = {"population": "h1", "grad": most, "grad_task_max": most}
            layer |= {"floor_steady": 1e-9, "floor_noisy": 1e-8}
            authors_run(init, 0, accuracy, config, probe=[layer], rates=TWO)
    table = rows(page("gradients").surrogates(own(tmp_path)))
    assert table[2] == ["superspike", "20", "1e-01", "50.0, n = 1", "1e+06", "90.0, n = 1", ""]
    assert table[3] == ["triangle", "1", "0e+00", "10.0, n = 1", "0e+00", "90.0, n = 1", ""]
    assert len(table) == 4
