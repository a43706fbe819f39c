"""What exists because of one paper, Rossbroich, Gygax and Zenke (2022), and of the experiments
beyond it: its claims with their evidence, what was published, and figures of no other data.

The rest of fdi works without this package, which joins it as any study may: fdi.analysis.studies.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fdi.analysis.results import Results

FIGURES = (
    "membrane",
    "regimes",
    "shallow",
    "gain",
    "gradients",
    "floor",
    "alpha",
    "dale",
    "calibrated",
    "speed",
)
PLAIN = {"model.norm": "none", "model.skip": False, "neuron.learn_tau": False}
"""What all figures and claims have in common that do not vary it."""


def sections(mine: Results, measured: Results) -> Iterator[tuple[str, str]]:
    """The claims of the paper, where published networks are among the runs."""
    from fdi.study import claims  # pandas: only where it is used

    return claims.sections(mine, measured)
