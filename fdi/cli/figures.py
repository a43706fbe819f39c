"""`fdi-figures`: draws what the results hold, and says how to make what is missing."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fdi.cli.command import Parser, add_results, command_line
from fdi.track.files import printable, spared

if TYPE_CHECKING:
    import pandas as pd

    from fdi.analysis.collect import Runs
    from fdi.analysis.results import Results

CHECKOUT = (
    "figures of the measurements that come with fdi need results/reference of a checkout: "
    "fdi-figures --results CHECKOUT/results"
)


@command_line("fdi-figures")
def main(argv: Sequence[str] | None = None) -> int:
    """The console command; its exit code: 0 if something was drawn."""
    arguments = _parse(argv)
    from fdi.analysis.conditions import passing
    from fdi.analysis.results import EXAMPLE, of_folder, own
    from fdi.config.parts import choose
    from fdi.figures.catalogue import FIGURES, figure_named, swept_keys, with_own

    if arguments.list:
        for name, module in FIGURES.items():
            print(f"{name}: {module.ABOUT}\n  needs {module.NEEDS}: {module.COMMAND}")
        return 0
    results, modules = arguments.results, arguments.modules
    mine, measured = own(results), None if arguments.own else of_folder(results / "reference")
    among = mine.runs
    mine = replace(mine, runs=passing(among, arguments.filters))
    there = with_own(mine.runs, modules)
    names = arguments.names or there
    figures: dict[str, Any] = {}
    for name in names:
        with spared(f"the figure {name}"):
            figures[name] = there.get(name) or figure_named(name, mine.runs, modules)
    for name, module in figures.items():
        if module is None:
            shown = "every figure shows init by colour; learning_curves and best show it alone"
            other = choose(name, [*there, *swept_keys(mine.runs)])
            raise ValueError(f"no figure {name}; {shown if name == 'init' else other}")
    missing = _draw_pages(figures, mine, measured, among, arguments)
    nothing = len(missing) == len(figures)
    no_reference = measured is not None and measured.runs.empty
    if missing and no_reference:
        print(CHECKOUT)
    if nothing and mine.runs.empty and (measured is None or no_reference):
        raise ValueError(f"no runs in {results / 'runs'}; make some: {EXAMPLE}")
    if arguments.names or nothing:
        for name, module in missing.items():
            print(f"not drawn: {name} needs {module.NEEDS}: {module.COMMAND}")
    else:
        print(f"{len(missing)} other figures need other runs; fdi-figures --list says which")
    return int(nothing)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        "fdi-figures", description="Draws figures of finished runs as PDF and PNG; it never trains."
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="name | column=value",
        help="figures to draw (default: all), or keys that were swept, as in optimizer.lr, with a "
        "line or a panel for each value of others; of your own runs only those with these values",
    )
    parser.add_argument("--list", action="store_true", help="list the figures")
    add_results(parser)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("results/figures"),
        help="folder for the figures (default: results/figures)",
    )
    parser.add_argument(
        "--own",
        action="store_true",
        help="draw your own runs only, not the measurements that come with fdi",
    )
    parser.add_argument(
        "--paper",
        action="store_true",
        help="draw for a paper: 85 mm wide, or 180 mm with panels side by side, text of 7 to 9 pt, "
        "the caption in files beside the picture, as text and as LaTeX",
    )
    parser.add_argument(
        "--modules",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="a folder with files of yours: the figure NAME in NAME.py, or of the experiment in "
        "experiment/NAME.yaml; may be repeated",
    )
    arguments = parser.parse_args(argv)
    arguments.filters = [word for word in arguments.words if "=" in word]
    arguments.names = [word for word in arguments.words if "=" not in word]
    return arguments


def _draw_pages(
    figures: dict[str, Any],
    mine: Results,
    measured: Results | None,
    among: Runs,
    arguments: argparse.Namespace,
) -> dict[str, Any]:
    from fdi.figures.catalogue import file_name, pages, render

    missing = {}
    for name, module in figures.items():
        contents: dict[str, pd.DataFrame] = {}
        with spared(f"the figure {name}"):
            contents |= pages(module, mine, measured, among)
        missing[name] = module
        for page, content in contents.items():
            files = render(module, content, arguments.out / file_name(name, page), arguments.paper)
            for file in files:
                missing.pop(name, None)
                print(printable(str(file)), flush=True)
            if files and "left" in content and (left := content["left"].iloc[0]):
                print(printable(f"{name} leaves out {left}; column=value chooses"))
    return missing
