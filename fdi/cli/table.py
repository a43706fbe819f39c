"""`fdi-table`: the summary of all runs, or of some."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from fdi.analysis.collect import curves, runs
from fdi.analysis.export import write
from fdi.analysis.learning import full
from fdi.analysis.render import EXAMPLE, latex, markdown
from fdi.analysis.results import Results
from fdi.analysis.select import select
from fdi.analysis.table import summarize
from fdi.cli.arguments import add_results
from fdi.cli.comparison import print_comparison
from fdi.cli.pipe import command_line
from fdi.track.files import printable


@command_line("fdi-table")
def main(argv: Sequence[str] | None = None) -> int:
    """The console command; its exit code."""
    parser = argparse.ArgumentParser(
        "fdi-table",
        description="Summary of finished runs: a line per data set, model, init and config.",
    )
    parser.add_argument(
        "filters",
        nargs="*",
        metavar="column=value",
        help="only these, as in: dataset=randman init=fluct,kaiming",
    )
    add_results(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="print all columns as csv")
    form.add_argument("--latex", action="store_true", help="print a LaTeX table (booktabs)")
    form.add_argument("--markdown", action="store_true", help="print a markdown table")
    form.add_argument(
        "--runs",
        type=Path,
        metavar="FILE",
        help="write a row a run, with its config, to FILE: .csv or .parquet",
    )
    form.add_argument(
        "--curves",
        type=Path,
        metavar="FILE",
        help="write the learning curves, a row per run and epoch, to FILE",
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help="also runs at chance, area under the learning curve, epochs to a target",
    )
    arguments = parser.parse_args(argv)
    table = runs(arguments.results)
    if table.empty:
        raise ValueError(f"no runs in {arguments.results / 'runs'}; make some: {EXAMPLE}")
    chosen = select(table, arguments.filters)
    if arguments.runs or arguments.curves:
        write(*((chosen, arguments.runs) if arguments.runs else (curves(chosen), arguments.curves)))
        return 0
    if arguments.full:
        nothing = chosen.iloc[:0]  # no initial state is shown
        summary = full(Results(chosen, None, nothing, arguments.results))
    else:
        summary = summarize(chosen)
    if arguments.csv:
        print(printable(summary.to_csv(index=False), "\n"), end="")
    elif arguments.latex:
        print(printable(latex(summary), "\n"))
    elif arguments.markdown:
        print(printable(markdown(summary), "\n"))
    else:
        print_comparison(chosen, summary)
    return 0
