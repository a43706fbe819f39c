"""The confirmatory experiment: a page says what was written down before, whatever the runs say."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fdi.analysis.results import Results
from fdi.analysis.zoo import SETTINGS
from fdi.cli.cells import compose_cell
from fdi.study import confirmed
from fdi.study.confirmed import DESIGN, answer, by_ratio, is_complete, judge, starting_state

CHANCE = np.random.default_rng(3)
BASE = CHANCE.uniform(0.2, 0.6, DESIGN["networks"])


def members(noise: float = 0.02, **leads: float) -> pd.DataFrame:
    """Networks on which each arm is ahead by so many points, give or take the noise."""
    rows = [
        {
            "init": arm,
            "network": place,
            "setting": setting,
            "accuracy": base + leads.get(arm, 0.0) / 100 + noise * CHANCE.normal(),
        }
        for arm in DESIGN["arms"]
        for place, base in enumerate(BASE)
        for setting in SETTINGS
    ]
    table = pd.DataFrame(rows).assign(zoo=DESIGN["seed"], state="done", kind="dense", classes=10)
    return table.assign(test_samples=300, learns=table["accuracy"] > 0.3)


ALL = dict.fromkeys(("fluct", "lsuv", "fluct_calibrated"), 12.0)


@pytest.mark.parametrize(
    ("leads", "noise", "lead", "why"),
    [
        (ALL, 0.02, "**Yes.**", "It takes more than a factor"),
        (ALL | {"kaiming_scaled": 12.0}, 0.02, "**Yes.**", "A single factor does the same"),
        (ALL | {"kaiming_scaled": 24.0}, 0.02, "**Yes.**", "A single factor does better"),
        ({}, 0.02, "**No.** On 60 random networks that nobody chose", "A single factor does the"),
        ({"kaiming": 20.0}, 0.02, "**No.**", "A single factor does the same"),
        ({"fluct": 2.0}, 0.3, "**Undecided.**", "Whether that takes the theory is undecided"),
    ],
)
def test_each_outcome_has_its_sentence(leads, noise, lead, why):
    said = answer(members(noise, **leads))
    assert said.startswith(lead)
    assert why in said
    assert said.endswith("`.")


def test_the_family_is_what_is_printed_and_both_settings():
    assert len(judge(members())) == 2 * len(DESIGN["pairs"])
    (cell,) = [compose_cell("", [f"init={arm}"]) for arm in DESIGN["arms"][:1]]
    assert cell.values["name"]["init"] == DESIGN["arms"][0]


@pytest.mark.parametrize(
    ("leads", "state"),
    [
        ({}, "fluct"),
        ({"lsuv": 10.0}, "lsuv"),
        ({"lsuv": 10.0, "fluct_calibrated": 20.0}, "fluct_calibrated"),
        ({"kaiming_scaled": 10.0}, "kaiming_scaled"),
        ({"fluct": 10.0}, "fluct"),
        ({"lsuv": 1.0}, "fluct"),
    ],
)
def test_the_state_to_start_from_is_todays_unless_another_is_better(leads, state):
    assert starting_state(members(**leads)) == state


def test_a_state_that_is_worse_at_the_default_step_is_none_to_start_from():
    table = members(lsuv=10.0)
    common = (table["setting"] == "common") & (table["init"] == "lsuv")
    table.loc[common, "accuracy"] -= 0.3
    assert starting_state(table) == "fluct"


def test_nothing_is_judged_before_all_networks_are_there():
    table = members()
    for part in (table[table["network"] < 59], table[table["init"] != "lsuv"], table[:0]):
        assert not is_complete(part)
        assert "it is judged when all are" in answer(part)
    dale = table.assign(kind=np.where(table["network"] < 5, "dale", "dense"))
    left = dale[(dale["kind"] != "dale") | dale["init"].str.startswith("fluct")]
    assert is_complete(left), "Dale's law forbids four of the arms"


def weights(size: Callable[[int], float]) -> pd.DataFrame:
    """Initial states in which fluct's weights are so many times as large as those of others."""
    rows = [
        {"network": i, "population": layer, "init": arm, confirmed.RATIO: 1.0}
        for i in range(60)
        for arm in DESIGN["arms"]
        for layer in ("h1", "h2")
    ]
    table = pd.DataFrame(rows)
    of_fluct = table["init"] == "fluct"
    return table.assign(**{confirmed.RATIO: np.where(of_fluct, table["network"].map(size), 1.0)})


def test_strata_split_the_networks_by_the_ratio_of_the_weights():
    states = weights(lambda network: (0.5, 1.0, 2.0)[network % 3])
    found = dict(by_ratio(members(fluct=5.0), states))
    assert [of.n for of in found.values()] == [20, 20, 20]
    assert all(of.mean == pytest.approx(5, abs=2) for of in found.values())


def test_pages_hold_the_declared_pairs_and_describe_the_parts(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "scripts" / "study")
    from pages.confirmed import answered, decided, described

    measured = Results(pd.DataFrame(), None, None, tmp_path)
    assert "Not measured yet" in decided(measured)
    folder = tmp_path / confirmed.PLACE
    folder.mkdir()
    table = members(fluct=12.0)
    of = np.where(table["network"] % 2, "dataset=digits", "dataset=randman")
    whole = table.assign(words=of, expected="yes")
    whole["optimizer.lr"] = 1e-3
    whole.to_csv(folder / "zoo.csv", index=False)
    weights(lambda network: 0.5).to_csv(folder / "zoo_states.csv", index=False)
    rows = decided(measured).splitlines()[2:]
    assert len(rows) == len(DESIGN["pairs"])
    assert rows[0].startswith("| fluctuation-driven against Kaiming |")
    lead = judge(table)["fluct", "kaiming", "best"][0]
    assert f": {lead.mean:+.1f} ({lead.low:+.1f}..{lead.high:+.1f}), better |" in rows[0]
    assert answered(measured).startswith("**Yes.**")
    parts = described(measured)
    assert parts.count("| Randman |") == parts.count("| handwritten digits |") == 6
    assert re.findall(r"\| weights.*? \| (\d+) \| (\S+)", parts)[1:] == [("0", "-"), ("0", "-")]
    whole[whole["network"] < 59].to_csv(folder / "zoo.csv", index=False)
    assert "Not measured yet" in decided(measured)
    assert "Not measured yet" in described(measured)
