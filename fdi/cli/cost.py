"""What cells will cost, by what finished runs of their kind took, or some steps of training; the
smaller edition of an experiment; and `dry_run`, which only says so.
"""

from __future__ import annotations

import csv
import os
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from importlib.resources import files
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from fdi.cli.cells import LABELS, Cell, chosen, compose_cells, varied
from fdi.cli.summary import counted
from fdi.cli.terminal import console
from fdi.data.download import SOURCES, present
from fdi.track.files import METRICS, read
from fdi.track.record import SAID, finished, look

GROUPS = ("dataset.", "model.")
FREE = ("seed", "root", "tau", "threshold", "theta", "beta", "readout", "drop")
MINUTE = 1 / 60  # h
SHOWN = 20  # own runs of a data set and model that are read
TRIED = "by some steps of training, within a factor of 2: later ones may have more spikes, or fewer"
KINDS = 3  # that are tried, of those without a run

Workload = tuple[tuple[str, str], ...]
Seconds = dict[Workload, float]
"""Core-seconds of an epoch: its seconds times the threads."""


def estimate(cells: Sequence[Cell], try_it: bool = False) -> str:
    """As in: 520 cells, about 16 h on 2 cores. Nothing if there are no cells. `try_it`: the cost of
    kinds of which no run is known is that of some steps of training, taken now.
    """
    if not cells:
        return ""
    own = _own(cells)
    tried = _tried(cells, own) if try_it else {}
    known, hours = _sum(cells, own | tried)
    number = f"{known:,} of {len(cells):,}" if 0 < known < len(cells) else f"{len(cells):,}"
    which = f"{number} cell{'' if len(cells) == 1 else 's'}"
    if not known:
        kind = "its kind" if len(cells) == 1 else "their kind"
        return f"{which}, cost not known: no run of {kind} is done yet"
    cost = _time(hours) if hours >= MINUTE else "less than a minute"
    rest = "" if known == len(cells) else "; the others are of a kind not measured yet"
    by = f" ({TRIED})" if tried else ""
    return f"{which}, {cost}{by}{rest}"


def _tried(cells: Sequence[Cell], own: Seconds) -> Seconds:
    """Of the first KINDS kinds without a run of one's own, where their data are here."""
    kinds = {kind: cell for cell in cells if (kind := _workload(cell.values)) not in own}
    found = {}
    for kind, cell in islice(kinds.items(), KINDS):
        if _here(cell.values):
            from fdi.runner.story import try_epoch  # torch: only where it is needed

            with suppress(ValueError, OSError, RuntimeError):
                found[kind] = try_epoch(cell.config)
    return found


def _here(values: Mapping[str, Any]) -> bool:
    """Whether the data set needs no download."""
    name, root = values["name"]["dataset"], values["dataset"].get("root")
    return root is None or (name in SOURCES and present(name, Path(root)))


def _time(hours: float) -> str:
    """How long so many core-hours take here."""
    number = cores()
    hours /= number
    time, unit = (hours, "h") if hours >= 1 else (60 * hours, "min")
    return f"about {float(f'{time:.2g}'):,g} {unit} on {number} core{'s' * (number > 1)}"


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0))


def measured(cells: Sequence[Cell]) -> tuple[int, float]:
    """How many cells have own runs of their kind (data set, model, batch size and engine), and what
    those cells take in core-hours.
    """
    return _sum(cells, _own(cells))


def _sum(cells: Sequence[Cell], seconds: Seconds) -> tuple[int, float]:
    costs = [
        seconds[kind] * _epochs(cell.values)
        for cell in cells
        if (kind := _workload(cell.values)) in seconds
    ]
    return len(costs), sum(costs) / 3600


def _epochs(values: Mapping[str, Any]) -> int:
    """Of priming and training; where nothing is trained, about one."""
    if values["probe"] == "only":
        return 1
    return values["trainer"]["epochs"] + values["homeostasis"]["prime_epochs"]


def _workload(values: Mapping[str, Any]) -> Workload:
    """What the cost of an epoch depends on."""
    return tuple(
        sorted(
            (key, str(value))
            for key, value in _flat(values).items()
            if key in ("engine.name", "trainer.batch_size")
            or (key.startswith(GROUPS) and not any(word in key.rpartition(".")[2] for word in FREE))
        )
    )


def _own(cells: Iterable[Cell]) -> Seconds:
    """Median over own runs, in results/runs/<dataset>/<model>, of their median over epochs after
    the first, which may compile kernels.
    """
    found: dict[Workload, list[float]] = {}
    for folder in {cell.directory.parents[1] for cell in cells}:
        for run in islice(folder.glob("*/seed=*"), SHOWN):
            known = look(run)
            if not known.ended:
                continue
            with suppress(OSError, ValueError, KeyError, TypeError):  # a file that is not whole
                rows = list(csv.DictReader(read(run / METRICS).splitlines()))[1:]
                kind = _workload(known.config)
                if epochs := [float(r["seconds"]) + float(r["seconds_valid"]) for r in rows]:
                    cost = median(epochs) * known.origin.get("threads", 1)
                    found.setdefault(kind, []).append(cost)
    return {kind: median(costs) for kind, costs in found.items()}


def _flat(values: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        inner = isinstance(value, Mapping)
        flat |= _flat(value, f"{path}{key}.") if inner else {f"{path}{key}": value}
    return flat


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
    given = any(word.startswith("budget=") for word in arguments.overrides)
    if not given and has_smaller(cells[0].values["name"]["experiment"]):
        other = copy(arguments)
        other.overrides = [*arguments.overrides, SMALLER]
        cost = estimate(compose_cells(other), try_it=cells[0].values["dry_run"])
        print(f"{SMALLER}: {cost}", flush=True)


def has_smaller(experiment: str | None) -> bool:
    """Whether the experiment has an edition for a laptop."""
    laptop = files("fdi.conf") / "experiment" / str(experiment) / "laptop.yaml"
    return bool(experiment) and laptop.is_file()


STATE = 11  # characters of the longest state


class Composing:
    """Shows cells while they are composed: a bar on a terminal and, for a dry run, a line each with
    its state, its directory, and what the directory does not say.
    """

    def __init__(self) -> None:
        self.out = console()
        columns = (TextColumn("composing"), BarColumn(), MofNCompleteColumn(), TextColumn("cells"))
        self.bar = Progress(
            *columns, console=self.out, transient=True, disable=not self.out.is_terminal
        )
        self.task: TaskID | None = None
        self.keys: list[str] = []
        self.states: dict[str, str] = {}

    def __call__(self, cell: Cell, combinations: Sequence[Sequence[str]]) -> None:
        if self.task is None:
            self.task = self.bar.add_task("", total=len(combinations))
            self.keys = [key for key in varied(combinations) if key not in (*LABELS, "seed")]
        self.bar.advance(self.task)
        directory = str(cell.directory)
        if cell.values["dry_run"] and directory not in self.states:
            self.states[directory] = look(cell.directory).state
            self._line(self.states[directory], directory, " ".join(chosen(cell, self.keys)))

    def _line(self, state: str, directory: str, words: str) -> None:
        line = f"{SAID.get(state, state):<{STATE}}  {directory}"
        if words and len(line) + len(words) + 2 > self.out.width:
            line += f"\n{' ' * STATE}  {words}"
        elif words:
            line += f"  {words}"
        self.out.print(line)

    def end(self, cells: Sequence[Cell]) -> None:
        """Print how many cells there are of each state, and what the others will cost."""
        self.out.print(counted(self.states.values()))
        left = [cell for cell in cells if not finished(cell.directory, cell.values["probe"])]
        if cost := estimate(left, try_it=True):
            self.out.print(cost)
