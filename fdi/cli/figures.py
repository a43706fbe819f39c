"""`fdi-figures`: draws what the results hold, and says how to make what is missing."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from types import ModuleType

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
    from fdi.config.parts import choose
    from fdi.figures.catalogue import FIGURES, own_figure

    figures = dict(FIGURES)
    for name in arguments.names:
        mine = None if name in FIGURES else own_figure(name, arguments.modules)
        if mine:
            figures[name] = mine
        elif name not in FIGURES:
            print(f"fdi-figures: no figure {name}; {choose(name, FIGURES)}", file=sys.stderr)
            return 2
    if arguments.list:
        for name, module in FIGURES.items():
            print(f"{name}: {module.ABOUT}")
        return 0
    if arguments.run:
        return _snapshot(arguments.names, arguments.run, arguments.modules, arguments.out)
    chosen = {name: figures[name] for name in arguments.names or FIGURES}
    return _draw_all(chosen, arguments.results, arguments.out, arguments.own)


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
        help="a folder with code of yours: the figure NAME in NAME.py, or the model of --run; may "
        "be repeated",
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


def _draw_all(figures: Mapping[str, ModuleType], results: Path, out: Path, only_own: bool) -> int:
    from fdi.analysis.conditions import UNTRAINED
    from fdi.analysis.index import index
    from fdi.analysis.render import EXAMPLE
    from fdi.analysis.results import own, reference
    from fdi.analysis.summary import summarize
    from fdi.cli.summary import print_comparison
    from fdi.figures.catalogue import FIGURES, draw, file_name, pages
    from fdi.figures.unchanged import origin, remember, unchanged

    known = origin(results, out, only_own)
    with index(results) as kept:
        before = {name: unchanged(kept, name, known) for name in figures if name in FIGURES}
    mine, measured = own(results), cache(partial(reference, results / "reference"))
    drawn: dict[str, list[Path]] = {}
    missing = []
    for name, module in figures.items():
        files = before.get(name)
        if files is None:
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
            remember(kept, name, known, drawn[name])
    if not mine.runs["state"].isin(UNTRAINED).all():
        print_comparison(mine.runs, summarize(mine.runs))
    if missing and not only_own and measured().runs.empty:
        print(CHECKOUT)
    if len(missing) == len(figures) and mine.runs.empty and measured().runs.empty:
        raise ValueError(f"no runs in {results / 'runs'}; make some: {EXAMPLE}")
    for name in missing:
        print(f"not drawn: {name} needs {figures[name].NEEDS}: {figures[name].COMMAND}")
    return int(len(missing) == len(figures))
