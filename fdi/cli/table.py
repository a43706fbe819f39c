"""`fdi-table`: the summary of all runs, or of some, or their initial states."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fdi.cli.command import Parser, add_results, command_line
from fdi.track.files import printable

if TYPE_CHECKING:
    import pandas as pd

    from fdi.analysis.results import Results


@command_line("fdi-table")
def main(argv: Sequence[str] | None = None) -> int:
    """The console command; its exit code."""
    arguments = _parse(argv)
    from fdi.analysis.conditions import select
    from fdi.analysis.metrics import curves
    from fdi.analysis.render import EXAMPLE, export
    from fdi.analysis.studies import of_folder

    results = of_folder(arguments.results)
    if results.runs.empty:
        raise ValueError(f"no runs in {arguments.results / 'runs'}; make some: {EXAMPLE}")
    results = replace(results, runs=select(results.runs, arguments.filters))
    if arguments.runs or arguments.curves:
        table = results.runs if arguments.runs else curves(results.runs)
        if results.curves is not None and arguments.curves:
            table = results.curves_of(results.runs)
        export(table, arguments.runs or arguments.curves)
    elif arguments.probe:
        _states(results, arguments)
    elif arguments.best:
        _best(results, arguments)
    elif arguments.zoo:
        _zoo(results, arguments)
    else:
        _summary(results, arguments)
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        "fdi-table",
        description="Summarizes finished runs: one line per data set, model, initialization and "
        "configuration.",
    )
    parser.add_argument(
        "filters",
        nargs="*",
        metavar="column=value",
        help="only these runs, for example: dataset=randman init=fluct,kaiming",
    )
    add_results(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--probe",
        action="store_true",
        help="show the initial states instead: one line per initialization and layer",
    )
    what.add_argument(
        "--full",
        action="store_true",
        help="add the share of runs at chance and synaptic operations",
    )
    what.add_argument(
        "--best",
        action="store_true",
        help="show what experiment=best found instead: each initialization at a common step size, "
        "and at its best one",
    )
    what.add_argument(
        "--zoo",
        action="store_true",
        help="show what experiment=zoo found instead: how many random networks learn from each "
        "initialization",
    )
    what.add_argument(
        "--runs",
        type=Path,
        metavar="FILE",
        help="write one row per run, with its configuration, to FILE (.csv)",
    )
    what.add_argument(
        "--curves",
        type=Path,
        metavar="FILE",
        help="write the learning curves, one row per run and epoch, to FILE",
    )
    parser.add_argument(
        "--versus",
        metavar="INIT",
        default="kaiming",
        help="the initialization that the others are compared with (default: kaiming)",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="print all numbers as CSV")
    form.add_argument(
        "--latex", action="store_true", help="print a LaTeX table for a paper (needs booktabs)"
    )
    parser.add_argument(
        "--columns",
        metavar="NAME,NAME",
        help="only these columns, in this order; names as in the header of --csv or --latex",
    )
    arguments = parser.parse_args(argv)
    given = arguments.csv or arguments.latex
    if arguments.columns is not None and not given:
        parser.error("--columns goes with --csv or --latex")
    if given and (arguments.runs or arguments.curves):
        parser.error("--runs and --curves write whole tables of their own")
    if arguments.zoo and arguments.latex:
        parser.error("--zoo shows several tables; give --csv for all numbers")
    return arguments


def _summary(results: Results, arguments: argparse.Namespace) -> None:
    from fdi.analysis import render
    from fdi.analysis.summary import summarize
    from fdi.cli.summary import print_comparison, print_counts

    summary = summarize(results.runs, arguments.versus, arguments.full)
    finished = summary[summary["n"] > 0]
    if finished.empty:
        raise ValueError("none of these runs is finished; fdi-status shows how far they are")
    table = render.readable(finished)
    if not _written(arguments, summary, table, render.caption(summary), "tab:accuracy"):
        print_comparison(summary)
        print_counts(results.runs)


def _best(results: Results, arguments: argparse.Namespace) -> None:
    from fdi.analysis.best import OF_SIDES, each_at_its_best, sides_in_words
    from fdi.cli.summary import print_best

    table = each_at_its_best(results)
    if table.empty:
        raise ValueError(
            "nothing was chosen for any network of these runs; fdi-run -m experiment=best does it"
        )
    if not _written(arguments, table, sides_in_words(table), OF_SIDES, "tab:best"):
        print_best(table)


def _zoo(results: Results, arguments: argparse.Namespace) -> None:
    from fdi.analysis.zoo import members
    from fdi.cli.summary import print_zoo

    table = members(results)
    if table.empty:
        raise ValueError("no random networks were drawn here; fdi-run -m experiment=zoo does it")
    if not _written(arguments, table.assign(words=table["words"].map(" ".join))):
        print_zoo(table)


def _states(results: Results, arguments: argparse.Namespace) -> None:
    from fdi.analysis import initial
    from fdi.cli.summary import layers, print_states
    from fdi.cli.terminal import console

    rows = layers(results)
    if not rows:
        raise ValueError("no initial state of these runs was measured; fdi-run probe=only does it")
    shown = initial.states_in_words(rows)
    if not _written(arguments, rows, shown, initial.OF_STATES, "tab:states"):
        print_states(console(), rows)


def _written(
    arguments: argparse.Namespace,
    numbers: pd.DataFrame | Sequence[Mapping[str, Any]],
    paper: pd.DataFrame | None = None,
    caption: str = "",
    label: str = "",
) -> bool:
    """Print all `numbers` as CSV, or the table for a `paper`, if that is asked for; whether it
    was.
    """
    from fdi.analysis import render

    if arguments.csv:
        table = render.without_formulas(render.chosen(numbers, arguments.columns))
        print(printable(table.to_csv(index=False), "\n"), end="")
    elif paper is not None and arguments.latex:
        table = render.chosen(paper, arguments.columns)
        print(printable(render.latex(table, caption, label), "\n"))
    else:
        return False
    return True
