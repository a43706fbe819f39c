"""`fdi-report`: all figures and tables on one page."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from fdi.cli.command import add_results, command_line
from fdi.track.files import atomic

NAME = "report.html"
EVERY = 10.0  # s


@command_line("fdi-report")
def main(argv: Sequence[str] | None = None) -> int:
    """The console command; its exit code."""
    parser = argparse.ArgumentParser(
        "fdi-report", description="Writes report.html: all figures and tables on one page."
    )
    add_results(parser, "runs/ or reference/")
    results = parser.parse_args(argv).results
    from fdi.analysis.render import EXAMPLE  # pandas and matplotlib: only where they are used
    from fdi.analysis.results import own
    from fdi.analysis.studies import of_folder
    from fdi.figures.report import html

    with progress() as tell:
        mine, measured = own(results), of_folder(results / "reference")
        if mine.runs.empty and measured.runs.empty:
            raise ValueError(f"no runs in {results / 'runs'}; make some: {EXAMPLE}")
        page = html(mine, measured, tell)
    path = results / NAME
    with atomic(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    print(path)
    return 0


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Takes what comes next: one line on a terminal, elsewhere a line each EVERY seconds."""
    from rich.console import Console

    out = Console(stderr=True)
    if out.is_terminal:
        with out.status("reading") as status:
            yield status.update
        return
    said = time.monotonic()

    def tell(what: str) -> None:
        nonlocal said
        if time.monotonic() - said >= EVERY:
            said = time.monotonic()
            print(f"fdi-report: {what}", file=sys.stderr, flush=True)

    yield tell
