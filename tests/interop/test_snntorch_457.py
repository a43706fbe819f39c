"""The page that compares fdi with snnTorch's pull request 457 says what is measured."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.filterwarnings("ignore")  # of snnTorch
PAGE = ROOT / "results" / "reference" / "snntorch-457.md"


@pytest.fixture
def page(monkeypatch) -> Any:
    monkeypatch.syspath_prepend(ROOT / "scripts" / "study")
    from pages import libraries

    return libraries


def written(name: str) -> list[float]:
    row = re.search(rf"^\| {re.escape(name)} \|(.*)\|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert row is not None
    return [float(cell) for cell in row[1].split("|") if cell.strip() != "-"]


def test_the_neuron_of_the_request_is_measured_as_the_page_says(page):
    found = list(page.assumed().values())
    assert found == pytest.approx(written("that which #457 assumes"), rel=0.02)
    assert found[1] == pytest.approx(found[2], rel=0.02)  # numerical mode and fdi


def test_in_leaky_the_request_misses_by_the_ratio_of_the_integrals(page):
    pytest.importorskip("snntorch")
    name = "`Leaky(beta=0.951)`"
    found = page.spreads(name)
    assert list(found.values()) == pytest.approx(written(name), rel=0.02)
    eps_hat = page.DT / (1 - 0.951229**2)
    wrong = (eps_hat / page.EPS_HAT["analytical"]) ** 0.5
    assert found["#457, analytical"] / found["fdi"] == pytest.approx(wrong, rel=0.03)


@pytest.mark.slow
def test_all_rows_are_those_that_are_measured(page):
    pytest.importorskip("snntorch")
    for name in page.neurons():
        assert list(page.spreads(name).values()) == pytest.approx(written(name), rel=0.05)
