"""Arguments that several console commands have."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path


def add_results(parser: ArgumentParser, holds: str = "runs/") -> None:
    """--results: the folder with `holds` in it."""
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("results"),
        help=f"folder with {holds} in it (default: results)",
    )
