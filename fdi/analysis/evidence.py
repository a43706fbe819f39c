"""Evidence for or against a claim of the paper: a comparison, and what it says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fdi.analysis.circumstances import circumstances, of_authors
from fdi.analysis.contrasts import PERCENT, Contrast, setting
from fdi.analysis.published import architecture, depth
from fdi.analysis.statistics import Comparison, chance_share
from fdi.analysis.summary import ACCURACY

JOINT = {"homeostasis.joint": True, "homeostasis.prime_epochs": 0}
FREE = {"homeostasis.joint": False, "homeostasis.prime_epochs": 0}
FLUCT = {"init": "fluct", "init.sigma_u": 1.0, "init.alpha": 0.9, "init.nu": "auto"}
KAIMING = {"init._target_": "fdi.init.baselines.Kaiming", "init.gain": 1.0}
"""Of the same weights under any name: init=kaiming, and init=gain with a gain of 1."""
STATES = {"kaiming": KAIMING | {"init": "kaiming"}, "fluct": FLUCT}
DEEP = 4  # hidden layers, and more: the least that is called deep where the paper is spoken of


class NetworkName(NamedTuple):
    """A network as fdi.analysis.published names it: data set, architecture, hidden layers."""

    dataset: str
    model: str
    layers: int


class Evidence(NamedTuple):
    """One comparison, as text. `decided` is True for the claim and False against it; where it is
    None, Holm's `p` over all comparisons decides, and `gain` > 0 speaks for the claim. A `single`
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
    return chance_share([share], int(classes), int(samples)) == 1


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
    )


def network_of(run: dict[str, Any]) -> NetworkName:
    """Data set, architecture and depth of a run."""
    return NetworkName(run["dataset"], architecture(run["model"]), depth(run))


def numbers(contrast: Contrast, unit: str = "") -> str:
    """Both means, their difference with its interval, and the number of pairs."""
    difference: Comparison = contrast.difference
    interval = (
        "" if np.isnan(difference.low) else f" ({difference.low:+.1f}..{difference.high:+.1f})"
    )
    one, other = contrast.one, contrast.other
    return (
        f"{one:.1f} against {other:.1f}{unit}, {difference.mean:+.1f}{interval}, n = {difference.n}"
    )
