"""What cells will cost, by some steps of their training, and `dry_run`, which only says so."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from rich.progress import Progress

from fdi.analysis.formats import plural
from fdi.cli.cells import LABELS, Cell, chosen, varied
from fdi.cli.summary import cells_by_state
from fdi.cli.terminal import bar, console, duration
from fdi.track.evidence import check_done, refuse_other_code
from fdi.track.files import CHECKPOINT
from fdi.track.record import REFUSED, STATE_WORDS, finished, look

FREE = ("seed", "root", "tau", "threshold", "theta", "beta", "readout", "drop")
TRIED = "by some steps of training, within a factor of 2: later ones may have more spikes, or fewer"
TRYING = "a few steps of each kind of network"
KINDS_TRIED = 3  # kinds of network, where the user waits for something else
KINDS_ASKED = 12  # in a dry run, which says nothing else
FEW = 200  # epochs of all cells, at most, of which it is asked how long they take
SHORT = 20.0  # core-seconds: what fewer save side by side, the start of a second process takes


def estimate(cells: Sequence[Cell], kinds: int = KINDS_TRIED) -> str:
    """As in: 520 cells, about 16 h on 2 cores, by the first `kinds` of network, which are tried.
    Nothing for no cells.
    """
    if not cells:
        return ""
    known, seconds = total(cells, _tried(cells, kinds))
    number = f"{known:,} of " if 0 < known < len(cells) else ""
    which = f"{number}{plural(len(cells), 'cell')}"
    if not known:
        return f"{which}, cost not known"
    here = f"about {duration(seconds / cores())} on {plural(cores(), 'core')}"
    cost = here if seconds >= 60 else "less than a minute"
    rest = "" if known == len(cells) else "; what the others cost is not known"
    return f"{which}, {cost} ({TRIED}){rest}"


def seconds(cells: Sequence[Cell]) -> float | None:
    """Core-seconds that they take, by some steps of training; None where that is not known."""
    known, total_seconds = total(cells, _tried(cells))
    return total_seconds if known == len(cells) else None


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0))


def short(cells: Sequence[Cell]) -> bool:
    """Whether one process, whose threads take all cores, is through with these cells no later than
    several, which each have to start; False where that is not known.
    """
    every = [cell.values for cell in cells]
    alike = {(v["device"], v["engine"]["name"], v["threads"]) for v in every}
    if alike != {("cpu", "cpu", None)} or sum(v["trainer"]["epochs"] for v in every) > FEW:
        return False
    known, seconds = total(cells, _tried(cells))
    return known == len(cells) and seconds <= SHORT


def total(cells: Sequence[Cell], epochs: Mapping[str, float]) -> tuple[int, float]:
    """How many cells are of a known kind, and what those take in core-seconds, by those of an epoch
    of each kind. Priming counts as training; where nothing is trained, it takes about one epoch.
    """
    costs = []
    for values in (cell.values for cell in cells):
        if (kind := same_cost(values)) in epochs:
            number = values["trainer"]["epochs"] + values["homeostasis"]["prime_epochs"]
            costs.append(epochs[kind] * (1 if values["probe"] == "only" else number))
    return len(costs), sum(costs)


def same_cost(values: Mapping[str, Any]) -> str:
    """What the cost of an epoch depends on."""
    groups = [
        {key: value for key, value in values[group].items() if not any(w in key for w in FREE)}
        for group in ("dataset", "model")
    ]
    return json.dumps([*groups, values["engine"]["name"], values["trainer"]["batch_size"]])


def _tried(cells: Sequence[Cell], kinds: int = KINDS_TRIED) -> dict[str, float]:
    """Core-seconds of an epoch of the first `kinds`."""
    seconds, alike = {}, {same_cost(cell.values): cell for cell in cells}
    with bar(console(), *Progress.get_default_columns(), transient=True) as progress:
        for kind, cell in progress.track([*islice(alike.items(), kinds)], description=TRYING):
            from fdi.runner.story import try_epoch  # torch: only where it is needed

            with suppress(ValueError, OSError, RuntimeError):
                seconds[kind] = try_epoch(cell.values)
    return seconds


DALE = ("fdi.snn.models.dale", "fdi.snn.models.dale_conv")


def _refusal(cell: Cell) -> str:
    """Why the run would not begin, under Dale's law; or, of other data or code, not be gone on with
    or not be returned.
    """
    run = look(cell.directory)

    def split() -> str:
        from fdi.runner import build  # torch: only where files have changed

        return build.dataset(cell.config).checksum

    try:
        if finished(cell.directory, cell.values["probe"]):
            check_done(cell.directory, run, cell.config, split)
        elif (cell.directory / CHECKPOINT).exists():
            refuse_other_code(cell.directory, run, cell.config)
        elif cell.values["model"]["_target_"] in DALE:
            from fdi.runner import build

            return build.strategy(cell.config).forbidden()
    except (ValueError, OSError) as error:
        return str(error)
    return ""


def dry_run(cells: Sequence[Cell]) -> None:
    """Print a line for each cell, with its state, its directory, and what the directory does not
    say; how many there are of each state, and what the others will cost.
    """
    out, refusals = console(), [_refusal(cell) for cell in cells]
    states = [REFUSED if why else look(cell.directory).state for cell, why in zip(cells, refusals)]
    keys = [k for k in varied(cell.overrides for cell in cells) if k not in (*LABELS, "seed")]
    for cell, state in zip(cells, states):
        line = (
            f"{STATE_WORDS.get(state, state):<11}  {cell.directory}  {' '.join(chosen(cell, keys))}"
        )
        out.print(line.rstrip())
    out.print(cells_by_state(states))
    for why in dict.fromkeys(filter(None, refusals)):
        out.print(why)
    begin = (cell for cell, why in zip(cells, refusals) if not why)
    left = [cell for cell in begin if not finished(cell.directory, cell.values["probe"])]
    if cost := estimate(left, KINDS_ASKED):
        out.print(cost)
