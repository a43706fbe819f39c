"""Run all cells of experiments whose data are at hand, then show the claims of the paper by these
runs beside those by the measurements that come with fdi: `make reproduce`, or

    python scripts/study/reproduce.py [--budget laptop|paper] [--results FOLDER] [--dry-run] [NAME]

The cost is told first. What is done is skipped and what was stopped resumes, so the command can be
interrupted and given again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from textwrap import fill

from pages.costs import EXPERIMENTS, LINE, cells

from fdi.analysis.results import own
from fdi.cli.cells import Cell
from fdi.cli.terminal import console, print_note, print_table
from fdi.data.download import SOURCES, present
from fdi.study.claims import RULE, claims
from fdi.study.measured import read_export

BIN = Path(sys.executable).parent
WIDTH = 70  # characters of a claim
NAMES = sorted({path.stem for path in EXPERIMENTS.glob("*.yaml")} - {"quickstart", "recipe"})


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="reproduce.py", description=__doc__.split(":")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--budget", choices=("laptop", "paper"), default="laptop")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--dry-run", action="store_true", help="say what it costs and stop")
    arguments = parser.parse_args(words)
    if unknown := sorted(set(arguments.names) - set(NAMES)):
        parser.error(f"no experiment {unknown[0]}; choose from {', '.join(NAMES)}")
    planned = {name: cells(name, arguments.budget) for name in arguments.names or NAMES}
    missing = {name: _missing(several) for name, several in planned.items()}
    here = {
        name: sum(cell.config.name.dataset not in missing[name] for cell in several)
        for name, several in planned.items()
    }
    out = console()
    rows = {
        "experiment": list(planned),
        "cells": [str(len(several)) for several in planned.values()],
        "cost": [_cost(name, arguments.budget) for name in planned],
        "data": [f"no {', '.join(names)}" if names else "here" for names in missing.values()],
    }
    print_table(out, rows, ["experiment"])
    print_note(out, f"to run, finished ones included: {sum(here.values()):,} cells")
    if arguments.dry_run:
        return 0
    ran = {name: _run(name, arguments) for name in planned if here[name]}
    failed = [name for name, code in ran.items() if code and not missing[name]]
    _compare(arguments.results)
    report = [str(BIN / "fdi-report"), f"--results={arguments.results}"]
    failed += ["the report"] if subprocess.run(report).returncode else []
    print_note(out, f"failed: {', '.join(failed)}" if failed else "all experiments are done")
    return 1 if failed else 0


def _cost(name: str, budget: str) -> str:
    """As the head of the experiment tells it."""
    return dict(LINE.findall((EXPERIMENTS / f"{name}.yaml").read_text()))[budget]


def _missing(planned: list[Cell]) -> list[str]:
    """The data sets of these cells that are not at hand."""
    names = {cell.config.name.dataset: cell.config.dataset.get("root") for cell in planned}
    return sorted(name for name, root in names.items() if not _here(name, root))


def _here(name: str, root: str | None) -> bool:
    source = SOURCES[name]
    if source.module and not find_spec(source.module):
        return False
    return not source.archives or (root is not None and present(name, Path(root)))


def _run(name: str, arguments: argparse.Namespace) -> int:
    command = [f"experiment={name}", f"budget={arguments.budget}"]
    command += [f"paths.results={arguments.results}"]
    if find_spec("hydra_plugins.hydra_joblib_launcher"):
        command.append("hydra/launcher=local")
    print(f"fdi-run -m {' '.join(command)}", flush=True)
    return subprocess.run([str(BIN / "fdi-run"), "-m", *command]).returncode


def _compare(results: Path) -> None:
    """Each claim by the runs below `results` and by the measurements that come with fdi."""
    mine, shipped = claims(own(results)), claims(read_export(Path("results/reference")))
    rows = {
        "claim": [fill(text, WIDTH) for text in mine["claim"]],
        "your runs": [_status(row) for row in mine.to_dict("records")],
        "shipped": [_status(row) for row in shipped.to_dict("records")],
    }
    print_table(console(), rows, ["claim"])
    print_note(console(), RULE)


def _status(row: dict[str, str]) -> str:
    return f"{row['status']} ({row['for it']})" if row["for it"] else row["status"]


if __name__ == "__main__":
    sys.exit(main())
