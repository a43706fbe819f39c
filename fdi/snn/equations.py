"""The language in which a kind of neuron is described: expressions of Python with + - * / **, exp,
min and max, and what is derived from them. Constants alone may also have cos and sin.

An expression is read into a sum of products, in the order in which it is written: `gain * (current
- a * A)` becomes gain current - (gain a) A. What holds no variable is one constant.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import chain, product
from typing import TYPE_CHECKING, Any, NamedTuple

from fdi.config import Mistake

if TYPE_CHECKING:
    from torch import Tensor

VARIABLE, CONSTANT = ("exp", "min", "max"), ("cos", "sin")


class Call(NamedTuple):
    """A function of sums: exp, min, max, or of two `above`, 1 where a > b, and `within`, 1 where
    it is not.
    """

    name: str
    arguments: tuple[Sum, ...]


class Term(NamedTuple):
    """`sign` times the product of `constants`, as text, and of the `factors`, names or calls."""

    sign: int
    constants: tuple[str, ...]
    factors: tuple[str | Call, ...]


Sum = tuple[Term, ...]
ONE: Sum = (Term(1, (), ()),)


def expand(*sums: Sum) -> Sum:
    """Each term of the first with each of the others."""
    return tuple(
        Term(
            math.prod(term.sign for term in terms),
            tuple(chain(*(term.constants for term in terms))),
            tuple(chain(*(term.factors for term in terms))),
        )
        for terms in product(*sums)
    )


@cache
def read_sum(text: str) -> ast.expr:
    """Raises Mistake for what is no expression of this language."""
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError:
        raise Mistake(f"{text!r} is not an expression") from None
    _check(tree, text)
    return tree


def _check(node: ast.expr, text: str) -> None:
    parts: list[ast.expr] = []
    match node:
        case ast.Name() | ast.Constant(value=int() | float()):
            pass
        case ast.UnaryOp(op=ast.USub(), operand=inside):
            parts = [inside]
        case ast.BinOp(op=ast.Pow(), left=left, right=ast.Constant(value=int())):
            parts = [left]
        case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div(), left=left, right=right):
            parts = [left, right]
        case ast.Call(func=ast.Name(id=name), args=parts, keywords=[]) if name in (
            *VARIABLE,
            *CONSTANT,
        ) and len(parts) == 1 + (name in ("min", "max")):
            pass
        case _:
            what = f"{ast.unparse(node)!r} in {text!r}"
            raise Mistake(f"{what} is not of + - * /, whole powers, exp, min, max, cos and sin")
    for each in parts:
        _check(each, text)


def names(text: str) -> set[str]:
    """What an expression speaks of."""
    found = {node.id for node in ast.walk(read_sum(text)) if isinstance(node, ast.Name)}
    return found - {*VARIABLE, *CONSTANT}


@cache
def terms(text: str, variables: tuple[str, ...]) -> Sum:
    """The sum that an expression is. Raises Mistake for cos and sin of variables, for powers of
    them below 1, and for a division by one.
    """
    return _sum(read_sum(text), variables)


def _sum(node: ast.expr, variables: tuple[str, ...]) -> Sum:
    held = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    match node:
        case ast.BinOp(op=ast.Mult(), left=left, right=right):
            return expand(_sum(left, variables), _sum(right, variables))
        case _ if held.isdisjoint(variables):
            return (Term(1, (ast.unparse(node),), ()),)
        case ast.Name(id=name):
            return (Term(1, (), (name,)),)
        case ast.UnaryOp(operand=inside):
            return negative(_sum(inside, variables))
        case ast.Call(func=ast.Name(id=name), args=args) if name in VARIABLE:
            return (Term(1, (), (Call(name, tuple(_sum(each, variables) for each in args)),)),)
        case ast.BinOp(op=ast.Pow(), left=left, right=ast.Constant(value=int(n))) if n > 0:
            return expand(*[_sum(left, variables)] * n)
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return _sum(left, variables) + _sum(right, variables)
        case ast.BinOp(op=ast.Sub(), left=left, right=right):
            return _sum(left, variables) + negative(_sum(right, variables))
        case ast.BinOp(op=ast.Div(), left=left, right=right) if not any(
            term.factors for term in _sum(right, variables)
        ):
            return expand(_sum(left, variables), (Term(1, (f"1 / ({ast.unparse(right)})",), ()),))
    what = "divides by a variable, or takes its cos, sin or a power that is not whole and positive"
    raise Mistake(f"in which {ast.unparse(node)!r} {what}")


def negative(terms: Sum) -> Sum:
    """Minus a sum."""
    return tuple(term._replace(sign=-term.sign) for term in terms)


def derivative(terms: Sum, by: str) -> Sum:
    """Term by term, each by the rule of products."""
    return tuple(chain(*(_of_term(term, by) for term in terms)))


def _of_term(term: Term, by: str) -> Iterator[Term]:
    for i, factor in enumerate(term.factors):
        rest = term._replace(factors=term.factors[:i] + term.factors[i + 1 :])
        yield from expand((rest,), _of_factor(factor, by))


def _of_factor(factor: str | Call, by: str) -> Sum:
    if isinstance(factor, str):
        return ONE if factor == by else ()
    inner = [derivative(each, by) for each in factor.arguments]
    if factor.name == "exp":
        return expand((Term(1, (), (factor,)),), inner[0])
    shares = [(Term(1, (), (Call(name, factor.arguments),)),) for name in ("within", "above")]
    first, second = shares if factor.name == "min" else reversed(shares)
    return expand(first, inner[0]) + expand(second, inner[1])


def variables(terms: Sum) -> set[str]:
    """Those that occur in a sum."""
    names: set[str] = set()
    for factor in chain(*(term.factors for term in terms)):
        inside = () if isinstance(factor, str) else factor.arguments
        names = names.union({factor} if isinstance(factor, str) else (), *map(variables, inside))
    return names


def evaluate(text: str, values: Mapping[str, Any]) -> Any:
    """The value of an expression, of numbers and tensors by their names. Raises Mistake where there
    is none.
    """
    try:
        return eval(_code(text), {"__builtins__": _OF_BOTH}, dict(values))
    except ArithmeticError as error:
        raise Mistake(f"neuron: {text!r} has no value ({error}); change its constants") from None


@cache
def _code(text: str) -> Any:
    return compile(ast.Expression(read_sum(text)), f"<{text}>", "eval")


def _exp(x: float | Tensor) -> float | Tensor:
    return math.exp(x) if isinstance(x, float | int) else x.exp()


def _least(a: Tensor | float, b: Tensor | float) -> Tensor | float:
    return _chosen(a, b, "clamp_max", min)


def _most(a: Tensor | float, b: Tensor | float) -> Tensor | float:
    return _chosen(a, b, "clamp_min", max)


def _chosen(a: Any, b: Any, of_tensor: str, of_numbers: Callable) -> Any:
    numbers = [isinstance(x, float | int) for x in (a, b)]
    if all(numbers):
        return of_numbers(a, b)
    return getattr(b, of_tensor)(a) if numbers[0] else getattr(a, of_tensor)(b)


_OF_BOTH = {"exp": _exp, "min": _least, "max": _most, "cos": math.cos, "sin": math.sin}
_OF_BOTH["__import__"] = __import__  # an operator of torch may import what it needs
