"""Plans say which runs belong to a sweep."""

from __future__ import annotations

import json

import pytest

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


WHOLE = {"command": "fdi-run", "experiment": None, "cells": {PLACES[0]: ["a=1"]}}


@pytest.mark.parametrize(
    "content",
    [
        *("", "[", "[]", "1"),
        *(WHOLE | {"cells": {"runs/../../../../seed=0-0123abcd": []}}, WHOLE | {"cells": []}),
        *(WHOLE | {"command": None}, WHOLE | {"cells": {PLACES[0]: [1]}}, {"cells": {}}),
        WHOLE | {"cells": {PLACES[0]: None}},
    ],
)
def test_a_broken_plan_is_one_line_and_takes_no_other_down(tmp_path, content):
    plans.write_plan(tmp_path, OWN)
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / "sweeps" / "broken.json").write_text(text)
    found, (line,) = plans.read_plans(tmp_path)
    assert found == [OWN]
    assert line.startswith(f"{tmp_path}/sweeps/broken.json: ")
    assert len(line.splitlines()) == 1
