"""Who is a baseline."""

from __future__ import annotations

import pytest

from fdi.analysis.baseline import is_baseline

SOURCE = """
import nothing_that_exists

class Base(Strategy):
    baseline = True

class Typed:
    baseline: bool = True

class Heir(Base):
    gain = 1

class Other(Base):
    baseline = False

class Plain:
    pass
"""


@pytest.mark.parametrize(
    ("name", "said"),
    [("Base", True), ("Typed", True), ("Heir", True), ("Other", False), ("Plain", False)],
)
def test_the_class_says_so(tmp_path, monkeypatch, name, said):
    (tmp_path / "my_inits.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    is_baseline.cache_clear()
    assert is_baseline(f"my_inits.{name}") is said


@pytest.mark.parametrize("target", ["nowhere.Kaiming", "Kaiming", "", None, float("nan")])
def test_what_cannot_be_found_is_none(target):
    assert not is_baseline(target)
