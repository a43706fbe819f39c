"""Recompute the tables of README.md and docs/findings.md that answer the question, from
results/reference alone, with pandas and scipy and nothing of fdi: `python
scripts/study/recompute.py` prints each number beside what the page says, and fails where they
differ.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

REFERENCE = Path("results/reference")
STATES = ["kaiming", "fluct", "fluct_calibrated", "lsuv", "homeostatic"]
REFINED = [("fluct_calibrated", "fluct"), ("lsuv", "fluct"), ("lsuv", "fluct_calibrated")]
SETTINGS = ("common", "best")
LEAD = r"([+-][\d.]+) \(([+-][\d.]+)\.\.([+-][\d.]+)\), (\w+)"
WIDE = 0.5  # points by which ends of intervals differ that are drawn with other samples


def holm(p: np.ndarray) -> np.ndarray:
    """Each p times the number of those that are not smaller, never less than a smaller one's."""
    order = np.argsort(p)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return adjusted


def networks() -> tuple[pd.DataFrame, dict[tuple[str, str, str], tuple[float, ...]]]:
    """Accuracies (%) of the networks that all states can be drawn for, a column for each setting
    and state; and of each pair the mean difference, its interval and p, by the bootstrap.
    """
    rows = pd.read_csv(REFERENCE / "zoo.csv", comment="#")
    reached = 100 * rows.pivot(index="network", columns=["setting", "init"], values="accuracy")
    reached = reached.dropna()
    pairs = [(state, "kaiming") for state in STATES[1:]] + REFINED
    keys = [(*pair, setting) for setting in SETTINGS for pair in pairs]
    chance = np.random.default_rng(20261202)
    drawn = chance.integers(len(reached), size=(20_000, len(reached)))
    of = [(reached[at, one] - reached[at, other]).to_numpy() for one, other, at in keys]
    means = [values[drawn].mean(axis=1) for values in of]
    p = np.array([2 * (min((m <= 0).sum(), (m >= 0).sum()) + 1) / (len(m) + 1) for m in means])
    p = np.minimum(p, 1)
    ends = [np.quantile(m, [tail, 1 - tail]) for m, tail in zip(means, 0.025 * p / holm(p))]
    found = zip(of, ends, holm(p))
    return reached, {
        key: (float(values.mean()), *map(float, end), float(adjusted))
        for key, (values, end, adjusted) in zip(keys, found)
    }


def cells(page: str, table: str) -> list[list[str]]:
    """The rows of a table between its marks."""
    text = Path(page).read_text()
    (inside,) = re.findall(rf"<!-- table {table} -->\n(.*?)<!-- end -->", text, re.DOTALL)
    lines = [line for line in inside.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def drawn(page: str) -> Iterator[tuple[str, float, float, float]]:
    """Of the table of random networks: what, the number of the page, ours, and what they may differ
    by.
    """
    reached, leads = networks()
    classes, least = 10, 30.0  # 3 times chance
    assert least == 100 * min(3 / classes, (1 + 1 / classes) / 2)
    for state, row in zip(STATES, cells(page, "drawn")):
        for setting, (learn, accuracy, lead) in zip(SETTINGS, (row[1:4], row[4:7])):
            values, what = reached[setting, state], f"{page}, {state}, {setting}"
            k, n = map(int, re.findall(r"\d+", learn))
            yield f"{what}: networks", n, len(values), 0
            yield f"{what}: learn", k, (values >= least - 1e-9).sum(), 0
            yield f"{what}: accuracy", float(accuracy), values.mean(), 0.0501
            if state == "kaiming":
                continue
            mean, low, high, p = leads[state, "kaiming", setting]
            *numbers, word = re.fullmatch(LEAD, lead).groups()  # type: ignore[union-attr]
            said = [*map(float, numbers)]
            yield f"{what}: lead", said[0], mean, 0.0501
            yield f"{what}: from", said[1], low, WIDE
            yield f"{what}: to", said[2], high, WIDE
            yield f"{what}: decided", word != "undecided", p < 0.05, 0


def closer(page: str) -> Iterator[tuple[str, float, float, float]]:
    """The same of the networks that were chosen: means and their differences over seeds."""
    runs = pd.read_csv(REFERENCE / "runs.csv.gz", low_memory=False)
    place = runs["dataset"] + "/" + runs["model"] + "/" + runs["init"]
    runs.index = place + "/seed=" + runs["seed"].astype(str) + "-" + runs["id"]
    found: dict[tuple[float, ...], int] = {}
    for file in REFERENCE.glob("choices/*/choice.json"):
        sides = {side["init"]: side for side in json.loads(file.read_text())["sides"]}
        if not {"kaiming", "fluct"} <= {*sides}:
            continue
        for setting in SETTINGS:
            one, other = (
                runs.loc[sides[init]["settings"][setting]["runs"]].set_index("seed")
                for init in ("fluct", "kaiming")
            )
            a, b = (100 * side["test_accuracy_last"] for side in (one, other))
            t = stats.ttest_rel(*a.align(b, join="inner"))
            key = (round(a.mean()), round(b.mean()), round((a - b).mean(), 1))
            found[key] = len(a)
            assert np.isnan(t.pvalue) or 0 <= t.pvalue <= 1
    for name, *both, n, _ in cells(page, "headline"):
        for text in both:
            one, other, mean = re.match(r"(\d+) against (\d+): ([+-][\d.]+)", text).groups()  # type: ignore[union-attr]
            key = (int(one), int(other), float(mean))
            yield f"{page}, {name}: {text[:24]}", int(n), found.get(key, 0), 0


def main() -> int:
    wrong = 0
    for check in (drawn("README.md"), closer("docs/findings.md")):
        for what, said, ours, apart in check:
            right = abs(said - ours) <= apart
            wrong += not right
            print(f"{'' if right else 'WRONG  '}{what}: {said:g}, recomputed {ours:.4g}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
