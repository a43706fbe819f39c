"""Each kind's description beside its published equations, which stand here once more, and what is
said of descriptions that cannot be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
import sympy
import torch
from deletions import deletions
from published import DT, PUBLISHED

from fdi.config import Mistake
from fdi.engine.derived import derived
from fdi.snn.equations import Call, Sum, derivative, evaluate, read_sum, terms
from fdi.snn.neuron import KINDS, Neuron
from fdi.testing.neurons import Moment, moment, resets, results_of_step


def published(n: Neuron, m: Moment) -> list[np.ndarray]:
    """S, U and the state of a step."""
    u, i, state, gain = m.u.numpy(), m.current.numpy(), m.state.numpy(), -np.expm1(-DT / n.tau_mem)
    of = next(PUBLISHED[base] for base in type(n).__mro__ if base in PUBLISHED)
    threshold = of(n, gain, u, i, 0 * u, *state)[0]
    able = state[-1] <= 0 if hasattr(n, "t_ref") else True
    s = ((u > threshold) & able) * 1.0
    _, leak, drive, *behind = of(n, gain, u, i, s, *state)
    if n.reset == "subtract":
        return [s, leak * (u - n.theta * s) + drive, *behind]
    return [s, np.where(s > 0, getattr(n, "u_reset", 0.0), leak * u + drive), *behind]


def same(n: Neuron, m: Moment) -> bool:
    wanted = published(n, m)
    found = results_of_step(n, m)
    return all(
        np.allclose(np.asarray(x), y, 1e-9, 1e-12) for x, y in zip(found, wanted, strict=True)
    )


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_follows_its_published_equations(name):
    n = KINDS[name]()
    for reset in {*resets(n)} - {"at_once"}:
        n = replace(n, **dict[str, Any](reset=reset))
        assert same(n, moment(n)), reset


def described(kind: type[Neuron]) -> Iterator[tuple[str, str | None, str]]:
    """(attribute, variable, text) of each expression."""
    for name in ("LEAK", "DRIVE", "THRESHOLD"):
        yield name, None, getattr(kind, name)
    for variable, text in kind.STATE.items():
        yield "STATE", variable, text


@pytest.mark.parametrize("name", KINDS)
def test_a_description_without_any_term_is_found(name):
    n = KINDS[name]()
    kind, m, tried, missed = type(n), moment(n), 0, []
    for attribute, variable, text in described(kind):
        for mutant in deletions(text):
            given: Any = {**kind.STATE} | {variable: mutant} if variable else mutant
            changed: Any = object.__new__(type("Mutant", (kind,), {attribute: given}))
            changed.__dict__.update(vars(n))
            tried += 1
            if same(changed, m):
                missed.append(mutant)
    assert tried > 1
    assert missed == []


def symbolic(of: Sum) -> Any:
    """For sympy."""

    def factor(each: str | Call) -> Any:
        if isinstance(each, str):
            return sympy.Symbol(each)
        a, *b = map(symbolic, each.arguments)
        cut = {"min": sympy.Min, "max": sympy.Max}
        if each.name in ("above", "within"):
            above = sympy.Heaviside(a - b[0])
            return above if each.name == "above" else 1 - above
        return sympy.exp(a) if each.name == "exp" else cut[each.name](a, *b)

    names = {"gain": sympy.Symbol("gain")}
    return sum(
        each.sign
        * sympy.prod([sympy.sympify(text, names) for text in each.constants])
        * sympy.prod(map(factor, each.factors))
        for each in of
    )


@pytest.mark.parametrize("name", KINDS)
def test_derivatives_are_those_of_sympy(name):
    kind = type(KINDS[name]())
    known = ("u", "s", "current", *kind.STATE)
    rng = np.random.default_rng(0)
    for text in (kind.DRIVE, kind.THRESHOLD, *kind.STATE.values()):
        read = terms(text, known)
        for by in known:
            off = symbolic(derivative(read, by)) - sympy.diff(symbolic(read), sympy.Symbol(by))
            values = {symbol: rng.uniform(0.5, 1.5) for symbol in sorted(off.free_symbols, key=str)}
            assert abs(sympy.sympify(off).subs(values).evalf()) < 1e-12, (text, by)


def kind(drive: str = "gain * current", state: Mapping[str, str] = {}, **more: str) -> Any:
    @dataclass(frozen=True)
    class Own(Neuron):
        DRIVE = drive
        STATE: ClassVar[Any] = state
        pull: float = 0.5

    for name, text in more.items():
        setattr(Own, name, text)
    return Own


@pytest.mark.parametrize(
    ("drive", "problem"),
    [
        ("gain * (current +", "DRIVE: 'gain . .current .' is not an expression"),
        ("gain * current + pul * u", "speaks of pul, which is unknown; did you mean pull"),
        ("gain * current + tau_mem", "speaks of tau_mem, which is unknown"),
        ("gain * current + u.sin()", "is not of . - . /, whole powers, exp, min, max, cos and sin"),
        ("gain * current + u if s else 0", "is not of . - . /"),
        ("gain * current + u**pull", "is not of . - . /"),
        ("gain * current + tanh(u)", r"'tanh\(u\)' in .* is not of . - . /"),
    ],
)
def test_a_description_that_cannot_be_read_is_refused(drive, problem):
    with pytest.raises(Mistake, match=problem):
        kind(drive)()


def test_a_variable_is_called_as_nothing_else_is():
    with pytest.raises(Mistake, match="neuron Own: STATE has pull, the name of something else"):
        kind(state={"pull": "s"})()


@pytest.mark.parametrize(
    ("own", "problem"),
    [
        (kind("current"), "whose DRIVE is not gain . .current . what is not of the current."),
        (kind("gain * current * u"), "whose DRIVE is not gain"),
        (kind("gain * (current + 1 / u)"), "in which '1 / u' divides by a variable"),
        (kind("gain * (current + cos(u))"), "in which 'cos.u.' divides by a variable, or takes"),
        (kind(THRESHOLD="2 * theta"), "whose THRESHOLD is not theta"),
    ],
)
def test_what_cannot_be_derived_is_said(own, problem):
    with pytest.raises(Mistake, match=problem):
        derived(own)


def test_numbers_and_tensors_have_one_least_and_one_most():
    x = torch.tensor([-1.0, 0.2, 3.0])
    for text, wanted in (("min(u, 1)", [-1, 0.2, 1]), ("max(0, u)", [0, 0.2, 3])):
        assert evaluate(text, {"u": x}).tolist() == pytest.approx(wanted)
        assert [evaluate(text, {"u": each}) for each in x.tolist()] == pytest.approx(wanted)
    assert read_sum("min(u, 1)") is read_sum("min(u, 1)")


def test_a_constant_that_leaves_no_value_is_said():
    with pytest.raises(Mistake, match=r"'exp\(-dt / tau\)' has no value \(float division by zero"):
        evaluate("exp(-dt / tau)", {"dt": 2e-3, "tau": 0.0})
