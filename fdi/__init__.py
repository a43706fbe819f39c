"""fdi: does fluctuation-driven initialization train a spiking network better, and why?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fdi.runner.trained import Trained

__version__ = "0.1.0"


def load(
    directory: str | Path, weights: str = "last", modules: Sequence[str | Path] = ()
) -> Trained:
    """Network, config, metrics and result of a run, from its directory.

    `weights`: those after the "last" epoch, or after the "best" validation epoch. `modules`:
    folders of your own that the code of the run's model is in.

        run = fdi.load("results/runs/randman/dense/fluct/seed=0-1a2b3c4d")
        run.network.weights()["input->h1"]

    Raises ValueError where there is no run, or nothing trained yet.
    """
    from fdi.runner import trained  # torch: only where it is used

    return trained.load(Path(directory), weights, modules)
