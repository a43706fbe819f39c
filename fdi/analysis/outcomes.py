"""The measurements of trained networks that speak for or against a claim (fdi.analysis.claims)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fdi.analysis.circumstances import bounds, circumstances, floor, floor_of_authors
from fdi.analysis.contrasts import PERCENT, Contrast, best, contrasts, difference_of, setting
from fdi.analysis.evidence import (
    DEEP,
    FLUCT,
    FREE,
    JOINT,
    KAIMING,
    Evidence,
    at_chance,
    evidence_of,
    longest,
    numbers,
)
from fdi.analysis.published import depth, with_layers
from fdi.analysis.results import Results
from fdi.analysis.select import records, where
from fdi.analysis.spread import of_unit_gain, with_spread
from fdi.analysis.summary import ACCURACY

UNPRIMED = {"homeostasis.prime_epochs": 0}
BAND = (0.3, 1.05)  # 1/3 <= sigma_u <= 1, with room for values that were rounded
BAD = {"kaiming": KAIMING, "sigma_U = 2": FLUCT | {"init.sigma_u": 2.0}}


def better(models: tuple[str, ...], layers: Callable[[int], bool]) -> Callable:
    """Fluctuation-driven weights against Kaiming's, in networks of these models and depths."""

    def evidence(results: Results) -> Iterator[Evidence]:
        for contrast in _against_kaiming(results, models):
            if layers(depth(contrast.run)):
                yield evidence_of(contrast)

    return evidence


def one_layer(results: Results) -> Iterator[Evidence]:
    """`better` for one fully connected layer, with the gain that would make Kaiming's weights
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
    """Deep networks: do Kaiming's weights leave them at chance?"""
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
    """Networks under Dale's law, against a weak start, since the law forbids Kaiming's weights."""
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
        under=[circumstances(run) for run in records(runs, "homeostasis.", "optimizer.")],
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
    """Bounds in the loss against none, in deep networks: the rate of the last hidden layer after
    training, and the accuracy. For the claim if both rise (by the larger of the two p), against it
    if the network still guesses.
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
                text=f"{evidence.text}; accuracy {numbers(learned)}",
                decided=False if at_chance(learned, learned.one) else None,
                gain=min(evidence.gain, risen.mean),
                p=max(evidence.p, risen.p),
            )


def broadens(results: Results) -> Iterator[Evidence]:
    """Bounds in the loss against none, from bad initial states of networks of several layers.
    Against the claim if they still guess.
    """
    for name, contrast in _bounded(results):
        evidence = _with_bounds(contrast)
        chance = at_chance(contrast, contrast.one)
        yield evidence._replace(text=f"{name}, {evidence.text}", decided=False if chance else None)


def in_part(results: Results) -> Iterator[Evidence]:
    """A good initial state against the bad ones of `broadens` that the bounds improve (the interval
    lies above 0), all with bounds in the loss.
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
    """A contrast of runs with bounds against runs without."""
    run = contrast.run | {"homeostasis.joint": True}
    text = f"{setting(run)}, {bounds(run)} against none, {floor(run)}: {numbers(contrast, unit)}"
    return evidence_of(contrast)._replace(text=text, authors=floor_of_authors(run))


def _bounded(results: Results) -> Iterator[tuple[str, Contrast]]:
    for name, start in BAD.items():
        candidates = contrasts(results.runs, start | JOINT, start | FREE)
        for contrast in longest(candidates, guesses=True):
            if depth(contrast.run) > 1:
                yield name, contrast
