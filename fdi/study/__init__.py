"""What exists because of one paper, Rossbroich, Gygax and Zenke (2022), and of the experiments
beyond it: its claims with their evidence, what was published, and figures of no other data.

The rest of fdi works without this package, which joins it as any study may: fdi.analysis.results.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from fdi.analysis.results import Results

FIGURES = (
    "membrane",
    "regimes",
    "shallow",
    "gain",
    "gradients",
    "floor",
    "searches",
    "alpha",
    "dale",
    "calibrated",
    "snapshot",
    "speed",
    "sizes",
)
PLAIN = {
    "model.norm": "none",
    "model.skip": False,
    "neuron.learn_tau": False,
    "quantize": None,
}
"""What all figures and claims have in common that do not vary it."""


def reference(folder: Path) -> Results | None:
    """The measurements that come with fdi, if `folder` holds them."""
    from fdi.study import measured  # pandas: only where it is used

    return measured.read_export(folder) if (folder / measured.RUNS).exists() else None


def sections(mine: Results, measured: Results) -> Iterator[tuple[str, str]]:
    """The claims of the paper, where published networks are among the runs, what was published
    without one, and how the measurements were made.
    """
    from fdi.study import claims  # pandas: only where it is used
    from fdi.study.measured import provenance

    yield from claims.claim_sections(mine, measured)
    yield from provenance(measured)
