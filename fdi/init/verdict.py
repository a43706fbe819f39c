"""What the probe of an initial state says in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

NEAR = 1.5  # factor between target and measured spread of U that still counts as on target
STEEP = 2.0  # factor between the rates of the first and the last layer worth a sentence
QUIET = 0.9  # share of silent neurons of a layer that counts as silent
HALF = 0.5  # share of silent neurons of a layer that starves the one above
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
    if row["target_sigma_u"] and not _meets_target(row):
        return "too strong" if row["free_sigma"] > row["target_sigma_u"] else "too weak"
    return ""


def sentence(rows: Sequence[Row], init: str) -> str:
    """The state of all hidden layers in one sentence, with what to try next."""
    hidden = [row for row in rows if row["rate"] is not None]
    words = [word(row) for row in hidden]
    first, last = hidden[0]["rate"], hidden[-1]["rate"]
    if "silent" in words:
        until = words.index("silent") + 1
        met = any(_meets_target(row) and row["silent"] >= HALF for row in hidden[:until])
        which = hidden[until - 1]["population"]
        what = _try(init, met, up=True)
        return f"{which} is silent and passes only the tail of its gradient: {what}"
    if max(first, last) > STEEP * min(first, last):
        verb = "climb" if last > first else "fall"
        return (
            f"rates {verb} from {_hertz(first)} to {_hertz(last)} Hz over {len(hidden)} layers: "
            f"{_try(init, all(map(_meets_target, hidden)), up=last < first)}"
        )
    if off := [row for row in hidden if word(row)]:
        which = "the layer is" if len(hidden) == 1 else f"{len(off)} of {len(hidden)} layers are"
        if _off(off) == "too strong":  # calibrated, deep layers can fall silent as they learn
            return f"{which} too strong, as with correlated input: sweep init.sigma_u"
        what = _try(init, _meets_target(off[0]), up=word(off[0]) == "too weak")
        return f"{which} {_off(off)}: {what}"
    if hidden[0]["target_sigma_u"] is None:
        return f"init={init} has no target; no layer is silent or saturated"
    return "all layers are on target" if len(hidden) > 1 else "the layer is on target"


def _off(rows: Sequence[Row]) -> str:
    words = {word(row) for row in rows}
    return words.pop() if len(words) == 1 else "off target"


def _meets_target(row: Row) -> bool:
    target = row["target_sigma_u"]
    return bool(target) and target / NEAR <= row["free_sigma"] <= target * NEAR


def _try(init: str, met: bool, up: bool) -> str:
    """What to change: the target itself, if it is `met` or already calibrated for."""
    if not met and init != "fluct_calibrated":
        return "try init=fluct_calibrated"
    if init == "fluct_mu":  # sigma_u = (theta - mu_u) / xi
        return f"try a {'smaller' if up else 'larger'} init.xi"
    return f"try a {'larger' if up else 'smaller'} init.sigma_u"


def _hertz(rate: float) -> str:
    return f"{rate:.0f}" if rate >= 1 else f"{rate:.1g}"
