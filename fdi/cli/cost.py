"""What cells will cost, by what finished runs of their kind took: own ones, and the measurements
that come with fdi.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from fdi.cli.cells import Cell
from fdi.layout import CONFIG, METRICS, RECORD
from fdi.track.files import parse_yaml, read, read_json
from fdi.track.state import whole_result

GROUPS = ("dataset", "model")
FREE = ("seed", "name", "root", "tau", "threshold", "theta", "beta", "readout", "jitter", "drop")
MINUTE = 1 / 60  # h
SHOWN = 20  # own runs of a data set and model that are read

Kind = tuple[tuple[str, str], ...]


def estimate(cells: Sequence[Cell]) -> str:
    """As in: 520 cells, about 31 core-hours here. Nothing if none of the cells has such runs."""
    known, hours = measured(cells)
    if not known:
        return ""
    whole = known == len(cells)
    number = f"{known}" if whole else f"{known} of {len(cells)}"
    which = f"{number} cell{'' if len(cells) == 1 else 's'}"
    cost = f"about {hours:.2g} core-hours" if hours >= MINUTE else "less than a core-minute"
    rest = "" if whole else "; the others are of a kind not measured yet"
    return f"{which}, {cost} here{rest}"


def measured(cells: Sequence[Cell]) -> tuple[int, float]:
    """How many cells have runs of their kind (data set, model and batch size), and what those cells
    take in core-hours: seconds of an epoch times threads, median over the runs.
    """
    known: dict[Kind, list[float]] = {}
    results = {Path(cell.values["paths"]["results"]) for cell in cells}
    folders = {cell.directory.parents[1] for cell in cells}
    for values, seconds in [*_reference(results), *_own(folders)]:
        known.setdefault(_kind(values), []).append(seconds)
    costs = [
        median(known[kind]) * _epochs(cell.values)
        for cell in cells
        if (kind := _kind(_flat(cell.values))) in known
    ]
    return len(costs), sum(costs) / 3600


def _epochs(values: Mapping[str, Any]) -> int:
    """Of priming and training; where nothing is trained, about one."""
    if values["probe"] == "only":
        return 1
    return values["trainer"]["epochs"] + values["homeostasis"]["prime_epochs"]


def _kind(values: Mapping[str, Any]) -> Kind:
    """What the cost of an epoch depends on."""
    return tuple(
        sorted(
            (key, _shown(value))
            for key, value in values.items()
            if key == "trainer.batch_size"
            or (
                key.startswith(GROUPS)
                and not any(word in key.rpartition(".")[2] for word in FREE)
                and _shown(value) not in ("", "None")
            )
        )
    )


def _reference(results: set[Path]) -> Iterator[tuple[dict[str, Any], float]]:
    """(settings, core-seconds of an epoch) of the runs in results/reference."""
    for folder in [path / "reference" for path in results]:
        if not (folder / "runs.csv").exists():
            continue
        with (folder / "provenance.csv").open() as file:
            threads = {row["provenance"]: int(row["threads"]) for row in csv.DictReader(file)}
        with (folder / "runs.csv").open() as file:
            for row in csv.DictReader(file):
                if row["state"] == "done" and row["provenance"] in threads:
                    seconds = float(row["seconds"]) * threads[row["provenance"]]
                    settings = {key: value for key, value in row.items() if "." in key}
                    yield settings, seconds / int(float(row["epoch"]))


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
