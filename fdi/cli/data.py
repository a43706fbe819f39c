"""`fdi-data`: which data sets there are, get them, check them, look at them."""

from __future__ import annotations

import argparse
import logging
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fdi.cli.command import FAILED, REFUSED, Parser, command_line
from fdi.data.download import SOURCES, ensure, present
from fdi.data.inputs import DataError, readable
from fdi.track.files import printable

if TYPE_CHECKING:
    from fdi.data.dataset import Dataset

BY_FILE = ("arrays", "ts")  # what dataset.file names, wherever it is


@command_line("fdi-data", REFUSED)
def main(words: list[str] | None = None) -> int:
    """The console command; its exit code: 1 if a check fails, 2 if nothing can be carried out."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    parser = _parser()
    arguments, rest = parser.parse_known_args(words)
    if rest and (
        arguments.command != "show" or not all("=" in word and word[0] != "-" for word in rest)
    ):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    arguments.overrides = [word.removeprefix("dataset.") for word in rest]
    commands = {"list": _list, "get": _get, "check": _check, "show": _show}
    try:
        return commands[arguments.command](arguments)
    except DataError as error:
        raise DataError(str(error).replace("dataset.root=", "--root")) from None


def _parser() -> Parser:
    parser = Parser("fdi-data", description="Lists, downloads, checks and shows data sets.")
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
    add(
        "check",
        "read a data set from end to end (default: all that are here)",
        nargs="?",
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


def _list(arguments: argparse.Namespace) -> int:
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
    print_table(console(), columns, ["name"])
    return 0


def _get(arguments: argparse.Namespace) -> int:
    root = _root(arguments)
    loads = bool(SOURCES[arguments.name].archives)
    where = f"in {ensure(arguments.name, root)}" if loads else "nothing to download"
    print(f"{arguments.name}: {where}")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from fdi.figures.picture import title

    names = (
        [arguments.name]
        if arguments.name
        else [name for name in SOURCES if _here(name, arguments.data / name)]
    )
    failures = 0
    for name in names:
        root = arguments.root or arguments.data / name
        try:
            if name in BY_FILE:
                raise DataError(f"{name}: its file has any place; fdi-data show {name} file=FILE")
            if not _here(name, root):
                raise DataError(f"{name}: not here ({root}); fdi-data get {name}")
            dataset = build(name, [], root)
            print(f"ok: {printable(title(dataset))}, checksum {dataset.checksum}")
        except (ValueError, OSError) as error:
            failures += 1
            print(f"failed: {printable(str(error))}")
    return FAILED if failures else 0


def _show(arguments: argparse.Namespace) -> int:
    from fdi.figures.picture import draw, title

    dataset = build(arguments.name, arguments.overrides, _root(arguments), arguments.config_dir)
    path = arguments.out or Path("results/figures") / f"data-{arguments.name}.png"
    draw(dataset, path)
    print(f"{printable(title(dataset))}\n{printable(str(path))}")
    return 0


def build(name: str, overrides: list[str], root: Path, folder: Path | None = None) -> Dataset:
    """The data set `name` with the settings of its yaml, `overrides` ("key=value") and, unless they
    set it, `root`; also of a `folder` with dataset/`name`.yaml and the module of its `_target_` in
    it or beside it.

    Raises ValueError, in one line, for a setting that does not exist or has the wrong type.
    """
    from fdi.cli.compose import composed
    from fdi.config.identity import contents
    from fdi.config.parts import resolve
    from fdi.config.settings import complaints

    begin = str(folder.absolute()) if folder else ""
    words = (f"dataset={name}", *(f"++dataset.{override}" for override in overrides))
    config = composed(begin, words).dataset
    if "root" in config and not any(override.startswith("root=") for override in overrides):
        config.root = str(root)
    settings = contents(config)
    seed = settings.pop("seed", 0)
    modules = [folder.absolute(), folder.absolute().parent] if folder else []
    for complaint in complaints("dataset", settings, modules):
        raise DataError(complaint)
    make = resolve("dataset", settings.pop("_target_"), modules)
    with readable(name):
        return make(**settings, seed=seed)


def _root(arguments: argparse.Namespace) -> Path:
    return arguments.root or arguments.data / arguments.name


def _here(name: str, root: Path) -> bool:
    module = SOURCES[name].module
    if name == "hdf5":
        return any(root.glob("*.h5"))
    if name in BY_FILE:
        return False
    return present(name, root) and (
        bool(SOURCES[name].archives) or module is None or find_spec(module) is not None
    )
