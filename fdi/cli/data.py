"""`fdi-data`: which data sets there are, get them, look at them."""

from __future__ import annotations

import argparse
import logging
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fdi.cli.command import REFUSED, Parser, command_line
from fdi.config.own_code import of_packages
from fdi.data.download import SOURCES, ensure, present
from fdi.data.inputs import DataError
from fdi.track.files import printable

BY_FILE = ("arrays", "ts")  # what dataset.file names, wherever it is


@command_line("fdi-data", REFUSED)
def main(words: list[str] | None = None) -> int:
    """The console command; its exit code."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    parser = _parser()
    arguments, rest = parser.parse_known_args(words)
    if rest and (
        arguments.command != "show" or not all("=" in word and word[0] != "-" for word in rest)
    ):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    own = ("dataset.", "seed=")
    arguments.overrides = [word if word.startswith(own) else f"dataset.{word}" for word in rest]
    commands = {"list": _list, "get": _get, "show": _show}
    try:
        commands[arguments.command](arguments)
        return 0
    except DataError as error:
        raise DataError(str(error).replace("dataset.root=", "--root")) from None


def _parser() -> Parser:
    parser = Parser("fdi-data", description="Lists, downloads and shows data sets.")
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name: str, text: str, **names: Any) -> Parser:
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument(
            "--data",
            type=Path,
            default=Path("data"),
            help="folder with one folder per data set (default: data)",
        )
        if names:
            command.add_argument(
                "name",
                metavar="NAME",
                type=lambda word: word.removeprefix("dataset="),
                help="see fdi-data list",
                **names,
            )
            command.add_argument(
                "--root", type=Path, help="folder of this data set (default: DATA/NAME)"
            )
        return command

    add("list", "list the data sets: classes, samples, size of the download, licence")
    add(
        "get",
        "download a data set, or unpack archives placed in its folder by hand",
        choices=SOURCES,
    )
    show = add(
        "show", "draw a few samples, the mean rate nu and the histogram of rates", nargs=None
    )
    show.add_argument("--config-dir", type=Path, help="folder with dataset/NAME.yaml of yours")
    show.epilog = (
        "Settings of the data set follow as KEY=VALUE, e.g. dt=0.001 max_train=500; "
        "dataset=NAME and dataset.dt=0.001, as for fdi-run, work too."
    )
    show.add_argument(
        "--out", type=Path, help="PNG to write (default: results/figures/data-NAME.png)"
    )
    return parser


def _list(arguments: argparse.Namespace) -> None:
    from fdi.cli.terminal import console, print_table

    sources = SOURCES.values()
    here = [_here(name, arguments.data / name) for name in SOURCES]
    columns = {
        "name": list(SOURCES),
        "classes": [source.classes for source in sources],
        "samples (train / valid / test)": [source.samples for source in sources],
        "download": [source.size for source in sources],
        "here": ["yes" if there else "no" for there in here],
        "licence": [source.licence for source in sources],
    }
    for name, package in of_packages("dataset").items():
        whose = f"part of {package.name} {package.version}"
        for column, cell in zip(columns.values(), (name, "-", "-", whose, "yes", "-")):
            column.append(cell)
    print_table(console(), columns, ["name"])


def _get(arguments: argparse.Namespace) -> None:
    root = arguments.root or arguments.data / arguments.name
    loads = bool(SOURCES[arguments.name].archives)
    where = f"in {ensure(arguments.name, root)}" if loads else "nothing to download"
    print(f"{arguments.name}: {where}")


def _show(arguments: argparse.Namespace) -> None:
    from fdi.cli.cells import compose_cell
    from fdi.cli.compose import quoted, source
    from fdi.figures.picture import draw, title
    from fdi.runner.build import dataset

    name = arguments.name
    places = [f"paths.data={quoted(str(arguments.data))}"]
    if arguments.root:
        places.append(f"dataset.root={quoted(str(arguments.root))}")
    words = [f"dataset={name}", *places, *arguments.overrides]
    data = dataset(compose_cell(source(arguments), words).config)
    path = arguments.out or Path("results/figures") / f"data-{name}.png"
    draw(data, path)
    print(f"{printable(title(data))}\n{printable(str(path))}")


def _here(name: str, root: Path) -> bool:
    module = SOURCES[name].module
    if name == "hdf5":
        return any(root.glob("*.h5"))
    if name in BY_FILE:
        return False
    return present(name, root) and (
        bool(SOURCES[name].archives) or module is None or find_spec(module) is not None
    )
