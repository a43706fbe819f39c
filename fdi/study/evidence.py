"""What speaks for or against a claim of the paper (fdi.study.claims): comparisons of trained
networks and of initial states, and what each says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fdi.analysis.best import networks
from fdi.analysis.collect import ACCURACY, Probe
from fdi.analysis.conditions import where
from fdi.analysis.contrasts import Contrast, best, compare, contrasts, setting
from fdi.analysis.derived import architecture, depth, with_layers
from fdi.analysis.results import READOUT, Results
from fdi.analysis.statistics import PERCENT, Comparison, chance_level
from fdi.study.circumstances import bounds, circumstances, floor, floor_of_authors, of_authors
from fdi.study.initial_states import of_unit_gain, task_gradient, with_spread

JOINT = {"homeostasis.joint": True, "homeostasis.prime_epochs": 0}
FREE = {"homeostasis.joint": False, "homeostasis.prime_epochs": 0}
FLUCT = {"init": "fluct", "init.sigma_u": 1.0, "init.alpha": 0.9, "init.nu": "auto"}
KAIMING = {"init._target_": "fdi.init.baselines.Kaiming", "init.gain": 1.0}
"""Of the same weights under any name: init=kaiming, and init=gain with a gain of 1."""
STATES = {"kaiming": KAIMING | {"init": "kaiming"}, "fluct": FLUCT}
DEEP = 4  # hidden layers, and more: the least that is called deep where the paper is spoken of


class NetworkName(NamedTuple):
    """A network as a published one is named: data set, architecture, hidden layers."""

    dataset: str
    model: str
    layers: int


class Evidence(NamedTuple):
    """One comparison, as text with a {} for the interval of each of its `differences`. `decided` is
    True for the claim and False against it; where it is None, Holm's `p` over all comparisons of
    the claim decides, and `gain` > 0 speaks for the claim. A `single`
    pair decides nothing. `authors`: whether bounds and eps are the authors'; a comparison counts
    only then.
    """

    text: str
    network: NetworkName
    decided: bool | None = None
    gain: float = np.nan
    p: float = np.nan
    single: bool = False
    authors: bool = True
    differences: tuple[Comparison, ...] = ()

    def said(self, p: float) -> str:
        """The text with the intervals that go with `p`, this one's by Holm's method."""
        wider = 1.0 if np.isnan(p) or not self.p else max(1.0, p / self.p)
        corrected = (c.corrected(min(1.0, wider * c.p)) for c in self.differences)
        intervals = (
            "" if np.isnan(c.low) else f" ({c.low:+.1f}..{c.high:+.1f})" for c in corrected
        )
        return self.text.format(*intervals)


def longest(candidates: Iterator[Contrast], guesses: bool = False) -> Iterator[Contrast]:
    """The contrasts with the most epochs for each data set, size, architecture, depth and
    circumstances: of several pairs where there are such, else of a single one. None where both
    sides guess, unless even `guesses` say something.
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
    """Whether `accuracy`, or that of the other side if none is given, is that of guessing."""
    classes, samples = contrast.run["classes"], contrast.run["test_samples"]
    if contrast.quantity != ACCURACY or np.isnan([classes, samples]).any():
        return False
    share = (contrast.other if accuracy is None else accuracy) / PERCENT
    return bool(share <= chance_level(int(classes), int(samples)))


def evidence_of(contrast: Contrast, unit: str = "") -> Evidence:
    """A contrast with its circumstances, as evidence."""
    run = contrast.run
    text = f"{setting(run)}, {circumstances(run)}: {numbers(contrast, unit)}"
    return Evidence(
        text,
        network_of(run),
        gain=contrast.difference.mean,
        p=contrast.difference.p,
        single=contrast.difference.n == 1,
        authors=of_authors(run),
        differences=(contrast.difference,),
    )


def network_of(run: dict[str, Any]) -> NetworkName:
    """Data set, architecture and depth of a run."""
    return NetworkName(run["dataset"], architecture(run["model"]), depth(run))


def numbers(contrast: Contrast, unit: str = "") -> str:
    """Both means, their difference with a {} for its interval, and the number of pairs."""
    difference: Comparison = contrast.difference
    one, other = contrast.one, contrast.other
    return f"{one:.1f} against {other:.1f}{unit}, {difference.mean:+.1f}{{}}, n = {difference.n}"


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


def each_at_its_best(results: Results, about: Callable[[str, int], bool]) -> Iterator[str]:
    """`better`, as text, each side with the step size and eps that suit it, in the networks that
    the claim is `about`, by model and hidden layers.
    """
    for sides in networks(results):
        best = {side.init: side for side in sides if side.setting == "best"}
        if not {"fluct", "kaiming"} <= best.keys():
            continue
        one, other = best["fluct"], best["kaiming"]
        if about(one.network["model"], one.network["layers"]) and (d := one.difference):
            run: dict[Any, Any] = one.runs.iloc[0].to_dict()
            known = f" ({d.low:+.1f}..{d.high:+.1f})" if pd.notna(d.low) else ""
            yield (
                f"{setting(run)}, {bounds(run)}: {one.moments['mean']:.1f} against "
                f"{other.moments['mean']:.1f}, {d.mean:+.1f}{known}, n = {d.n}: "
                f"{one.verdict or 'one pair, not counted'}"
            )


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
        under=[circumstances(run) for run in runs.to_dict("records")],
    )
    keys = ["dataset", "model", "layers", "under", "init"]
    most = runs.groupby(keys)["trainer.epochs"].transform("max")
    for (*_, init), group in runs[runs["trainer.epochs"] == most].groupby(keys):
        if group["inside"].nunique() < 2 or group["spread"].nunique() < 3:
            continue
        chosen = best(group, ["inside"], "spread")
        a, b = (chosen.loc[chosen["inside"] == side, "spread"].iloc[0] for side in (True, False))
        one, other = (chosen[chosen["inside"] == side] for side in (True, False))
        if found := compare(one, other, same_data=False):
            evidence = evidence_of(found._replace(run=group.iloc[0].to_dict()))
            text = f"{init}, {evidence.text} (sigma_U = {a:.2g} and {b:.2g})"
            yield evidence._replace(text=text)


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
                differences=(*evidence.differences, learned.difference),
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


SILENT = 0.1  # Hz, and less
MANY = 100  # ratio: two orders of magnitude
UNDER_DALE = ("dale", "dale_conv")


def silence(results: Results) -> Iterator[Evidence]:
    """All but the first layer of networks without Dale's law at sigma_U = 0.2, before training."""
    probe = _probed(results, {**FLUCT, "init.sigma_u": 0.2})
    for network, rows in _networks(probe):
        if network.layers > 1:
            later = rows[rows["layer"] > 1].groupby("layer")["rate"].mean()
            yield Evidence(
                f"{_named(rows)}, sigma_U = 0.2: at most {later.max():.2g} Hz from the second "
                f"layer on, n = {rows['seed'].nunique()}",
                network,
                decided=bool(later.max() <= SILENT),
            )


def gradients(results: Results) -> Iterator[Evidence]:
    """How the norms of gradients before training vary with sigma_U, in hidden layers and in the
    readout: ratio of the largest mean over seeds to the smallest, over those sigma_U at which the
    readout has a gradient because the last hidden layer fires. Of the task alone where that is
    known, else of the objective with its bounds.
    """
    free = {key: value for key, value in FLUCT.items() if key != "init.sigma_u"}
    probe = _probed(results, free, readout=True)
    if probe.empty:
        return
    for network, rows in _networks(probe):
        kinds = {"of the task": (rows.dropna(subset="task"), "task")}
        if not _measured(*kinds["of the task"]):
            kinds = {f"with {name}": (group, "grad") for name, group in rows.groupby("bounds")}
        for what, (chosen, column) in kinds.items():
            if network.layers == 1 or not _measured(chosen, column):
                continue
            means = _means(chosen, column)
            ratio = means.max(axis=1) / means.min(axis=1)
            hidden, readout = ratio.drop(READOUT), ratio[READOUT]
            swept = chosen[chosen["init.sigma_u"].isin(means)].groupby("init.sigma_u")
            yield Evidence(
                f"{_named(rows)}, sigma_U {means.columns.min():g} to "
                f"{means.columns.max():g}, gradients {what}: hidden ones vary by a factor of "
                f"{_factor(hidden.min())} to {_factor(hidden.max())}, the readout's by "
                f"{_factor(readout)}, n = {swept['seed'].nunique().min()} or more",
                network,
                decided=bool(hidden.min() >= MANY and readout < MANY),
            )


def _measured(rows: pd.DataFrame, column: str) -> bool:
    """Are there three values of sigma_u at which the readout has a gradient?"""
    return len(rows) > 0 and _means(rows, column).shape[1] > 2


def _networks(probe: Probe) -> Iterator[tuple[NetworkName, pd.DataFrame]]:
    for _, rows in probe.groupby(["dataset", "model", "layers"]):
        first = rows.iloc[0]
        yield NetworkName(first["dataset"], architecture(first["model"]), first["layers"]), rows


def _named(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    return f"{first['dataset']}, {first['model']}, {first['layers']} layers"


def _means(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Mean over seeds of each population (a row) at each sigma_U of several seeds where the readout
    has some.
    """
    rows = rows[rows.groupby("init.sigma_u")["seed"].transform("nunique") > 1]
    means = rows.groupby(["population", "init.sigma_u"])[column].mean().unstack()
    return means.loc[:, means.loc[READOUT] > 0] if len(means) else means


def _factor(ratio: float) -> str:
    if ratio > 1e5:
        return "more than 1e5"
    return f"{ratio:.2g}" if ratio < 100 else f"{ratio:.0f}"


def _probed(results: Results, values: dict[str, Any], readout: bool = False) -> pd.DataFrame:
    """The initial states of these runs, with `layers` (how many), `layer` (which), sigma_u, bounds
    and the gradient of the `task`.
    """
    probe = results.probe.assign(task=task_gradient(results))
    if not readout:
        probe = probe[probe["population"] != READOUT]
    runs = where(results.runs, values)
    runs = runs[~runs["model"].isin(UNDER_DALE)]
    runs = runs.assign(bounds=[bounds(run) for run in runs.to_dict("records")])
    kept = ["path", "init.sigma_u", "bounds"]
    rows = probe.merge(runs[kept] if len(runs) else pd.DataFrame(columns=["path"]), on="path")
    rows["layer"] = rows["population"].str.extract(r"(\d+)$")[0].astype(float)
    rows["layers"] = rows.groupby("path")["layer"].transform("max")
    return rows.dropna(subset="layers").astype({"layers": int}) if len(rows) else rows
