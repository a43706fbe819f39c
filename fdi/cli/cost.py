"""What cells will cost, by what finished runs of their kind took: own ones, and those of
conf/epochs.csv, which come with fdi; the smaller edition of an experiment; and `dry_run`, which
only says so.
"""

from __future__ import annotations

import csv
import os
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from fdi.track.files import CONFIG, METRICS, RECORD, SAID, parse_yaml, read, read_json
from fdi.track.state import finished, progress, whole_result

GROUPS = ("dataset", "model")
FREE = ("seed", "root", "tau", "threshold", "theta", "beta", "readout", "drop")
MINUTE = 1 / 60  # h
SHIPPED = Path(str(files("fdi.conf") / "epochs.csv"))
SECONDS = "core_seconds"
OFF = ("", "None", "none", "max")  # as is a key that was not yet there when a kind was measured
SHOWN = 20  # own runs of a data set and model that are read

Workload = tuple[tuple[str, str], ...]


def estimate(cells: Sequence[Cell], try_it: bool = False) -> str:
    """As in: 520 cells, about 16 h on 2 cores. Nothing if there are no cells. `try_it`: the cost of
    kinds of which no run is known is that of some steps of training, taken now.
    """
    if not cells:
        return ""
    costs = _core_seconds(cells)
    tried = _tried([cell for cell, cost in zip(cells, costs) if cost is None]) if try_it else {}
    costs = [
        tried.get(_workload(_flat(cell.values))) if cost is None else cost
        for cell, cost in zip(cells, costs)
    ]
    known, hours = _sum(costs)
    if not known:
        return f"cost not known: no run of {'its' if len(cells) == 1 else 'their'} kind is done yet"
    whole = known == len(cells)
    number = f"{known:,}" if whole else f"{known:,} of {len(cells):,}"
    which = f"{number} cell{'' if len(cells) == 1 else 's'}"
    cost = _time(hours) if hours >= MINUTE else "less than a minute"
    rest = "" if whole else "; the others are of a kind not measured yet"
    by = f" ({TRIED})" if tried else ""
    return f"{which}, {cost}{by}{rest}"


TRIED = "by some steps of training, within a factor of 2: later ones may have more spikes, or fewer"
KINDS = 3  # that are tried, of those without a run


def _tried(cells: Sequence[Cell]) -> dict[Workload, float]:
    """Core-seconds of a cell of the first KINDS kinds whose data are here, by steps of training."""
    kinds: dict[Workload, Cell] = {}
    for cell in cells:
        kinds.setdefault(_workload(_flat(cell.values)), cell)
    found = {}
    for kind, cell in islice(kinds.items(), KINDS):
        if _here(cell.values):
            from fdi.runner.story import try_epoch  # torch: only where it is needed

            with suppress(ValueError, OSError, RuntimeError):
                found[kind] = try_epoch(cell.config) * _epochs(cell.values)
    return found


def _here(values: Mapping[str, Any]) -> bool:
    """Whether the data set needs no download."""
    name, root = values["name"]["dataset"], values["dataset"].get("root")
    return root is None or (name in SOURCES and present(name, Path(root)))


def _time(hours: float) -> str:
    """How long so many core-hours take here."""
    number = cores()
    hours /= number
    time = f"{hours:.2g} h" if hours >= 1 else f"{60 * hours:.2g} min"
    return f"about {time} on {number} core{'s' * (number > 1)}"


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0))


def measured(cells: Sequence[Cell]) -> tuple[int, float]:
    """How many cells have runs of their kind (data set, model, batch size and engine), and what
    those cells take in core-hours: seconds of an epoch times threads, median over the own runs if
    there are such.
    """
    return _sum(_core_seconds(cells))


def _sum(costs: Sequence[float | None]) -> tuple[int, float]:
    known = [cost for cost in costs if cost is not None]
    return len(known), sum(known) / 3600


def _core_seconds(cells: Sequence[Cell]) -> list[float | None]:
    """Of each cell, None where no run of its kind is known."""
    known: dict[Workload, list[float]] = {}
    for source in (_shipped(), _own({cell.directory.parents[1] for cell in cells})):
        known |= _by_workload(source)
    kinds = [_workload(_flat(cell.values)) for cell in cells]
    return [
        median(known[kind]) * _epochs(cell.values) if kind in known else None
        for cell, kind in zip(cells, kinds)
    ]


def _epochs(values: Mapping[str, Any]) -> int:
    """Of priming and training; where nothing is trained, about one."""
    if values["probe"] == "only":
        return 1
    return values["trainer"]["epochs"] + values["homeostasis"]["prime_epochs"]


def _by_workload(runs: Iterable[tuple[Mapping[str, Any], float]]) -> dict[Workload, list[float]]:
    seconds_of: dict[Workload, list[float]] = {}
    for values, seconds in runs:
        seconds_of.setdefault(_workload(values), []).append(seconds)
    return seconds_of


def _workload(values: Mapping[str, Any]) -> Workload:
    """What the cost of an epoch depends on; a depth that is not given is the longest list's."""
    sizes = [str(value) for key, value in values.items() if key.startswith("model.")]
    depth = values.get("model.depth") or max(text.count(",") + 1 for text in sizes)
    return tuple(
        sorted(
            (key, _shown(value))
            for key, value in {**values, "model.depth": depth}.items()
            if key in ("engine.name", "trainer.batch_size")
            or (
                key.startswith(GROUPS)
                and not any(word in key.rpartition(".")[2] for word in FREE)
                and _shown(value) not in OFF
            )
        )
    )


def _shipped() -> Iterator[tuple[dict[str, Any], float]]:
    """(settings, core-seconds of an epoch) of the kinds that were measured for fdi."""
    with SHIPPED.open() as file:
        for row in csv.DictReader(file):
            yield row, float(row.pop(SECONDS))


def write_shipped(runs: Iterable[Mapping[str, str]], threads: Mapping[str, int]) -> None:
    """Rows of runs.csv as one row per kind, and the median of its core-seconds; `threads` of each
    provenance.
    """
    known = _by_workload(
        (
            {key: value for key, value in row.items() if "." in key},
            float(row["seconds"]) * threads[row["provenance"]] / int(float(row["epoch"])),
        )
        for row in runs
        if row["state"] == "done" and row["provenance"] in threads
    )
    with SHIPPED.open("w", newline="") as file:
        keys = sorted({key for kind in known for key, _ in kind})
        table = csv.DictWriter(file, [SECONDS, *keys], lineterminator="\n")
        table.writeheader()
        for kind in sorted(known):
            table.writerow({SECONDS: f"{median(known[kind]):.3g}", **dict(kind)})


def _own(folders: set[Path]) -> Iterator[tuple[dict[str, Any], float]]:
    """The same of own runs, in results/runs/<dataset>/<model>, by their epochs after the first,
    which may compile kernels.
    """
    for folder in folders:
        for run in islice(folder.glob("*/seed=*"), SHOWN):
            record = read_json(run / RECORD)
            if not whole_result(run) or not isinstance(record, dict):
                continue
            with suppress(OSError, ValueError, KeyError, TypeError):  # a file that is not whole
                rows = list(csv.DictReader(read(run / METRICS).splitlines()))[1:]
                settings = _flat(parse_yaml(read(run / CONFIG)))
                if epochs := [float(r["seconds"]) + float(r["seconds_valid"]) for r in rows]:
                    yield settings, median(epochs) * record.get("threads", 1)


def _flat(values: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        inner = isinstance(value, Mapping)
        flat |= _flat(value, f"{path}{key}.") if inner else {f"{path}{key}": value}
    return flat


def _shown(value: Any) -> str:
    text = str(value)
    try:
        return f"{float(text):g}"
    except ValueError:
        return text


LARGE = 1.0  # core-hours
SMALLER = "budget=laptop"


def announce(arguments: Namespace, cells: Sequence[Cell], left: Sequence[Cell]) -> None:
    """Print the cost of the cells that are `left` where it is high, and see `offer_smaller`."""
    if measured(left)[1] >= LARGE:
        print(f"to run: {estimate(left)}", flush=True)
        offer_smaller(arguments, cells)


def offer_smaller(arguments: Namespace, cells: Sequence[Cell]) -> None:
    """Print what the experiment's edition for a laptop costs, if it has one and no budget was
    chosen.
    """
    given = any(word.startswith("budget=") for word in arguments.overrides)
    if not given and has_smaller(cells[0].values["name"]["experiment"]):
        other = copy(arguments)
        other.overrides = [*arguments.overrides, SMALLER]
        print(f"{SMALLER}: {estimate(compose_cells(other))}", flush=True)


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
            self.states[directory] = progress(cell.directory)["state"]
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
