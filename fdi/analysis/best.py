"""Each initialization at its best: what was chosen for it, by the decision that `experiment=best`
wrote, and how it compares there, at the values of the configuration, and at those that suit all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fdi.analysis.choice import SETTINGS, STEP, TUNED, decisions
from fdi.analysis.collect import METRIC, metric_of
from fdi.analysis.conditions import (
    BASELINE,
    TESTED,
    Seeds,
    by_seed,
    differences,
    differing,
    mean_and_interval,
    newest,
    versus_columns,
    where,
)
from fdi.analysis.derived import guesses, with_layers
from fdi.analysis.formats import plural, told
from fdi.analysis.results import Results
from fdi.analysis.statistics import Comparison, Summary, better_or_worse, correct
from fdi.config.metric import Metric, of_rows

VERSUS = ("difference", "from", "to", "pairs")
NETWORK = ("dataset", "model", "layers", "epochs", "settings")
"""What tells networks apart; `settings`: the other keys in which they differ, as text."""
DATA = ("dataset.name", "dataset.file", "data")
"""Of those that differ, the first one that tells all data apart is said alone."""
HEADLINE = (("fluct", BASELINE), ("common", "best"))
"""The initializations and settings of the shortest comparison, which pages, claims and the figure
show: one family of Holm's method, so that they say the same.
"""
MAY_DIFFER = ("trainer.epochs", "readout", "model.depth", "init.", *TUNED)


class Arm(NamedTuple):
    """The tested runs of an initialization of a `network` (those of NETWORK) in one of SETTINGS.

    `values`: those of TUNED, as the runs have them; `choice`: what the decision says of the initial
    state; `difference` to the baseline in the same setting, whose own best values may be others,
    None without pairs: its p and interval are those of Holm's method over the arms of one table.
    """

    init: str
    setting: str
    values: dict[str, Any]
    choice: dict[str, Any]
    runs: pd.DataFrame
    network: tuple[Any, ...] = ()
    difference: Comparison | None = None

    @property
    def metric(self) -> Metric:
        return metric_of(self.runs)

    @property
    def seeds(self) -> Seeds:
        return by_seed(self.runs, TESTED)[0]

    @property
    def reached(self) -> Summary:
        """What it reached on the test set, an accuracy in percent."""
        return mean_and_interval(self.seeds, scale=self.metric.scale)

    @property
    def verdict(self) -> str:
        """better, worse, undecided, or "" where no p can be given."""
        found = self.difference
        return better_or_worse(found.mean, found.p, self.metric.sign) if found else ""


def networks(
    results: Results, inits: Sequence[str] = (), settings: Sequence[str] = tuple(SETTINGS)
) -> list[list[Arm]]:
    """The arms of each network for which something was chosen, in the order of their names and
    sizes, of these initializations, or all. Of two decisions on one network and initialization, the
    later one counts; the best common step of a network is that of one decision, see
    `_with_one_common_step`. What is returned is the family of Holm's method: it is for one table,
    and what else was measured changes nothing in it.
    """
    runs = with_layers(results.runs[results.runs["state"] == "done"])
    place = {"/".join(path.split("/")[-4:]): row for row, path in enumerate(runs["path"])}
    tested = [
        Arm(
            choice["init"],
            setting,
            {key: runs[key].iloc[rows[0]] for key in TUNED if key in chosen_at["values"]},
            choice,
            newest(runs.iloc[rows]),
        )
        for choice in decisions(results.folder)
        if not inits or choice["init"] in inits
        for setting, chosen_at in choice["settings"].items()
        if setting in settings
        if (rows := [place[path] for path in chosen_at["runs"] if path in place])
    ]
    every = pd.concat([runs.iloc[:0], *(arm.runs for arm in tested)])
    tested = [arm._replace(network=_named(arm.runs.iloc[0], every)) for arm in tested]
    shown = _with_one_common_step(tested)
    last = {(arm.network, arm.init, arm.setting): arm for arm in shown}
    arms = sorted(last.values(), key=lambda arm: arm.network)
    names = [(*arm.network, arm.init, arm.setting) for arm in arms]
    compared = differences(
        pd.DataFrame(names, columns=[*NETWORK, "init", "setting"]),
        [arm.seeds for arm in arms],
        {"init": BASELINE},
        [*NETWORK, "setting"],
        [arm.metric.scale for arm in arms],
    )
    each = correct(compared, np.zeros(len(arms)))
    whole = [arm._replace(difference=difference) for arm, difference in zip(arms, each)]
    return [[*group] for _, group in groupby(whole, key=lambda arm: arm.network)]


def _with_one_common_step(arms: Sequence[Arm]) -> list[Arm]:
    """Without the best common steps of a network that are not those of the decision on most of its
    initializations, of several such ones the last.
    """
    common = [arm for arm in arms if arm.setting == "shared"]
    counts = Counter((arm.network, arm.choice["decision"]) for arm in common)
    latest = dict(sorted(counts, key=counts.__getitem__))  # of equal ones, the last stays last
    return [s for s in arms if s.setting != "shared" or latest[s.network] == s.choice["decision"]]


def _named(first: pd.Series, every: pd.DataFrame) -> tuple[Any, ...]:
    """NETWORK of a run among `every` one that is compared."""
    sizes = ["dataset", "model", "layers"]
    columns, alike = differing(every, *MAY_DIFFER), where(every, dict(zip(sizes, first[sizes])))
    apart = differing(alike, *MAY_DIFFER)
    which = [key for key in DATA if key in apart]
    once = (key for key in which if (alike.groupby(key)[which].nunique() == 1).all(axis=None))
    if (name := next(once, None)) is not None:
        apart = [key for key in apart if key not in which or key == name]
    settings = told(columns, [*first[columns]], [key for key in columns if key not in apart])
    size = (first["dataset"], first["model"], int(first["layers"]))
    return (*size, int(first["trainer.epochs"]), settings)


def each_at_its_best(
    results: Results, inits: Sequence[str] = (), settings: Sequence[str] = tuple(SETTINGS)
) -> pd.DataFrame:
    """Of `networks`, a row for each network, initialization and setting: NETWORK, init, setting,
    TUNED, n, mean, sd, low, high of the test accuracy in percent; `at_chance`, how many of the runs
    are no better than guessing; the `difference` to the baseline, its interval `from`, `to` over
    `pairs`, its `p` and its `verdict`, by Holm's method; and of the decision `choice`, its state,
    `why`, and `validated`, the validation accuracy in percent with `tuned` seeds; `metric`, what
    stands in place of an accuracy, where there are such runs. No columns without such runs.
    """
    return pd.DataFrame(
        [
            {
                **dict(zip(NETWORK, arm.network)),
                "init": arm.init,
                "setting": arm.setting,
                **arm.values,
                **arm.reached._asdict(),
                "at_chance": sum(guesses(arm.runs.dropna(subset=["test_samples"]))),
                **dict(zip(VERSUS, versus_columns(arm.difference).values())),
                "p": arm.difference.p if arm.difference else np.nan,
                "verdict": arm.verdict,
                "choice": arm.choice["state"],
                "why": arm.choice["why"],
                "validated": arm.metric.scale * (arm.choice["accuracy"] or np.nan),
                "tuned": arm.choice["seeds"],
                "numerics": arm.runs["numerics"].iloc[0],
                **({METRIC: str(arm.metric)} if METRIC in results.runs else {}),
            }
            for arms in networks(results, inits, settings)
            for arm in arms
        ]
    )


OF_ARMS = (
    "test accuracy in percent after the last epoch, mean +- standard deviation over n seeds, with "
    "the difference to Kaiming over pairs of equal seed and its 95 % interval, by Holm's method "
    "over the table: at the step of the configuration, at one that suits all together, and at one "
    "that suits each, chosen on validation with other seeds"
)


def arms_in_words(table: pd.DataFrame) -> pd.DataFrame:
    """`each_at_its_best` for people: a row for each network and initialization."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for row in table.to_dict("records"):
        layers = plural(row["layers"], "layer")
        parts = [row["dataset"], row["model"], layers, f"{row['epochs']} epochs", row["settings"]]
        network = ", ".join(filter(None, parts))
        named = {"network": network, "init": row["init"], "judged by": row.get(METRIC)}
        cells = rows.setdefault((network, row["init"]), named)
        if row["choice"] != "chosen":
            cells.setdefault(SETTINGS["best"], row["choice"])
        said = row["choice"] if row["setting"] == "best" and row["choice"] != "chosen" else ""
        cells[SETTINGS[row["setting"]]] = "\n".join(filter(None, [_accuracy(row), said]))
    columns = ["network", "init", "judged by", *SETTINGS.values()]
    shown = pd.DataFrame(rows.values()).reindex(columns=columns)
    return shown.dropna(axis=1, how="all").astype(object).fillna("-")


def _accuracy(row: Mapping[Any, Any]) -> str:
    metric = of_rows([row.get(METRIC)])
    form, signed = metric.form(), metric.form("+")
    spread = f" +- {row['sd']:{form}}" if row["n"] > 1 else ""
    accuracy = f"{row['mean']:{form}}{spread}, n={row['n']}"
    if pd.notna(row["difference"]):
        accuracy += f"\n{row['difference']:{signed}}"
    if pd.notna(row["from"]):
        accuracy += f" ({row['from']:{signed}}..{row['to']:{signed}})"
    if row["at_chance"]:
        accuracy += f"\n{row['at_chance']} of {row['n']} at chance"
    eps = f", eps {row['optimizer.eps']:g}" if pd.notna(row.get("optimizer.eps")) else ""
    return f"{accuracy}\nlr {row[STEP]:g}{eps}"
