"""`fdi-run --help`: what it does, everyday commands, and the groups with their options, read from
the configuration folders. Hydra's `hydra.help.template` would be told only after a configuration
is composed, which takes longer than the help may.
"""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path

ROOM = 30  # characters that an explanation needs beside a name

COMMANDS = {
    "fdi-run": "Randman, one hidden layer, fluctuation-driven",
    "fdi-run model=recurrent init=kaiming seed=3": "choose options and set values",
    "fdi-run -m init=kaiming,fluct 'seed=range(5)'": (
        "all combinations, then a table; finished runs are skipped"
    ),
    "fdi-run -m init=kaiming,fluct dry_run=true": (
        "list the runs with their folders and states, and what they cost"
    ),
    "fdi-run -m experiment=depth budget=laptop": (
        "the sweep of one question of the paper; budget=paper is for a cluster"
    ),
    "fdi-run -m experiment=depth hydra/launcher=local": (
        "several runs at once; isolated, slurm and ray: docs/cluster.md"
    ),
    "fdi-run probe=only init.sigma_u=0.2": "measure the initial state, do not train",
    "fdi-run -m probe=only init=kaiming,fluct": "compare initial states in one table",
    "fdi-run --cfg job dataset=randman optimizer=adam": (
        "show the whole configuration, do not run"
    ),
}
FLAGS = {
    "-m, --multirun": "run every combination of comma-separated values",
    "-c, --cfg job": "show the configuration",
    "--config-dir FOLDER": "add your own options: FOLDER/model/mine.yaml is model=mine",
    "--shell-completion": "with install=bash (or zsh, fish): print how to enable it",
    "--hydra-help, --info": "help on Hydra's own options; what Hydra has loaded",
    "-h, --help, --version": "this text; the version",
}


def help_text(arguments: list[str]) -> str:
    """The help, with the options in the folder of --config-dir among `arguments`, if there is
    one.
    """
    import fdi.conf

    folders = [Path(fdi.conf.__path__[0]), *_config_dir(arguments)]
    options: dict[str, set[str]] = {}
    for folder in folders:
        for file in [*folder.glob("*/*.yaml"), *folder.glob("hydra/*/*.yaml")]:
            options.setdefault(file.parent.relative_to(folder).as_posix(), set()).add(file.stem)
    groups = {group: ", ".join(sorted(names)) for group, names in sorted(options.items())}
    width = shutil.get_terminal_size().columns
    return "\n".join(
        [
            *textwrap.wrap(
                "fdi-run trains a spiking neural network from a chosen initial state and records "
                "how well it learns.",
                width,
            ),
            "",
            "usage: fdi-run [-m] [group=option ...] [key=value ...]",
            *_section("everyday commands", COMMANDS, width),
            *_section("groups and their options", groups, width),
            *_section("flags", FLAGS, width),
            "",
            *textwrap.wrap(
                "The same command resumes a stopped run after its last epoch. "
                "Results: results/runs/<dataset>/<model>/<init>/.",
                width,
                break_on_hyphens=False,
            ),
        ]
    )


def _section(title: str, rows: dict[str, str], width: int) -> Iterator[str]:
    """The rows in two columns, or each on two lines where the second has little room."""
    yield from ("", title)
    first = max(map(len, rows)) + 4
    beside = width - first >= ROOM
    for name, text in rows.items():
        if not beside:
            yield f"  {name}"
        yield from textwrap.wrap(
            text,
            width,
            initial_indent=f"  {name}".ljust(first) if beside else " " * 6,
            subsequent_indent=" " * (first if beside else 6),
            break_on_hyphens=False,
        )


def _config_dir(arguments: list[str]) -> list[Path]:
    for i, argument in enumerate(arguments):
        flag, _, value = argument.partition("=")
        if flag in ("--config-dir", "-cd"):
            return [
                Path(folder) for folder in [value or "".join(arguments[i + 1 : i + 2])] if folder
            ]
    return []
