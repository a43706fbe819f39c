"""`fdi-figures`: draws what the results hold, and says how to make what is missing."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from fdi.cli.command import add_results, command_line, give_back
from fdi.track.files import printable

CHECKOUT = (
    "figures of the measurements that come with fdi need results/reference of a checkout: "
    "fdi-figures --results CHECKOUT/results"
)


@command_line("fdi-figures")
def main(argv: Sequence[str] | None = None) -> int:
    """The console command; its exit code: 0 if something was drawn."""
    arguments = _parse(argv)
    give_back()
    from fdi.figures.catalogue import FIGURES

    if arguments.list:
        for name, module in FIGURES.items():
            print(f"{name}: {module.ABOUT}\n  needs {module.NEEDS}: {module.COMMAND}")
        return 0
    if arguments.run:
        return _snapshot(arguments.names, arguments.run, arguments.modules, arguments.out)
    from fdi.analysis.metrics import each_once

    with each_once():
        return _draw_all(arguments)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
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
    parser.add_argument(
        "--own",
        action="store_true",
        help="draw your own runs only, not the measurements that come with fdi",
    )
    parser.add_argument(
        "--run",
        type=Path,
        metavar="FOLDER",
        help="for snapshot: show a test sample of the trained run in FOLDER",
    )
    parser.add_argument(
        "--modules",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="a folder with files of yours: the figure NAME in NAME.py, or of the experiment in "
        "experiment/NAME.yaml, or the model of --run; may be repeated",
    )
    return parser.parse_args(argv)


def _snapshot(names: Sequence[str], directory: Path, modules: Sequence[Path], out: Path) -> int:
    """One trial through the network of a trained run; its code may be in `modules`."""
    if list(names) != ["snapshot"]:
        raise ValueError("--run belongs to one figure: fdi-figures snapshot --run FOLDER")
    from fdi.figures.catalogue import FIGURES, draw, file_name
    from fdi.runner import trained  # torch: only where it is used

    page = trained.trial(trained.load(directory, modules=modules))
    for file in draw(FIGURES["snapshot"], page, out / file_name("snapshot", directory.name)):
        print(file)
    return 0


def _draw_all(arguments: argparse.Namespace) -> int:
    from fdi.analysis.conditions import UNTRAINED
    from fdi.analysis.index import index
    from fdi.analysis.metrics import each_once
    from fdi.analysis.render import EXAMPLE
    from fdi.analysis.results import own, reference
    from fdi.analysis.summary import summarize
    from fdi.cli.summary import print_comparison
    from fdi.config.parts import choose
    from fdi.figures.catalogue import draw, file_name, own_figure, pages, with_own
    from fdi.figures.unchanged import origin, remember, unchanged

    results, out, only_own = arguments.results, arguments.out, arguments.own
    mine, measured = own(results), cache(partial(reference, results / "reference"))
    there = with_own(mine.runs, arguments.modules)
    figures: dict[str, Any] = {name: there.get(name) for name in arguments.names or there}
    for name in figures.keys() - there.keys():
        figures[name] = own_figure(name, arguments.modules)
        if figures[name] is None:
            print(f"fdi-figures: no figure {name}; {choose(name, there)}", file=sys.stderr)
            return 2
    known = origin(results, out, only_own, *there.values())
    with index(results) as kept:
        before = {name: unchanged(kept, name, known) for name in figures if name in there}
    drawn: dict[str, list[Path]] = {}
    damaged: dict[str, dict[str, None]] = {}
    missing = []
    for name, module in figures.items():
        files = before.get(name)
        if files is None:
            with each_once() as damaged[name]:
                contents = module.data(mine) if only_own else pages(module, mine, measured())
            drawn[name] = files = [
                file
                for page, content in contents.items()
                for file in draw(module, content, out / file_name(name, page))
            ]
        missing += [] if files else [name]
        for file in files:
            print(printable(str(file)))
    with index(results) as kept:
        for name in before.keys() & drawn.keys():
            remember(kept, name, known, drawn[name], damaged[name])
    if not mine.runs["state"].isin(UNTRAINED).all():
        print_comparison(mine.runs, summarize(mine.runs))
    if missing and not only_own and measured().runs.empty:
        print(CHECKOUT)
    if len(missing) == len(figures) and mine.runs.empty and measured().runs.empty:
        raise ValueError(f"no runs in {results / 'runs'}; make some: {EXAMPLE}")
    if not arguments.names and len(missing) < len(figures):
        print(f"{len(missing)} other figures need other runs; fdi-figures --list says which")
        return 0
    for name in missing:
        print(f"not drawn: {name} needs {figures[name].NEEDS}: {figures[name].COMMAND}")
    return int(len(missing) == len(figures))
