"""`fdi-report`: all figures and tables on one page."""

from __future__ import annotations

from collections.abc import Sequence

from fdi.cli.command import Parser, add_results, command_line
from fdi.track.files import atomic

NAME = "report.html"


@command_line("fdi-report")
def main(argv: Sequence[str] | None = None) -> int:
    """The console command; its exit code."""
    parser = Parser(
        "fdi-report", description="Writes report.html: all figures and tables on one page."
    )
    add_results(parser, "runs/ or reference/")
    parser.add_argument(
        "--claims",
        action="store_true",
        help="add which claims of published studies the runs support, and what was published; a "
        "report without own runs has them anyway",
    )
    arguments = parser.parse_args(argv)
    results = arguments.results
    from rich.console import Console

    from fdi.analysis.results import EXAMPLE, of_folder, own
    from fdi.figures.report import html

    with Console(stderr=True).status("reading") as status:
        mine, measured = own(results), of_folder(results / "reference")
        if mine.runs.empty and measured.runs.empty:
            raise ValueError(f"no runs in {results / 'runs'}; make some: {EXAMPLE}")
        page = html(mine, measured, status.update, arguments.claims)
    path = results / NAME
    with atomic(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    print(path)
    return 0
