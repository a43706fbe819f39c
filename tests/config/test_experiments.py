"""Experiments have the cells they say, and compare what differs in the initialization alone."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest
from composing import CONF, cells, composed, options

from fdi.config.identity import contents

SMALL = ("floor", "which_step", "zoo")  # the others have hundreds of cells to compose


@pytest.mark.parametrize(
    ("experiment", "budget"),
    [
        pytest.param(
            name, budget, marks=() if name in SMALL and budget == "laptop" else pytest.mark.slow
        )
        for name in options("experiment")
        if name not in ("quickstart", "recipe")
        for budget in ("laptop", "paper")
    ],
)
def test_experiments_have_the_cells_they_say_and_a_baseline(experiment, budget):
    head = (CONF / "experiment" / f"{experiment}.yaml").read_text()
    overrides = [f"experiment={experiment}", f"budget={budget}", "seed=0"]
    found = cells("-m", *overrides)
    given = re.fullmatch(r"range\((\d+)\)", composed(*overrides).hydra.sweeper.params.seed)
    assert given is not None
    seeds = int(given[1])
    assert re.search(rf"^# {budget}: +{len(found) * seeds} cells, ", head, re.MULTILINE), (
        len(found) * seeds
    )
    assert f"fdi-run -m experiment={experiment} " in head
    assert {"kaiming", "gain"} & {cell.config.name.init for cell in found}
    assert all(cell.config.name.experiment == experiment for cell in found)
    assert_fair(experiment, found)


def assert_fair(experiment, cells):
    """Cells that are compared, all with the same values of what is swept besides the initialization
    of hidden layers, differ in nothing else.
    """
    comparisons = defaultdict(list)
    for cell in cells:
        swept = [
            override for override in cell.overrides if not override.startswith(("init=", "init."))
        ]
        rest = contents(cell.config)
        del rest["init"], rest["name"]["init"]
        comparisons[tuple(swept)].append(rest)
        assert experiment == "readout" or cell.config.readout_init == "normal"
    for rests in comparisons.values():
        assert all(rest == rests[0] for rest in rests)
    assert max(len(rests) for rests in comparisons.values()) > 1


OTHERS = ("conv", "conv_deep", "conv_recurrent", "conv_recurrent_deep", "dale", "dale_conv")


@pytest.mark.parametrize("model", OTHERS)
def test_readouts_of_other_networks_have_the_two_arms_of_the_authors_code(model):
    words = ["experiment=readout", "budget=laptop", "dataset=shd", f"model={model}", "seed=0"]
    found = cells("-m", *words)
    inits = ["fluct"] if model.startswith("dale") else ["kaiming", "fluct"]
    arms = [(cell.config.name.init, cell.config.readout_init) for cell in found]
    assert arms == [(init, readout) for init in inits for readout in ("normal", "fluct")]
    alone = composed("dataset=shd", f"model={model}")
    assert all(cell.config.model == alone.model for cell in found), "as conf/tuned has it"


def test_readouts_of_dense_networks_keep_their_ids():
    (cell,) = cells(
        "-m", "experiment=readout", "budget=laptop", "seed=0", "model.depth=1", "init=kaiming",
        "readout_init=pytorch",
    )  # fmt: skip
    assert cell.directory.name == "seed=0-e360914136517cc6"


@pytest.mark.parametrize("budget", ["laptop", "paper"])
def test_a_comparison_that_is_not_fair_is_seen(budget):
    overrides = ["experiment=shallow", f"budget={budget}", "seed=0", "init=kaiming,fluct"]
    found = cells("-m", *overrides)
    found[0].values["trainer"]["epochs"] += 1
    with pytest.raises(AssertionError):
        assert_fair("shallow", found)


def test_keys_that_vary_together_are_replaced_by_the_command_line():
    overrides = ["experiment=calibrated", "budget=paper", "seed=0", "init=kaiming"]
    found = cells("-m", *overrides, "dataset=poisson")
    assert [(cell.config.name.dataset, cell.config.name.model) for cell in found] == [
        ("poisson", "dense"),
        ("poisson", "conv_recurrent_deep"),
        ("poisson", "conv_deep"),
    ]
