"""The trial finds faults in every kernel; that takes minutes in Triton's interpreter."""

from __future__ import annotations

import csv
from pathlib import Path

import needs
import pytest

pytestmark = needs.kernels
MEASURED = Path(__file__).parents[3] / "results" / "reference" / "mutants.csv"
FEW = {
    ("sparse by_spikes", "loop"), ("sparse when", "sum"), ("sparse gradient", "samples"),
    ("sparse by_events", "block"),
}  # fmt: skip
VISIBLE = {"loop", "block", "samples", "counts", "sum"}
"""Kinds of faults of which none may be missed; a mask that lets through what is thrown away later,
or an index of what is 0, changes nothing.
"""


@pytest.fixture(scope="module")
def mutants():
    import mutants

    sizes = {module: dict(vars(module)) for module in mutants.SIZES}
    mutants.warm()
    yield mutants
    for module, before in sizes.items():
        vars(module).update(before)


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


@pytest.mark.slow
def test_faults_in_four_kernels_are_found(mutants):
    chosen = {(each.kernel, each.kind): each for each in reversed(mutants.every())}
    for key in FEW:
        assert mutants.finds(chosen[key]) == "trial", chosen[key].fault


@pytest.mark.slow
def test_all_faults_are_found_by_what_the_table_says(mutants):
    with MEASURED.open() as file:
        table = {(row["kernel"], row["fault"]): row["found_by"] for row in csv.DictReader(file)}
    for each in mutants.every():
        found = mutants.finds(each)
        assert found == table.get((each.kernel, each.fault), found), each.fault
        assert found != "nothing" or each.kind not in VISIBLE, each.fault
