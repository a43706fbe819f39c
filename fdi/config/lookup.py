"""What the YAML files say of groups and keys: their comments give meaning, unit and source."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import cache
from importlib.resources import files
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Any, NamedTuple, get_args

from fdi.config import Mistake
from fdi.config.parts import ROLES, hints_of, options, parameters

GLOBAL = "# @package _global_"
NO_KEYS = ("experiment", "debug", "budget")  # groups whose files set keys of others
HOMES = {".": "conf/", "tuned": "tuned for ", "tuned/kind": "tuned for model="}
COMMENT = re.compile(r"(?:^|\s)# *(.*)")
TEXT = re.compile(r"# \S")
LINE = re.compile(r"( *)([\w-]+):(?: +([^#\s][^#]*?))? *(?:# *(.*))?")
SENTENCE = re.compile(r"(?<=[.?])\s+(?=[A-Z])")
TARGET = re.compile(r"_target_: *(\S+)")
INHERITS = re.compile(r"defaults:\n  - (\w+)")
BEYOND_WORDS = re.compile(r"[\[;].*| ?\([^()]*\)")  # range, source, and what stands behind it
LETTERS = 45  # of words that are short enough for a label
UNITS = {"s": "s", "Hz": "Hz", "GiB": "GiB", "in units of the threshold": "units of threshold"}


def explained(topic: str, places: Sequence[Path]) -> tuple[str, dict[str, str]]:
    """A title, and name -> text: the options of the group `topic`, or each value that files give
    the key `topic`. `places`: folders of options. Raises ValueError for another word.
    """
    if known := [file for place in places for file in place.glob(f"{topic}/*.yaml")]:
        return f"{topic}=NAME", {file.stem: first_sentence(file) for file in sorted(known)}
    every = [said for place in places for said in _said(place)]
    if not (lines := [said for said in every if said.key == topic]):
        groups = {said.group for said in every if said.group != "."}
        close = difflib.get_close_matches(topic, groups | {said.key for said in every}, n=1)
        hint = f"did you mean {close[0]}?" if close else "fdi-run --help lists the groups"
        raise Mistake(f"{topic}: no group and no key is called so; {hint}")
    rows: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for said in lines:
        rows[said.value, HOMES.get(said.group, f"{said.group}="), said.comment].append(
            said.file.stem
        )
    ranges = dict.fromkeys(filter(None, (_range(said, places) for said in lines)))
    values = {
        f"{value} ({home}{', '.join(options_of)})": text
        for (value, home, text), options_of in rows.items()
    }
    return ", ".join([topic, *ranges]), values


def first_sentence(file: Path) -> str:
    """The first sentence of the first comment in a file."""
    lines = file.read_text(encoding="utf-8").removeprefix(GLOBAL).splitlines()
    rest = dropwhile(lambda line: not COMMENT.search(line), lines)
    first = next(rest, "")
    more = takewhile(TEXT.match, rest) if TEXT.match(first) else ()
    comment = COMMENT.search(first)
    return SENTENCE.split(" ".join([comment[1] if comment else "", *(m[2:] for m in more)]))[0]


def described(key: str) -> tuple[str, str]:
    """The words and the unit of a key, dotted as on the command line, by the first comment behind
    it; each "" where that has none.
    """
    parts = BEYOND_WORDS.sub("", _comments().get(key, "")).strip().split(", ")
    words = ", ".join(part for part in parts if part not in UNITS).removeprefix("true: ")
    unit = next((UNITS[part] for part in parts if part in UNITS), "")
    return words * (":" not in words and len(words) <= LETTERS), unit


@cache
def _comments() -> dict[str, str]:
    """Key -> comment, by the YAML files of fdi."""
    every = [*_said(Path(str(files("fdi.conf"))))]
    return {said.key: said.comment for said in reversed(every) if said.comment}


class Said(NamedTuple):
    """What a line of a file says of a key: its value and the comment behind it."""

    file: Path
    group: str
    key: str
    value: str
    comment: str


def _said(place: Path) -> Iterator[Said]:
    for pattern in ("config.yaml", "*/*.yaml", "hydra/*/*.yaml", "tuned/*/*.yaml"):
        for file in sorted(place.glob(pattern)):
            group = file.parent.relative_to(place).as_posix()
            if group not in NO_KEYS:
                yield from _lines(file, group)


def _lines(file: Path, group: str) -> Iterator[Said]:
    text = file.read_text(encoding="utf-8")
    above = [] if group == "." or text.startswith(GLOBAL) else group.split("/")
    keys: list[tuple[int, str]] = []
    for found in filter(None, map(LINE.fullmatch, text.splitlines())):
        indent, key, value, comment = found.groups()
        keys = [*(each for each in keys if each[0] < len(indent)), (len(indent), key)]
        if value:
            path = ".".join([*above, *(name for _, name in keys)])
            yield Said(file, group, path, value, comment or "")


def _range(said: Said, places: Sequence[Path]) -> str:
    """In words, "" where it is not known."""
    group, _, name = said.key.rpartition(".")
    if group.partition(".")[0] not in ROLES:
        return _of_schema(said.key)
    folders = [folder for place in places for folder in (place, place.parent)]
    with suppress(ValueError, TypeError):
        known, _ = options(group, _target(said.file), folders)
        return known[name].words if name in known else ""
    return ""


def _target(file: Path) -> str:
    """The `_target_` of a file, or of the one that it begins with."""
    text = file.read_text(encoding="utf-8")
    if found := TARGET.search(text):
        return found[1]
    begins = INHERITS.search(text)
    return _target(file.with_name(f"{begins[1]}.yaml")) if begins else ""


def _of_schema(key: str) -> str:
    from fdi.config.settings import Config  # Hydra

    schema: Any = Config
    words = ""
    for name in key.split("."):
        entry = next((each for each in fields(schema) if each.name == name), None)
        if entry is None:
            return ""
        choices, hint = entry.metadata.get("choices"), hints_of(schema)[name]
        words = " or ".join(choices) if choices else parameters(schema)[name].words
        schema = next(filter(is_dataclass, (hint, *get_args(hint))), None)
        if schema is None:
            break
    return words
