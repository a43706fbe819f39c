"""Rates of a snnTorch network as examples/snntorch_init.py measures them."""

from __future__ import annotations

import runpy
from pathlib import Path

import pandas as pd

from fdi.analysis.results import Results
from pages.tables import markdown

EXAMPLE = Path(__file__).parents[2] / "examples" / "snntorch_init.py"
STATES = ("PyTorch's default", "`initialize`", "`initialize`, calibrated on a batch")


def rates(measured: Results | None = None) -> str:
    """A row for each state of the network, a column for each layer, in Hz."""
    rates = runpy.run_path(str(EXAMPLE))["main"]()
    layers = {f"layer {i}": map("{:.3g}".format, hertz) for i, hertz in enumerate(zip(*rates), 1)}
    return markdown(pd.DataFrame({"rate (Hz)": STATES, **layers}))
