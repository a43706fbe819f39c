"""What cells will cost, by what finished runs of their kind took, or some steps of training; the
smaller edition of an experiment; and `dry_run`, which only says so.
"""

from __future__ import annotations

import csv
import json
import os
from argparse import Namespace
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import copy
from importlib.resources import files
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from fdi.analysis.formats import plural
from fdi.cli.cells import LABELS, Cell, chosen, compose_cells, varied
from fdi.cli.summary import counted
from fdi.cli.terminal import console, duration
from fdi.data.download import SOURCES, present
from fdi.track.files import METRICS, read
from fdi.track.record import SAID, Run, finished, look

FREE = ("seed", "root", "tau", "threshold", "theta", "beta", "readout", "drop")
SHOWN = 20  # own runs of a data set and model that are read
TRIED = "by some steps of training, within a factor of 2: later ones may have more spikes, or fewer"
KINDS = 3  # that are tried, of those without a run


def estimate(cells: Sequence[Cell], try_it: bool = False) -> str:
    """As in: 520 cells, about 16 h on 2 cores. Nothing if there are no cells. `try_it`: the cost of
    kinds of which no run is known is that of some steps of training, taken now.
    """
    if not cells:
        return ""
    epochs = _measured(cells)
    tried = _tried(cells, epochs) if try_it else {}
    known, hours = _sum(cells, epochs | tried)
    number = f"{known:,} of " if 0 < known < len(cells) else ""
    which = f"{number}{plural(len(cells), 'cell')}"
    if not known:
        kind = "its kind" if len(cells) == 1 else "their kind"
        return f"{which}, cost not known: no run of {kind} is done yet"
    here = f"about {duration(3600 * hours / cores())} on {plural(cores(), 'core')}"
    cost = here if hours >= 1 / 60 else "less than a minute"
    rest = "" if known == len(cells) else "; the others are of a kind not measured yet"
    return f"{which}, {cost}{f' ({TRIED})' if tried else ''}{rest}"


def measured(cells: Sequence[Cell]) -> tuple[int, float]:
    """How many cells have own runs of their kind, and what those cells take in core-hours."""
    return _sum(cells, _measured(cells))


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0))


def _sum(cells: Sequence[Cell], epochs: Mapping[str, float]) -> tuple[int, float]:
    """The same, by the core-seconds of an epoch of each kind. Priming counts as training; where
    nothing is trained, it takes about one epoch.
    """
    costs = []
    for values in (cell.values for cell in cells):
        if (kind := _kind(values)) in epochs:
            number = values["trainer"]["epochs"] + values["homeostasis"]["prime_epochs"]
            costs.append(epochs[kind] * (1 if values["probe"] == "only" else number))
    return len(costs), sum(costs) / 3600


def _kind(values: Mapping[str, Any]) -> str:
    """What the cost of an epoch depends on."""
    groups = [
        {key: value for key, value in values[group].items() if not any(w in key for w in FREE)}
        for group in ("dataset", "model")
    ]
    return json.dumps([*groups, values["engine"]["name"], values["trainer"]["batch_size"]])


def _measured(cells: Sequence[Cell]) -> dict[str, float]:
    """Core-seconds of an epoch of the kinds of own runs in results/runs/<dataset>/<model>: medians
    over runs.
    """
    found: dict[str, list[float]] = {}
    for folder in {cell.directory.parents[1] for cell in cells}:
        for directory in islice(folder.glob("*/seed=*"), SHOWN):
            run = look(directory)
            if run.ended and (cost := _epoch(directory, run)):
                found.setdefault(_kind(run.config), []).append(cost)
    return {kind: median(costs) for kind, costs in found.items()}


def _epoch(directory: Path, run: Run) -> float | None:
    """Core-seconds of an epoch of a run: the median over those after the first, which may compile
    kernels.
    """
    with suppress(OSError, ValueError, KeyError, TypeError):  # a file that is not whole
        rows = list(csv.DictReader(read(directory / METRICS).splitlines()))[1:]
        seconds = [float(row["seconds"]) + float(row["seconds_valid"]) for row in rows]
        return median(seconds) * run.origin.get("threads", 1) if seconds else None
    return None


def _tried(cells: Sequence[Cell], known: Mapping[str, float]) -> dict[str, float]:
    """The same of the first KINDS kinds that are not `known`, where their data are here."""
    kinds = {kind: cell for cell in cells if (kind := _kind(cell.values)) not in known}
    found = {}
    for kind, cell in islice(kinds.items(), KINDS):
        name, root = cell.values["name"]["dataset"], cell.values["dataset"].get("root")
        if root is None or (name in SOURCES and present(name, Path(root))):
            from fdi.runner.story import try_epoch  # torch: only where it is needed

            with suppress(ValueError, OSError, RuntimeError):
                found[kind] = try_epoch(cell.config)
    return found


LARGE = 1.0  # core-hours
SMALLER = "budget=laptop"


def announce(arguments: Namespace, cells: Sequence[Cell], left: Sequence[Cell]) -> None:
    """Print the cost of the cells that are `left` where it is high, and see `offer_smaller`, also
    where it is not known.
    """
    known, hours = measured(left)
    if hours >= LARGE:
        print(f"to run: {estimate(left)}", flush=True)
    if hours >= LARGE or not known:
        offer_smaller(arguments, cells)


def offer_smaller(arguments: Namespace, cells: Sequence[Cell]) -> None:
    """Print what the experiment's edition for a laptop costs, if it has one and no budget was
    chosen.
    """
    experiment = str(cells[0].values["name"]["experiment"])
    smaller = files("fdi.conf") / "experiment" / experiment / "laptop.yaml"
    given = any(word.startswith("budget=") for word in arguments.overrides)
    if smaller.is_file() and not given:
        other = copy(arguments)
        other.overrides = [*arguments.overrides, SMALLER]
        cost = estimate(compose_cells(other), try_it=cells[0].values["dry_run"])
        print(f"{SMALLER}: {cost}", flush=True)


STATE = 11  # characters of the longest state


def dry_run(arguments: Namespace, cells: Sequence[Cell]) -> None:
    """Print a line for each cell, with its state, its directory, and what the directory does not
    say; how many there are of each state, and what the others will cost.
    """
    out, states = console(), [look(cell.directory).state for cell in cells]
    keys = [k for k in varied(cell.overrides for cell in cells) if k not in (*LABELS, "seed")]
    for cell, state in zip(cells, states):
        line, words = f"{SAID.get(state, state):<{STATE}}  {cell.directory}", chosen(cell, keys)
        beside = len(line) + len(" ".join(words)) + 2 <= out.width
        gap = "  " if beside else f"\n{' ' * STATE}  "
        out.print(line + gap + " ".join(words) if words else line)
    out.print(counted(states))
    left = [cell for cell in cells if not finished(cell.directory, cell.values["probe"])]
    if cost := estimate(left, try_it=True):
        out.print(cost)
    offer_smaller(arguments, cells)
