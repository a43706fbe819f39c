"""`fdi-data`: which data sets there are, get them, look at them, pack them."""

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

PACK = "write spikes as a table that runs map into memory, for data larger than that"


@command_line("fdi-data", REFUSED)
def main(words: list[str] | None = None) -> int:
    """The console command; its exit code."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    parser = _parser()
    arguments, rest = parser.parse_known_args(words)
    if rest and (
        arguments.command not in ("show", "pack")
        or not all("=" in word and word[0] != "-" for word in rest)
    ):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    own = ("dataset.", "dataset=", "seed=")
    arguments.overrides = [word if word.startswith(own) else f"dataset.{word}" for word in rest]
    commands = {"list": _list, "get": _get, "show": _show, "pack": _pack, "spikes": _spikes}
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
    pack = commands.add_parser("pack", help=PACK, description=PACK)
    pack.add_argument("path", type=Path, metavar="FILE|FOLDER", help="of any data set of spikes")
    pack.add_argument("--out", type=Path, help="folder to write (default: FILE.packed)")
    pack.epilog = (
        "Settings of the data set follow as KEY=VALUE, e.g. dt=0.001, and dataset=NAME where the "
        "kind of file does not tell it; a pack that was stopped goes on. Then: "
        "fdi-run dataset=arrays dataset.file=FILE.packed dataset.dt=0.001"
    )
    spikes = add(
        "spikes",
        "make spikes of recordings, as SHD was made: FOLDER/LABEL/NAME.wav into DATA/hdf5, for "
        "dataset=hdf5; goes on where it was stopped",
    )
    spikes.add_argument("folder", metavar="FOLDER", type=Path, help="holds a folder for each class")
    spikes.add_argument("--root", type=Path, help="folder to write to (default: DATA/hdf5)")
    spikes.add_argument(
        "--speaker",
        metavar="REGEX",
        help="whose first group is the speaker in the name of a file, as in '_(.*)_' (default: as "
        "in the names of SHD, Speech Commands and the Free Spoken Digit Dataset)",
    )
    spikes.add_argument(
        "--test",
        metavar="SHARE",
        type=float,
        default=0.2,
        help="of the speakers, or else of each class, that is tested on (default: 0.2)",
    )
    return parser


def _spikes(arguments: argparse.Namespace) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    from fdi.cli.cost import cores
    from fdi.cli.terminal import bar, console
    from fdi.data import cochlea

    if not 0 < arguments.test < 1:
        raise DataError(f"--test {arguments.test:g} must be a share, above 0 and below 1")
    root = arguments.root or arguments.data / "hdf5"
    columns = BarColumn(), MofNCompleteColumn(), TextColumn("recordings"), TimeRemainingColumn()
    with bar(console(), *columns) as progress:
        task = progress.add_task("", total=None)
        cochlea.spikes(
            arguments.folder,
            root,
            speaker=arguments.speaker,
            test=arguments.test,
            workers=cores(),
            show=lambda done, total: progress.update(task, completed=done, total=total),
        )
    place = printable(str(root))
    print(f"spikes: in {place}; fdi-run dataset=hdf5 dataset.root={place}")


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
    from fdi.figures.picture import draw_dataset, title
    from fdi.runner.build import dataset

    name = arguments.name
    places = [f"paths.data={quoted(str(arguments.data))}"]
    if arguments.root:
        places.append(f"dataset.root={quoted(str(arguments.root))}")
    words = [f"dataset={name}", *places, *arguments.overrides]
    data = dataset(compose_cell(source(arguments), words).config)
    path = arguments.out or Path("results/figures") / f"data-{name}.png"
    draw_dataset(data, path)
    print(f"{printable(title(data))}\n{printable(str(path))}")


def _pack(arguments: argparse.Namespace) -> None:
    from rich.progress import Progress, TaskID

    from fdi.cli.cells import compose_cell
    from fdi.cli.compose import fitting, quoted
    from fdi.cli.terminal import bar, console
    from fdi.config.identity import contents
    from fdi.data import packed
    from fdi.data.dataset import stamps
    from fdi.runner.build import dataset

    path: Path = arguments.path.expanduser()
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    name = "ts" if path.suffix.lower() == ".ts" else "arrays"
    if path.is_dir() and any(path.glob("*.h5")):
        name = "hdf5"
    for word in arguments.overrides:
        name = word.partition("=")[2] if word.startswith("dataset=") else name
    own = [word for word in arguments.overrides if not word.startswith("dataset=")]
    places = [f"dataset.{key}={quoted(str(path))}" for key in ("file", "root")]
    found = fitting("", [f"dataset={name}", *places])
    config = compose_cell("", [*found, "dataset.valid=0", *own]).config
    asked = contents(config.dataset)
    of_file = {key: asked.get(key) for key in ("kind", "names", "duration", "binning")}
    given = {word.removeprefix("dataset.").partition("=")[0] for word in own}
    folder = arguments.out or Path(f"{path}.packed")
    options = {"dt": asked["dt"], "kind": "spikes", "binning": asked.get("binning", "binary")}

    def data() -> packed.Packable:
        if name == "arrays" and path.suffix.lower() == ".npz" and given <= {*of_file, "dt"}:
            return packed.of_npz(path, folder, asked["dt"], **of_file)
        return packed.of_dataset(dataset(config))

    with bar(console(), *Progress.get_default_columns()) as shown:
        tasks: dict[str, TaskID] = {}

        def show(part: str, done: int, samples: int) -> None:
            if part not in tasks:
                tasks[part] = shown.add_task(part, total=samples)
            shown.update(tasks[part], completed=done)

        packed.pack(folder, [stamps(path.resolve()), asked], options, data, show)
    print(printable(str(folder)))


def _here(name: str, root: Path) -> bool:
    module = SOURCES[name].module
    if SOURCES[name].size == "yours":
        return any(root.glob("*.h5"))
    return present(name, root) and (
        bool(SOURCES[name].archives) or module is None or find_spec(module) is not None
    )
