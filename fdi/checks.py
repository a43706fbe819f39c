"""One-line complaints about the values of a configuration, without importing what it configures
(and torch with it).
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints

PACKAGE = Path(__file__).parent


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


def choose(word: str, choices: Iterable[str]) -> str:
    """'did you mean b? choose one of a, b, c', the question only if one is close to `word`."""
    choices = sorted(choices)
    if not choices:
        return "there is nothing to choose from"
    close = difflib.get_close_matches(word, choices, n=1)
    return (f"did you mean {close[0]}? " if close else "") + f"choose one of {', '.join(choices)}"


def shown(value: Any) -> str:
    """A value as one would write it on the command line."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(shown, value))}]"
    return (
        {None: "null", True: "true", False: "false"}[value]
        if value is None or isinstance(value, bool)
        else str(value)
    )


def words(schema: type, key: str) -> str:
    """What the field `key` of the dataclass `schema` may be, in words."""
    hint = get_type_hints(schema)[key]
    return " or ".join(_in_words(kind) for kind in get_args(hint) or (hint,))


def out_of_range(schema: type, values: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Complaints about keys that the dataclass `schema` lacks, and by the `least` value or the
    `choices` that its fields carry.
    """
    hints = get_type_hints(schema)
    for key in values.keys() - hints.keys():
        yield f"{path}{key}: no such key; {choose(key, hints)}"
    for field in fields(schema):
        if field.name not in values:
            yield f"{path}{field.name} is missing"
            continue
        key, value, hint = f"{path}{field.name}", values[field.name], hints[field.name]
        nested = next((kind for kind in (hint, *get_args(hint)) if is_dataclass(kind)), None)
        if nested and value is not None:
            yield from out_of_range(nested, value, f"{key}.")
        least, choices = field.metadata.get("least"), field.metadata.get("choices")
        if least is not None and value is not None and not value >= least:
            yield f"{key} = {shown(value)} must be at least {least}"
        if choices and value not in choices:
            yield f"{key} = {shown(value)} is unknown; {choose(shown(value), choices)}"


def complaints(path: str, node: Any) -> Iterator[str]:
    """Complaints about the keyword arguments of a `_target_` of fdi's own: unknown ones and wrong
    types, by its signature.
    """
    if not isinstance(node, Mapping) or "_target_" not in node:
        yield (
            f"{path} = {node} must have a _target_: the function or class to call with the "
            f"other "
            f"keys"
        )
        return
    if not node["_target_"].startswith("fdi."):
        return
    known = parameters(node["_target_"])
    if known is None:
        yield f"{path}._target_ = {node['_target_']} does not exist"
        return
    for key, value in node.items():
        if key.startswith("_"):
            continue
        if key not in known:
            yield f"{path}.{key}: no such key; {choose(key, known)}"
        elif not any(kind.admits(value) for kind in known[key]):
            yield (
                f"{path}.{key} = {shown(value)} must be "
                f"{' or '.join(kind.words for kind in known[key])}"
            )


@lru_cache
def parameters(target: str) -> dict[str, list[Kind]] | None:
    """Optional arguments of the function or class `target` and what they may be, read from its
    source; None if there is none.

    Where there are keyword-only arguments these are the options, else those with a default; the
    others come from elsewhere.
    """
    module, _, name = target.rpartition(".")
    file = PACKAGE.joinpath(*module.split(".")[1:]).with_suffix(".py")
    if not file.exists():
        return None
    definitions: dict[str, ast.AST] = {}
    for statement in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            definitions[statement.name] = statement
        elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            definitions[statement.targets[0].id] = statement.value
    if name not in definitions:
        return None
    return {
        key: _kinds(annotation, definitions)
        for key, annotation in _arguments(definitions[name], definitions).items()
    }


def _arguments(node: ast.AST, definitions: Mapping[str, ast.AST]) -> dict[str, ast.expr | None]:
    """Name -> annotation of the optional arguments of a function, or of a class: those of its
    __init__, or else its fields.
    """
    if isinstance(node, ast.FunctionDef):
        defaults = len(node.args.defaults)
        optional = node.args.kwonlyargs or (node.args.args[-defaults:] if defaults else [])
        return {argument.arg: argument.annotation for argument in optional}
    arguments = {}
    for base in node.bases:
        if isinstance(base, ast.Name) and base.id in definitions:
            arguments |= _arguments(definitions[base.id], definitions)
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            return _arguments(statement, definitions)
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            arguments[statement.target.id] = statement.annotation
    return arguments


def _kinds(annotation: ast.AST | None, definitions: Mapping[str, ast.AST]) -> list[Kind]:
    """The alternatives of an annotation: unions, literals, sequences, aliases of the same module;
    anything else admits all.
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
        case ast.Subscript(value=ast.Name(id="Literal"), slice=slice):
            return [
                _literal(element.value)
                for element in (slice.elts if isinstance(slice, ast.Tuple) else [slice])
            ]
        case ast.Subscript(value=ast.Name(id="Sequence" | "list" | "tuple"), slice=slice):
            return [
                _sequence(
                    _kinds(slice.elts[0] if isinstance(slice, ast.Tuple) else slice, definitions)
                )
            ]
    return [ANYTHING]


def _in_words(kind: type) -> str:
    if is_dataclass(kind):
        return f"{{{', '.join(field.name for field in fields(kind))}}}"
    return KINDS[kind.__name__.removesuffix("Type")].words


def _literal(word: Any) -> Kind:
    return Kind(shown(word), lambda value: value == word)


def _sequence(element: list[Kind]) -> Kind:
    words = " or ".join(kind.words for kind in element)
    return Kind(
        f"a list, each {words}",
        lambda value: (
            isinstance(value, list | tuple)
            and all(any(kind.admits(item) for kind in element) for item in value)
        ),
    )
