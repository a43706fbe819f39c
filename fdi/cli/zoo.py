"""Random networks that initial states are compared on, drawn by a seed from what the node `zoo` of
the configuration says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from hydra.core.override_parser.types import IntervalSweep

from fdi.cli.cells import key_of, together
from fdi.cli.compose import parsed


class Member(NamedTuple):
    """A network of the zoo: its place, its kind, and the words that were drawn for it."""

    place: int
    kind: str
    words: tuple[str, ...]


def random_networks(zoo: Mapping[str, Any], given: Sequence[str] = ()) -> list[Member]:
    """The networks of a zoo. What is `given` on the command line, as words, is not drawn, and of
    the kinds those are left that have a given model; where none has, it is one. Each network has
    random numbers of its own, so that the first ones stay whatever the number of networks. Raises
    ValueError for what cannot be drawn.
    """
    fixed = {key_of(word): word.partition("=")[2] for word in given}
    shares = {name: _share(name, kind) for name, kind in zoo["kinds"].items()}
    draws = {name: kind["draw"] for name, kind in zoo["kinds"].items()}
    if model := fixed.get("model"):
        draws = {n: d for n, d in draws.items() if d.get("model") == model} or {model: {}}
    weights = np.array([shares.get(name, 1.0) for name in draws])
    if not weights.sum() > 0:
        raise ValueError("zoo.kinds: give at least one kind a share above 0")
    members = []
    for place in range(zoo["networks"]):
        chance = np.random.default_rng([zoo["seed"], place])
        kind = str(chance.choice([*draws], p=weights / weights.sum()))
        domain = sorted((zoo["draw"] | draws[kind]).items())
        words = [word for key, values in domain for word in _one_of(key, str(values), chance)]
        kept = tuple(word for word in words if key_of(word) not in fixed)
        members.append(Member(place, kind, kept))
    return members


def _share(name: str, kind: Any) -> float:
    if not isinstance(kind, Mapping) or set(kind) != {"share", "draw"}:
        raise ValueError(f"zoo.kinds.{name} must have the keys share and draw")
    share = kind["share"]
    if not isinstance(share, int | float) or not 0 <= share < np.inf:
        raise ValueError(f"zoo.kinds.{name}.share = {share} must be a number of at least 0")
    return float(share)


def _one_of(key: str, values: str, chance: np.random.Generator) -> Sequence[str]:
    """One of `values`, as words; of keys joined by +, one row; of an interval a number of three
    digits, a whole one where both ends are.
    """
    if "+" in key:
        rows = together(key, values)
        return rows[chance.integers(len(rows))]
    override = parsed(f"{key}={values}")
    interval: Any = override.value()
    if not override.is_sweep_override():
        return [f"{key}={override.get_value_element_as_str()}"]
    if not isinstance(interval, IntervalSweep):
        known = [*override.sweep_string_iterator()]
        return [f"{key}={known[chance.integers(len(known))]}"]
    ends: Any = (interval.start, interval.end)
    whole = all(isinstance(end, int) for end in ends)
    low, high = ends[0], ends[1] + whole
    if "log" in interval.tags:
        value = float(np.exp(chance.uniform(np.log(low), np.log(high))))
    else:
        value = float(chance.uniform(low, high))
    return [f"{key}={min(int(value), ends[1]) if whole else format(value, '.3g')}"]
