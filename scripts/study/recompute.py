"""Recompute the tables of README.md and docs/findings.md from results/reference alone, with pandas
and scipy and nothing of fdi: `python scripts/study/recompute.py` prints each number beside what the
page says, and fails where they differ. Left out is how many runs follow the effective floor,
which is fdi's.
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
STATES = ["kaiming", "fluct", "fluct_calibrated", "lsuv", "homeostatic", "kaiming_scaled"]
BESIDE = [("fluct", "kaiming_scaled"), ("fluct_calibrated", "fluct"), ("lsuv", "fluct")]
BESIDE += [("lsuv", "fluct_calibrated")]
DECLARED = [("fluct", "kaiming"), ("fluct", "kaiming_scaled"), ("kaiming_scaled", "kaiming")]
DECLARED += [("pytorch", "kaiming"), ("lsuv", "fluct"), ("fluct_calibrated", "fluct")]
DECLARED += [("lsuv", "kaiming_scaled")]
LONGER = [("fluct", "kaiming"), ("fluct", "kaiming_scaled"), ("lsuv", "fluct")]
CHOOSE = [1000, 1001]  # seeds that choose the step of what carries the effect
SETTINGS = ("common", "best")
LEAD = r"([+-][\d.]+) \(([+-][\d.]+)\.\.([+-][\d.]+)\),? (\w+)"
REACHED = r"([\d.]+) against ([\d.]+): " + LEAD
WIDE = 1.0  # points by which ends of intervals differ that are drawn with other samples
MARGIN = 3  # points, of the experiment that was declared
Lead = tuple[float, float, float, float]
Number = tuple[str, float, float, float]


def holm(p: np.ndarray) -> np.ndarray:
    """Each p times the number of those that are not smaller, never less than a smaller one's."""
    order = np.argsort(p)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return adjusted


def compared(differences: list[np.ndarray]) -> list[Lead]:
    """Of each difference over networks the mean, the ends of its interval, and p, by the bootstrap
    and Holm's method.
    """
    n = len(differences[0])
    picked = np.random.default_rng(20261202).integers(n, size=(20_000, n))
    means = [values[picked].mean(axis=1) for values in differences]
    p = np.array([2 * (min((m <= 0).sum(), (m >= 0).sum()) + 1) / (len(m) + 1) for m in means])
    p = np.minimum(p, 1)
    ends = [np.quantile(m, [tail, 1 - tail]) for m, tail in zip(means, 0.025 * p / holm(p))]
    return [
        (float(values.mean()), float(low), float(high), float(adjusted))
        for values, (low, high), adjusted in zip(differences, ends, holm(p))
    ]


def networks(
    file: str, pairs: list[tuple[str, str]]
) -> tuple[pd.DataFrame, dict[tuple[str, str, str], Lead]]:
    """Accuracies (%) of the networks that all states can be drawn for, a column for each setting
    and state; and what the pairs come to. A training that failed has the accuracy of guessing.
    """
    rows = pd.read_csv(REFERENCE / file, comment="#")
    drawn = rows[rows["state"] != "refused"]
    drawn = drawn.assign(accuracy=100 * drawn["accuracy"].fillna(1 / drawn["classes"]))
    reached = drawn.pivot(index="network", columns=["setting", "init"], values="accuracy").dropna()
    keys = [(*pair, setting) for setting in SETTINGS for pair in pairs]
    of = [(reached[at, one] - reached[at, other]).to_numpy() for one, other, at in keys]
    return reached, dict(zip(keys, compared(of)))


def cells(page: str, table: str) -> list[list[str]]:
    """The rows of a table between its marks."""
    lines = [line for line in between(page, table).splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def between(page: str, table: str) -> str:
    """What stands between the marks of a table."""
    text = Path(page).read_text()
    (inside,) = re.findall(rf"<!-- table {table} -->\n(.*?)<!-- end -->", text, re.DOTALL)
    return str(inside)


def of_lead(what: str, said: str, lead: Lead, word: str) -> Iterator[Number]:
    """The difference, the ends of its interval, and whether the page has this verdict."""
    *numbers, verdict = re.fullmatch(LEAD, said).groups()  # type: ignore[union-attr]
    for name, number, ours, apart in zip(
        ("lead", "from", "to"), map(float, numbers), lead, (0.0501, WIDE, WIDE)
    ):
        yield f"{what}: {name}", number, ours, apart
    yield f"{what}: {verdict}", verdict == word, 1, 0


def verdict(lead: Lead, margin: float = 0) -> str:
    mean, low, high, p = lead
    if -margin < low and high < margin:
        return "equal"
    return "undecided" if p >= 0.05 else "better" if mean > 0 else "worse"


def drawn(page: str) -> Iterator[Number]:
    """Of the table of random networks: what, the number of the page, ours, and what they may differ
    by.
    """
    reached, leads = networks("zoo.csv", [(state, "kaiming") for state in STATES[1:]] + BESIDE)
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
            found = leads[state, "kaiming", setting]
            yield from of_lead(what, lead, found, verdict(found))


def decided(page: str) -> Iterator[Number]:
    """The same of the experiment that was declared: its table, and the sentence of the README."""
    reached, leads = networks("confirmed/zoo.csv", DECLARED)
    for (one, other), row in zip(DECLARED, cells(page, "decided")):
        for setting, text in zip(SETTINGS, row[1:]):
            what, found = f"{page}, {row[0]}, {setting}", leads[one, other, setting]
            a, b, *_ = re.fullmatch(REACHED, text).groups()  # type: ignore[union-attr]
            for state, mean in ((one, a), (other, b)):
                yield f"{what}: {state}", float(mean), reached[setting, state].mean(), 0.0501
            yield from of_lead(what, text.partition(": ")[2], found, verdict(found, MARGIN))
    inside = between("README.md", "confirmed")
    n = re.search(r"On (\d+) random networks", inside)[1]  # type: ignore[index]
    yield "README.md: networks of the experiment", float(n), len(reached), 0
    told = re.findall(r"([+-][\d.]+) \(([+-][\d.]+) to ([+-][\d.]+)\)", inside)
    for pair, numbers in zip(DECLARED, told, strict=False):
        for number, ours, apart in zip(numbers, leads[(*pair, "best")], (0.0501, WIDE, WIDE)):
            yield f"README.md, {pair}", float(number), ours, apart


def lasting(page: str) -> Iterator[Number]:
    """The same of longer trainings, and whether more than half of the lead is left."""
    rows = pd.read_csv(REFERENCE / "longer.csv", comment="#")
    rows = rows.assign(accuracy=100 * rows["accuracy"].fillna(1 / rows["classes"]))
    reached = rows.pivot_table("accuracy", ["zoo", "network"], ["updates", "init"]).dropna()
    lengths = sorted(rows["updates"].unique())
    keys = [(pair, at) for at in lengths for pair in LONGER]
    of = [(reached[at, one] - reached[at, other]).to_numpy() for (one, other), at in keys]
    leads = dict(zip(keys, compared(of)))
    for pair, row in zip(LONGER, cells(page, "longer")):
        for at, text in zip(lengths, row[1:]):
            what, found = f"{page}, {row[0]}, {at} updates", leads[pair, at]
            a, b, *_ = re.fullmatch(REACHED, text).groups()  # type: ignore[union-attr]
            for state, mean in zip(pair, (a, b)):
                yield f"{what}: {state}", float(mean), reached[at, state].mean(), 0.0501
            yield from of_lead(what, text.partition(": ")[2], found, verdict(found))
    first, last = (
        reached[at, "fluct"] - reached[at, "kaiming"] for at in lengths[:: len(lengths) - 1]
    )
    ((left, *_, p),) = compared([(last - first / 2).to_numpy()])
    inside = between("README.md", "lasting")
    ours = "Undecided" if p >= 0.05 else "Better" if left > 0 else "Mostly faster"
    yield f"README.md, longer: {inside[:20]}", inside.startswith(ours), 1, 0
    n, begin, end = re.search(  # type: ignore[union-attr]
        r"on (\d+) random .* is ([+-][\d.]+) points .* (?:still )?([+-][\d.]+) \(", inside
    ).groups()
    yield "README.md, longer: networks", float(n), len(reached), 0
    yield "README.md, longer: at the beginning", float(begin), first.mean(), 0.0501
    yield "README.md, longer: at the end", float(end), last.mean(), 0.0501


def carried(page: str) -> Iterator[Number]:
    """The same of what carries the effect: each arm at the step that validation chose."""
    rows = pd.read_csv(REFERENCE / "ingredients.csv", comment="#")
    chosen = rows["seed"].isin(CHOOSE)
    guess = 1 / rows.groupby(["zoo", "network"])["classes"].transform("max")
    rows = rows.assign(
        validated=rows["validated"].fillna(guess).where(chosen),
        accuracy=100 * rows["accuracy"].fillna(guess).mask(chosen),
    )
    of = ["zoo", "network", "arm"]
    steps = rows.groupby([*of, "optimizer.lr"])[["validated", "accuracy"]].mean()
    best = steps.groupby(of)["validated"].transform("max") == steps["validated"]
    reached = steps[best].groupby(of)["accuracy"].first().unstack("arm")  # the smallest step
    _, _, section = Path(page).read_text().partition('<section id="ingredients"')
    inner = re.findall("<td>(.*?)</td>", section.partition("</section>")[0])
    table = [inner[i : i + 4] for i in range(0, len(inner), 4)]
    leads = compared([(reached[row[0]] - reached[row[1]]).to_numpy() for row in table])
    for (arm, other, means, said), lead in zip(table, leads):
        for each, mean in zip((arm, other), means.split(" against ")):
            yield f"{page}, {arm}: {each}", float(mean), reached[each].mean(), 0.0501
        yield from of_lead(f"{page}, {arm}", said, lead, verdict(lead))
    inside = between("docs/findings.md", "carried")
    for (arm, *_), lead in zip(table, leads):
        said = re.search(rf"{re.escape(arm)} \(([+-][\d.]+) points\)", inside)
        decided = verdict(lead) != "undecided"
        yield f"docs/findings.md, {arm}: decided", bool(said), decided, 0
        if said:
            yield f"docs/findings.md, {arm}", float(said[1]), lead[0], 0.0501
    n = re.search(r"n = (\d+)", inside)[1]  # type: ignore[index]
    yield "docs/findings.md, what carries the effect: networks", float(n), len(reached), 0


def trained() -> pd.DataFrame:
    """Runs of the newest numerics that ended, with how many hidden layers they have, which bounds
    were in their loss, and the authors' optimizer.
    """
    runs = pd.read_csv(REFERENCE / "runs.csv.gz", low_memory=False)
    runs = runs[(runs["state"] == "done") & (runs["numerics"] == runs["numerics"].max())]
    rates = runs.filter(regex=r"^rate/").notna().T
    layers = rates.groupby([name[6:] for name in rates.index]).any().sum()  # e1 and i1 are one
    joint = runs["homeostasis.joint"].astype("boolean").fillna(False)
    upper, lower = (joint & (runs[f"homeostasis.{b}.strength"] > 0) for b in ("upper", "lower"))
    bounds = np.array(["none", "upper", "lower", "both"])[1 * upper + 2 * lower]
    own = {"model.norm": "none", "model.skip": False, "neuron.learn_tau": False}
    own |= {"optimizer._target_": "fdi.train.optimizers.SMORMS3", "optimizer.lr": 0.005}
    own |= {"optimizer.eps": 1e-16, "readout_init": "normal"}
    own |= {"neuron._target_": "fdi.snn.neuron.lif"}
    theirs = runs["quantize"].isna()
    for key, value in own.items():
        theirs &= (runs[key] == value) | runs[key].isna()
    bounds[runs["homeostasis.prime_epochs"] > 0] = "before the task"
    return runs.copy().assign(layers=layers, bounds=bounds)[theirs]


def standing(page: str) -> Iterator[Number]:
    """The same of runs at chance, up to two standard deviations above guessing, in networks of up
    to four layers, and of more.
    """
    runs = trained().dropna(subset=["test_accuracy_last", "classes", "test_samples"])
    guess = 1 / runs["classes"]
    most = guess + 2 * np.sqrt(guess * (1 - guess) / runs["test_samples"])
    runs = runs.assign(chance=runs["test_accuracy_last"] <= most)
    for state, bounds, few, many, _ in cells(page, "standing"):
        of = runs[
            (runs["init"] == state.partition(",")[0])
            & ((runs["bounds"] == "none") == (bounds == "none"))
        ]
        of = of[(of["init"] == "kaiming") | (of["init.sigma_u"] == 1)]
        for said, those in ((few, of["layers"] < 5), (many, of["layers"] >= 5)):
            stuck, all_ = map(int, re.findall(r"\d+", said))
            what = f"{page}, {state}, {bounds}"
            yield f"{what}: at chance of {all_}", stuck, of[those]["chance"].sum(), 0
            yield f"{what}: runs", all_, those.sum(), 0


def one_layer(page: str) -> Iterator[Number]:
    """The same of networks of one layer, with each kind of bounds: means over seeds, and their
    paired difference; and how far both bounds change it.
    """
    runs = trained()
    runs = runs[(runs["init"] == "kaiming") | (runs["init.sigma_u"] == 1)]
    runs = runs[(runs["layers"] == 1) & (runs["dataset"] == "randman") & (runs["model"] == "dense")]
    leads = {}
    for _, epochs, bounds, *both, lead in cells(page, "one_layer"):
        of = runs[(runs["trainer.epochs"] == int(epochs)) & (runs["bounds"] == bounds)]
        of = of[of["sweeps"].str.contains("bounds", na=False)]
        wide = 100 * of.pivot(index="seed", columns="init", values="test_accuracy_last")
        what = f"{page}, one layer, bounds {bounds}"
        for init, said in zip(("kaiming", "fluct"), both):
            mean, low, _, n = map(float, re.findall(r"\d+(?:\.\d+)?", said))
            half = stats.sem(wide[init]) * stats.t.ppf(0.975, len(wide) - 1)
            yield f"{what}: {init}", mean, wide[init].mean(), 0.0501
            yield f"{what}: {init}, from", low, wide[init].mean() - half, 0.0501
            yield f"{what}: {init}, n", n, len(wide), 0
        leads[bounds] = wide["fluct"] - wide["kaiming"]
        number = float(lead.partition(" ")[0])
        yield f"{what}: difference", number, leads[bounds].mean(), 0.0501
    said = float(re.search(r"lead by ([+-][\d.]+)", between(page, "interaction"))[1])  # type: ignore[index]
    yield f"{page}, one layer: change", said, (leads["both"] - leads["none"]).mean(), 0.0501


def foretold(page: str) -> Iterator[Number]:
    """The same of what the probe said of the random networks, each at two steps: where it said no,
    and among those that did not learn.
    """
    rows = pd.read_csv(REFERENCE / "zoo.csv", comment="#").dropna(subset=["expected", "accuracy"])
    no = rows["expected"] == "no"
    fails = rows["accuracy"] < np.minimum(3 / rows["classes"], (1 + 1 / rows["classes"]) / 2)
    usual = rows["init"] == "kaiming"
    for (said, right, named, area), of in zip(
        cells(page, "foretold"), (usual | True, usual, ~usual)
    ):
        both = (no & fails & of).sum()
        for text, all_ in ((right, (no & of).sum()), (named, (fails & of).sum())):
            a, b = map(int, text.split(" of "))
            yield f"{page}, foretold, {said}: right of {b}", a, both, 0
            yield f"{page}, foretold, {said}: all", b, all_, 0
        hits, false = both / (fails & of).sum(), (no & ~fails & of).sum() / (~fails & of).sum()
        yield f"{page}, foretold, {said}: area", float(area), (1 + hits - false) / 2, 0.00501


def closer(page: str) -> Iterator[Number]:
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
    findings, tables = "docs/findings.md", "docs/tables.html"
    checks = [drawn("README.md"), decided(findings), lasting("docs/comparisons.md")]
    checks += [carried(tables), closer(findings), standing(findings), one_layer(findings)]
    checks += [foretold(findings)]
    for check in checks:
        for what, said, ours, apart in check:
            right = abs(said - ours) <= apart
            wrong += not right
            print(f"{'' if right else 'WRONG  '}{what}: {said:g}, recomputed {ours:.4g}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
