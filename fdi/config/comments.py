"""What the YAML files of fdi say of a key: the comment behind its value."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

LINE = re.compile(r"^( *)([\w.]+):(?=\s|$)[^#]*(?:# *(.*))?$")
SOURCE = re.compile(r"[\[;].*| ?\([^()]*\)")  # and what stands behind it
LETTERS = 45  # of words that are short enough for a label
UNITS = {"s": "s", "Hz": "Hz", "GiB": "GiB", "in units of the threshold": "units of threshold"}


def comment(key: str) -> str:
    """The comment behind a key, dotted as on the command line; that of the first option of its
    group that has one, "" where none has.
    """
    group, _, name = key.partition(".")
    return _comments(group).get(name, "") if name else _comments("").get(group, "")


def described(key: str) -> tuple[str, str]:
    """The words and the unit of a key by its comment, each "" where that has none."""
    parts = SOURCE.sub("", comment(key)).strip().split(", ")
    words = ", ".join(part for part in parts if part not in UNITS)
    unit = next((UNITS[part] for part in parts if part in UNITS), "")
    words = words.removeprefix("true: ")
    return words * (":" not in words and len(words) <= LETTERS), unit


@cache
def _comments(group: str) -> dict[str, str]:
    """The comments of a group of configs, or of config.yaml."""
    conf, found = files("fdi.conf"), dict[str, str]()
    folder = conf / group
    options = [*folder.iterdir()] if group and folder.is_dir() else [conf / "config.yaml"]
    for file in sorted(options, key=lambda one: one.name):
        path: list[str] = []
        for line in file.read_text("utf-8").splitlines() if file.name.endswith(".yaml") else ():
            if mark := LINE.match(line):
                path = [*path[: len(mark[1]) // 2], mark[2]]
                found.setdefault(".".join(path), mark[3] or "")
    return {name: text for name, text in found.items() if text}
