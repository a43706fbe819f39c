"""What the probe of an initial state says in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

NEAR = 1.5  # factor between target and measured spread of U that still counts as on target
STEEP = 2.0  # factor between the rates of the first and the last layer worth a sentence
QUIET = 0.9  # share of silent neurons of a layer that counts as silent
SATURATED = 0.1  # share of saturated neurons worth a word

Row = dict[str, Any]


def word(row: Row) -> str:
    """How a population is off its target, in a word or two; nothing if it is not, or has none."""
    if row["rate"] is None:
        return ""
    if row["silent"] >= QUIET:
        return "silent"
    if row["saturated"] > SATURATED:
        return "saturated"
    if row["target_sigma_u"]:
        ratio = row["free_sigma"] / row["target_sigma_u"]
        if ratio > NEAR:
            return "too strong"
        if ratio < 1 / NEAR:
            return "too weak"
    return ""


def sentence(rows: Sequence[Row], init: str) -> str:
    """The state of all hidden layers in one sentence, with what to try next."""
    hidden = [row for row in rows if row["rate"] is not None]
    words = [word(row) for row in hidden]
    first, last = hidden[0]["rate"], hidden[-1]["rate"]
    if "silent" in words:
        which = hidden[words.index("silent")]["population"]
        return f"{which} is silent and teaches nothing below it: {_try(init, up=True)}"
    if max(first, last) > STEEP * min(first, last):
        verb = "climb" if last > first else "fall"
        return (
            f"rates {verb} from {_hertz(first)} to {_hertz(last)} Hz over {len(hidden)} layers: "
            f"{_try(init, up=last < first)}"
        )
    if off := [word for word in words if word]:
        what = _try(init, up=off[0] == "too weak")
        return f"{len(off)} of {len(hidden)} layers are off target: {what}"
    if hidden[0]["target_sigma_u"] is None:
        return f"init={init} has no target; no layer is silent or saturated"
    return "all layers are on target" if len(hidden) > 1 else "the layer is on target"


def _try(init: str, up: bool) -> str:
    if init == "fluct_calibrated":
        return f"try a {'larger' if up else 'smaller'} init.sigma_u"
    return "try init=fluct_calibrated"


def _hertz(rate: float) -> str:
    return f"{rate:.0f}" if rate >= 1 else f"{rate:.1g}"
