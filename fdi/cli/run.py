"""`fdi-run`: one run, or with -m a sweep of runs."""

from __future__ import annotations

import gc
import os
import signal
import sys
import warnings
from typing import TYPE_CHECKING, Any

from fdi.cli.pipe import may_close

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Mapping

    from fdi.cli.cells import Cell


@may_close
def main() -> None:
    """The console command."""
    if {"-h", "--help"} & set(sys.argv):
        from fdi.cli.help import help_text

        print(help_text(sys.argv[1:]))
    elif "--version" in sys.argv:
        from fdi import __version__

        print(f"fdi {__version__}")
    else:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
        gc.set_threshold(100_000)  # imports make many objects and no garbage
        try:
            code = _command()
        except KeyboardInterrupt:
            code = _interrupted()
        signal.signal(signal.SIGINT, lambda *_: os._exit(code))  # nothing is left to interrupt
        sys.exit(code)


def _command() -> int:
    """Parse, compose and check; then list, show or run. Returns the exit code."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from fdi.cli.errors import explain
    from fdi.cli.parser import parse
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
    from fdi.cli.dry import Composing
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
        return watch.end(cells)
    return run_sweep(arguments, cells) if arguments.multirun else _one(arguments, cells[0])


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
    from fdi.cli.launch import run_here, say_what_needs_a_sweep
    from fdi.cli.leftovers import leave_nothing
    from fdi.cli.summary import print_result
    from fdi.cli.task import REFUSED, run_cell
    from fdi.track.interrupt import INTERRUPTED

    codes, new = [], not cell.directory.exists()
    say_what_needs_a_sweep(arguments)
    try:
        run_here(arguments, lambda config: codes.append(run_cell(config)))
    except KeyboardInterrupt:
        codes = [_interrupted()]
    if codes[0] in (0, INTERRUPTED):
        print_result(cell)
    elif codes[0] == REFUSED and new:
        leave_nothing(cell)
    return codes[0]


def run_sweep(arguments: Namespace, cells: list[Cell]) -> int:
    """Run the cells that are not finished, and say what became of all of them; returns the exit
    code.
    """
    from functools import cache

    from fdi.cli.budget import announce
    from fdi.cli.leftovers import abandoned, leave_nothing
    from fdi.cli.summary import print_summary
    from fdi.cli.task import FAILED, check_done
    from fdi.track.origin import fingerprint
    from fdi.track.state import finished, progress

    before = [cell for cell in cells if finished(cell.directory, cell.values["probe"])]
    new = [cell for cell in cells if not cell.directory.exists()]
    fingerprints = cache(lambda texts: fingerprint(dict(texts)))
    for cell in before:
        check_done(cell.config, cell.directory, lambda dataset: fingerprints(_texts(dataset)))
    if before:
        print(f"{len(before)} of {len(cells)} already done, skipped")
    code = 0
    try:
        if len(before) < len(cells):
            announce(arguments, cells, [cell for cell in cells if cell not in before])
            _launch(arguments, cells)
    except KeyboardInterrupt:
        code = _interrupted()
    unfinished = print_summary(cells)
    for cell in new:
        if progress(cell.directory).get("refused") or (code and abandoned(cell)):
            leave_nothing(cell)
    return code or (FAILED if unfinished else 0)


def _texts(values: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    return frozenset((key, value) for key, value in values.items() if isinstance(value, str))


def _launch(arguments: Namespace, cells: list[Cell]) -> None:
    """Launch what is left, and again where a launcher gives up because it lost a worker: as long as
    that brings some cell further, and once where it does not.
    """
    from functools import partial

    from fdi.cli.launch import launch
    from fdi.cli.plan import write_plan
    from fdi.cli.task import FAILED, complain, run_cell
    from fdi.cli.watch import watching
    from fdi.track.state import finished, progress

    before, again = None, True
    while left := [cell for cell in cells if not finished(cell.directory, cell.values["probe"])]:
        states = [progress(cell.directory) for cell in left]
        now = [
            (cell.directory, status["state"], status.get("epoch"))
            for cell, status in zip(left, states)
        ]
        if now == before and not again:
            return
        again = now != before
        if before:
            print("starting the remaining cells again", flush=True)
        before = now
        try:
            with watching(cells, left):
                launch(arguments, left, run_cell, partial(write_plan, arguments, cells))
                return
        except ValueError:
            raise
        except Exception as error:
            complain(f"{type(error).__name__}: {str(error).partition('. ')[0]}", FAILED)


def _interrupted() -> int:
    from fdi.cli.task import complain
    from fdi.track.interrupt import INTERRUPTED

    return complain("interrupted; the same command resumes where it stopped", INTERRUPTED)


def _hydra(task: Callable[[Any], Any]) -> int:
    import hydra

    hydra.main(version_base="1.3", config_path="pkg://fdi.conf", config_name="config")(task)()
    return 0
