"""fdi: does fluctuation-driven initialization train a spiking network better, and why?"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fdi import data, figures, init, interop
    from fdi.config import Error, Mistake
    from fdi.interop.foreign import initialize
    from fdi.notebook.calls import curves, probe, results, run, sweep
    from fdi.notebook.recipe import Recipe, recipe
    from fdi.runner.trained import Trained

__version__ = "0.3.0"
__all__ = [
    "Error",
    "Mistake",
    "Recipe",
    "curves",
    "data",
    "figures",
    "init",
    "initialize",
    "interop",
    "load",
    "probe",
    "recipe",
    "results",
    "run",
    "sweep",
]


def load(
    directory: str | Path, weights: str = "last", modules: Sequence[str | Path] = ()
) -> Trained:
    """Network, config, metrics and result of a run, from its directory.

    `weights`: those after the "last" epoch, or after the "best" validation epoch. `modules`:
    folders of your own that the code of the run's model is in.

        run = fdi.load("results/runs/randman/dense/fluct/seed=0-1a2b3c4d")
        run.network.weights()["input->h1"]

    Raises fdi.Mistake where there is no run, or nothing trained yet.
    """
    from fdi.runner import trained  # torch: only where it is used

    return trained.load(Path(directory), weights, modules)


if not TYPE_CHECKING:  # it would make every name, misspelt ones too, one of any type

    def __getattr__(name):
        """Each of the others is imported when it is first used."""
        if name in ("data", "figures", "init", "interop"):
            return import_module(f"fdi.{name}")
        if name in ("Error", "Mistake"):
            return getattr(import_module("fdi.config"), name)
        if name in ("Recipe", "recipe"):
            return getattr(import_module("fdi.notebook.recipe"), name)
        if name == "initialize":
            return getattr(import_module("fdi.interop.foreign"), name)
        if name in __all__:
            return getattr(import_module("fdi.notebook.calls"), name)
        from difflib import get_close_matches

        close = get_close_matches(name, __all__, n=1)
        meant = f"; did you mean {close[0]}?" if close else ""
        raise AttributeError(f"module {__name__} has no attribute {name}{meant}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
