"""`fdi-run`: one run, or with -m a sweep of runs."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import signal
import sys
import textwrap
import warnings
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fdi.cli.command import may_close

if TYPE_CHECKING:
    from fdi.cli.cells import Cell


@may_close
def main() -> None:
    """The console command."""
    if {"-h", "--help"} & set(sys.argv):
        print(help_text(sys.argv[1:]))
    elif "--version" in sys.argv:
        from importlib.metadata import version

        print(f"fdi {version('fdi-snn')}")
    else:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
        atexit.register(_ignore_signals)  # early, and so late: then Python forgets all handlers
        gc.set_threshold(100_000)  # imports make many objects and no garbage
        try:
            code = _command()
            _end_on_signals(code)
        except KeyboardInterrupt:
            _ignore_signals()
            from fdi.cli.task import interrupted

            code = interrupted()
            _end_on_signals(code)
        sys.exit(code)


def _end_on_signals(code: int) -> None:
    """Nothing is left to interrupt: Ctrl-C and SIGTERM end this process with its own exit code."""

    def end(*_: object) -> None:
        with suppress(Exception):  # somebody may be printing
            sys.stdout.flush()
        os._exit(code)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


def _ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _command() -> int:
    """Parse, compose and check; then list, show or run. Returns the exit code."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from fdi.cli.compose import explain, parse
    from fdi.cli.task import REFUSED, complain

    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises what it would print
    # our file has the name of its plugin's
    warnings.filterwarnings("ignore", "\n'hydra/launcher/ray' is validated")
    try:
        return _dispatch(parse(sys.argv[1:]))
    except BrokenPipeError:
        raise
    except (HydraException, OmegaConfBaseException, ValueError, OSError) as error:
        return complain(explain(error), REFUSED)


def _dispatch(arguments: Namespace) -> int:
    if arguments.shell_completion:
        return _complete_words()
    if arguments.hydra_help or arguments.info:
        return _ask_hydra()
    if arguments.cfg:
        return _show(arguments)
    from fdi.cli.cells import compose_cells, is_tuned

    if arguments.multirun:
        from fdi.cli.search import is_search, search
        from fdi.cli.sweep import run_sweep

        if is_tuned(arguments):
            from fdi.cli.tune import run_tuned  # pandas: only where it is needed

            return run_tuned(arguments)[0]
        if is_search(arguments):
            search(arguments)
            return 0
    cells = compose_cells(arguments)
    if cells[0].values["dry_run"]:
        from fdi.cli.cost import dry_run

        dry_run(arguments, cells)
        return 0
    return run_sweep(arguments, cells) if arguments.multirun else _run_one(arguments, cells[0])


def _show(arguments: Namespace) -> int:
    """Show the configuration, of a sweep what its cells have in common; returns the exit code."""
    from omegaconf import OmegaConf, open_dict

    from fdi.cli.cells import common_words, compose_cells, is_tuned
    from fdi.cli.compose import composed, source, told
    from fdi.cli.search import is_search

    if not (arguments.multirun and (is_tuned(arguments) or is_search(arguments))):
        compose_cells(arguments)  # refuses what does not fit
    given = common_words(arguments) if arguments.multirun else arguments.overrides
    config: Any = composed(source(arguments), given)
    with told(deepcopy(config)):
        if arguments.cfg == "job":
            with open_dict(config):
                del config["hydra"]
        node = OmegaConf.select(config, arguments.package) if arguments.package else config
        if node is None:
            raise ValueError(f"--package {arguments.package}: no such key")
        if arguments.cfg == "hydra" and not arguments.package:
            node = OmegaConf.masked_copy(config, "hydra")
        if not OmegaConf.is_config(node):
            print(node)
            return 0
        if arguments.package:
            print(f"# @package {arguments.package}")
        print(OmegaConf.to_yaml(node, resolve=arguments.resolve), end="")
    return 0


def _ask_hydra() -> int:
    """Its own help, what it has loaded, how to complete words in a shell; returns the exit code."""
    import hydra

    from fdi.cli.compose import CONFIG_MODULE, CONFIG_NAME, VERSION

    # its argparse takes positional words in one piece only, so the overrides go to the end
    sys.argv[1:] = sorted(sys.argv[1:], key=lambda word: "=" in word and not word.startswith("-"))
    hydra.main(f"pkg://{CONFIG_MODULE}", CONFIG_NAME, version_base=VERSION)(lambda config: None)()
    return 0


def _complete_words() -> int:
    from yaml import YAMLError

    if values := _values():
        print(*values)
        return 0
    try:
        return _ask_hydra()
    except YAMLError:
        raise ValueError(
            "--shell-completion cannot read its words; give install=bash, zsh or fish, and no other"
        ) from None


def _values() -> list[str]:
    """The values that the key at the end of the line in the shell may have, if they are words:
    Hydra completes options and keys only.
    """
    from fdi.cli.compose import parse, source, values_of
    from fdi.config.settings import choices

    *words, last = os.environ.get("COMP_LINE", "").split() or [""]
    key, equals, begun = last.partition("=")
    try:
        found = choices(key, {}) if equals else []
        if equals and not found and "." in key:
            arguments = parse(words[1:])
            found = choices(key, values_of(source(arguments), arguments.overrides))
    except ValueError:
        return []
    return [f"{key}={value}" for value in found if value.startswith(begun)]


def _run_one(arguments: Namespace, cell: Cell) -> int:
    """Run one cell, and show it; returns the exit code."""
    from fdi.cli.cells import is_hydras, leave_nothing, say_what_is_apart
    from fdi.cli.task import REFUSED, interrupted, print_result, run_cell
    from fdi.track.process import INTERRUPTED
    from fdi.track.record import refuse_other_schedule

    for word in filter(is_hydras, arguments.overrides):
        if not word.startswith("hydra.searchpath="):
            raise ValueError(f"{word} is for sweeps; add -m, or leave it out")
    new = not cell.directory.exists()
    if new:
        say_what_is_apart([cell])
    refuse_other_schedule(cell.directory, cell.values)
    try:
        code = run_cell(cell.config, cell.overrides)
    except KeyboardInterrupt:
        code = interrupted()
    if code in (0, INTERRUPTED):
        print_result(cell)
    elif code == REFUSED and new:
        leave_nothing(cell)
    return code


LEAST_BESIDE = 30  # characters that an explanation needs beside a name

COMMANDS = {
    "fdi-run": "Randman, one hidden layer, fluctuation-driven",
    "fdi-run model=recurrent init=kaiming seed=3": "choose options and set values",
    "fdi-run -m init=kaiming,fluct 'seed=range(5)'": (
        "all combinations, then a table; finished runs are skipped"
    ),
    "fdi-run -m init=kaiming,fluct dry_run=true": (
        "list the runs with their folders and states, and what they cost"
    ),
    "fdi-run -m experiment=depth budget=laptop": (
        "the sweep of one question of the paper; budget=paper is for a cluster"
    ),
    "fdi-run -m experiment=depth hydra/launcher=local": (
        "several runs at once; isolated, slurm and ray: docs/cluster.md"
    ),
    "fdi-run probe=only init.sigma_u=0.2": "measure the initial state, do not train",
    "fdi-run -m probe=only init=kaiming,fluct": "compare initial states in one table",
    "fdi-run --cfg job dataset=randman optimizer=adam": (
        "show the whole configuration, do not run"
    ),
}
FLAGS = {
    "-m, --multirun": "run every combination of comma-separated values",
    "-c, --cfg job": "show the configuration",
    "--config-dir FOLDER": "add your own options: FOLDER/model/mine.yaml is model=mine",
    "--config-name NAME": "start from FOLDER/NAME.yaml, whose defaults begin with config, _self_",
    "--shell-completion": "with install=bash (or zsh, fish): print how to enable it",
    "--hydra-help, --info": "help on Hydra's own options; what Hydra has loaded",
    "-h, --help, --version": "this text; the version",
}


def help_text(arguments: list[str]) -> str:
    """The help, with the options in the folder of --config-dir among `arguments`, if there is
    one.
    """
    parser = ArgumentParser(add_help=False)
    parser.add_argument("-cd", "--config-dir", nargs="?", type=Path)
    given = parser.parse_known_args(arguments)[0].config_dir
    folders = [Path(str(files("fdi.conf"))), *([given] if given else [])]
    options: dict[str, set[str]] = {}
    for folder in folders:
        for file in [*folder.glob("*/*.yaml"), *folder.glob("hydra/*/*.yaml")]:
            options.setdefault(file.parent.relative_to(folder).as_posix(), set()).add(file.stem)
    groups = {group: ", ".join(sorted(names)) for group, names in sorted(options.items())}
    width = shutil.get_terminal_size().columns
    return "\n".join(
        [
            *textwrap.wrap(
                "fdi-run trains a spiking neural network from a chosen initial state and records "
                "how well it learns.",
                width,
            ),
            "",
            "usage: fdi-run [-m] [group=option ...] [key=value ...]",
            *_section("everyday commands", COMMANDS, width),
            *_section("groups and their options", groups, width),
            *_section("flags", FLAGS, width),
            "",
            *textwrap.wrap(
                "The same command resumes a stopped run after its last epoch. "
                "Results: results/runs/<dataset>/<model>/<init>/.",
                width,
                break_on_hyphens=False,
            ),
        ]
    )


def _section(title: str, rows: dict[str, str], width: int) -> Iterator[str]:
    """The rows in two columns, or each on two lines where the second has little room."""
    yield from ("", title)
    first = max(map(len, rows)) + 4
    beside = width - first >= LEAST_BESIDE
    for name, text in rows.items():
        if not beside:
            yield f"  {name}"
        yield from textwrap.wrap(
            text,
            width,
            initial_indent=f"  {name}".ljust(first) if beside else " " * 6,
            subsequent_indent=" " * (first if beside else 6),
            break_on_hyphens=False,
        )
