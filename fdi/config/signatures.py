"""What the functions and classes of a configuration take, read from their source: importing them
would import torch, too.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, get_args

from fdi.config import ranges


class Kind(NamedTuple):
    """What a value may be, in words and as a test."""

    words: str
    admits: Callable[[Any], bool]


KINDS = {
    "int": Kind("an integer", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    "float": Kind(
        "a number", lambda value: isinstance(value, int | float) and not isinstance(value, bool)
    ),
    "bool": Kind("true or false", lambda value: isinstance(value, bool)),
    "str": Kind("text", lambda value: isinstance(value, str)),
    "None": Kind("null", lambda value: value is None),
}
ANYTHING = Kind("anything", lambda value: True)

Definitions = Mapping[str, ast.AST]


@lru_cache
def parameters(file: Path, name: str) -> dict[str, list[Kind]]:
    """Optional arguments of the function or class `name` of `file`, and what they may be.

    Where there are keyword-only arguments these are the options, else those with a default; the
    others come from elsewhere.
    """
    definitions = defined(file)
    return {
        key: _kinds(annotation, definitions)
        for key, annotation in _arguments(definitions[name], definitions).items()
    }


@lru_cache
def defined(file: Path) -> Definitions:
    """Functions, classes and aliases of a file by name; empty if there is no such file."""
    definitions: dict[str, ast.AST] = {}
    if not file.is_file():
        return definitions
    for statement in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            definitions[statement.name] = statement
        elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            definitions[statement.targets[0].id] = statement.value
    return definitions


def _arguments(node: Any, definitions: Definitions) -> dict[str, ast.expr | None]:
    """Name -> annotation of the optional arguments of a function, or of a class: those of its
    __init__, or else its fields.
    """
    if isinstance(node, ast.FunctionDef):
        defaults = len(node.args.defaults)
        optional = node.args.kwonlyargs or (node.args.args[-defaults:] if defaults else [])
        return {argument.arg: argument.annotation for argument in optional}
    arguments: dict[str, ast.expr | None] = {}
    for base in node.bases:
        if isinstance(base, ast.Name) and base.id in definitions:
            arguments |= _arguments(definitions[base.id], definitions)
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            return _arguments(statement, definitions)
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            arguments[statement.target.id] = statement.annotation
    return arguments


def _kinds(annotation: ast.AST | None, definitions: Definitions) -> list[Kind]:
    """The alternatives of an annotation: unions, literals, sequences, mappings, those of
    fdi.config.ranges, aliases of the same module; anything else admits all.
    """
    match annotation:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return [*_kinds(left, definitions), *_kinds(right, definitions)]
        case ast.Constant(value=None):
            return [KINDS["None"]]
        case ast.Constant(value=str(text)):
            return _kinds(ast.parse(text, mode="eval").body, definitions)
        case ast.Name(id=name) if name in KINDS:
            return [KINDS[name]]
        case ast.Name(id=name) if name in definitions:
            return _kinds(definitions[name], definitions)
        case ast.Name(id=name) if hasattr(ranges, name):
            return [_within(*get_args(getattr(ranges, name)))]
        case ast.Subscript(value=ast.Name(id="Literal"), slice=slice):
            return [
                _literal(element)
                for element in (slice.elts if isinstance(slice, ast.Tuple) else [slice])
            ]
        case ast.Subscript(value=ast.Name(id="tuple"), slice=ast.Tuple(elts=[first, *others])) if (
            not any(isinstance(other, ast.Constant) for other in others)
        ):
            return [_sequence(_kinds(first, definitions), 1 + len(others))]
        case ast.Subscript(value=ast.Name(id="Sequence" | "list" | "tuple"), slice=slice):
            return [
                _sequence(
                    _kinds(slice.elts[0] if isinstance(slice, ast.Tuple) else slice, definitions)
                )
            ]
        case ast.Subscript(value=ast.Name(id="Mapping" | "dict"), slice=ast.Tuple(elts=[_, item])):
            return [_mapping(_kinds(item, definitions))]
    return [ANYTHING]


def _within(base: type, limits: ranges.Range) -> Kind:
    kind = KINDS[base.__name__]
    return Kind(f"{kind.words} {limits}", lambda value: kind.admits(value) and value in limits)


def _literal(element: ast.expr) -> Kind:
    try:
        word = ast.literal_eval(element)
    except ValueError:  # a member of an enumeration
        return ANYTHING
    return Kind(str(word), lambda value: value == word and type(value) is type(word))


def _sequence(element: list[Kind], length: int | None = None) -> Kind:
    words = " or ".join(kind.words for kind in element)
    return Kind(
        f"a list{'' if length is None else f' of {length}'}, each {words}",
        lambda value: (
            isinstance(value, list | tuple)
            and (len(value) == length if length else bool(value) or element == [KINDS["str"]])
            and all(any(kind.admits(item) for kind in element) for item in value)
        ),
    )


def _mapping(element: list[Kind]) -> Kind:
    words = " or ".join(kind.words for kind in element)
    return Kind(
        f"key: value pairs, each {words}",
        lambda value: (
            isinstance(value, Mapping)
            and all(any(kind.admits(item) for kind in element) for item in value.values())
        ),
    )
