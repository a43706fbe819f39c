"""The figures by name, and how one of them becomes a file."""

from __future__ import annotations

import importlib.util
import pkgutil
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

import fdi.figures
from fdi.analysis.collect import SHARED, Runs, config_columns
from fdi.analysis.conditions import differing
from fdi.analysis.derived import COLUMNS
from fdi.analysis.results import Results, studies
from fdi.config import Mistake
from fdi.config.parts import choose
from fdi.config.settings import Figure
from fdi.figures import sheet, style
from fdi.figures.sweep import Sweep, experiments, folders_named
from fdi.figures.sweeps import SIGMA, origin_columns, others
from fdi.track.fields import is_number
from fdi.track.files import spared

BESIDE = "_own"
PROTOCOL = ("ABOUT", "NEEDS", "COMMAND", "SIZE", "data", "panels", "draw")  # by every figure
IN_REPORT = (*PROTOCOL, "TITLE", "PLACE")
ABOVE = ("catalogue", "report")  # modules that import this one
MOST_PANELS = 2  # keys
UNSAFE = re.compile(r"[^\w.-]+")  # in names of files


def _figures() -> dict[str, Any]:
    """The figures of fdi and of the studies by name, in the order of the report: modules, and nodes
    `figure` of experiments.
    """
    names = [module.name for module in pkgutil.iter_modules(fdi.figures.__path__)]
    modules = {name: import_module(f"fdi.figures.{name}") for name in names if name not in ABOVE}
    figures: dict[str, Any] = {name: one for name, one in modules.items() if hasattr(one, "ABOUT")}
    figures |= experiments()
    for study in studies():
        with spared(f"FIGURES of {study.__name__}"):
            for name in getattr(study, "FIGURES", ()):
                with spared(f"the figure {study.__name__}.{name}"):
                    module = checked_figure(import_module(f"{study.__name__}.{name}"), IN_REPORT)
                    if name in figures:
                        raise Mistake(f"there is a figure {name} already; rename it")
                    figures[name] = module
    return dict(sorted(figures.items(), key=lambda figure: figure[1].PLACE))


def with_own(runs: pd.DataFrame, folders: Sequence[Path] = ()) -> dict[str, Any]:
    """FIGURES, and those of experiments in the `folders` and in the user's own ones that the runs
    name.
    """
    mine = experiments([*folders, *folders_named(runs)])
    return FIGURES | {name: one for name, one in mine.items() if name not in FIGURES}


def checked_figure(module: ModuleType, said: Sequence[str] = PROTOCOL) -> ModuleType:
    """The module. Raises fdi.Mistake for one that describes no figure."""
    if lacks := ", ".join(word for word in said if not hasattr(module, word)):
        raise Mistake(f"{module.__file__} is no figure: it lacks {lacks}; see fdi/figures")
    if "PLACE" in said and not is_number(module.PLACE):
        raise Mistake(f"{module.__file__}: PLACE = {module.PLACE} must be a number")
    return module


def figure_named(name: str, runs: pd.DataFrame, folders: Sequence[Path] = ()) -> Any:
    """The figure of this name, one of `with_own` or the module `name`.py in a folder; or that of a
    sweep by hand over the key `name` of these runs. None if there is none; raises fdi.Mistake for a
    module that is no figure.
    """
    if found := with_own(runs, folders).get(name) or _in_folder(name, folders):
        return found
    return over(runs, name) if name in {*COLUMNS, *config_columns(runs)} else None


def over(runs: Runs, x: str, hue: str = "", panels: Sequence[str] = ()) -> Sweep:
    """The figure of a sweep by hand: a line for each initialization and value of `hue`, and a panel
    for each value of the keys of `panels`; where neither is given, those that were swept along with
    `x`. Raises fdi.Mistake for what is no key of these runs, and for keys that say one thing twice.
    """
    panels = [panels] if isinstance(panels, str) else panels
    keys, known = [x, *filter(None, [hue]), *panels], {*COLUMNS, *config_columns(runs)} - {"init"}
    for key in keys:
        if key not in known:
            raise Mistake(f"{key} is no key of these runs; {choose(key, swept_keys(runs))}")
    if len(panels) > MOST_PANELS or len({*keys}) < len(keys):
        raise Mistake(
            f"x={x} hue={hue} panels={','.join(panels)}: give each key once, and at most "
            f"{MOST_PANELS} of them to panels"
        )
    if len(keys) == 1:
        hue, panels = (*others(runs, x)[:1], "")[0], others(runs, x)[1 : 1 + MOST_PANELS]
    figure = Figure(x=x, shade=hue or SIGMA, panels=[*panels])
    command = f"fdi-run -m {' '.join(f'{key}=..' for key in keys)} init=kaiming,fluct"
    return Sweep(figure, command=command)


def swept_keys(runs: Runs) -> list[str]:
    """The keys of the config in which these runs differ."""
    return [key for key in differing(runs) if key not in {"init", *SHARED}]


def _in_folder(name: str, folders: Sequence[Path]) -> ModuleType | None:
    """The module of the first of the `folders` that has it."""
    file = next((f for folder in folders if (f := folder / f"{name}.py").is_file()), None)
    spec = importlib.util.spec_from_file_location(name, file) if file else None
    if spec is None or spec.loader is None:
        return None
    sys.path.extend(str(folder) for folder in folders if str(folder) not in sys.path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return checked_figure(module)


def pages(
    module: Any, mine: Results, measured: Results | None = None, among: Runs | None = None
) -> dict[str, pd.DataFrame]:
    """The pages of a figure, from the user's own runs where these are enough, and behind them from
    the reference. A page of fewer seeds than the reference's stands beside it and ends in `own`.
    """
    theirs, ours = pages_of(module, measured) if measured else {}, {}
    for page, content in pages_of(module, mine, among).items():
        there = (content, theirs.get(page, content))
        seeds, others = (float(table["n"].max()) if "n" in table else 1.0 for table in there)
        ours[page + BESIDE * (seeds < others)] = content
    return ours | {page: content for page, content in theirs.items() if page not in ours}


def pages_of(module: Any, results: Results, among: Runs | None = None) -> dict[str, pd.DataFrame]:
    """The pages of a figure from some results, each with what it leaves out of them, and at which
    values it stands of all the runs `among` which one chose these. Raises fdi.Mistake where a page
    does not tell which runs are drawn on it.
    """
    pages = module.data(results)
    for name, page in pages.items():
        if not isinstance(page, tuple) or (page[1] is None and "source" not in page[0]):
            raise Mistake(
                f"its page {name!r} does not tell which runs it draws: data(results) gives name -> "
                f"(table, runs), or (table with a column source, None) of what are no runs"
            )
    every = {path for _, runs in pages.values() if runs is not None for path in runs["path"]}
    given = (every, results.runs, results.runs if among is None else among)
    return {
        name: page if runs is None else page.assign(**origin_columns(runs, *given))
        for name, (page, runs) in pages.items()
    }


def about(module: Any) -> str:
    """What a figure shows, as a sentence."""
    return f"{module.ABOUT[0].upper()}{module.ABOUT[1:]}."


def file_name(name: str, page: str) -> str:
    """The file name of a page, without characters that some file systems refuse."""
    return UNSAFE.sub("-", f"{name}_{page}" if page else name)


def figure(module: Any, content: pd.DataFrame, paper: bool = False) -> sheet.Page:
    """One page as a figure of matplotlib, as the report shows it or as a `paper` does."""
    content = sheet.as_drawn(content)
    with style.house_style():
        width, row = module.SIZE
        drawn, axes = sheet.page(module.panels(content), width, row, paper)
        module.draw(content, axes)
        sheet.around(drawn, content, getattr(module, "TITLE", ""))
        return drawn


def render(module: Any, content: pd.DataFrame, path: Path, paper: bool = False) -> list[Path]:
    """Draw one page; returns the files written, none and a line where it raises."""
    with spared(f"the figure {path.name}", but=OSError), style.house_style():
        return sheet.save(figure(module, content, paper), path)
    return []


FIGURES = _figures()
