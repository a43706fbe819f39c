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
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fdi.cli.command import may_close

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from fdi.cli.cells import Cell


@may_close
def main() -> None:
    """The console command."""
    if {"-h", "--help"} & set(sys.argv):
        print(help_text(sys.argv[1:]))
    elif "--version" in sys.argv:
        from fdi import __version__

        print(f"fdi {__version__}")
    else:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
        atexit.register(_ignore_signals)  # first, and so last: then Python forgets all handlers
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
    warnings.filterwarnings(
        "ignore", "\n'hydra/launcher/ray' is validated"
    )  # our file has the name of its plugin's
    sys.argv[1:] = sorted(
        sys.argv[1:], key=lambda word: "=" in word and not word.startswith("-")
    )  # argparse wants the overrides in one piece
    try:
        return _dispatch(parse())
    except BrokenPipeError:
        raise
    except (HydraException, OmegaConfBaseException, ValueError, OSError) as error:
        return complain(explain(error), REFUSED)


def _dispatch(arguments: Namespace) -> int:
    from fdi.cli.cells import compose_cells
    from fdi.cli.cost import Composing, offer_smaller
    from fdi.cli.search import is_search
    from fdi.cli.task import run_cell

    if arguments.shell_completion:
        return _complete_words()
    if arguments.hydra_help or arguments.info:
        return _hydra(run_cell)
    if arguments.multirun and is_search(arguments):
        return _search(arguments)
    watch = Composing()
    with watch.bar:
        cells = compose_cells(arguments, watch)
    if arguments.cfg:
        if arguments.multirun:
            _show_common(arguments)
        return _hydra(run_cell)
    if cells[0].values["dry_run"]:
        watch.end(cells)
        offer_smaller(arguments, cells)
        return 0
    if not arguments.multirun:
        return _one(arguments, cells[0])
    from fdi.cli.sweep import run_sweep

    return run_sweep(arguments, cells)


def _complete_words() -> int:
    from yaml import YAMLError

    from fdi.cli.task import run_cell

    try:
        return _hydra(run_cell)
    except YAMLError:
        raise ValueError(
            "--shell-completion cannot read its words; give install=bash, zsh or fish, and no other"
        ) from None


def _search(arguments: Namespace) -> int:
    """Show what the cells of a search have in common, or run them; returns the exit code."""
    from fdi.cli.search import search
    from fdi.cli.task import run_cell

    if arguments.cfg:
        _show_common(arguments)
        return _hydra(run_cell)
    search(arguments)
    return 0


def _show_common(arguments: Namespace) -> None:
    """Leave of a sweep what its cells have in common: Hydra shows no sweeps."""
    from hydra import initialize_config_module

    from fdi.cli.cells import common_words
    from fdi.cli.compose import CONFIG_MODULE

    with initialize_config_module(CONFIG_MODULE, version_base="1.3"):
        words = common_words(arguments)
    sys.argv[1:] = [
        word
        for word in sys.argv[1:]
        if word not in ("-m", "--multirun") and (word not in arguments.overrides or word in words)
    ]


def _one(arguments: Namespace, cell: Cell) -> int:
    """Run one cell through Hydra, and show it; returns the exit code."""
    from fdi.cli.cells import leave_nothing, say_what_is_apart
    from fdi.cli.launch import run_here, say_what_needs_a_sweep
    from fdi.cli.summary import print_result
    from fdi.cli.task import REFUSED, interrupted, run_cell
    from fdi.track.processes import INTERRUPTED

    codes, new = [], not cell.directory.exists()
    if new:
        say_what_is_apart([cell])
    say_what_needs_a_sweep(arguments)
    try:
        run_here(arguments, lambda config: codes.append(run_cell(config)))
    except KeyboardInterrupt:
        codes = [interrupted()]
    except ValueError:  # of Hydra, which has made the folder
        if new:
            leave_nothing(cell)
        raise
    if codes[0] in (0, INTERRUPTED):
        print_result(cell)
    elif codes[0] == REFUSED and new:
        leave_nothing(cell)
    return codes[0]


def _hydra(task: Callable[[Any], Any]) -> int:
    import hydra

    hydra.main(version_base="1.3", config_path="pkg://fdi.conf", config_name="config")(task)()
    return 0


ROOM = 30  # characters that an explanation needs beside a name

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
    "--shell-completion": "with install=bash (or zsh, fish): print how to enable it",
    "--hydra-help, --info": "help on Hydra's own options; what Hydra has loaded",
    "-h, --help, --version": "this text; the version",
}


def help_text(arguments: list[str]) -> str:
    """The help, with the options in the folder of --config-dir among `arguments`, if there is
    one.
    """
    import fdi.conf

    folders = [Path(fdi.conf.__path__[0]), *_config_dir(arguments)]
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
    beside = width - first >= ROOM
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


def _config_dir(arguments: list[str]) -> list[Path]:
    for i, argument in enumerate(arguments):
        flag, _, value = argument.partition("=")
        if flag in ("--config-dir", "-cd"):
            return [
                Path(folder) for folder in [value or "".join(arguments[i + 1 : i + 2])] if folder
            ]
    return []
