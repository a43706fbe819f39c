"""Initial states beside each other: the probes of several runs in one table."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import Any

from fdi.cli.cells import Cell
from fdi.cli.labels import LABELS, varied
from fdi.config.floor import floor
from fdi.init.verdict import Row, verdict
from fdi.track.state import is_number, read_probe

Measured = tuple[Mapping[str, str], Sequence[Row], Sequence[Sequence[Row]]]


@dataclass(frozen=True)
class State:
    """The probes of one initial state, one for each seed, without their readouts; `settings`: what
    else tells it apart; `floors`: of the optimizer, for each seed.
    """

    dataset: str
    model: str
    init: str
    settings: Mapping[str, str]
    seeds: Sequence[Sequence[Row]]
    floors: Sequence[float]

    @property
    def n(self) -> int:
        return len(self.seeds)

    def rows(self) -> list[Row]:
        """One for each layer: medians over the seeds of gradients, means of everything else, as far
        as it was measured; `verdict`, and how many seeds have the same one; `gradient`, that of the
        task where it was measured alone; `lost`: no element of it reaches the floor.
        """
        layers = []
        for layer in zip(*self.seeds):
            row: Row = {"population": layer[0]["population"]}
            for key in layer[0]:
                values = [value for one in layer if is_number(value := one.get(key))]
                middle = median if key.startswith("grad") else mean
                row.setdefault(key, middle(values) if values else None)
            word = verdict(row)
            lost = [_is_lost(one, least) for one, least in zip(layer, self.floors)]
            gradient = row.get("grad_task")
            layers.append(
                row
                | {
                    "verdict": word,
                    "agree": sum(verdict(one) == word for one in layer),
                    "gradient": row.get("grad") if gradient is None else gradient,
                    "lost": sum(lost) * 2 > len(lost),
                }
            )
        return layers


def _is_lost(row: Row, least: float) -> bool:
    return 0 < (row.get("grad_task_max") or 0) < least


def of_cells(cells: Iterable[Cell]) -> list[State]:
    """The states of the cells that were measured, in their order."""
    cells = list(cells)
    keys = [key for key in varied(cell.overrides for cell in cells) if key not in ("seed", *LABELS)]
    names = _short(keys)
    seeds: dict[tuple[str, ...], list[list[Row]]] = defaultdict(list)
    floors: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for cell in cells:
        chosen = dict(word.split("=", 1) for word in cell.overrides if "=" in word)
        labels = (str(cell.values["name"][name]) for name in LABELS)
        key = (*labels, *(chosen.get(name, "") for name in keys))
        if rows := hidden(read_probe(cell.directory)):
            seeds[key].append(rows)
            optimizer = cell.values["optimizer"]
            floors[key].append(floor({f"optimizer.{name}": optimizer[name] for name in optimizer}))
    return [
        State(dataset, model, init, _given(dict(zip(names, chosen))), of_layers, floors[key])
        for key, of_layers in seeds.items()
        for dataset, model, init, *chosen in [key]
    ]


def of_runs(measured: Iterable[Measured]) -> list[State]:
    """The states of `fdi.analysis.initial.measured`."""
    states = []
    for labels, runs, seeds in measured:
        settings = {key: value for key, value in labels.items() if key not in LABELS}
        names = dict(zip(_short(list(settings)), settings.values()))
        dataset, model, init = (labels[name] for name in LABELS)
        rows = [hidden(one) for one in seeds]
        states.append(State(dataset, model, init, names, rows, [floor(run) for run in runs]))
    return states


def hidden(rows: Sequence[Row]) -> list[Row]:
    """The rows of a probe without that of the readout."""
    return [row for row in rows if is_number(row.get("rate"))]


def records(states: Iterable[State]) -> list[dict[str, Any]]:
    """A row for each state and layer, for files."""
    return [
        {
            **{name: getattr(state, name) for name in LABELS},
            **state.settings,
            "n": state.n,
            "layer": row["population"],
            "measured_sigma_u": row["free_sigma"],
            "target_sigma_u": row["target_sigma_u"],
            "rate": row["rate"],
            "silent": row["silent"],
            "gradient": row["gradient"],
            "below_floor": row["lost"],
            "verdict": row["verdict"],
        }
        for state in states
        for row in state.rows()
    ]


def _given(settings: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in settings.items() if value}


def _short(keys: Sequence[str]) -> list[str]:
    """The last part of each dotted key, where no other ends in it."""
    ends = Counter(key.rpartition(".")[2] for key in keys)
    return [end if ends[end := key.rpartition(".")[2]] == 1 else key for key in keys]
