"""Which runs have bounds on the activity."""

from __future__ import annotations

import pandas as pd

from fdi.analysis.derived import unbounded


def test_bounds_of_strength_0_are_none():
    names = ("joint", "prime_epochs", "upper.strength", "lower.strength")
    rows = [(False, 0, 0.1, 100), (True, 0, 0, 0), (True, 0, 0.1, 0), (False, 5, 0, 1), (None,) * 4]
    runs = pd.DataFrame(rows, columns=[f"homeostasis.{name}" for name in names])
    assert unbounded(runs).index.tolist() == [0, 1, 4]
