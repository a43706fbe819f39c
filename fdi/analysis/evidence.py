"""The measurements that speak for or against a claim of the paper (fdi.analysis.claims)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fdi.analysis.circumstances import bounds, circumstances, floor, floor_of_authors, of_authors
from fdi.analysis.contrasts import PERCENT, Contrast, best, contrasts, difference_of, setting
from fdi.analysis.published import architecture, depth, with_layers
from fdi.analysis.results import Results
from fdi.analysis.select import where
from fdi.analysis.spread import of_unit_gain, with_spread
from fdi.analysis.statistics import Comparison, chance_share
from fdi.analysis.table import ACCURACY

JOINT = {"homeostasis.joint": True, "homeostasis.prime_epochs": 0}
FREE = {"homeostasis.joint": False, "homeostasis.prime_epochs": 0}
UNPRIMED = {"homeostasis.prime_epochs": 0}
FLUCT = {"init": "fluct", "init.sigma_u": 1.0, "init.alpha": 0.9, "init.nu": "auto"}
KAIMING = {"init._target_": "fdi.init.baselines.Kaiming", "init.gain": 1.0}
"""Of the same weights under any name: init=kaiming, and init=gain with a gain of 1."""
BAND = (0.3, 1.05)  # 1/3 <= sigma_u <= 1, with room for values that were rounded
DEEP = 4  # hidden layers, and more: the least that is called deep where the paper is spoken of
BAD = {"kaiming": KAIMING, "sigma_U = 2": FLUCT | {"init.sigma_u": 2.0}}


class NetworkName(NamedTuple):
    """What Published calls a network: data set, architecture, hidden layers."""

    dataset: str
    model: str
    layers: int


class Evidence(NamedTuple):
    """One comparison, as text. `decided`: for the claim, against it (False), or None where Holm's
    `p` of all comparisons must say; then `gain` > 0 is for it. A `single` pair decides nothing.
    `authors`: were its bounds and its eps theirs? Only then it counts.
    """

    text: str
    network: NetworkName
    decided: bool | None = None
    gain: float = np.nan
    p: float = np.nan
    single: bool = False
    authors: bool = True


def longest(candidates: Iterator[Contrast], guesses: bool = False) -> Iterator[Contrast]:
    """Of the contrasts of a data set, its size, architecture, depth and circumstances those with
    most epochs: those of several pairs, and where there are none those of a single one; none where
    both sides guess, unless these `guesses` say something.
    """
    by_network: dict[Any, list[Contrast]] = {}
    for contrast in candidates:
        if guesses or not (at_chance(contrast, contrast.one) and at_chance(contrast)):
            run = contrast.run
            cut = run.get("dataset.max_train")
            size = cut if pd.notna(cut) else 0
            key = (run["dataset"], run["model"], depth(run), size, circumstances(run))
            by_network.setdefault(key, []).append(contrast)
    for _, all_of_it in sorted(by_network.items()):
        several = [c for c in all_of_it if c.difference.n > 1] or all_of_it
        most = max(contrast.run["trainer.epochs"] for contrast in several)
        yield from (c for c in several if c.run["trainer.epochs"] == most)


def at_chance(contrast: Contrast, accuracy: float | None = None) -> bool:
    """Is the `accuracy` of this side, of the other one if none is given, that of guessing?"""
    classes, samples = contrast.run["classes"], contrast.run["test_samples"]
    if contrast.quantity != ACCURACY or np.isnan([classes, samples]).any():
        return False
    share = (contrast.other if accuracy is None else accuracy) / PERCENT
    return chance_share([share], int(classes), int(samples)) == 1


def evidence_of(contrast: Contrast, unit: str = "") -> Evidence:
    """A contrast under its circumstances."""
    run = contrast.run
    text = f"{setting(run)}, {circumstances(run)}: {_numbers(contrast, unit)}"
    return Evidence(
        text,
        network_of(run),
        gain=contrast.difference.mean,
        p=contrast.difference.p,
        single=contrast.difference.n == 1,
        authors=of_authors(run),
    )


def network_of(run: dict[str, Any]) -> NetworkName:
    """Data set, architecture and depth of a run."""
    return NetworkName(run["dataset"], architecture(run["model"]), depth(run))


def _numbers(contrast: Contrast, unit: str = "") -> str:
    difference: Comparison = contrast.difference
    interval = (
        "" if np.isnan(difference.low) else f" ({difference.low:+.1f}..{difference.high:+.1f})"
    )
    one, other = contrast.one, contrast.other
    return (
        f"{one:.1f} against {other:.1f}{unit}, {difference.mean:+.1f}{interval}, n = {difference.n}"
    )


def better(models: tuple[str, ...], layers: Callable[[int], bool]) -> Callable:
    """Fluctuation-driven weights against Kaiming's, in these models and depths; of one layer with
    the gain that makes the one the other.
    """

    def evidence(results: Results) -> Iterator[Evidence]:
        for contrast in _against_kaiming(results, models):
            if layers(depth(contrast.run)):
                yield evidence_of(contrast)

    return evidence


def one_layer(results: Results) -> Iterator[Evidence]:
    """`better` for one fully connected layer, with the gain that makes Kaiming's weights
    fluctuation-driven.
    """
    kaiming = with_layers(where(results.runs, KAIMING))
    units = of_unit_gain(kaiming, results)
    for contrast in _against_kaiming(results, ("dense",)):
        if depth(contrast.run) == 1:
            unit = units.get((contrast.run["dataset"], contrast.run["model"], 1))
            gain = f" (sigma_U = 1 is a gain of {1 / unit:.2g})" if unit else ""
            evidence = evidence_of(contrast)
            yield evidence._replace(text=f"{evidence.text}{gain}")


def left_at_chance(results: Results) -> Iterator[Evidence]:
    """Deep networks that Kaiming's weights leave at chance, and fluctuation-driven ones do not."""
    models = ("dense", "conv", "conv_deep", "conv_recurrent_deep")
    for contrast in _against_kaiming(results, models):
        if depth(contrast.run) >= DEEP:
            chance = at_chance(contrast)
            word = "Kaiming at chance" if chance else "Kaiming not at chance"
            evidence = evidence_of(contrast)
            yield evidence._replace(text=f"{evidence.text}, {word}", decided=chance)


def _against_kaiming(results: Results, models: tuple[str, ...]) -> Iterator[Contrast]:
    runs = where(results.runs, UNPRIMED)
    return longest(contrasts(runs[runs["model"].isin(models)], FLUCT, KAIMING))


def dale(results: Results) -> Iterator[Evidence]:
    """Against a weak start, since the law forbids Kaiming's weights."""
    runs = where(results.runs, UNPRIMED | {"model": "dale"})
    for contrast in longest(contrasts(runs, FLUCT, FLUCT | {"init.sigma_u": 0.2})):
        yield evidence_of(contrast)


def band(results: Results) -> Iterator[Evidence]:
    """The best spread within 1/3..1 against the best one outside, both chosen on validation, in
    sweeps of sigma_u and of Kaiming's gain.
    """
    runs = with_spread(where(results.runs, UNPRIMED | {"state": "done"}), results)
    if runs.empty:
        return
    runs = runs.assign(
        inside=runs["spread"].between(*BAND),
        under=[circumstances(run) for run in runs.to_dict("records")],
    )
    keys = ["dataset", "model", "layers", "under", "init"]
    most = runs.groupby(keys)["trainer.epochs"].transform("max")
    for (*_, init), group in runs[runs["trainer.epochs"] == most].groupby(keys):
        if group["inside"].nunique() < 2 or group["spread"].nunique() < 3:
            continue
        chosen = best(group, ["inside"], "spread")
        a, b = (chosen.loc[chosen["inside"] == side, "spread"].iloc[0] for side in (True, False))
        inside, outside = (
            chosen[chosen["inside"] == side].groupby("seed")[ACCURACY].mean() * PERCENT
            for side in (True, False)
        )
        seeds = inside.index.intersection(outside.index)
        inside, outside = inside[seeds], outside[seeds]
        run = group.iloc[0].to_dict()
        difference = difference_of(inside, outside, run["test_samples"])
        evidence = evidence_of(Contrast(run, ACCURACY, inside.mean(), outside.mean(), difference))
        yield evidence._replace(text=f"{init}, {evidence.text} (sigma_U = {a:.2g} and {b:.2g})")


def restores(results: Results) -> Iterator[Evidence]:
    """In deep networks the rate of the last hidden layer after training and the accuracy, bounds in
    the loss against none: for the claim if both rise (the larger p of the two), against it if the
    network goes on guessing.
    """
    for layers in range(DEEP, 20):
        last = f"rate/h{layers}"
        if last not in results.runs:
            continue
        runs = with_layers(results.runs[results.runs[last].notna()])
        sides = where(runs, {"layers": layers}), KAIMING | JOINT, KAIMING | FREE
        accuracy = {contrast.run["path"]: contrast for contrast in contrasts(*sides)}
        for rate in longest(contrasts(*sides, last, 1.0)):
            learned = accuracy[rate.run["path"]]
            evidence = _with_bounds(rate, " Hz in the last layer")
            risen = learned.difference
            yield evidence._replace(
                text=f"{evidence.text}; accuracy {_numbers(learned)}",
                decided=False if at_chance(learned, learned.one) else None,
                gain=min(evidence.gain, risen.mean),
                p=max(evidence.p, risen.p),
            )


def broadens(results: Results) -> Iterator[Evidence]:
    """Accuracy from bad starts, bounds in the loss against none, in networks of several layers;
    against the claim if they go on guessing.
    """
    for name, contrast in _bounded(results):
        evidence = _with_bounds(contrast)
        chance = at_chance(contrast, contrast.one)
        yield evidence._replace(text=f"{name}, {evidence.text}", decided=False if chance else None)


def in_part(results: Results) -> Iterator[Evidence]:
    """Accuracy from a good start against those bad ones of `broadens` that the bounds raise (the
    interval lies above 0), all with bounds in the loss.
    """
    for name, contrast in _bounded(results):
        if not contrast.difference.low > 0:
            continue
        same = where(results.runs, {key: contrast.run[key] for key in ("dataset", "model")})
        same = same[same["trainer.epochs"] == contrast.run["trainer.epochs"]]
        for good in contrasts(same, FLUCT | JOINT, BAD[name] | JOINT):
            if depth(good.run) == depth(contrast.run):
                evidence = evidence_of(good)
                yield evidence._replace(text=f"{name}, {evidence.text}")


def _with_bounds(contrast: Contrast, unit: str = "") -> Evidence:
    """Of runs with bounds against those without."""
    run = contrast.run | {"homeostasis.joint": True}
    text = f"{setting(run)}, {bounds(run)} against none, {floor(run)}: {_numbers(contrast, unit)}"
    return evidence_of(contrast)._replace(text=text, authors=floor_of_authors(run))


def _bounded(results: Results) -> Iterator[tuple[str, Contrast]]:
    for name, start in BAD.items():
        candidates = contrasts(results.runs, start | JOINT, start | FREE)
        for contrast in longest(candidates, guesses=True):
            if depth(contrast.run) > 1:
                yield name, contrast
