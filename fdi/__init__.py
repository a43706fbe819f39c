"""fdi: does fluctuation-driven initialization train a spiking network better, and why?"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fdi import data, figures, init, interop
    from fdi.config import Error, Mistake
    from fdi.interop.foreign import initialize
    from fdi.notebook.calls import curves, probe, results, run, sweep
    from fdi.notebook.recipe import Recipe, recipe
    from fdi.runner.trained import Trained as Trained
    from fdi.runner.trained import load

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


if not TYPE_CHECKING:  # it would make every name, misspelt ones too, one of any type

    def __getattr__(name):
        """Each of them is imported when it is first used."""
        if name in ("data", "figures", "init", "interop"):
            return import_module(f"fdi.{name}")
        homes = {"Error": "config", "Mistake": "config", "initialize": "interop.foreign"}
        homes |= {
            "Recipe": "notebook.recipe",
            "recipe": "notebook.recipe",
            "load": "runner.trained",
        }
        if name in __all__:
            return getattr(import_module(f"fdi.{homes.get(name, 'notebook.calls')}"), name)
        from difflib import get_close_matches

        close = get_close_matches(name, __all__, n=1)
        meant = f"; did you mean {close[0]}?" if close else ""
        raise AttributeError(f"module {__name__} has no attribute {name}{meant}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
