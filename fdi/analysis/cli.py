"""`fdi-table`: the summary of all runs, or of some."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console

from fdi.analysis.collect import curves, runs
from fdi.analysis.learning import full
from fdi.analysis.render import markdown, rich_table
from fdi.analysis.results import of_runs
from fdi.analysis.select import select
from fdi.analysis.table import summarize
from fdi.track.files import atomic
from fdi.track.state import STATES

EXAMPLE = "fdi-run -m init=kaiming,fluct 'seed=range(3)'"
WIDTH = 200  # characters, where there is no terminal to fit


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
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("results"),
        help="folder with runs/ in it (default: results)",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="print all columns as csv")
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
    try:
        chosen = select(load(arguments.results), arguments.filters)
        if arguments.runs or arguments.curves:
            write(
                *(
                    (chosen, arguments.runs)
                    if arguments.runs
                    else (curves(chosen), arguments.curves)
                )
            )
            return 0
        summary = full(of_runs(chosen, arguments.results)) if arguments.full else summarize(chosen)
        if arguments.csv:
            print(summary.to_csv(index=False), end="")
        elif arguments.markdown:
            print(markdown(summary))
        else:
            print_summary(chosen, summary)
    except ValueError as error:
        print(f"fdi-table: {error}", file=sys.stderr)
        return 1
    return 0


def load(results: Path) -> pd.DataFrame:
    """The runs below `results`; raises ValueError if there are none."""
    table = runs(results)
    if table.empty:
        raise ValueError(f"no runs in {results / 'runs'}; make some: {EXAMPLE}")
    return table


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a whole table, its columns as fdi.analysis.collect documents them; raises ValueError
    for another format, or one not at hand.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise ValueError(f"{path} must end in .csv or .parquet")
    try:
        with atomic(path) as temporary:
            table.to_csv(temporary, index=False) if path.suffix == ".csv" else table.to_parquet(
                temporary
            )
    except ImportError:
        raise ValueError(
            f"{path} needs the package pyarrow; write .csv, or pip install 'fdi-snn[export]'"
        ) from None
    print(f"{len(table)} rows: {path}")


def print_summary(table: pd.DataFrame, summary: pd.DataFrame) -> None:
    """The `summary` of a table of runs, and what is not in its statistics."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    console.print(rich_table(summary))
    counts = Counter(table["state"])
    states = ", ".join(f"{counts[state]} {state}" for state in (*STATES, "broken") if counts[state])
    console.print(f"{len(table)} runs: {states}", highlight=False)
    for run in table[table["state"] == "broken"].itertuples():
        console.print(
            f"broken: {run.path}: {run.error}", soft_wrap=True, markup=False, highlight=False
        )
