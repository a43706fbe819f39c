"""Which bounds on the activity a run has in its loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from fdi.analysis.select import kept, records
from fdi.analysis.table_types import Runs

MODES = ("none", "upper", "lower", "both")
PRIME = "homeostasis.prime_epochs"


def mode(run: Mapping[Any, Any]) -> str:
    """none, upper, lower or both: the bounds in the loss while the task is trained."""
    joint = run.get("homeostasis.joint")
    strengths = [run.get(f"homeostasis.{side}.strength") for side in ("upper", "lower")]
    upper, lower = (bool(joint and value and pd.notna(value)) for value in strengths)
    return MODES[upper + 2 * lower]


def modes(runs: Runs) -> pd.Series:
    """The `mode` of each run; empty where the bounds are trained alone first."""
    found = [mode(run) for run in records(runs, "homeostasis.")]
    primed = runs.reindex(columns=[PRIME])[PRIME].fillna(0) > 0
    return pd.Series(found, runs.index, dtype=object).mask(primed, "")


def unbounded(runs: Runs) -> pd.DataFrame:
    """The runs with no bounds in their loss."""
    return kept(runs, modes(runs) == "none")
