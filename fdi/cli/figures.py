"""`fdi-figures`: draws what the results hold, and says how to make what is missing."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from fdi.analysis.conditions import UNTRAINED
from fdi.analysis.render import EXAMPLE
from fdi.analysis.results import own, reference
from fdi.analysis.table import summarize
from fdi.cli.arguments import add_results
from fdi.cli.comparison import print_comparison
from fdi.cli.pipe import command_line
from fdi.config.checks import choose
from fdi.figures.catalogue import FIGURES, draw, file_name, pages


@command_line("fdi-figures")
def main(argv: Sequence[str] | None = None) -> int:
    """The console command; its exit code: 0 if something was drawn."""
    parser = argparse.ArgumentParser(
        "fdi-figures", description="Draws figures of finished runs as PDF and PNG; it never trains."
    )
    parser.add_argument("names", nargs="*", metavar="name", help="figures to draw (default: all)")
    parser.add_argument("--list", action="store_true", help="list the figures")
    add_results(parser)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("results/figures"),
        help="folder for the figures (default: results/figures)",
    )
    parser.add_argument("--own", action="store_true", help="only what own runs are enough for")
    parser.add_argument(
        "--run", type=Path, metavar="FOLDER", help="a trained run, for snapshot: a test sample"
    )
    parser.add_argument(
        "--modules",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="with --run: a folder of your own that code of the run is in; may be repeated",
    )
    arguments = parser.parse_args(argv)
    unknown = [name for name in arguments.names if name not in FIGURES]
    if unknown:
        print(
            f"fdi-figures: no figure {unknown[0]}; {choose(unknown[0], FIGURES)}",
            file=sys.stderr,
        )
        return 2
    if arguments.list:
        for name, module in FIGURES.items():
            print(f"{name}: {module.ABOUT}")
        return 0
    if arguments.run:
        return _snapshot(arguments.names, arguments.run, arguments.modules, arguments.out)
    names = arguments.names or list(FIGURES)
    return _draw_all(names, arguments.results, arguments.out, arguments.own)


def _snapshot(names: Sequence[str], directory: Path, modules: Sequence[Path], out: Path) -> int:
    """One trial through the network of a trained run; its code may be in `modules`."""
    if list(names) != ["snapshot"]:
        raise ValueError("--run belongs to one figure: fdi-figures snapshot --run FOLDER")
    from fdi.runner import trained  # torch: only where it is used

    page = trained.trial(trained.load(directory, modules=modules))
    for file in draw(FIGURES["snapshot"], page, out / file_name("snapshot", directory.name)):
        print(file)
    return 0


def _draw_all(names: Sequence[str], results: Path, out: Path, only_own: bool) -> int:
    mine, measured = own(results), reference(results / "reference")
    missing = []
    for name in names:
        found = FIGURES[name].data(mine) if only_own else pages(FIGURES[name], mine, measured)
        missing += [] if found else [name]
        for page, content in found.items():
            for file in draw(FIGURES[name], content, out / file_name(name, page)):
                print(file)
    if not mine.runs["state"].isin(UNTRAINED).all():
        print_comparison(mine.runs, summarize(mine.runs))
    if len(missing) == len(names) and mine.runs.empty and measured.runs.empty:
        raise ValueError(f"no runs in {results / 'runs'}; make some: {EXAMPLE}")
    for name in missing:
        print(f"missing: {name} needs {FIGURES[name].NEEDS}: {FIGURES[name].COMMAND}")
    return int(len(missing) == len(names))
