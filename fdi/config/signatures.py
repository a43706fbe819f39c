"""What the functions and dataclasses of a configuration take, by their type hints."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints


class Alternative(NamedTuple):
    """One of the things that a value may be, in words and as a test."""

    words: str
    admits: Callable[[Any], bool]


SIMPLE: dict[Any, Alternative] = {
    int: Alternative(
        "an integer", lambda value: isinstance(value, int) and not isinstance(value, bool)
    ),
    float: Alternative(
        "a number", lambda value: isinstance(value, int | float) and not isinstance(value, bool)
    ),
    bool: Alternative("true or false", lambda value: isinstance(value, bool)),
    str: Alternative("text", lambda value: isinstance(value, str)),
    types.NoneType: Alternative("null", lambda value: value is None),
}
ANYTHING = Alternative("anything", lambda value: True)


def parameters(made: Callable[..., Any]) -> dict[str, list[Alternative]]:
    """Optional arguments of a function, a dataclass or a TypedDict, and what they may be.

    Where there are keyword-only arguments these are the options, else those with a default; the
    others come from elsewhere.
    """
    if isinstance(made, type):
        hints = get_type_hints(made, include_extras=True)
        names = [field.name for field in fields(made)] if is_dataclass(made) else hints
        return {name: alternatives(hints[name]) for name in names}
    accepted = inspect.signature(made).parameters.values()
    options = [p for p in accepted if p.kind is p.KEYWORD_ONLY]
    options = options or [p for p in accepted if p.default is not p.empty]
    of_options = types.SimpleNamespace(__annotations__={p.name: p.annotation for p in options})
    hints = get_type_hints(of_options, vars(sys.modules[made.__module__]), include_extras=True)
    return {name: alternatives(hint) for name, hint in hints.items()}


def alternatives(hint: Any) -> list[Alternative]:
    """The alternatives of a type hint: unions, literals, sequences, mappings and what has limits,
    see fdi.config.ranges; anything else admits all.
    """
    if hint in SIMPLE:
        return [SIMPLE[hint]]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return [_within(SIMPLE[arguments[0]], arguments[1])]
    if origin in (Union, types.UnionType):
        return [one for argument in arguments for one in alternatives(argument)]
    if origin is Literal:
        return [_word(argument) for argument in arguments]
    if origin in (tuple, list, Sequence):
        length = len(arguments) if origin is tuple and arguments[-1] is not Ellipsis else None
        return [_sequence(alternatives(arguments[0]), length)]
    if origin in (dict, Mapping):
        return [_mapping(alternatives(arguments[1]))]
    return [ANYTHING]


def _within(kind: Alternative, limits: Any) -> Alternative:
    return Alternative(
        f"{kind.words} {limits}", lambda value: kind.admits(value) and value in limits
    )


def _word(word: Any) -> Alternative:
    if not isinstance(word, str | int):  # a member of an enumeration
        return ANYTHING
    return Alternative(str(word), lambda value: value == word and type(value) is type(word))


def _sequence(element: list[Alternative], length: int | None = None) -> Alternative:
    words = " or ".join(kind.words for kind in element)
    return Alternative(
        f"a list{'' if length is None else f' of {length}'}, each {words}",
        lambda value: (
            isinstance(value, list | tuple)
            and (len(value) == length if length else bool(value) or element == [SIMPLE[str]])
            and all(any(kind.admits(item) for kind in element) for item in value)
        ),
    )


def _mapping(element: list[Alternative]) -> Alternative:
    words = " or ".join(kind.words for kind in element)
    return Alternative(
        f"key: value pairs, each {words}",
        lambda value: (
            isinstance(value, Mapping)
            and all(any(kind.admits(item) for kind in element) for item in value.values())
        ),
    )
