"""`fdi-table`: the summary of all runs, or of some, or their initial states."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fdi.cli.command import Parser, add_results, command_line
from fdi.track.files import printable

if TYPE_CHECKING:
    import pandas as pd

    from fdi.analysis.results import Results


@command_line("fdi-table")
def main(argv: Sequence[str] | None = None) -> int:
    """The console command; its exit code."""
    arguments = _parse(argv)
    from fdi.analysis.conditions import passing
    from fdi.analysis.results import EXAMPLE, of_folder, read_curves
    from fdi.analysis.summary import export, latex, picked, without_formulas

    results = of_folder(arguments.results)
    if results.runs.empty:
        raise ValueError(f"no runs in {arguments.results / 'runs'}; make some: {EXAMPLE}")
    results = replace(results, runs=passing(results.runs, arguments.filters))
    if arguments.runs or arguments.curves:
        table = results.runs if arguments.runs else read_curves(results.runs)
        if results.curves is not None and arguments.curves:
            table = results.curves_of(results.runs)
        export(table, arguments.runs or arguments.curves)
        return 0
    answer: Found = arguments.ask(results, arguments)
    if arguments.csv:
        table = without_formulas(picked(answer.numbers, arguments.columns))
        print(printable(table.to_csv(index=False), "\n"), end="")
    elif arguments.latex:
        table = picked(answer.paper, arguments.columns)
        print(printable(latex(table, answer.caption, answer.label), "\n"))
    else:
        answer.show()
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
    instead = {
        "--probe": (_states, "the initial states: one line per initialization and layer"),
        "--best": (
            _best,
            "what experiment=best found: each initialization at a common step size, and at its own",
        ),
        "--zoo": (
            _zoo,
            "what experiment=zoo found: how many random networks learn from each initialization",
        ),
    }
    for name, (ask, text) in instead.items():
        what.add_argument(
            name, action="store_const", dest="ask", const=ask, help=f"show instead {text}"
        )
    what.add_argument(
        "--full",
        action="store_true",
        help="add the share of runs at chance, synaptic operations and their energy",
    )
    what.add_argument(
        "--runs",
        type=Path,
        metavar="FILE",
        help="write one row per run, with its configuration, to FILE, as CSV",
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
    parser.set_defaults(ask=_summary)
    arguments = parser.parse_args(argv)
    given = arguments.csv or arguments.latex
    if arguments.columns is not None and not given:
        parser.error("--columns goes with --csv or --latex")
    whole = arguments.runs or arguments.curves
    if arguments.versus is not None and (whole or arguments.ask is not _summary):
        parser.error("--versus goes with the summary; leave it out, or what is shown instead")
    if given and whole:
        parser.error("--runs and --curves write whole tables of their own")
    return arguments


class Found(NamedTuple):
    """All `numbers` of a table, the one for a `paper`, and how to `show` it."""

    numbers: pd.DataFrame | Sequence[Mapping[str, Any]]
    paper: pd.DataFrame
    caption: str
    label: str
    show: Callable[[], None]


def _summary(results: Results, arguments: argparse.Namespace) -> Found:
    from fdi.analysis.conditions import BASELINE
    from fdi.analysis.summary import caption, counted, readable, summarize
    from fdi.cli.summary import print_comparison
    from fdi.cli.terminal import console

    def show() -> None:
        print_comparison(summary)
        console().print(counted(results.runs)[0])

    versus = BASELINE if arguments.versus is None else arguments.versus
    summary = summarize(results.runs, versus, arguments.full)
    finished = summary[summary["n"] > 0]
    if finished.empty:
        raise ValueError("none of these runs is finished; fdi-status shows how far they are")
    return Found(summary, readable(finished), caption(summary), "tab:accuracy", show)


def _best(results: Results, arguments: argparse.Namespace) -> Found:
    from fdi.analysis.best import OF_ARMS, arms_in_words, each_at_its_best
    from fdi.analysis.summary import as_judged
    from fdi.cli.summary import print_best

    table = each_at_its_best(results)
    if table.empty:
        raise ValueError(
            "nothing was chosen for any network of these runs; fdi-run -m experiment=best does it"
        )
    caption, show = as_judged(OF_ARMS, table), partial(print_best, table)
    return Found(table, arms_in_words(table), caption, "tab:best", show)


def _zoo(results: Results, arguments: argparse.Namespace) -> Found:
    from fdi.analysis.zoo import beyond_table, learning, members
    from fdi.cli.summary import print_zoo

    table = members(results)
    if table.empty:
        raise ValueError("no random networks were drawn here; fdi-run -m experiment=zoo does it")
    numbers = table.assign(words=table["words"].map(" ".join))
    caption = beyond_table(table)[-1]
    return Found(numbers, learning(table), caption, "tab:zoo", partial(print_zoo, table))


def _states(results: Results, arguments: argparse.Namespace) -> Found:
    from fdi.analysis.results import OF_STATES, states_in_words
    from fdi.cli.summary import print_states, state_rows
    from fdi.cli.terminal import console

    rows = state_rows(results)
    if not rows:
        raise ValueError("no initial state of these runs was measured; fdi-run probe=only does it")
    show = partial(print_states, console(), rows)
    return Found(rows, states_in_words(rows), OF_STATES, "tab:states", show)
