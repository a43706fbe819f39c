"""Each initial state at its best: what was chosen for it, by the decision that `experiment=best`
wrote, and how it compares there, at the values of the configuration, and at those that suit all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fdi.analysis.choice import SETTINGS, STEP, TUNED, decisions
from fdi.analysis.collect import ACCURACY, SAMPLES, metric_of
from fdi.analysis.conditions import (
    BASELINE,
    STATISTICS,
    TESTED,
    by_seed,
    difference,
    differing,
    spread,
    versus_columns,
    where,
)
from fdi.analysis.derived import guesses, with_layers
from fdi.analysis.formats import plural, short_names, shown
from fdi.analysis.results import Results
from fdi.analysis.statistics import PERCENT, Comparison, correct, verdict

VERSUS = ("difference", "from", "to", "pairs")
NETWORK = ("dataset", "model", "layers", "epochs", "settings")
"""What tells networks apart; `settings`: the other keys in which they differ, as text."""


class Side(NamedTuple):
    """The tested runs of an initial state of a network in one of SETTINGS.

    `values`: those of TUNED; `choice`: what the decision says of the initial state; `network`:
    those of NETWORK; `moments`: mean, sd, n, low, high of the test accuracy in percent;
    `difference` to the baseline in the same setting, whose own best values may be others, None
    without pairs: its p and interval are those of Holm's method over all sides.
    """

    init: str
    setting: str
    values: dict[str, Any]
    choice: dict[str, Any]
    runs: pd.DataFrame
    network: dict[str, Any]
    moments: pd.Series
    difference: Comparison | None = None

    @property
    def verdict(self) -> str:
        """better, worse, undecided, or "" where no p can be given."""
        found = self.difference
        return verdict(found.mean, found.p, metric_of(self.runs).sign) if found else ""


def networks(results: Results) -> list[list[Side]]:
    """The sides of each network for which something was chosen, in the order of their names and
    sizes. Of two decisions on one network and initial state, the later one counts.
    """
    runs = with_layers(results.runs[results.runs["state"] == "done"])
    place = {"/".join(path.split("/")[-4:]): row for row, path in enumerate(runs["path"])}
    found = [
        Side(choice["init"], setting, of["values"], choice, runs.iloc[rows], {}, pd.Series())
        for choice in decisions(results.folder)
        for setting, of in choice["settings"].items()
        if (rows := [place[path] for path in of["runs"] if path in place])
    ]
    groups: dict[tuple[Any, ...], dict[tuple[str, str], Side]] = {}
    for side, network in zip(found, _networks([side.runs for side in found])):
        (seeds,) = by_seed(side.runs, TESTED)
        scale = metric_of(side.runs).scale
        reached = spread(seeds.of(ACCURACY), seeds.mean(SAMPLES), scale, PERCENT)
        numbers = {name: getattr(reached, name) for name in STATISTICS}
        whole = side._replace(network=network, moments=pd.Series(numbers, dtype=object))
        groups.setdefault((*network.values(),), {})[side.init, side.setting] = whole
    return _compared([groups[key] for key in sorted(groups)])


def _networks(parts: Sequence[pd.DataFrame]) -> list[dict[str, Any]]:
    """NETWORK of each of several parts of the runs that are compared."""
    if not parts:
        return []
    free = ("trainer.epochs", "readout", "model.depth", "init.", *TUNED)
    every, told, sizes = pd.concat(parts), [], ["dataset", "model", "layers"]
    names = short_names(differing(every, *free))
    for first in (part.iloc[0] for part in parts):
        apart = differing(where(every, dict(zip(sizes, first[sizes]))), *free)
        known = [f"{names[key]} = {shown(first[key])}" for key in apart if pd.notna(first[key])]
        size = (first["dataset"], first["model"], int(first["layers"]))
        told.append(dict(zip(NETWORK, (*size, int(first["trainer.epochs"]), ", ".join(known)))))
    return told


def _compared(groups: Sequence[Mapping[tuple[str, str], Side]]) -> list[list[Side]]:
    """The sides with their differences to the baseline."""
    found: list[Comparison | None] = []
    for sides in groups:
        for side in sides.values():
            base = sides.get((BASELINE, side.setting))
            if base is None or side.init == BASELINE:
                found.append(None)
                continue
            ours, theirs = (by_seed(of.runs, TESTED)[0] for of in (side, base))
            apart = difference(ours, theirs, scale=metric_of(side.runs).scale)
            found.append(apart if apart.n else None)
    each = iter(correct(found, np.zeros(len(found))))
    return [[side._replace(difference=next(each)) for side in of.values()] for of in groups]


def each_at_its_best(results: Results) -> pd.DataFrame:
    """A row for each network, initial state and setting: NETWORK, init, setting, TUNED, n, mean,
    sd, low, high of the test accuracy in percent; `at_chance`, how many of the runs are no better
    than guessing; the `difference` to the baseline, its interval `from`, `to` over `pairs` and its
    `verdict`, by Holm's method; and of the decision `choice`, its state, `why`, and `validated`,
    the validation accuracy in percent with `tuned` seeds. No columns without such runs.
    """
    return pd.DataFrame(
        [
            {
                **side.network,
                "init": side.init,
                "setting": side.setting,
                **side.values,
                **side.moments,
                "at_chance": sum(guesses(side.runs.dropna(subset=["test_samples"]))),
                **dict(zip(VERSUS, versus_columns(side.difference).values())),
                "verdict": side.verdict,
                "choice": side.choice["state"],
                "why": side.choice["why"],
                "validated": metric_of(side.runs).scale * (side.choice["accuracy"] or np.nan),
                "tuned": side.choice["seeds"],
                "numerics": side.runs["numerics"].iloc[0],
            }
            for sides in networks(results)
            for side in sides
        ]
    )


CAPTION = (
    "test accuracy in percent after the last epoch, mean +- standard deviation over n seeds, with "
    "the difference to Kaiming over pairs of equal seed and its 95 % interval, by Holm's method "
    "over the table: at the step of the configuration, at one that suits all together, and at one "
    "that suits each, chosen on validation with other seeds"
)


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """`each_at_its_best` for people: a row for each network and initial state."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for row in table.to_dict("records"):
        layers = plural(row["layers"], "layer")
        parts = [row["dataset"], row["model"], layers, f"{row['epochs']} epochs", row["settings"]]
        network = ", ".join(filter(None, parts))
        cells = rows.setdefault((network, row["init"]), {"network": network, "init": row["init"]})
        if row["choice"] != "chosen":
            cells.setdefault(SETTINGS["best"], row["choice"])
        said = row["choice"] if row["setting"] == "best" and row["choice"] != "chosen" else ""
        cells[SETTINGS[row["setting"]]] = "\n".join(filter(None, [_reached(row), said]))
    columns = ["network", "init", *SETTINGS.values()]
    shown = pd.DataFrame(rows.values()).reindex(columns=columns)
    return shown.dropna(axis=1, how="all").astype(object).fillna("-")


def _reached(row: Mapping[Any, Any]) -> str:
    accuracy = f"{row['mean']:.1f} +- {row['sd']:.1f}, n={row['n']}"
    if pd.notna(row["difference"]):
        accuracy += f"\n{row['difference']:+.1f}"
    if pd.notna(row["from"]):
        accuracy += f" ({row['from']:+.1f}..{row['to']:+.1f})"
    if row["at_chance"]:
        accuracy += f"\n{row['at_chance']} of {row['n']} at chance"
    eps = f", eps {row['optimizer.eps']:g}" if pd.notna(row.get("optimizer.eps")) else ""
    return f"{accuracy}\nlr {row[STEP]:g}{eps}"
