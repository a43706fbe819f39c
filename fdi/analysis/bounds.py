"""Which bounds on the activity a run has in its loss."""

from __future__ import annotations

import pandas as pd

from fdi.analysis.select import kept

MODES = ("none", "upper", "lower", "both")


def modes(runs: pd.DataFrame) -> pd.Series:
    """none, upper, lower or both, for each run; empty where the bounds are trained alone first."""
    names = ("joint", "prime_epochs", "upper.strength", "lower.strength")
    bounds = runs.reindex(columns=[f"homeostasis.{name}" for name in names])
    joint = bounds.iloc[:, 0].eq(True)
    upper, lower = (joint & (bounds.iloc[:, i].fillna(0) > 0) for i in (2, 3))
    mode = pd.Series("none", index=runs.index, dtype=object)
    mode[upper & ~lower], mode[lower & ~upper], mode[upper & lower] = MODES[1:]
    mode[bounds.iloc[:, 1].fillna(0) > 0] = ""
    return mode


def unbounded(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs with no bounds in their loss."""
    return kept(runs, modes(runs) == "none")
