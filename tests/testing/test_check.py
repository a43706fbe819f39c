"""fdi.testing over all that fdi has registered, and what it says of parts that break a promise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from deletions import deletions

from fdi.engine.cpu import CpuEngine
from fdi.engine.derived import derived
from fdi.init.named import NAMES
from fdi.init.strategy import Strategy
from fdi.snn.neuron import KINDS, Neuron
from fdi.testing import check, neurons


@pytest.mark.parametrize("name", KINDS)
def test_a_neuron_keeps_the_contract(name):
    check(KINDS[name])


@pytest.mark.slow  # each is compiled
@pytest.mark.parametrize("name", KINDS)
def test_a_neuron_keeps_it_in_networks_of_the_compiled_engine(name):
    check(KINDS[name], engine=CpuEngine(threads=1))


@pytest.mark.parametrize("name", NAMES)
def test_an_initialization_keeps_the_contract(name):
    check(NAMES[name])


def test_what_is_no_part_is_refused():
    with pytest.raises(TypeError, match="takes a neuron, an initialization or an engine, not 3"):
        check(lambda: 3)


@dataclass(frozen=True)
class Deaf(Neuron):
    """Its field does nothing."""

    pull: float = 0.5


@dataclass(frozen=True)
class Torn(Neuron):
    """Its gradient is not that of what it computes."""

    pull: float = 0.5

    def step(self, u, s, current, state, c):
        return self.after(u, s, c.gain * (current + self.pull * u.detach() ** 2), c), state


@pytest.mark.parametrize(
    ("part", "problem"),
    [(Deaf, "pull = 1.0 does not change the numbers"), (Torn, "off that of finite differences")],
)
def test_a_neuron_that_breaks_it_is_told_so(part, problem):
    with pytest.raises(AssertionError, match=problem):
        check(part)


class Stuck(Strategy):
    """All weights are 1."""

    def draw(self, drawing) -> None:
        for projection in drawing.afferents:
            projection.weight.data.fill_(1.0)


def test_an_initialization_that_hears_no_seed_is_told_so():
    with pytest.raises(AssertionError, match="are the same with another seed"):
        check(Stuck)


@pytest.mark.parametrize("name", KINDS)
def test_a_derived_step_or_adjoint_without_any_term_is_found(name):
    n = KINDS[name]()
    kind: Any = type(n)
    m = neurons.moment(n)
    higher: Any = type("Higher", (kind,), {"THRESHOLD": f"{kind.THRESHOLD} + 10000"})
    silent = object.__new__(higher)
    silent.__dict__.update(vars(n))
    flat = replace(n, surrogate="superspike", beta=1e-6)  # with a slope where neurons rest
    cases = [
        ((m, raised), of, [x.numpy() for x in neurons.ahead(seen, m)] + neurons.back(seen, m))
        for of, seen, raised in ((n, n, 0.0), (flat, flat, 0.0), (n, silent, 10000.0))
    ]

    def right(code: str | None) -> bool:
        for (m, raised), of, wanted in cases:
            ahead, back = neurons.by_code(of, m, code, raised)
            for x, y in zip([*ahead, *back], wanted, strict=True):
                if not np.allclose(x, y, rtol=1e-9, atol=1e-12):
                    return False
        return True

    assert right(None)
    functions = ("advance", "retreat", "threshold")
    mutants = list(deletions(derived(kind).code, functions))
    assert len(mutants) > 3
    assert [code for code in mutants if right(code)] == []
