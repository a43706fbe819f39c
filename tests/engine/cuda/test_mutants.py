"""The trial finds faults in every kernel; that takes minutes in Triton's interpreter."""

from __future__ import annotations

import csv
from pathlib import Path

import needs
import pytest

pytestmark = needs.kernels
MEASURED = Path(__file__).parents[3] / "results" / "reference" / "mutants.csv"


@pytest.fixture
def mutants():
    import mutants

    return mutants


@pytest.fixture
def warm(mutants):
    sizes = {module: dict(vars(module)) for module in mutants.SIZES}
    mutants.warm()
    yield mutants
    for module, before in sizes.items():
        vars(module).update(before)


def table() -> dict[tuple[str, str], str]:
    with MEASURED.open() as file:
        return {(row["kernel"], row["fault"]): row["found_by"] for row in csv.DictReader(file)}


def test_every_kernel_and_every_block_loop_has_mutants(mutants):
    loops = [each for each in mutants.every() if each.kind == "loop"]
    assert {each.kernel for each in mutants.every()} == {
        *(f"scan {name}" for name in ("slope", "retreat", "places", "deliver", "forward")),
        *(f"sparse {name}" for name in ("by_events", "by_spikes", "when", "gradient")),
        "scan backward",
    }
    sources = Path(mutants.sparse.__file__).read_text() + Path(mutants.scan.__file__).read_text()
    turns = sources.count("    while ") + sources.count(" in range(") - sources.count("range(T)")
    assert len(loops) == turns


def test_the_table_has_faults_of_these_kernels_and_none_that_nothing_finds(mutants):
    """Else: python tests/engine/cuda/mutants.py --out results/reference/mutants.csv"""
    found, faults = table(), {(each.kernel, each.fault) for each in mutants.every()}
    assert faults == found.keys()
    assert "nothing" not in found.values()


@pytest.mark.slow
def test_all_faults_are_found_by_what_the_table_says(warm):
    found = table()
    for each in warm.every():
        by, expected = warm.finds(each), found[each.kernel, each.fault]
        same = by == "nothing" if expected.startswith("equivalent: ") else by == expected
        assert same, f"{each.fault}: {by}"
