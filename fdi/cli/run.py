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
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fdi.cli.command import may_close

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from omegaconf import DictConfig

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
    warnings.filterwarnings(
        "ignore", "\n'hydra/launcher/ray' is validated"
    )  # our file has the name of its plugin's
    try:
        return _dispatch(parse(sys.argv[1:]))
    except BrokenPipeError:
        raise
    except (HydraException, OmegaConfBaseException, ValueError, OSError) as error:
        return complain(explain(error), REFUSED)


def _dispatch(arguments: Namespace) -> int:
    from fdi.cli.cells import compose_cells
    from fdi.cli.compose import show

    if arguments.shell_completion:
        return _complete_words(arguments)
    if arguments.hydra_help or arguments.info:
        show(arguments)
        return 0
    if not arguments.cfg:
        _refuse_narrow()
    if arguments.multirun:
        return _several(arguments)
    (cell,) = compose_cells(arguments)
    if arguments.cfg:
        show(arguments)
        return 0
    if cell.values["dry_run"]:
        from fdi.cli.cost import Composing, offer_smaller

        listing = Composing()
        listing(cell, [cell.overrides])
        listing.end([cell])
        offer_smaller(arguments, [cell])
        return 0
    return _one(arguments, cell)


ADDRESSES = 1.25e9, 0.15e9  # bytes of libraries and compiler, and of the threads of a core


def _refuse_narrow() -> None:
    """Raises ValueError where a limit on addresses is too low for the libraries: OpenBLAS asks for
    more without end, and LLVM and PyTorch abort.
    """
    if sys.platform != "linux":
        return
    import resource

    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    cores = len(os.sched_getaffinity(0))
    needed = ADDRESSES[0] + ADDRESSES[1] * cores
    if allowed != resource.RLIM_INFINITY and allowed < needed:
        raise ValueError(
            f"this shell allows a process {allowed / 1e9:.2f} GB of addresses, and fdi-run takes "
            f"{needed / 1e9:.2f} on {cores} cores; ulimit -v {needed / 1024:.0f} raises that, "
            f"taskset -c 0 fdi-run ... takes one core"
        )


def _several(arguments: Namespace) -> int:
    """A sweep or a search: show it, say what it costs, or run it; returns the exit code."""
    from fdi.cli.cells import compose_cells, is_tuned
    from fdi.cli.cost import Composing, offer_smaller
    from fdi.cli.search import is_search, search
    from fdi.cli.sweep import run_sweep

    if is_tuned(arguments) and not arguments.cfg:
        from fdi.cli.tune import run_tuned  # pandas: only where it is needed

        return run_tuned(arguments)[0]
    chooses = is_search(arguments)
    if chooses and not arguments.cfg:
        search(arguments)
        return 0
    if chooses:
        _show_common(arguments)
        return 0
    watch = Composing()
    with watch.bar:
        cells = compose_cells(arguments, watch)
    if arguments.cfg:
        _show_common(arguments)
        return 0
    if cells[0].values["dry_run"]:
        watch.end(cells)
        offer_smaller(arguments, cells)
        return 0
    return run_sweep(arguments, cells)


def _complete_words(arguments: Namespace) -> int:
    from yaml import YAMLError

    from fdi.cli.compose import show

    if values := _values():
        print(*values)
        return 0
    try:
        show(arguments)
    except YAMLError:
        raise ValueError(
            "--shell-completion cannot read its words; give install=bash, zsh or fish, and no other"
        ) from None
    return 0


def _values() -> list[str]:
    """The values that the key at the end of the line in the shell may have, if they are words:
    Hydra completes options and keys only.
    """
    from hydra.errors import HydraException

    from fdi.cli.cells import compose_cells
    from fdi.cli.compose import parse
    from fdi.config.settings import choices

    *words, last = os.environ.get("COMP_LINE", "").split() or [""]
    key, equals, begun = last.partition("=")
    try:
        arguments = parse(words[1:])
        arguments.multirun, arguments.cfg = False, "job"
        found = choices(key, {}) if equals else []
        if equals and not found and "." in key:
            (cell,) = compose_cells(arguments)
            found = choices(key, cell.values)
    except (HydraException, ValueError):
        return []
    return [f"{key}={value}" for value in found if value.startswith(begun)]


def _show_common(arguments: Namespace) -> None:
    """Show what the cells of a sweep have in common: Hydra shows no sweeps."""
    from hydra import initialize_config_module

    from fdi.cli.cells import common_words
    from fdi.cli.compose import CONFIG_MODULE, show

    with initialize_config_module(CONFIG_MODULE, version_base="1.3"):
        arguments.overrides = common_words(arguments)
    arguments.multirun = False
    show(arguments)


def _one(arguments: Namespace, cell: Cell) -> int:
    """Run one cell through Hydra, and show it; returns the exit code."""
    from fdi.cli.cells import leave_nothing, say_what_is_apart
    from fdi.cli.summary import print_result
    from fdi.cli.task import REFUSED, interrupted, run_cell
    from fdi.track.process import INTERRUPTED
    from fdi.track.record import refuse_other_schedule

    codes, new = [], not cell.directory.exists()
    if new:
        say_what_is_apart([cell])
    refuse_other_schedule(cell.directory, cell.values)
    _refuse_what_needs_a_sweep(arguments)
    try:
        _run_here(arguments, lambda config: codes.append(run_cell(config)))
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


def _run_here(arguments: Namespace, task: Callable[[DictConfig], Any]) -> None:
    """Run `task` in this process on the one cell of the command line; raises what it raises."""
    from hydra import initialize_config_module
    from hydra.core.global_hydra import GlobalHydra

    from fdi.cli.compose import CONFIG_MODULE, composer

    with initialize_config_module(CONFIG_MODULE, version_base="1.3"):
        hydra: Any = GlobalHydra.instance().hydra
        compose = composer(arguments)
        hydra.config_loader = compose  # which has composed it before
        hydra.run(compose.name, task, arguments.overrides)


def _refuse_what_needs_a_sweep(arguments: Namespace) -> None:
    """Raises ValueError for a part of Hydra that does nothing for a single run."""
    for word in arguments.overrides:
        if word.lstrip("+").startswith(("hydra/launcher=", "hydra/sweeper=")):
            raise ValueError(f"{word} is for sweeps; add -m, or leave it out")


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
    "--config-name NAME": "start from FOLDER/NAME.yaml, whose defaults begin with config, _self_",
    "--shell-completion": "with install=bash (or zsh, fish): print how to enable it",
    "--hydra-help, --info": "help on Hydra's own options; what Hydra has loaded",
    "-h, --help, --version": "this text; the version",
}


def help_text(arguments: list[str]) -> str:
    """The help, with the options in the folder of --config-dir among `arguments`, if there is
    one.
    """
    folders = [Path(str(files("fdi.conf"))), *_config_dir(arguments)]
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
