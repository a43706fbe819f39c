"""Random networks: what they learn from which initialization, at the optimizer's default step size
and each at its best.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fdi.analysis import choice
from fdi.analysis.choice import STEP, learning_threshold
from fdi.analysis.collect import ACCURACY, Runs
from fdi.analysis.conditions import BASELINE
from fdi.analysis.results import Results
from fdi.analysis.statistics import (
    PERCENT,
    Comparison,
    better_or_worse,
    chance_level,
    holm,
    resampled,
)
from fdi.config import Mistake
from fdi.track.files import RUNS, ZOO, parse_json, spared

ROWS = "zoo"  # .csv in a folder of measurements
PROBED = ("expected", "updates")  # what the probe said before training, and how long it is
SETTINGS = {name: choice.SETTINGS[name] for name in ("common", "best")}


def members(results: Results) -> pd.DataFrame:
    """A row for each zoo (the seed that drew it), network, init and setting: kind, words, the step
    size `optimizer.lr` and eps, where the optimizer has one; `validated` (validation accuracy
    that chose the best one), state (that of the run, or "refused"), accuracy (on the test set, a
    share; the mean over seeds), `learns` (at least 3 times chance, or half way from chance to 1 if
    that is less; what failed or was refused does not) and `expected`, what the probe said before
    training, and `updates`, how many that makes. No columns where nothing was drawn.
    """
    if not (table := results.csv(ROWS)).empty:
        words = table["words"].str.split()
        return _judged(table.assign(words=words, expected=table["expected"].fillna("")))
    table = _every_arm(results)
    if table.empty:
        return table
    runs = placed(results)
    known = runs[["run", "state", ACCURACY, "classes", "test_samples", "path", "id"]]
    table = table.merge(known, how="left", on="run")
    table["state"] = table["state"].where(table["run"].notna(), "refused").fillna("missing")
    probe = results.probe_of(runs[runs["run"].isin(table["run"])])
    says = probe.reindex(columns=["path", *PROBED]).drop_duplicates("path").set_index("path")
    table = table.join(says, on="path")
    table["expected"] = table["expected"].astype(object).fillna("")
    table = table.rename(columns={ACCURACY: "accuracy"}).drop(columns=["run", "path"])
    return _judged(one_row_each(table))


def _every_arm(results: Results) -> pd.DataFrame:
    """The arms of all files; a line for one that is damaged."""
    rows: list[dict[str, Any]] = []
    for path in sorted((results.folder / ZOO).glob("*.json")):
        with spared(str(path)):
            rows += arms(path)
    return pd.DataFrame(rows)


def runs_of(members: pd.DataFrame, results: Results) -> Runs:
    """The runs of some of the `members`."""
    keys = ["zoo", "network", "init", "setting"]
    named = _every_arm(results).merge(members[keys], on=keys)["run"]
    runs = placed(results)
    return runs[runs["run"].isin(named)]


def placed(results: Results) -> pd.DataFrame:
    """The runs, with the place below the results that `arms` calls `run`."""
    place = results.runs["path"].astype(str).str.removeprefix(f"{results.folder}/")
    return results.runs.assign(run=place)


def arms(path: Path) -> list[dict[str, Any]]:
    """Those of one file; raises ValueError where it is none of a zoo."""
    try:
        content: Any = parse_json(path)
        seed, networks = int(content["zoo"]["seed"]), content["networks"]
        return [
            {
                "zoo": seed,
                "network": int(arm["network"]),
                "init": str(arm["init"]),
                "setting": str(setting),
                "validated": None if arm["accuracy"] is None else float(arm["accuracy"]),
                "run": None if arm["state"] == "refused" else f"{RUNS}/{run}",
                "kind": str(networks[arm["network"]]["kind"]),
                "words": [*map(str, networks[arm["network"]]["words"])],
                **chosen_at["values"],
                STEP: float(chosen_at["values"][STEP]),
            }
            for arm in content["sides"]
            for setting, chosen_at in arm["settings"].items()
            for run in chosen_at["runs"]
        ]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        raise Mistake("damaged; remove it, fdi-run -m experiment=zoo writes it again") from None


def one_row_each(table: pd.DataFrame) -> pd.DataFrame:
    """A row for all seeds of a network, init and setting: the first that did not end, if there is
    one, else the first, with the mean accuracy.
    """
    keys = ["zoo", "network", "init", "setting"]
    mean = table.groupby(keys)["accuracy"].transform(lambda seeds: seeds.mean(skipna=False))
    ended = table["accuracy"].notna()
    first = table.assign(accuracy=mean)[~ended | mean.notna()]
    return first.drop_duplicates(keys, ignore_index=True)


def _judged(table: pd.DataFrame) -> pd.DataFrame:
    """With `learns`, and without pairs that cannot be: Dale's law forbids weights of both signs."""
    forbidden = (table["state"] == "refused") & table["kind"].str.startswith("dale")
    return table.assign(learns=table["accuracy"] >= learning_threshold(table["classes"]))[
        ~forbidden
    ].reset_index(drop=True)


def learning(members: pd.DataFrame) -> pd.DataFrame:
    """What networks learn from each initialization, for people: how many of them, their mean
    accuracy, and its lead over the baseline. Of networks that all states can be drawn for.
    """
    shared, ahead = common(members), leads(members)
    rows = []
    for init in inits(shared):
        row = {"init": init}
        for setting, title in SETTINGS.items():
            arm = shared[(shared["init"] == init) & (shared["setting"] == setting)]
            row[f"{title}: learn"] = f"{arm['learns'].sum()} of {len(arm)}"
            row[f"{title}: accuracy (%)"] = f"{PERCENT * arm['accuracy'].mean():.1f}"
            found = ahead.get((init, BASELINE, setting))
            row[f"{title}: minus {BASELINE}"] = lead(found) if found else "-"
        rows.append(row)
    return pd.DataFrame(rows)


def lead(difference: Comparison) -> str:
    """As in +14.5 (9.2..20.1), better."""
    verdict = better_or_worse(difference.mean, difference.p)
    return f"{difference.mean:+.1f} ({difference.low:+.1f}..{difference.high:+.1f}), {verdict}"


def optimizers(members: pd.DataFrame) -> pd.Series:
    """The option of each network, "smorms3" where its words name none."""
    named = members["words"].map(
        lambda words: next((w.partition("=")[2] for w in words if w.startswith("optimizer=")), None)
    )
    return named.fillna("smorms3")


def inits(members: pd.DataFrame) -> list[str]:
    """The baseline first."""
    return sorted(dict.fromkeys(members["init"]), key=lambda init: init != BASELINE)


def common(members: pd.DataFrame) -> pd.DataFrame:
    """Those of the networks that all initializations can be drawn for, as far as all their
    trainings have ended; one that failed has the accuracy of guessing.
    """
    network = [members["zoo"], members["network"]]
    whole = members["init"].nunique() * members["setting"].nunique()
    guess = 1 / members.groupby(["zoo", "network"])["classes"].transform("max")
    ended = members["state"].isin(("done", "failed")) & guess.notna()
    drawn = ended.groupby(network).transform("sum") == whole
    return members.assign(accuracy=members["accuracy"].fillna(guess))[drawn]


REFINED = (
    ("fluct", "kaiming_scaled"),
    ("fluct_calibrated", "fluct"),
    ("lsuv", "fluct"),
    ("lsuv", "fluct_calibrated"),
)
"""Initializations beside what they refine, or what they set likewise."""
Pair = tuple[str, str]


def compared_pairs(members: pd.DataFrame) -> list[Pair]:
    """Each initialization beside the baseline, and those that are REFINED."""
    states = inits(members)
    every = [*((init, BASELINE) for init in states if init != BASELINE), *REFINED]
    return [pair for pair in every if {*pair} <= {*states}]


def _wide(members: pd.DataFrame) -> pd.DataFrame:
    """The accuracy in each network that all states can be drawn for, by setting and init."""
    columns = ["setting", "init"]
    return common(members).pivot(index=["zoo", "network"], columns=columns, values="accuracy")


def leads(
    members: pd.DataFrame, wanted: Sequence[Pair] = ()
) -> dict[tuple[str, str, str], Comparison]:
    """By how many points the mean test accuracy of one initialization is above that of the other,
    by (init, other, setting), for these pairs or all `compared_pairs`: over the networks that all
    can be drawn for, by the bootstrap over networks and by Holm's method over all that is
    returned.
    """
    wide = _wide(members)
    keys = [(*pair, setting) for setting in SETTINGS for pair in wanted or compared_pairs(members)]
    keys = [key for key in keys if {(key[2], key[0]), (key[2], key[1])} <= {*wide.columns}]
    if not keys:
        return {}
    columns = [wide[setting, own] - wide[setting, other] for own, other, setting in keys]
    return dict(zip(keys, resampled(PERCENT * np.transpose(columns))))


RULES = {
    "at least 3 times chance, or half way from chance to 1 where that is less": lambda rows: rows[
        "learns"
    ],
    "better than guessing": lambda rows: (
        rows["accuracy"] > chance_level(rows["classes"], rows["test_samples"])
    ),
    "at least half way from chance to the best that any of the states reaches there": lambda rows: (
        rows["accuracy"] - 1 / rows["classes"]
        >= (rows.groupby(["zoo", "network"])["accuracy"].transform("max") - 1 / rows["classes"]) / 2
    ),
}
"""What it can mean that a network learns; the first is what the word means everywhere."""


def learned_by_one(members: pd.DataFrame, setting: str) -> dict[Pair, list[tuple[int, int, float]]]:
    """Of each of the `compared_pairs`, by each of the RULES: in how many networks only the first
    learns, in how many only the other, and the two-sided p of the sign test, by Holm's method over
    the pairs.
    """
    from scipy.stats import binomtest

    table = common(members)
    table = table[table["setting"] == setting]
    by_pair: dict[Pair, list[tuple[int, int, float]]] = {pair: [] for pair in compared_pairs(table)}
    for rule in RULES.values():
        wide = table.assign(learns=rule(table)).pivot(
            index=["zoo", "network"], columns="init", values="learns"
        )
        counts = [
            (int((wide[own] & ~wide[other]).sum()), int((wide[other] & ~wide[own]).sum()))
            for own, other in by_pair
        ]
        p = [binomtest(own, own + other).pvalue if own + other else 1.0 for own, other in counts]
        for pair, count, value in zip(by_pair, counts, holm(p)):
            by_pair[pair].append((*count, float(value)))
    return by_pair


def beyond_table(members: pd.DataFrame) -> list[str]:
    """What the table cannot say: initializations that refine others, how far the leads change where
    each has its best step, in how many networks only one of two learns, and how to read all this.
    """
    lines, ahead = [], leads(members)
    for setting, title in SETTINGS.items():
        refined = [
            f"{own} minus {other} {lead(found)}"
            for (own, other, at), found in ahead.items()
            if at == setting and other != BASELINE
        ]
        told = [_counted(pair, counts) for pair, counts in learned_by_one(members, setting).items()]
        lines += [f"{title}: {'; '.join(refined)}"] if refined else []
        lines += [f"only one of the two learns, {title}: {'; '.join(told)}"] if told else []
    changed = changes(members)
    if changed:
        said = [
            f"{init} {found.mean:+.1f} ({found.low:+.1f}..{found.high:+.1f})"
            for init, found in changed.items()
        ]
        lines.append(
            f"change of the lead over {BASELINE} from the default step to each at its best: "
            f"{'; '.join(said)}"
        )
    first, *others = RULES
    shared = common(members)
    networks = members[["zoo", "network"]].drop_duplicates()
    count = len(shared[["zoo", "network"]].drop_duplicates())
    lines.append(
        f"of the {count} of {len(networks)} networks that all these initializations can be drawn "
        f"for; accuracy: mean test accuracy over networks, of each the mean over its seeds; "
        f"{_updates(shared)}differences in points with 95 % intervals by the bootstrap over "
        f"networks; a training that failed counts as guessing; all verdicts of the table and of "
        f"the differences below it are by Holm's method over all of them"
    )
    lines.append(
        f"learns: a test accuracy of {first}, in the mean over seeds; where only one of two "
        f"learns, verdicts are by the sign test over networks and Holm's method over the pairs of "
        f"a line, and *by each rule* means that it is the same if learning is a test accuracy "
        f"{' or '.join(others)}"
    )
    return lines


def _updates(members: pd.DataFrame) -> str:
    """How long the trainings are, as text."""
    made = members.get("updates", pd.Series(dtype=float)).dropna()
    return f"{' to '.join(f'{n:,.0f}' for n in sorted({*made}))} updates; " if len(made) else ""


def changes(members: pd.DataFrame) -> dict[str, Comparison]:
    """By how many points the lead of each initialization over the baseline differs between the
    default step and each at its best, by the bootstrap over networks and Holm's method.
    """
    wide = _wide(members)
    if {*wide.columns.get_level_values("setting")} != {*SETTINGS} or BASELINE not in inits(members):
        return {}
    states = [init for init in inits(members) if init != BASELINE]
    before, after = (wide[setting].sub(wide[setting, BASELINE], axis=0) for setting in SETTINGS)
    found = resampled(PERCENT * (after - before)[states].to_numpy())
    return dict(zip(states, found))


def _counted(pair: Pair, by_rule: Sequence[tuple[int, int, float]]) -> str:
    (own, other, p), *_ = by_rule
    words = [better_or_worse(mine - theirs, value) for mine, theirs, value in by_rule]
    robust = "by each rule"
    if len({*words}) > 1:
        more = [f"{mine} and {theirs}, {word}" for (mine, theirs, _), word in zip(by_rule, words)]
        robust = f"by the other rules {'; '.join(more[1:])}"
    return f"{pair[0]} {own} against {other} of {pair[1]} ({words[0]}, p = {p:.2g}; {robust})"
