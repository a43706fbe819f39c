"""What a comparison comes to, in words to act on: which condition leads, over which others that is
decided, which differences so many seeds cannot see, and how many would decide.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fdi.analysis import zoo
from fdi.analysis.best import Arm
from fdi.analysis.choice import TUNED
from fdi.analysis.conditions import TESTED, Seeds, compared, difference
from fdi.analysis.formats import plural, told
from fdi.analysis.statistics import LEVEL, Comparison, correct
from fdi.config.identity import LABELS
from fdi.config.metric import ACCURACY, Metric

FIRST = 5  # seeds, where there is one
FEW = 20  # of which more are always proposed
SHOWN = 4  # networks that have a line of their own


class Conclusion(NamedTuple):
    """In words; the name of what leads; how many seeds, or networks, would tell more, None where no
    number of them would; and whether it is decided over all others.
    """

    text: str
    leader: str
    more: int | None = None
    decided: bool = False


def conclude(
    reached: Mapping[str, float],
    pairs: Mapping[str, Comparison | None],
    level: float = LEVEL,
    metric: Metric = ACCURACY,
    samples: float = math.nan,
    noun: str = "seed",
) -> Conclusion:
    """Of what several conditions reached, by name, a share or as the metric says it, the leader;
    `pairs`: by how much it lies above each other one, in points or the unit of the metric, by the
    method of Holm, so that each passes `level` at worst; None: without pairs.

    The smallest visible difference at n pairs is half the width of their interval at this level,
    with the spread of the undecided pairs and the noise of the test `samples`; a number of seeds
    decides where that is below the difference that was measured.
    """
    leader = _leader(reached, metric)
    if not pairs:
        return Conclusion(f"{leader} reaches {metric.text(reached[leader])}", leader)
    known = {
        name: pair for name, pair in pairs.items() if pair and pair.n > 1 and not math.isnan(pair.p)
    }
    sure = [name for name in known if known[name].p < LEVEL]
    unsure = [name for name in pairs if name not in sure]
    said = [_better(leader, name, known[name], metric) for name in sure]
    if unsure:
        shown = [f"{name} ({metric.text(reached[name])})" for name in (leader, *unsure)]
        said.append(f"undecided between {', '.join(shown[:-1])} and {shown[-1]}")
    if not unsure:
        return Conclusion("; ".join(said), leader, decided=True)
    if not {*unsure} <= {*known}:
        return Conclusion("; ".join([*said, f"one {noun} decides nothing"]), leader, FIRST)
    best = metric.ends[metric.sign > 0]
    if all(reached[name] == best for name in unsure):
        line, more = "none can be better; fewer epochs, or a harder task, may tell them apart", None
    else:
        line, more = _more([known[name] for name in unsure], level, metric, samples, noun)
    return Conclusion("; ".join([*said, line]), leader, more)


def _leader(reached: Mapping[str, float], metric: Metric) -> str:
    return max(reached, key=lambda name: metric.sign * reached[name])


def _better(leader: str, other: str, apart: Comparison, metric: Metric) -> str:
    by, low, high = (format(abs(x), metric.form()) for x in (apart.mean, apart.low, apart.high))
    unit = "points" if metric.unit == "%" else metric.unit
    low, high = sorted((low, high), key=float)
    around = "" if math.isnan(apart.low) else f" ({low} to {high})"
    return f"{leader} is better than {other} by {by} {unit}".rstrip() + around


def _more(
    pairs: Sequence[Comparison], level: float, metric: Metric, samples: float, noun: str
) -> tuple[str, int | None]:
    """What is said of undecided pairs, and how many seeds would tell more."""
    n = min(pair.n for pair in pairs)
    if not all(pair.sd for pair in pairs):  # the same in each seed
        return f"{plural(n, noun)} are too few to tell them apart", 2 * n

    def seen(number: int) -> str:
        size = max(pair.smallest(number, level) for pair in pairs)
        return f"{size:{metric.form()}} {'points' if metric.unit == '%' else metric.unit}".rstrip()

    noisy = any(pair.noise for pair in pairs)
    tested = f" and {samples:.0f} test samples" if noisy and samples == samples else ""
    least, most = metric.ends
    unseen = max(pair.smallest(n, level) for pair in pairs) >= metric.scale * (most - least)
    what = "no difference can" if unseen else f"differences below {seen(n)} cannot"
    line = f"with {plural(n, noun)}{tested} {what} be seen"
    needed = [pair.enough(level) for pair in pairs]
    known = [number for number in needed if number is not None]
    if len(known) == len(needed) and max(known) <= max(FEW, 4 * n):
        more = max(*known, n + 1)
        return f"{line}; {more} {noun}s would decide it, if it stays so, and see {seen(more)}", more
    if any(pair.smallest(FEW * n, level) > pair.smallest(n, level) / 2 for pair in pairs):
        return f"{line}, nor with many {noun}s below {seen(FEW * n)}: test on more samples", None
    return f"{line}; {2 * n} {noun}s would see {seen(2 * n)}", 2 * n


def of_seeds(
    seeds: Mapping[str, Seeds], table: Mapping[str, Comparison | None], family: int = 1
) -> Conclusion:
    """What the conditions with these `seeds`, by name, come to. `table`: their comparisons with the
    one that has none there, in points, of a family of so many; all others are those of the leader
    by Holm's method over all pairs without that one.
    """
    metric, quantity = next(iter(seeds.values())).metric, TESTED[0]
    reached = {name: condition.mean(quantity) for name, condition in seeds.items()}
    leader = _leader(reached, metric)
    base = (
        next((name for name in seeds if not table.get(name)), None) if any(table.values()) else ""
    )
    every = [*combinations([name for name in seeds if name != base], 2)]
    raw = [difference(seeds[a], seeds[b], quantity, metric.scale) for a, b in every]
    pairs: dict[str, Comparison | None] = {base: table[leader]} if base else {}
    for (one, other), found in zip(every, correct(raw, np.zeros(len(raw)))):
        if leader in (one, other):
            pairs[other if one == leader else one] = found if one == leader else found.times(-1)
    if leader == base:
        pairs = {name: pair and pair.times(-1) for name, pair in table.items() if name != base}
    samples = min(condition.mean(TESTED[1]) for condition in seeds.values())
    return conclude(reached, pairs, LEVEL / max(family, len(every), 1), metric, samples)


def of_sweep(runs: pd.DataFrame) -> list[Conclusion]:
    """For each network, runs that agree in all but what `init` says, or for all together where they
    differ in nothing that it says; with the comparisons of the summary.
    """
    comparison = compared(runs, TESTED)
    keys = pd.DataFrame([*comparison.places], columns=comparison.columns)
    keys = keys[[len(seeds.of(TESTED[0])) > 0 for seeds in comparison.seeds]]
    within = [column for column in comparison.columns if column.split(".")[0] != "init"]
    grouped = [group for _, group in keys.groupby(within, dropna=False, sort=False)]
    if all(len(group) == 1 for group in grouped):
        within = ["dataset", "model"]
        grouped = [group for _, group in keys.groupby(within, sort=False)]
    apart = [column for column in within if keys[column].nunique(dropna=False) > 1]
    lines = []
    for group in grouped:
        names = dict(zip(group.index, _names(group)))
        table = {name: comparison.differences[row] for row, name in names.items()}
        family = sum(comparison.differences[row] is not None for row in keys.index)
        scale = comparison.seeds[group.index[0]].metric.scale
        line = of_seeds(
            {name: comparison.seeds[row] for row, name in names.items()},
            {name: each and each.times(scale) for name, each in table.items()},
            family,
        )
        title = told(apart, [*group.iloc[0][apart]])
        lines.append(line._replace(text=f"{title}: {line.text}" if title else line.text))
    return lines


def _names(keys: pd.DataFrame) -> list[str]:
    """What tells conditions apart: fluct, sigma_u = 0.2."""
    apart = [key for key in keys if key != "init" and keys[key].nunique(dropna=False) > 1]
    texts = [told([*map(str, apart)], row) for row in keys[apart].to_numpy().tolist()]
    if keys["init"].nunique() == 1 and all(texts):
        return texts
    return [", ".join(filter(None, pair)) for pair in zip(map(str, keys["init"]), texts)]


def of_best(networks: Sequence[Sequence[Arm]]) -> list[Conclusion]:
    """For each network, the arms at their best, with the comparisons of their table."""
    family = sum(arm.difference is not None for arms in networks for arm in arms)
    best = [{s.init: s for s in arms if s.setting == "best"} for arms in networks]
    return [
        of_seeds(
            {init: arm.seeds for init, arm in by_init.items()},
            {init: arm.difference for init, arm in by_init.items()},
            family,
        )
        for by_init in best
        if by_init
    ]


def of_zoo(members: pd.DataFrame) -> list[Conclusion]:
    """Initializations over the random networks that all can be drawn for, at their best, with the
    comparisons of their table, and those of the leader with others by the same method. As many of
    those that are drawn as before are such.
    """
    best = zoo.common(members)
    best = best[best["setting"] == "best"]
    if best.empty:
        return []
    reached = {
        str(init): float(mean) for init, mean in best.groupby("init")["accuracy"].mean().items()
    }
    leader = _leader(reached, ACCURACY)
    leads = zoo.leads(members)
    family = max(1, len(leads))
    leads |= {(b, a, at): lead.times(-1) for (a, b, at), lead in leads.items()}
    others = [other for other in reached if other != leader]
    missing = [(leader, other) for other in others if (leader, other, "best") not in leads]
    leads |= zoo.leads(members, missing) if missing else {}
    pairs = {other: leads.get((leader, other, "best")) for other in others}
    line = conclude(reached, pairs, LEVEL / family, noun="network")
    drawn, shared = (len(t[["zoo", "network"]].drop_duplicates()) for t in (members, best))
    return [line._replace(more=line.more and math.ceil(line.more * drawn / shared))]


def of_states(rows: Sequence[Mapping[str, Any]]) -> str:
    """What is off in the hidden layers of each initial state, by the rows of its table."""
    said: dict[str, list[str]] = {}
    for row in rows:
        names = [*row][len(LABELS) : [*row].index("n")]
        state = ", ".join([str(row["init"]), *(f"{name} = {row[name]}" for name in names)])
        fine = row["verdict"].startswith("within") or row["verdict"] == "no target"
        said.setdefault(state, []).extend([] if fine else [f"{row['layer']} {row['verdict']}"])
    states = [f"{state}: {', '.join(off) or 'no layer is off'}" for state, off in said.items()]
    return f"{'; '.join(states)}; only training tells what learns"


def shortly(lines: Sequence[Conclusion]) -> list[str]:
    """Their texts, or of many how often each leads."""
    if len(lines) <= SHOWN:
        return [line.text for line in lines]
    counts = [
        f"{leader} leads in {len(led)} ({sum(line.decided for line in led)} of them decided)"
        for leader in dict.fromkeys(line.leader for line in lines)
        if (led := [line for line in lines if line.leader == leader])
    ]
    return [f"of {plural(len(lines), 'network')} {', '.join(counts)}"]


def next_step(lines: Sequence[Conclusion], command: str, key: str = "seed") -> str:
    """The command to give after this one of a sweep: with as many seeds as tell more, or networks,
    by their `key`; where all is decided, each initialization at the step that suits it, or
    pictures.
    """
    words = shlex.split(command)[2:]
    names = {word.partition("=")[0]: word.partition("=")[2] for word in words}
    if more := max((line.more or 0 for line in lines), default=0):
        value = f"range({more})" if key == "seed" else str(more)
        kept = [word for word in words if word.partition("=")[0] != key]
        return f"to see more: {shlex.join(['fdi-run', '-m', *kept, f'{key}={value}'])}"
    if "experiment" not in names and "," in names.get("init", ""):
        kept = [word for word in words if word.partition("=")[0] not in ("seed", *TUNED)]
        best = ["fdi-run", "-m", "experiment=best", "budget=laptop", *kept]
        return f"each at the step that suits it: {shlex.join(best)}"
    return "how they learned: fdi-figures --own learning_curves"
