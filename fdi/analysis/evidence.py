"""The measurements that speak for or against a claim of the paper (fdi.analysis.claims)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fdi.analysis.contrasts import PERCENT, Contrast, best, contrasts, setting, where
from fdi.analysis.published import architecture, depth
from fdi.analysis.results import READOUT, Results
from fdi.analysis.spread import with_spread
from fdi.analysis.statistics import Comparison, chance_share, paired
from fdi.analysis.table import ACCURACY

JOINT = {"homeostasis.joint": True, "homeostasis.prime_epochs": 0}
FREE = {"homeostasis.joint": False, "homeostasis.prime_epochs": 0}
FLUCT = {"init": "fluct", "init.sigma_u": 1.0, "init.alpha": 0.9, "init.nu": "auto"}
KAIMING = {"init": "kaiming"}
BAND = (0.3, 1.05)  # 1/3 <= sigma_u <= 1, with room for values that were rounded
SILENT = 0.1  # Hz, and less
MANY, FEW = 100, 10  # ratios: two orders of magnitude, and one
BAD = {"kaiming": KAIMING, "sigma_U = 2": FLUCT | {"init.sigma_u": 2.0}}


class Network(NamedTuple):
    """What Published calls a network: data set, architecture, hidden layers."""

    dataset: str
    model: str
    layers: int


class Evidence(NamedTuple):
    """One comparison, as text. `decided`: for the claim, against it (False), or None where Holm's
    `p` of all comparisons must say; then `gain` > 0 is for it. A `single` pair decides nothing.
    """

    text: str
    network: Network
    decided: bool | None = None
    gain: float = np.nan
    p: float = np.nan
    single: bool = False


def _longest(found: Iterator[Contrast]) -> Iterator[Contrast]:
    """Of the contrasts of a data set, its size, architecture and depth those with most epochs:
    those of several pairs, and where there are none those of a single one; none where both sides
    guess.
    """
    by_network: dict[Any, list[Contrast]] = {}
    for contrast in found:
        if not _guess(contrast):
            run = contrast.run
            cut = run.get("dataset.max_train")
            key = (run["dataset"], run["model"], depth(run), cut if pd.notna(cut) else 0)
            by_network.setdefault(key, []).append(contrast)
    for _, all_of_it in sorted(by_network.items()):
        several = [c for c in all_of_it if c.difference.n > 1] or all_of_it
        most = max(contrast.run["trainer.epochs"] for contrast in several)
        yield from (c for c in several if c.run["trainer.epochs"] == most)


def _guess(contrast: Contrast) -> bool:
    classes, samples = contrast.run["classes"], contrast.run["test_samples"]
    if contrast.quantity != ACCURACY or np.isnan([classes, samples]).any():
        return False
    shares = np.array([contrast.one, contrast.other]) / PERCENT
    return chance_share(shares, int(classes), int(samples)) == 1


def _evidence(contrast: Contrast, unit: str = "") -> Evidence:
    run = contrast.run
    numbers = _numbers(contrast.one, contrast.other, contrast.difference, unit)
    return Evidence(
        f"{setting(run)}: {numbers}",
        Network(run["dataset"], architecture(run["model"]), depth(run)),
        gain=contrast.difference.mean,
        p=contrast.difference.p,
        single=contrast.difference.n == 1,
    )


def _numbers(one: float, other: float, found: Comparison, unit: str = "") -> str:
    interval = "" if np.isnan(found.p) else f" ({found.low:+.1f}..{found.high:+.1f})"
    return f"{one:.1f} against {other:.1f}{unit}, {found.mean:+.1f}{interval}, n = {found.n}"


def better(models: tuple[str, ...], layers: Callable[[int], bool]) -> Callable:
    """Fluctuation-driven weights against Kaiming's, in these models and depths."""

    def evidence(results: Results) -> Iterator[Evidence]:
        runs = where(results.runs, JOINT)
        runs = runs[runs["model"].isin(models)]
        for contrast in _longest(contrasts(runs, FLUCT, KAIMING)):
            if layers(depth(contrast.run)):
                yield _evidence(contrast)

    return evidence


def dale(results: Results) -> Iterator[Evidence]:
    """Against the spread that Kaiming weights, which the law forbids, would cause."""
    runs = where(results.runs, JOINT)
    runs = runs[runs["model"].isin(("dale", "dale_conv"))]
    for contrast in _longest(contrasts(runs, FLUCT, FLUCT | {"init.sigma_u": 0.2})):
        yield _evidence(contrast)


def band(results: Results) -> Iterator[Evidence]:
    """The best spread within 1/3..1 against the best one outside, both chosen on validation, in
    sweeps of sigma_u and of Kaiming's gain.
    """
    runs = with_spread(where(results.runs, JOINT | {"state": "done"}), results)
    if runs.empty:
        return
    runs = runs.assign(inside=runs["spread"].between(*BAND))
    keys = ["dataset", "model", "layers", "init"]
    longest = runs.groupby(keys)["trainer.epochs"].transform("max")
    for (*_, init), group in runs[runs["trainer.epochs"] == longest].groupby(keys):
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
        difference = paired(inside, outside).within(PERCENT)
        contrast = Contrast(
            group.iloc[0].to_dict(), ACCURACY, inside.mean(), outside.mean(), difference
        )
        evidence = _evidence(contrast)
        yield evidence._replace(text=f"{init}, {evidence.text} (sigma_U = {a:.2g} and {b:.2g})")


def silence(results: Results) -> Iterator[Evidence]:
    """All but the first layer of deep networks at sigma_U = 0.2, before training."""
    probe = _probed(results, {**FLUCT, "init.sigma_u": 0.2})
    for (dataset, model, layers), rows in probe.groupby(["dataset", "model", "layers"]):
        if layers > 1:
            later = rows[rows["layer"] > 1].groupby("layer")["rate"].mean()
            yield Evidence(
                f"{dataset}, {model}, {layers} layers, sigma_U = 0.2: at most {later.max():.2g} Hz "
                f"from the second layer on, n = {rows['seed'].nunique()}",
                Network(dataset, architecture(model), layers),
                decided=bool(later.max() <= SILENT),
            )


def gradients(results: Results) -> Iterator[Evidence]:
    """How the norms of gradients before training vary with sigma_U, in hidden layers and in the
    readout: ratio of the largest mean over seeds to the smallest.
    """
    free = {key: value for key, value in FLUCT.items() if key != "init.sigma_u"}
    probe = _probed(results, free, readout=True)
    for (dataset, model, layers), rows in probe.groupby(["dataset", "model", "layers"]):
        if layers > 1 and rows["init.sigma_u"].nunique() > 2:
            means = rows.groupby(["population", "init.sigma_u"])["grad"].mean().unstack()
            ratio = means.max(axis=1) / means.min(axis=1).clip(lower=means.max().max() * 1e-6)
            hidden, readout = ratio.drop(READOUT), ratio[READOUT]
            yield Evidence(
                f"{dataset}, {model}, {layers} layers: hidden gradients vary by a factor of "
                f"{_factor(hidden.min())} to {_factor(hidden.max())}, the readout's by "
                f"{_factor(readout)}, n = {rows['seed'].nunique()}",
                Network(dataset, architecture(model), layers),
                decided=bool(hidden.min() >= MANY and readout < FEW),
            )


def _factor(ratio: float) -> str:
    return "more than 1e5" if ratio > 1e5 else f"{ratio:.2g}" if ratio < 100 else f"{ratio:.0f}"


def _probed(results: Results, values: dict[str, Any], readout: bool = False) -> pd.DataFrame:
    """The initial states of these runs, with `layers` (how many), `layer` (which) and sigma_u."""
    probe = results.probe if readout else results.layers
    runs = where(results.runs, values)
    runs = runs[["path", "init.sigma_u"]] if len(runs) else pd.DataFrame(columns=["path"])
    found = probe.merge(runs, on="path")
    found["layer"] = found["population"].str.extract(r"(\d+)$")[0].astype(float)
    found["layers"] = found.groupby("path")["layer"].transform("max")
    return found.dropna(subset="layers").astype({"layers": int}) if len(found) else found


def restores(results: Results) -> Iterator[Evidence]:
    """The rate of the last hidden layer after training, bounds in the loss against none."""
    for layers in range(2, 10):
        last = f"rate/h{layers}"
        if last not in results.runs or f"rate/h{layers + 1}" not in results.runs:
            continue
        runs = results.runs[results.runs[last].notna() & results.runs[f"rate/h{layers + 1}"].isna()]
        for contrast in _longest(contrasts(runs, KAIMING | JOINT, KAIMING | FREE, last, 1.0)):
            yield _evidence(contrast, " Hz in the last layer")


def broadens(results: Results) -> Iterator[Evidence]:
    """Accuracy from bad starts, bounds in the loss against none, in deep networks."""
    for name, contrast in _bounded(results):
        evidence = _evidence(contrast)
        yield evidence._replace(text=f"{name}, {evidence.text}")


def in_part(results: Results) -> Iterator[Evidence]:
    """Accuracy from a good start against the bad ones of `broadens`, all with bounds in the
    loss.
    """
    for name, contrast in _bounded(results):
        same = where(results.runs, {key: contrast.run[key] for key in ("dataset", "model")})
        same = same[same["trainer.epochs"] == contrast.run["trainer.epochs"]]
        for good in contrasts(same, FLUCT | JOINT, BAD[name] | JOINT):
            if depth(good.run) == depth(contrast.run):
                evidence = _evidence(good)
                yield evidence._replace(text=f"{name}, {evidence.text}")


def _bounded(results: Results) -> Iterator[tuple[str, Contrast]]:
    for name, start in BAD.items():
        for contrast in _longest(contrasts(results.runs, start | JOINT, start | FREE)):
            if depth(contrast.run) > 1:
                yield name, contrast
