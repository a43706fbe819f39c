"""`fdi-run`: one run, or with -m a sweep of runs."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from fdi.cli.cells import Cell

INTERRUPTED = 130


def main() -> None:
    """The console command."""
    if {"-h", "--help"} & set(sys.argv):
        from fdi.cli.help import help_text

        print(help_text(sys.argv[1:]))
    elif "--version" in sys.argv:
        from fdi import __version__

        print(f"fdi {__version__}")
    else:
        sys.exit(_command())


def _command() -> int:
    """Parse, compose and check; then list, show or run. Returns the exit code."""
    from hydra._internal.utils import get_args_parser
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from fdi.cli.errors import explain
    from fdi.cli.task import REFUSED, complain

    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises what it would print
    sys.argv[1:] = sorted(
        sys.argv[1:], key=lambda word: "=" in word and not word.startswith("-")
    )  # argparse wants the overrides in one piece
    arguments = get_args_parser().parse_args()
    try:
        return _dispatch(arguments)
    except (HydraException, OmegaConfBaseException, ValueError, OSError) as error:
        return complain(explain(error), REFUSED)


def _dispatch(arguments: Namespace) -> int:
    from fdi.cli.cells import compose_cells
    from fdi.cli.summary import print_states
    from fdi.cli.task import run_cell

    if arguments.shell_completion or arguments.hydra_help or arguments.info:
        return _hydra(run_cell)
    cells = compose_cells(arguments)
    if arguments.cfg:
        return _hydra(run_cell)
    if cells[0].config.dry_run:
        return print_states(cells)
    return _execute(cells, arguments.multirun)


def _execute(cells: list[Cell], multirun: bool) -> int:
    """Run the cells through Hydra, say what became of them, and return the exit code."""
    from fdi.cli.summary import print_result, print_summary
    from fdi.cli.task import FAILED, complain, run_cell

    codes = []
    try:
        _hydra(run_cell if multirun else lambda config: codes.append(run_cell(config)))
    except KeyboardInterrupt:
        codes = [complain("interrupted; the same command goes on where it stopped", INTERRUPTED)]
    if multirun:
        failures = print_summary(cells)
        return max([*codes, FAILED if failures else 0])
    if codes[0] in (0, INTERRUPTED):
        print_result(cells[0])
    return codes[0]


def _hydra(task: Callable[[Any], Any]) -> int:
    import hydra

    hydra.main(version_base="1.3", config_path="pkg://fdi.conf", config_name="config")(task)()
    return 0
