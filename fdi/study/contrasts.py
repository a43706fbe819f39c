"""Differences between runs that agree in their seed and in everything else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd

from fdi.analysis.collect import ACCURACY, Runs
from fdi.analysis.conditions import TESTED, by_seed, difference, differing, pairs, where
from fdi.analysis.derived import LAYER
from fdi.analysis.statistics import PERCENT, Comparison


def depth(run: Mapping[Any, Any]) -> int:
    """Hidden layers of a finished run: h1, h2, ..., or e1 and i1, e2 and i2, ... under Dale's
    law.
    """
    return len({LAYER.sub("", k) for k in run if k.startswith("rate/") and pd.notna(run[k])})


class Contrast(NamedTuple):
    """`one` minus `other`: the mean of `quantity` on each arm over common seeds, and the paired
    difference. `run` is a row of the run table that has what both arms have in common, `arms` all
    runs of both.
    """

    run: dict[str, Any]
    quantity: str
    one: float
    other: float
    difference: Comparison
    arms: tuple[Runs, Runs]


def training_of_run(run: Mapping[str, Any]) -> str:
    """Data set, how many samples it was cut to, the length of its `trial` where that is known,
    architecture, depth and length of training.
    """
    layers, cut, trial = depth(run), run.get("dataset.max_train"), run.get("trial")
    data = run["dataset"] + (f" ({cut:,.0f} samples)" if pd.notna(cut) else "")
    data += f" in {trial:g} s" if pd.notna(trial) else ""
    epochs = run["trainer.epochs"]
    return f"{data}, {run['model']}, {layers} layer{'s' if layers > 1 else ''}, {epochs:.0f} epochs"


def contrast_of(
    one: Runs, other: Runs, quantity: str = ACCURACY, scale: float = PERCENT, same_data: bool = True
) -> Contrast | None:
    """The runs of one condition against those of another; None where they have no pairs."""
    names = [*dict.fromkeys((quantity, *TESTED))]
    a, b = (by_seed(arm, names, same_data=same_data)[0] for arm in (one, other))
    apart = difference(a, b, quantity, scale)
    if not apart.n:
        return None
    ours, theirs = (float((scale * arm.of(quantity)).mean()) for arm in pairs(a, b, quantity))
    run: dict[Any, Any] = one.iloc[0].to_dict()
    return Contrast(run, quantity, ours, theirs, apart, (one, other))


def contrasts(
    runs: Runs,
    one: Mapping[str, Any],
    other: Mapping[str, Any],
    quantity: str = ACCURACY,
    scale: float = PERCENT,
) -> Iterator[Contrast]:
    """The finished runs with the values `one` against those with the values `other`: a contrast for
    each set of runs that otherwise agrees in everything but the arguments of the initialization.
    """
    done = runs[runs["state"] == "done"]
    both = pd.concat([where(done, one).assign(_one=True), where(done, other).assign(_one=False)])
    free = ("seed", *one, *other)
    keys = ["dataset", "model", *differing(both, "init.", "_one", *free)]
    same_data = not any(key.startswith("dataset") for key in free)
    for _, group in both.groupby(keys, dropna=False, sort=False):
        arms = group[group["_one"]], group[~group["_one"]]
        if all(map(len, arms)) and (found := contrast_of(*arms, quantity, scale, same_data)):
            yield found
