"""The figures by name, and how one of them is drawn to a file."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import matplotlib
import pandas as pd

from fdi.analysis.results import Results, of_runs, own, reference
from fdi.config.checks import choose
from fdi.figures import (
    alpha,
    bounds,
    calibrated,
    dale,
    depth,
    floor,
    gain,
    gradients,
    homeostasis,
    lazy,
    learning_curves,
    learning_rate,
    membrane,
    readout,
    regimes,
    shallow,
    snapshot,
    speed,
    style,
)

FIGURES: dict[str, ModuleType] = {
    "membrane": membrane,
    "regimes": regimes,
    "shallow": shallow,
    "gain": gain,
    "readout": readout,
    "learning_rate": learning_rate,
    "gradients": gradients,
    "depth": depth,
    "floor": floor,
    "learning_curves": learning_curves,
    "homeostasis": homeostasis,
    "bounds": bounds,
    "lazy": lazy,
    "alpha": alpha,
    "dale": dale,
    "calibrated": calibrated,
    "snapshot": snapshot,
    "speed": speed,
}
DEFAULT = "randman_dense"  # page of the data set and model of the default config
UNSAFE = re.compile(r"[^\w.=-]+")  # in names of files


def pages(module: ModuleType, mine: Results, measured: Results) -> dict[str, pd.DataFrame]:
    """The pages of a figure, from the user's own runs where these are enough, and from the
    reference; own ones first, then those of the default config.
    """
    found, mine_too = module.data(measured), module.data(mine)
    found |= mine_too
    first = sorted(
        found, key=lambda page: (page not in mine_too, not page.startswith(DEFAULT), page)
    )
    return {page: found[page] for page in first}


def file_name(name: str, page: str) -> str:
    return UNSAFE.sub("-", f"{name}_{page}" if page else name)


def chosen(name: str, runs: str | Path | pd.DataFrame, page: str | None) -> style.Page:
    """See fdi.figures.draw."""
    if name not in FIGURES:
        raise ValueError(f"no figure {name}; {choose(name, FIGURES)}")
    module = FIGURES[name]
    if isinstance(runs, pd.DataFrame):
        found = module.data(of_runs(runs, Path("results")))
    else:
        found = pages(module, own(Path(runs)), reference(Path(runs) / "reference"))
    if not found:
        raise ValueError(f"{name} needs {module.NEEDS}: {module.COMMAND}")
    if page is not None and page not in found:
        raise ValueError(f"{name} has no page {page}; {choose(page, found)}")
    return figure(module, found[next(iter(found)) if page is None else page])


def figure(module: ModuleType, content: pd.DataFrame) -> style.Page:
    """One page."""
    with matplotlib.rc_context(style.RC):
        drawn, axes = style.page(module.panels(content), *module.SIZE)
        module.draw(content, axes)
        style.foot(drawn, content["source"].iloc[0])
        return drawn


def draw(module: ModuleType, content: pd.DataFrame, path: Path) -> list[Path]:
    """Draw one page; the files written."""
    with matplotlib.rc_context(style.RC):
        return style.save(figure(module, content), path)
