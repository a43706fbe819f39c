"""Plans say which runs belong to a sweep."""

from __future__ import annotations

from fdi.track import plans
from fdi.track.plans import Plan

PLACES = [f"runs/randman/dense/fluct/seed={seed}-0123abcd" for seed in range(3)]
DEPTH = Plan("fdi-run -m experiment=depth", "depth", {place: ["a=1"] for place in PLACES[:2]})
OWN = Plan("fdi-run -m seed=range(3)", None, {place: [] for place in PLACES})


def test_a_run_may_belong_to_several_sweeps(tmp_path):
    for plan in (DEPTH, OWN, DEPTH):
        plans.write_plan(tmp_path, plan)
    found, broken = plans.read_plans(tmp_path)
    assert (found, broken) == ([DEPTH, OWN], [])
    titles = plans.titles(found)
    assert [titles[place] for place in PLACES] == [["depth", OWN.title]] * 2 + [[OWN.title]]
