"""From the description of a kind of neuron its step and the adjoint of that, for kernels.

gx[t] = sum_y gy[t + 1] dy/dx + gV[t] dV/dx   for each variable x, V = U - threshold and
gV[t] = (gS[t] + sum_y gy[t + 1] dy/dS) dS/dV, 0 where a neuron rests

Sums are added from their end: a + (b + c); what comes from the variable itself is first, gV last.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

from fdi.config import Mistake
from fdi.snn.equations import (
    Call,
    Sum,
    Term,
    derivative,
    evaluate,
    expand,
    names,
    negative,
    terms,
    variables,
)
from fdi.snn.neuron import Neuron, check_description, refractory

NEVER = 1_000_000
"""Above any potential."""


class Derived(NamedTuple):
    """The `code` of functions of kernels, what the `constants` c0, c1 ... in it are, and how many
    variables of the state are `remembered` for the way back; `learns`: whether tau_mem does nothing
    but what `neuron_equations.learn` knows.
    """

    code: str
    constants: tuple[str, ...]
    remembered: int
    learns: bool


class Code(str):
    """A factor that is in the code as it is."""


class _Writer:
    """Sums as the code of kernels, and the constants that it names."""

    def __init__(self) -> None:
        self.constants: list[str] = []

    def sum(self, terms: Iterable[Term]) -> str:
        *before, last = [(each.sign, self._product(each)) for each in terms] or [(1, "like(u, 0)")]
        sign, code = last
        for own, first in reversed(before):
            code = _grouped(code)
            if own < 0 < sign:
                own, code = 1, f"{code} - {first}"
            else:
                code = f"{first} {'+' if own == sign else '-'} {code}"
            sign = own
        return code if sign > 0 else f"like(u, 0) - {_grouped(code)}"

    def _product(self, term: Term) -> str:
        factors = [self._factor(each) for each in term.factors if each != "s"]
        text = " * ".join([*self.constant(term.constants), *factors]) or "like(u, 1)"
        return f"select(fired, {text}, like(u, 0))" if "s" in term.factors else text

    def constant(self, factors: tuple[str, ...]) -> list[str]:
        text = " * ".join(each if each.isidentifier() else f"({each})" for each in factors)
        if text and text not in self.constants:
            self.constants.append(text)
        return [f"n.c{self.constants.index(text)}"] if text else []

    def _factor(self, factor: str | Call) -> str:
        if isinstance(factor, Code) or factor in ("u", "current"):
            return str(factor)
        if isinstance(factor, str):
            return f"x_{factor}"
        a, *others = (_grouped(self.sum(each)) for each in factor.arguments)
        if factor.name == "exp":
            return f"exp({a})"
        (b,) = others
        chosen = {"min": (b, a), "max": (a, b)}
        chosen |= {"above": ("like(u, 1)", "like(u, 0)"), "within": ("like(u, 0)", "like(u, 1)")}
        return f"select({a} > {b}, {', '.join(chosen[factor.name])})"


def _grouped(code: str) -> str:
    """In brackets if it is a sum, which only `select` and brackets hold inside."""
    depth = 0
    for i, each in enumerate(code):
        depth += (each == "(") - (each == ")")
        if not depth and code[i : i + 3] in (" + ", " - "):
            return f"({code})"
    return code


def _tuple(parts: Iterable[str]) -> str:
    return "(" + "".join(f"{part}, " for part in parts) + ")"


@cache
def derived(kind: Any) -> Derived:
    """Raises Mistake, the rest of a sentence about neurons, where nothing can be derived."""
    for name in ("step", "fires", "spike", "after", "decays"):
        if getattr(kind, name) is not getattr(Neuron, name):
            raise Mistake(f"with a `{name}` of their own in place of a description")
    check_description(kind)
    known = ("u", "s", "current", *kind.STATE)
    state = {name: terms(text, known) for name, text in kind.STATE.items()}
    drive, threshold = terms(kind.DRIVE, known), terms(kind.THRESHOLD, known)
    heard, alone = Term(1, ("gain",), ("current",)), Term(1, ("theta",), ())
    rest = [each for each in drive if each != heard]
    if len(rest) != len(drive) - 1 or "current" in variables((*rest, *chain(*state.values()))):
        raise Mistake("whose DRIVE is not gain * (current + what is not of the current)")
    if threshold.count(alone) != 1 or any(e != alone and not e.factors for e in threshold):
        raise Mistake("whose THRESHOLD is not theta + a sum of variables")
    arrived = Term(1, (), ("current",))  # with its gain
    of_u = (Term(1, (kind.LEAK,), ("u",)), *(arrived if e == heard else e for e in drive))
    code, constants, remembered = _code(kind, {"u": of_u, **state}, threshold)
    return Derived(code, tuple(constants), remembered, _learns(kind, drive))


def _learns(kind: Any, drive: Sum) -> bool:
    """Whether U[t + 1] is beta_m U[t] + (1 - beta_m) (what does not depend on beta_m)."""
    once = all(each.constants.count("gain") == 1 for each in drive)
    others = [text for each in drive for text in each.constants if text != "gain"]
    said = set().union(*map(names, [*others, kind.THRESHOLD, *kind.STATE.values()]))
    return once and kind.LEAK == "beta_m" and said.isdisjoint({"gain", "beta_m"})


def _code(kind: Any, maps: dict[str, Sum], threshold: Sum) -> tuple[str, list[str], int]:
    """The code, its constants, and how many variables of the state it remembers."""
    write, rests, state = _Writer(), refractory(kind), [*maps][1:]
    partial = {x: {y: derivative(update, x) for y, update in maps.items()} for x in (*maps, "s")}
    seen = variables((*threshold, *chain(*(d for row in partial.values() for d in row.values()))))
    remembered = [f"x_{x}" for x in state if x in seen] + ["x_rest"] * rests
    back = {"u": Code("gd")} | {x: Code(f"g_{x}") for x in state}

    def pulled(x: str) -> list[Term]:
        order = sorted(maps, key=lambda y: y != x)
        return [e for y in order for e in expand((Term(1, (), (back[y],)),), partial[x][y])]

    gs = write.sum([Term(1, (), (Code("gs"),)), *pulled("s")])
    of_u = pulled("u")
    pull = Term(1, (), (Code("pull"),))
    through, mask = f"through_slope(slope, {gs})", "select(x_rest > like(u, 0), like(u, 0), {})"
    gu = write.sum([*of_u, pull])
    if not seen & {*state} and len(of_u) == 1 and of_u[0].factors == (back["u"],) and not rests:
        gu = f"with_slope(slope, {gs}, {write.constant(of_u[0].constants)[0]}, gd)"
    g_state = [
        write.sum([*pulled(x), *expand(negative(derivative(threshold, x)), (pull,))]) for x in state
    ]
    ahead = [write.sum(maps[x]) for x in state]
    level = write.sum(Term(1, (), (Code("theta"),)) if not e.factors else e for e in threshold)
    if rests:
        fewer = "select(x_rest > like(u, 0), x_rest - like(u, 1), like(u, 0))"
        ahead.append(f"select(fired, {write.constant(('rest',))[0]}, {fewer})")
        level = f"select(x_rest > like(theta, 0), like(theta, NEVER), {level})"
        g_state.append("g_rest")
        through = mask.format(through)
    states = [f"x_{x}" for x in state] + ["x_rest"] * rests
    gradients = [f"g_{x}" for x in state] + ["g_rest"] * rests
    code = f"""
def rest(n, zero):
    return {_tuple(["zero"] * len(states))}

def threshold(n, theta, state):
    {_unpacked(remembered, "state")}
    return {level}

def remember(n, state):
    {_unpacked(states, "state")}
    return {_tuple(remembered)}

def advance(n, u, fired, current, state):
    {_unpacked(states, "state")}
    return {write.sum(maps["u"])}, {_tuple(ahead)}

def retreat(n, u, fired, gd, gs, slope, state, past):
    {_unpacked(gradients, "state")}
    {_unpacked(remembered, "past")}
    {f"pull = {through}" if "pull" in gu else ""}
    return {gu}, {_tuple(g_state)}
"""
    return code, write.constants, len(remembered)


def _unpacked(parts: list[str], value: str) -> str:
    return f"{_tuple(parts)} = {value}" if parts else ""


def constants_of(n: Neuron, dt: float) -> list[float]:
    """The constants in the code of this neuron."""
    kind: Any = type(n)
    beta_m, _ = n.decays(dt)
    values = vars(n) | dict(dt=dt, beta_m=beta_m, gain=1 - beta_m, rest=float(n.rest(dt)))
    return [float(evaluate(text, values)) for text in derived(kind).constants]
