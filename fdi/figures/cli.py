"""`fdi-figures`: draws what the results hold, and says how to make what is missing."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import matplotlib
import pandas as pd

from fdi.analysis.cli import load, print_summary
from fdi.figures import learning_curves, style

FIGURES: dict[str, ModuleType] = {"learning_curves": learning_curves}
UNSAFE = re.compile(r"[^\w.=-]+")  # in names of files


def main(argv: Sequence[str] | None = None) -> int:
    """The console command; its exit code: 0 if something was drawn."""
    parser = argparse.ArgumentParser("fdi-figures", description="Draws figures of finished runs as PDF and PNG; it never trains.")
    parser.add_argument("names", nargs="*", metavar="name", help="figures to draw (default: all)")
    parser.add_argument("--list", action="store_true", help="list the figures")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder with runs/ in it (default: results)")
    parser.add_argument("--out", type=Path, default=Path("results/figures"), help="folder for the figures (default: results/figures)")
    arguments = parser.parse_args(argv)
    unknown = [name for name in arguments.names if name not in FIGURES]
    if unknown:
        print(f"fdi-figures: no figure {unknown[0]}; choose one of {', '.join(FIGURES)}", file=sys.stderr)
        return 2
    if arguments.list:
        for name, module in FIGURES.items():
            print(f"{name}: {module.ABOUT}")
        return 0
    try:
        return _draw_all(arguments.names or list(FIGURES), arguments.results, arguments.out)
    except (ValueError, OSError) as error:
        print(f"fdi-figures: {error}", file=sys.stderr)
        return 1


def _draw_all(names: Sequence[str], results: Path, out: Path) -> int:
    runs = load(results)
    missing = []
    for name in names:
        files = _draw(name, runs, out)
        missing += [] if files else [name]
        for file in files:
            print(file)
    print_summary(runs)
    for name in missing:
        print(f"missing: {name} needs finished runs: {FIGURES[name].COMMAND}")
    return int(len(missing) == len(names))


def _draw(name: str, runs: pd.DataFrame, out: Path) -> list[Path]:
    """Draw each page of a figure; the files written."""
    module, files = FIGURES[name], []
    with matplotlib.rc_context(style.RC):
        for page, content in module.data(runs).items():
            figure, axes = style.page(module.panels(content))
            module.draw(content, axes)
            files += style.save(figure, out / UNSAFE.sub("-", f"{name}_{page}"))
    return files
