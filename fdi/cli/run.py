"""`fdi-run`: one run, or with -m a sweep of runs."""

from __future__ import annotations

import gc
import os
import signal
import sys
import warnings
from argparse import SUPPRESS, Namespace
from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import partial
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from fdi.cli.command import REFUSED, Parser, command_line

if TYPE_CHECKING:
    from fdi.cli.cells import Cell


@command_line("fdi-run", REFUSED, "interrupted; the same command resumes where it stopped")
def main() -> int:
    """The console command; its exit code."""
    words = sys.argv[1:]
    if {"-h", "--help"} & {*words}:
        print(help_text(words))
        return 0
    if "--version" in words:
        from importlib.metadata import version

        print(f"fdi {version('fdi-snn')}")
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    gc.set_threshold(100_000)  # imports make many objects and no garbage
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from fdi.cli.compose import explain

    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises what it would print
    # our file has the name of its plugin's
    warnings.filterwarnings("ignore", "\n'hydra/launcher/ray' is validated")
    try:
        return _dispatch(parse(words))
    except (HydraException, OmegaConfBaseException) as error:
        raise ValueError(explain(error)) from None


def _dispatch(arguments: Namespace) -> int:
    if arguments.cfg:
        return _show_config(arguments)
    from fdi.cli.cells import SHORTENED, compose_cells, compose_sweep, shortened
    from fdi.cli.compose import source

    common = compose_sweep(arguments)
    if common.recipe:
        from fdi.cli.recipe import run_recipe  # pandas: only where it is needed

        return run_recipe(arguments)[0]
    if common.tune and arguments.multirun:
        from fdi.cli.tune import run_tuned

        return run_tuned(arguments)[0]
    cells = compose_cells(arguments)
    if short := shortened(source(arguments), cells):
        print(SHORTENED.format(epochs=short, **common.hydra.runtime.choices), flush=True)
    if cells[0].values["dry_run"]:
        from fdi.cli.cost import dry_run

        dry_run(cells)
        return 0
    if not arguments.multirun:
        return _run_one(arguments, cells[0])
    from fdi.cli.sweep import run_sweep

    return run_sweep(arguments, cells)


def _show_config(arguments: Namespace) -> int:
    from omegaconf import OmegaConf, open_dict

    from fdi.cli.cells import compose_cells, compose_sweep
    from fdi.cli.compose import interpolating

    config: Any = compose_sweep(arguments)
    if not (arguments.multirun and config.tune):
        compose_cells(arguments)  # refuses what does not fit
    with interpolating(deepcopy(config)), open_dict(config):
        shown = config
        if arguments.cfg == "job":
            del config["hydra"]
        elif arguments.cfg == "hydra" and not arguments.package:
            shown = config.hydra
        if arguments.package:
            shown = OmegaConf.select(config, arguments.package)
        if not OmegaConf.is_config(shown):
            raise ValueError(f"--package {arguments.package}: no part of the configuration")
        resolve = arguments.resolve or arguments.cfg == "job"
        print(OmegaConf.to_yaml(shown, resolve=resolve), end="")
        return 0


def _run_one(arguments: Namespace, cell: Cell) -> int:
    from fdi.cli.cells import leave_nothing, make_folder
    from fdi.cli.task import print_result, run_cell

    new = not cell.directory.exists()
    make_folder(cell)
    try:
        code = run_cell(cell)
    except KeyboardInterrupt:
        print_result(cell)
        raise
    if code == 0:
        print_result(cell)
        if not arguments.overrides:
            print(f"to compare it with Kaiming weights: {COMPARE}")
    elif code == REFUSED and new:
        leave_nothing(cell)
    return code


COMPARE = "fdi-run -m init=kaiming,fluct 'seed=range(5)'"
COMMANDS = {
    "fdi-run": "Randman, one hidden layer, fluctuation-driven",
    "fdi-run model=recurrent init=kaiming seed=3": "choose options and set values",
    COMPARE: "all combinations, then a table; finished runs are skipped",
    "fdi-run -m experiment=depth budget=laptop": (
        "the sweep of one question of the paper; budget=paper is for a cluster"
    ),
    "fdi-run -m experiment=depth hydra/launcher=local": (
        "several runs at once; isolated, slurm and ray: docs/cluster.md"
    ),
    "fdi-run probe=only init.sigma_u=0.2": "measure the initial state, do not train",
    "fdi-run --cfg job dataset=randman optimizer=adam": (
        "show the whole configuration, do not run"
    ),
}


def _tell(made: Parser, sections: Mapping[str, Mapping[str, str]]) -> None:
    """Add `sections` to a help: title -> name -> text."""
    for title, rows in sections.items():
        group = made.add_argument_group(title)
        for name, text in rows.items():
            group.add_argument(title + name, metavar=name, help=text.replace("%", "%%"))


def parser(sections: Mapping[str, Mapping[str, str]] = MappingProxyType({})) -> Parser:
    """That of the words of fdi-run, with these `sections` of its help."""
    made = Parser(
        "fdi-run",
        usage="fdi-run [-m] [group=option ...] [key=value ...]",
        description="fdi-run trains a spiking neural network from a chosen initialization and "
        "records how well it learns.",
        epilog="The same command resumes a stopped run after its last epoch. Results: "
        "results/runs/<dataset>/<model>/<init>/.",
        add_help=False,
    )
    _tell(made, sections)
    made.add_argument("overrides", nargs="*", help=SUPPRESS)
    flags = made.add_argument_group("flags")
    add = partial(flags.add_argument, action="store_true")
    add("-r", "--run", help=SUPPRESS)  # what is done without -m
    add("-m", "--multirun", help="run every combination of comma-separated values")
    flags.add_argument(
        "-c",
        "--cfg",
        choices=("job", "hydra", "all"),
        help="show the configuration of a run, that of Hydra and its launcher, or both",
    )
    flags.add_argument("-p", "--package", metavar="KEY", help="of --cfg only this part")
    add("--resolve", help="of --cfg with interpolations resolved, as those of a run always are")
    flags.add_argument(
        "-cd",
        "--config-dir",
        metavar="FOLDER",
        help="add your own options: FOLDER/model/mine.yaml is model=mine",
    )
    add("-h", "--help", "--version", help="this, or of GROUP or KEY what it may be; the version")
    return made


ADD, LOOK = "--config-dir FOLDER adds options of your own", "fdi-run --help lists options and keys"
HYDRAS = {
    **dict.fromkeys(("--config-path", "-cp", "--config-name", "-cn"), ADD),
    **dict.fromkeys(("--hydra-help", "--shell-completion", "-sc"), LOOK),
    **dict.fromkeys(("--info", "-i"), "--cfg all shows what is composed, --help from what"),
    "--experimental-rerun": "the same command goes on with a run; run.json holds its words",
}
"""Flags of Hydra's that fdi does not have, and fdi's way."""


def parse(words: Sequence[str]) -> Namespace:
    """The command line `words`, parsed. Raises ValueError for an option that does not exist."""
    for flag in (word.partition("=")[0] for word in words):
        if flag in HYDRAS:
            raise ValueError(f"{flag} is Hydra's; {HYDRAS[flag]}")
    arguments, unknown = parser().parse_known_intermixed_args(words)
    if unknown:
        key, _, value = unknown[0].lstrip("-").partition("=")
        value = value or next(iter(arguments.overrides), "VALUE")
        raise ValueError(
            f"{unknown[0]} is not an option; write settings without dashes, as in "
            f"{key or 'key'}={value if '=' not in value else 'VALUE'}"
        )
    if not arguments.cfg and (arguments.package or arguments.resolve):
        raise ValueError("--package and --resolve go with --cfg, as in --cfg job -p optimizer")
    return arguments


def help_text(words: Sequence[str]) -> str:
    """The help, or what is said of the groups and keys among `words`, with the options in the
    folder of --config-dir among these, if there is one, and those of installed packages.
    """
    from fdi.config.own_code import package_folders

    given = parser().parse_known_args(words)[0]
    options: dict[str, set[str]] = {}
    folders = filter(None, [str(files("fdi.conf")), given.config_dir, *package_folders()])
    places = [Path(folder) for folder in folders]
    if topics := [word for word in given.overrides if "=" not in word]:
        from fdi.config.lookup import explained

        made = Parser(usage=SUPPRESS, add_help=False)
        _tell(made, dict(explained(topic, places) for topic in topics))
        return made.format_help().strip()
    for place in places:
        for file in [*place.glob("*/*.yaml"), *place.glob("hydra/*/*.yaml")]:
            options.setdefault(file.parent.relative_to(place).as_posix(), set()).add(file.stem)
    groups = {group: ", ".join(sorted(names)) for group, names in sorted(options.items())}
    text = parser({"everyday commands": COMMANDS, "groups": groups}).format_help()
    return f"{text}{_pages()}".rstrip()


def _pages() -> str:
    """Where docs/ is: in a checkout, or the address that a release has; "" without either."""
    if (folder := Path(__file__).parents[2] / "docs").joinpath("glossary.md").exists():
        return f"docs/: {folder}"
    from importlib.metadata import metadata

    urls = [url.partition(", ") for url in metadata("fdi-snn").get_all("Project-URL") or []]
    return "".join(f"docs/: {url}" for name, _, url in urls if name == "Documentation")
