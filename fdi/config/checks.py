"""One-line complaints about the values of a configuration, without importing what it configures
(and torch with it).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from fdi.config import targets
from fdi.config.signatures import SIMPLE
from fdi.config.wording import choose, shown


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
        kinds = (kind for kind in (hint, *get_args(hint)) if isinstance(kind, type))
        nested = next(filter(is_dataclass, kinds), None)
        if nested and value is not None:
            yield from out_of_range(nested, value, f"{key}.")
        least, choices = field.metadata.get("least"), field.metadata.get("choices")
        if least is not None and value is not None and not value >= least:
            yield f"{key} = {shown(value)} must be at least {least}"
        if choices and value not in choices:
            yield f"{key} = {shown(value)} is unknown; {choose(shown(value), choices)}"


def impossible(values: Any, path: str = "") -> Iterator[str]:
    """Complaints about values that no key may have, at any depth: missing, escaped interpolations,
    infinite and nan, too big for an int64.
    """
    for key, value in values.items() if isinstance(values, Mapping) else enumerate(values):
        here = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping | list):
            yield from impossible(value, here)
        elif value == "???":
            yield f"{here} = ??? must be given a value"
        elif isinstance(value, str) and "${" in value:
            yield f"{here} = {value} must not contain ${{, which would be read as another key later"
        elif isinstance(value, float) and not math.isfinite(value):
            yield f"{here} = {value} must be a finite number"
        elif isinstance(value, int) and abs(value) >= 2**63:
            yield f"{here} = {value} must be below 2^63"


def complaints(path: str, node: Any, folders: Sequence[Path] = ()) -> Iterator[str]:
    """Complaints about a `_target_`, and about its keyword arguments: unknown ones and wrong
    values, by its signature; `folders`: see fdi.config.targets.
    """
    if not isinstance(node, Mapping) or not isinstance(node.get("_target_"), str):
        yield (
            f"{path} = {shown(node)} must have a _target_: the function or class to call with the "
            f"other keys"
        )
        return
    try:
        known, closed = targets.options(path, node["_target_"], folders)
    except ValueError as error:
        yield str(error)
        return
    for key, value in node.items():
        if key == "_target_":
            continue
        if str(key).startswith("_"):
            yield f"{path}.{key}: no such key; of the keys with a _ in front there is only _target_"
        elif key in known and not any(kind.admits(value) for kind in known[key]):
            yield (
                f"{path}.{key} = {shown(value)} must be "
                f"{' or '.join(kind.words for kind in known[key])}"
            )
        elif key not in known and closed:
            yield f"{path}.{key}: no such key; {choose(str(key), known)}"
        elif f"{path}.{key}" == targets.SURROGATE and "." in str(value):
            try:
                targets.options(targets.SURROGATE, str(value), folders)
            except ValueError as error:
                yield str(error)


def _in_words(kind: type) -> str:
    if is_dataclass(kind):
        return f"{{{', '.join(field.name for field in fields(kind))}}}"
    return SIMPLE[kind].words if kind in SIMPLE else kind.__name__
