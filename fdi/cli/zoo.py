"""A zoo: random networks, drawn by a seed, on which initial states are compared at the optimizer's
default step size and each at its best, beside what the probe says of them before training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from hydra.core.override_parser.types import IntervalSweep, Override

from fdi.cli.cells import together
from fdi.cli.compose import parsed


class Member(NamedTuple):
    """A network of the zoo: its place, its kind, and the words that were drawn for it."""

    place: int
    kind: str
    words: tuple[str, ...]


def drawn(zoo: Mapping[str, Any], given: Sequence[str] = ()) -> list[Member]:
    """The networks of a zoo. What is `given` on the command line, as words, is not drawn, and of
    the kinds those are left that have a given model. Each network has random numbers of its own, so
    that the first ones stay whatever the number of networks. Raises ValueError for what cannot be
    drawn.
    """
    fixed = dict(word.partition("=")[::2] for word in given)
    share_of = {name: _share(name, kind) for name, kind in zoo["kinds"].items()}
    kinds = _with_model(zoo["kinds"], fixed.get("model"))
    shares = np.array([share_of.get(name, 1.0) for name in kinds])
    if not kinds or not shares.sum() > 0:
        raise ValueError("zoo.kinds: give at least one kind a share above 0")
    domains = {name: zoo["draw"] | dict(kind["draw"]) for name, kind in kinds.items()}
    members = []
    for place in range(zoo["networks"]):
        chance = np.random.default_rng([zoo["seed"], place])
        kind = str(chance.choice([*kinds], p=shares / shares.sum()))
        words = [
            word
            for key, values in sorted(domains[kind].items())
            for word in _word(key, str(values), chance)
        ]
        kept = tuple(word for word in words if word.partition("=")[0] not in fixed)
        members.append(Member(place, kind, kept))
    return members


def _with_model(kinds: Mapping[str, Any], model: str | None) -> Mapping[str, Any]:
    """The kinds that draw this model; where none does, one that is named after it."""
    if model is None:
        return kinds
    same = {name: kind for name, kind in kinds.items() if kind["draw"].get("model") == model}
    return same or {model: {"draw": {}}}


def _share(name: str, kind: Any) -> float:
    if not isinstance(kind, Mapping) or set(kind) != {"share", "draw"}:
        raise ValueError(f"zoo.kinds.{name} must have the keys share and draw")
    share = kind["share"]
    if not isinstance(share, int | float) or not 0 <= share < np.inf:
        raise ValueError(f"zoo.kinds.{name}.share = {share} must be a number of at least 0")
    return float(share)


def _word(key: str, values: str, chance: np.random.Generator) -> tuple[str, ...]:
    """One value of `values`, as words; of keys joined by +, one row."""
    if "+" in key:
        rows = together(key, values)
        return rows[chance.integers(len(rows))]
    override = parsed(f"{key}={values}")
    if not override.is_sweep_override():
        return (f"{key}={override.get_value_element_as_str()}",)
    if override.is_discrete_sweep():
        known = [*override.sweep_string_iterator()]
        return (f"{key}={known[chance.integers(len(known))]}",)
    return (f"{key}={_between(override, chance)}",)


def _between(override: Override, chance: np.random.Generator) -> str:
    """A number of the interval, of three digits; a whole one where both ends are."""
    interval: Any = override.value()
    if not isinstance(interval, IntervalSweep):
        raise ValueError(f"zoo: {override.input_line} is neither a sweep nor an interval")
    low, high = interval.start, interval.end
    assert low is not None
    assert high is not None
    whole = isinstance(low, int) and isinstance(high, int)
    if "log" in interval.tags:
        value = float(np.exp(chance.uniform(np.log(low), np.log(high + whole))))
    else:
        value = float(chance.uniform(low, high + whole))
    return str(min(int(value), high)) if whole else f"{value:.3g}"
