"""`fdi-table`: the summary of all runs, or of some."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console

from fdi.analysis.collect import runs
from fdi.analysis.render import markdown, rich_table
from fdi.analysis.select import select
from fdi.analysis.table import summarize
from fdi.track.state import STATES

EXAMPLE = "fdi-run -m init=kaiming,fluct 'seed=range(3)'"
WIDTH = 200  # characters, where there is no terminal to fit


def main(argv: Sequence[str] | None = None) -> int:
    """The console command; its exit code."""
    parser = argparse.ArgumentParser("fdi-table", description="Summary of finished runs: a line per data set, model, init and config.")
    parser.add_argument("filters", nargs="*", metavar="column=value", help="only these, as in: dataset=randman init=fluct,kaiming")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder with runs/ in it (default: results)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="print all columns as csv")
    form.add_argument("--markdown", action="store_true", help="print a markdown table")
    arguments = parser.parse_args(argv)
    try:
        chosen = select(load(arguments.results), arguments.filters)
        if arguments.csv:
            print(summarize(chosen).to_csv(index=False), end="")
        elif arguments.markdown:
            print(markdown(summarize(chosen)))
        else:
            print_summary(chosen)
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


def print_summary(table: pd.DataFrame) -> None:
    """The summary of a table of runs, and what is not in its statistics; raises ValueError if no run is readable."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    console.print(rich_table(summarize(table)))
    counts = Counter(table["state"])
    states = ", ".join(f"{counts[state]} {state}" for state in (*STATES, "broken") if counts[state])
    console.print(f"{len(table)} runs: {states}", highlight=False)
    for run in table[table["state"] == "broken"].itertuples():
        console.print(f"broken: {run.path}: {run.error}", soft_wrap=True, markup=False, highlight=False)
