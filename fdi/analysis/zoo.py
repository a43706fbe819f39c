"""Random networks: how many of them learn from which initial state, at the optimizer's default step
size and each at its best.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from fdi.analysis import choice
from fdi.analysis.choice import STEP, bar
from fdi.analysis.collect import ACCURACY
from fdi.analysis.conditions import BASELINE
from fdi.analysis.results import Results
from fdi.analysis.statistics import PERCENT, holm, verdict
from fdi.config import Mistake
from fdi.track.files import RUNS, ZOO, parse_json, spared
from fdi.track.record import TRAINED

ROWS = "zoo"  # .csv in a folder of measurements
SETTINGS = {name: choice.SETTINGS[name] for name in ("common", "best")}


def members(results: Results) -> pd.DataFrame:
    """A row for each zoo (the seed that drew it), network, init and setting: kind, words, the step
    size `optimizer.lr` and the floor, where the optimizer has one; `validated` (validation accuracy
    that chose the best one), state (that of the run, or "refused"), accuracy (on the test set, a
    share; the mean over seeds), `learns` (at least 3 times chance, or half way from chance to 1 if
    that is less; what failed or was refused does not) and `expected`, what the probe said before
    training. No columns where nothing was drawn.
    """
    if not (table := results.csv(ROWS)).empty:
        words = table["words"].str.split()
        return _judged(table.assign(words=words, expected=table["expected"].fillna("")))
    rows: list[dict[str, Any]] = []
    for path in sorted((results.folder / ZOO).glob("*.json")):
        with spared(str(path)):
            rows += sides(path)
    if not rows:
        return pd.DataFrame()
    table = pd.DataFrame(rows)
    runs = placed(results)
    known = runs[["run", "state", ACCURACY, "classes", "test_samples", "path", "id"]]
    table = table.merge(known, how="left", on="run")
    table["state"] = table["state"].where(table["run"].notna(), "refused").fillna("missing")
    probe = results.probe_of(runs[runs["run"].isin(table["run"])])
    says = probe.reindex(columns=["path", "expected"]).drop_duplicates("path").set_index("path")
    table["expected"] = table["path"].map(says["expected"]).astype(object).fillna("")
    table = table.rename(columns={ACCURACY: "accuracy"}).drop(columns=["run", "path"])
    return _judged(by_seed(table))


def placed(results: Results) -> pd.DataFrame:
    """The runs, with the place below the results that `sides` calls `run`."""
    place = results.runs["path"].astype(str).str.removeprefix(f"{results.folder}/")
    return results.runs.assign(run=place)


def sides(path: Path) -> list[dict[str, Any]]:
    """Those of one file; raises ValueError where it is none of a zoo."""
    try:
        content: Any = parse_json(path)
        seed, networks = int(content["zoo"]["seed"]), content["networks"]
        return [
            {
                "zoo": seed,
                "network": int(side["network"]),
                "init": str(side["init"]),
                "setting": str(setting),
                "validated": None if side["accuracy"] is None else float(side["accuracy"]),
                "run": None if side["state"] == "refused" else f"{RUNS}/{run}",
                "kind": str(networks[side["network"]]["kind"]),
                "words": [*map(str, networks[side["network"]]["words"])],
                **of["values"],
                STEP: float(of["values"][STEP]),
            }
            for side in content["sides"]
            for setting, of in side["settings"].items()
            for run in of["runs"]
        ]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        raise Mistake("damaged; remove it, fdi-run -m experiment=zoo writes it again") from None


def by_seed(table: pd.DataFrame) -> pd.DataFrame:
    """A row for all seeds of a network, init and setting: the first that did not end, if there is
    one, else the first, with the mean accuracy.
    """
    keys = ["zoo", "network", "init", "setting"]
    mean = table.groupby(keys)["accuracy"].transform(lambda of: of.mean(skipna=False))
    ended = table["accuracy"].notna()
    first = table.assign(accuracy=mean)[~ended | mean.notna()]
    return first.drop_duplicates(keys, ignore_index=True)


def _judged(table: pd.DataFrame) -> pd.DataFrame:
    """With `learns`, and without pairs that cannot be: Dale's law forbids weights of both signs."""
    forbidden = (table["state"] == "refused") & table["kind"].str.startswith("dale")
    return table.assign(learns=table["accuracy"] >= bar(table["classes"]))[~forbidden].reset_index(
        drop=True
    )


def learning(members: pd.DataFrame) -> pd.DataFrame:
    """How many networks learn from each initial state, for people."""
    rows = []
    for init in inits(members):
        of = members[members["init"] == init]
        parts = {key: of[of["setting"] == key] for key in SETTINGS}
        reached = {title: share(parts[key]["learns"]) for key, title in SETTINGS.items()}
        ends = int((~parts["common"]["state"].isin(TRAINED)).sum())
        rows.append({"init": init, **reached, "refused or failed": str(ends)})
    return pd.DataFrame(rows)


def inits(members: pd.DataFrame) -> list[str]:
    """The baseline first."""
    return sorted(dict.fromkeys(members["init"]), key=lambda init: init != BASELINE)


def wilson(learns: pd.Series) -> tuple[int, int, float, float]:
    """How many learn, of how many, and Wilson's 95 % interval of that share in percent; there must
    be some.
    """
    from scipy.stats import binomtest

    n, k = len(learns), int(learns.sum())
    interval = binomtest(k, n).proportion_ci(method="wilson")
    return k, n, PERCENT * interval.low, PERCENT * interval.high


def share(learns: pd.Series) -> str:
    """As in 12 of 20 (60 %, 39..78)."""
    if learns.empty:
        return "-"
    k, n, low, high = wilson(learns)
    return f"{k} of {n} ({PERCENT * k / n:.0f} %, {low:.0f}..{high:.0f})"


def only(
    members: pd.DataFrame, init: str, setting: str, other: str = BASELINE
) -> tuple[int, int, float]:
    """In how many networks only `init` learns, in how many only the `other`, and the two-sided p of
    the sign test.
    """
    from scipy.stats import binomtest

    own, theirs = paired(members[members["setting"] == setting], init, other)
    only_own, only_other = int((own & ~theirs).sum()), int((theirs & ~own).sum())
    differ = only_own + only_other
    p = binomtest(only_own, differ).pvalue if differ else 1.0
    return only_own, only_other, float(p)


def paired(of: pd.DataFrame, init: str, other: str = BASELINE) -> tuple[pd.Series, pd.Series]:
    """Whether `init` learns, and the `other`, in each network that has both."""
    wide = of.pivot(index=["zoo", "network"], columns="init", values="learns")
    both = wide[[init, other]].dropna().astype(bool)
    return both[init], both[other]


REFINED = (("fluct_calibrated", "fluct"), ("lsuv", "fluct_calibrated"))
"""Initial states beside what they refine."""


def decided(members: pd.DataFrame, setting: str) -> dict[tuple[str, str], tuple[int, int, float]]:
    """What `only` says of each initial state and the baseline, and of each that is refined, with p
    by Holm's method over all of them.
    """
    states = inits(members[members["setting"] == setting])
    pairs = [*((init, BASELINE) for init in states if init != BASELINE), *REFINED]
    pairs = [pair for pair in pairs if {*pair} <= {*states}]
    found = [only(members, init, setting, other) for init, other in pairs]
    together = holm([p for *_, p in found])
    return {pair: (own, its, p) for pair, (own, its, _), p in zip(pairs, found, together)}


def said(members: pd.DataFrame) -> list[str]:
    """What the table cannot say: pairs of initial states on the same networks, and how to read
    them.
    """
    lines = []
    for setting, title in SETTINGS.items():
        parts = [
            f"{init} {own} against {theirs} of {other} ({verdict(own - theirs, p)}, p = {p:.2g})"
            for (init, other), (own, theirs, p) in decided(members, setting).items()
        ]
        if parts:
            lines.append(f"only one of the two learns, {title}: {'; '.join(parts)}")
    lines.append(
        "learns: a test accuracy of at least 3 times chance, or half way from chance to 1 where "
        "that is less, in the mean over seeds; what is refused or fails does not learn, but "
        "weights of both signs under Dale's law, which forbids them, count nowhere; in parentheses "
        "95 % intervals; p: sign test over networks, by Holm's method over the pairs of a line"
    )
    return lines
