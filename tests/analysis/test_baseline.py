"""Who is a baseline."""

from __future__ import annotations

import pytest

from fdi.analysis.results import is_baseline


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("fdi.init.baselines.Kaiming", True),
        ("fdi.init.baselines.Lsuv", True),
        ("fdi.init.fluct.FluctCalibrated", False),
    ],
)
def test_the_class_says_so(target, said):
    assert is_baseline(target) is said


@pytest.mark.parametrize(
    "target", ["nowhere.Kaiming", "fdi.init.fluct.Nothing", "Kaiming", "", None, float("nan")]
)
def test_what_cannot_be_found_is_none(target):
    assert not is_baseline(target)
