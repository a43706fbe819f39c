"""Strategies by the names of `conf/init`."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from fdi.config import Mistake
from fdi.config.parts import choose, parameters, wrong
from fdi.init import baselines, fluct
from fdi.init.strategy import Strategy

NAMES: dict[str, Callable[..., Strategy]] = {
    "fluct": fluct.Fluct,
    "fluct_calibrated": fluct.FluctCalibrated,
    "fluct_lognormal": fluct.FluctLognormal,
    "fluct_mu": fluct.FluctMu,
    "fluct_rate": fluct.FluctRate,
    "gain": partial(baselines.Kaiming, gain=4.5),
    "he": partial(baselines.Kaiming, gain=math.sqrt(2)),
    "ikun": baselines.Ikun,
    "ikun_scaled": baselines.IkunScaled,
    "kaiming": baselines.Kaiming,
    "kaiming_scaled": baselines.KaimingScaled,
    "lsuv": baselines.Lsuv,
    "micheli": baselines.Micheli,
    "orthogonal": baselines.Orthogonal,
    "pytorch": baselines.PyTorch,
    "spytorch": baselines.SpyTorch,
    "xavier": baselines.Xavier,
}


def named(name: str, **options: Any) -> Strategy:
    """`init=name` with options of its own; raises Mistake for what is no such."""
    if name not in NAMES:
        raise Mistake(f"init = {name!r}: {choose(str(name), NAMES)}")
    made = NAMES[name]
    known = parameters(getattr(made, "func", made))
    for option, value in options.items():
        if option not in known:
            raise Mistake(f"init = {name} has no {option}; {choose(option, known)}")
        if not known[option].admits(value):
            raise Mistake(wrong(option, value, known[option]))
    return made(**options)
