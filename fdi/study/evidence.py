"""What speaks for or against a claim of the paper: the comparisons that its design in claims.yaml
finds among runs, and what keeps those from judging it that are not what the design asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import yaml

from fdi.analysis.best import HEADLINE, networks
from fdi.analysis.collect import ACCURACY, VALID, Runs
from fdi.analysis.conditions import moments, where
from fdi.analysis.derived import with_layers
from fdi.analysis.results import READOUT, Results
from fdi.analysis.statistics import LEVEL, Comparison, chance_level
from fdi.study.circumstances import EPS, SIZE, bounds_of_task, by_authors, circumstances
from fdi.study.contrasts import Contrast, contrast_of, contrasts, depth, training_of_run
from fdi.study.initial_states import with_spread
from fdi.study.published import architecture

Design = Mapping[str, Any]
DESIGNS = yaml.safe_load(Path(__file__).with_name("claims.yaml").read_text(encoding="utf-8"))
STARTS: dict[str, dict[str, Any]] = DESIGNS["states"]
KAIMING, FLUCT = STARTS["kaiming"], STARTS["fluct"]
STATES = {"kaiming": KAIMING | {"init": "kaiming"}, "fluct": FLUCT}
UNPRIMED = {"homeostasis.prime_epochs": 0}
JOINT = {"homeostasis.joint": True} | UNPRIMED
FREE = {"homeostasis.joint": False} | UNPRIMED
DEEP = 4  # hidden layers, and more: the least that is called deep where the paper is spoken of
WHEN = {"joint": "", "prime": " before the task", "prime + joint": " before the task and in it"}
NETWORK = ("dataset", *SIZE, "model", "layers", "trainer.epochs")
FOR, AGAINST, WIDE = "for it", "against it", "too wide"
SHORT, IDLE = "too short", "cannot act"


class NetworkName(NamedTuple):
    """A network as a published one is named: data set, architecture, hidden layers."""

    dataset: str
    model: str
    layers: int


class Evidence(NamedTuple):
    """One comparison, as text with a {} for its interval. `same`: whether the claim says that the
    two arms are equally good, not that one is better. `obstacle`: why it does not judge the claim,
    IDLE or SHORT and what is missing, "" where it does.
    """

    text: str
    network: NetworkName
    difference: Comparison
    same: bool
    obstacle: str

    def said(self, difference: Comparison) -> str:
        """The text with the interval of `difference`, its own one as one of several."""
        low, high = difference.low, difference.high
        return self.text.format("" if np.isnan(low) else f" ({low:+.1f}..{high:+.1f})")


def evidence(design: Design, results: Results) -> Iterator[Evidence]:
    """The comparisons of a claim among finished runs with the authors' eps."""
    runs = with_layers(where(results.runs, {"state": "done", "optimizer.eps": EPS}))
    runs = runs[runs["layers"].between(*design.get("layers", (1, np.inf)))]
    if "models" in design:
        runs = runs[runs["model"].isin(design["models"])]
    if "acts" not in design:
        runs = by_authors(runs)
    begun = at_the_start(results)
    for what, contrast, same in _pairs(design, runs, results):
        run = contrast.run
        yield Evidence(
            f"{training_of_run(run)}, {what}: {means_and_difference(contrast)}",
            NetworkName(run["dataset"], architecture(run["model"]), depth(run)),
            contrast.difference,
            same,
            _idle(design, contrast, runs, begun) or _short(contrast, begun),
        )


def decide(difference: Comparison, same: bool) -> str:
    """FOR, AGAINST or WIDE, by a difference (in percent) with the p and the interval that it has
    among all comparisons of a claim.
    """
    margin = DESIGNS["margin"]
    none = -margin <= difference.low and difference.high <= margin
    if none:
        return FOR if same else AGAINST
    if same:
        return AGAINST if difference.low > margin or difference.high < -margin else WIDE
    if not difference.p < LEVEL:
        return WIDE
    return FOR if difference.mean > 0 else AGAINST


def longest(candidates: Iterator[Contrast]) -> Iterator[Contrast]:
    """The contrasts with the most epochs for each data set, size, architecture, depth and
    circumstances: of several pairs where there are such, else of a single one.
    """
    by_network: dict[Any, list[Contrast]] = {}
    for contrast in candidates:
        run = contrast.run
        size = tuple(run[key] if pd.notna(run.get(key)) else 0 for key in SIZE)
        key = (run["dataset"], run["model"], depth(run), size, circumstances(run))
        by_network.setdefault(key, []).append(contrast)
    for _, all_of_it in sorted(by_network.items()):
        several = [c for c in all_of_it if c.difference.n > 1] or all_of_it
        most = max(contrast.run["trainer.epochs"] for contrast in several)
        yield from (c for c in several if c.run["trainer.epochs"] == most)


def means_and_difference(contrast: Contrast) -> str:
    """Both means, their difference with a {} for its interval, and the number of pairs."""
    difference, one, other = contrast.difference, contrast.one, contrast.other
    return f"{one:.1f} against {other:.1f}, {difference.mean:+.1f}{{}}, n = {difference.n}"


def fluct_at_its_best(results: Results, design: Design) -> Iterator[str]:
    """What fluctuation-driven weights reach against Kaiming's, as text, each arm with the step
    size and eps that suit it, in the networks of a claim that compares them.
    """
    if design.get("starts") != ["kaiming"] or design["differs"] != "init":
        return
    for arms in networks(results, *HEADLINE):
        best = {arm.init: arm for arm in arms if arm.setting == "best"}
        if not {"fluct", "kaiming"} <= best.keys():
            continue
        one, other = best["fluct"], best["kaiming"]
        least, most = design.get("layers", (1, np.inf))
        _, model, layers, *_ = one.network
        if model in design["models"] and least <= layers <= most and (d := one.difference):
            run: dict[Any, Any] = one.runs.iloc[0].to_dict()
            known = f" ({d.low:+.1f}..{d.high:+.1f})" if pd.notna(d.low) else ""
            yield (
                f"{training_of_run(run)}, {bounds_of_task(run)}: {one.reached.mean:.1f} against "
                f"{other.reached.mean:.1f}, {d.mean:+.1f}{known}, n = {d.n}: "
                f"{one.verdict or 'one pair'}"
            )


def _pairs(design: Design, runs: Runs, results: Results) -> Iterator[tuple[str, Contrast, bool]]:
    """What is compared, in words, the comparison, and whether both should be equal."""
    if design["differs"] == "spread":
        yield from _band(design["inside"], runs, results)
        return
    for start, phase in product(design["starts"], design["phases"]):
        for bounded in _bounded(runs, phase):
            arms = FLUCT | bounded, STARTS[start] | bounded
            if design["differs"] == "homeostasis":
                arms = STARTS[start] | bounded, STARTS[start] | FREE
            for contrast in longest(contrasts(runs, *arms)):
                kind = bounds_of_task(contrast.run | {"homeostasis.joint": True}) + WHEN[phase]
                what = f"{start}, {kind} against none"
                if design["differs"] == "init":
                    what = f"fluct against {start}, {kind}"
                yield what, contrast, False


def _bounded(runs: Runs, phase: str) -> Iterator[dict[str, Any]]:
    """The values of runs whose bounds are trained in a phase."""
    epochs = runs.get("homeostasis.prime_epochs", pd.Series(dtype=float)).unique()
    for number in sorted(e for e in epochs if (e > 0) == phase.startswith("prime")):
        yield {"homeostasis.joint": phase.endswith("joint"), "homeostasis.prime_epochs": number}


def _band(
    inside: list[float], runs: Runs, results: Results
) -> Iterator[tuple[str, Contrast, bool]]:
    """The best spread inside a band, chosen on validation, against the worst there and against the
    best outside, in sweeps of sigma_u and of Kaiming's gain without priming.
    """
    runs = with_spread(where(runs, UNPRIMED), results)
    if runs.empty:
        return
    keys = [*NETWORK[:-1], "homeostasis.joint", "init"]
    most = runs.groupby(keys, dropna=False)["trainer.epochs"].transform("max")
    for (*_, init), group in runs[runs["trainer.epochs"] == most].groupby(keys, dropna=False):
        means = moments(group, ["spread"], VALID).set_index("spread")["mean"]
        within = means[means.index.to_series().between(*inside)]
        beyond = means.drop(within.index)
        if within.empty or beyond.empty:
            continue
        top = within.idxmax()
        for spread, same in ((beyond.idxmax(), False), (within.idxmin(), True)):
            one, other = (group[group["spread"] == each] for each in (top, spread))
            if spread != top and (found := contrast_of(one, other, same_data=False)):
                what = f"{init} with sigma_U = {top:.2g} against {spread:.2g}"
                yield f"{what}, {bounds_of_task(found.run)}", found, same


def at_the_start(results: Results) -> pd.DataFrame:
    """By the path of a run: the largest share of `silent` neurons and the largest `rate` of its
    hidden populations before training, and the `updates` that it makes.
    """
    seen = results.probe.reindex(columns=["path", "population", "silent", "rate", "updates"])
    return seen[seen["population"] != READOUT].drop(columns="population").groupby("path").max()


def _idle(design: Design, contrast: Contrast, runs: Runs, begun: pd.DataFrame) -> str:
    """Why the intervention of a design could not act in these runs, "" where it could."""
    one, other = contrast.arms
    if "acts" not in design:
        return f"{IDLE}: both arms guess" if _guess(one) and _guess(other) else ""
    bad = other if design["differs"] == "init" else one
    if not set(design["acts"]) & _acting(bad, begun):
        return f"{IDLE}: at the start no activity is beyond a bound"
    run = bad.iloc[0]
    same = {key: run[key] for key in run.index if key in NETWORK or key.startswith("init.")}
    if not _guess(where(runs, same | FREE)):
        return f"{IDLE}: without bounds the start is not known to fail"
    return f"{IDLE}: with bounds the start guesses" if design.get("leaves") and _guess(bad) else ""


def _acting(runs: Runs, begun: pd.DataFrame) -> set[str]:
    """The bounds that act on the initial states of these runs."""
    seen, run = begun.reindex(runs["path"]).max(), runs.iloc[0]
    beyond = {"lower": seen["silent"] > 0, "upper": seen["rate"] > run["homeostasis.upper.rate"]}
    return {side for side in beyond if beyond[side] and run[f"homeostasis.{side}.strength"] > 0}


def _guess(arm: Runs) -> bool:
    """Whether these runs are on average no better than guessing."""
    chance = chance_level(arm["classes"], arm["test_samples"])
    return bool(arm[ACCURACY].mean() <= chance.mean())


def _short(contrast: Contrast, begun: pd.DataFrame) -> str:
    """How much shorter than the authors' a training was that has not settled, else ""."""
    made, asked, short = updates(contrast.arms, begun)
    return f"{SHORT}: {made:,.0f} of {asked:,} updates" if short else ""


def updates(arms: Sequence[Runs], begun: pd.DataFrame) -> tuple[float, int, bool]:
    """How many updates two arms make, how many the authors make, and whether the training is too
    short to judge by: less than theirs, and one of the arms has not settled.
    """
    model = arms[0]["model"].iloc[0]
    asked = DESIGNS["updates"].get(model, DESIGNS["updates"]["others"])
    made = min(_updates(arm, begun) for arm in arms)
    return made, asked, made < asked and not all(map(_settled, arms))


def _updates(arm: Runs, begun: pd.DataFrame) -> float:
    """How many updates these runs make in the task, 0 where nobody knows."""
    run = arm.iloc[0].fillna(0.0)
    samples = DESIGNS["samples"].get(run["dataset"])
    if cut := run.get("dataset.max_train"):  # dataset.test: of data that come in one piece
        samples = cut * (1 - run.get("dataset.valid", 0.0) / (1 - run.get("dataset.test", 0.0)))
    if samples is None:
        return float(np.nan_to_num(begun.reindex(arm["path"])["updates"].min()))
    return run["trainer.epochs"] * np.ceil(samples / run["trainer.batch_size"])


def _settled(arm: Runs) -> bool:
    """Whether these runs have left chance and were best some time before their end."""
    best = (arm["best_epoch"] / arm["epoch"]).mean()
    return not _guess(arm) and bool(best <= DESIGNS["settled"])
