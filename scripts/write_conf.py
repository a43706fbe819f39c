"""Writes the defaults of fdi's parts into conf/, where users read them with units and sources:

    python scripts/write_conf.py          # after a default in the code has changed
    python scripts/write_conf.py --check  # only say which values differ

Only a file that names a `_target_` of fdi is written, and there the keys with a default in the
code; what other files say is at home in them. Comments and the way a number is written stay.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from fdi.config.parts import ROLES, defaults, equal, nodes, resolve

CONF = Path(__file__).parents[1] / "conf"
LINE = re.compile(r"(?P<indent> *)(?P<key>\w+): (?P<value>[^#\n]*?)(?P<space> *)(?P<comment>#.*)?")


def main(words: Sequence[str] = sys.argv[1:], conf: Path = CONF) -> int:
    changed = []
    for key in ROLES:
        for file in sorted((conf / key).glob("*.yaml")):
            before = file.read_text(encoding="ascii")
            lines = before.split("\n")
            for number, line in written(key, lines):
                changed.append(f"{file.relative_to(conf)}: {lines[number].strip()} -> {line}")
                lines[number] = line
            if "--check" not in words:
                file.write_text("\n".join(lines), encoding="ascii")
    print("\n".join(changed) or "conf/ has the defaults of the code")
    return 1 if changed and "--check" in words else 0


def written(key: str, lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """The numbers of the lines of a file whose value is not the default of the part that the file
    names, and what they are with it.
    """
    known = {}
    for place, node in nodes(key, yaml.safe_load("\n".join(lines)) or {}).items():
        target = str(node.get("_target_"))
        known |= defaults(resolve(place, target)) if target.startswith("fdi.") else {}
    for number, line in enumerate(lines):
        found = LINE.fullmatch(line)
        if not found or found["key"] not in known or "${" in line:
            continue
        value = known[found["key"]]
        if not equal(yaml.safe_load(found["value"]), value):
            start = f"{found['indent']}{found['key']}: {text(value)}"
            wide = len(line) - len(found["comment"] or "")
            yield number, f"{start:<{wide - 1}} {found['comment'] or ''}".rstrip()


def text(value: Any) -> str:
    """A value as YAML 1.1 reads it: 1e-08 would be text there, and 1.0e-08 is a number."""
    said = yaml.safe_dump(value, default_flow_style=True, width=1000)
    return said.removesuffix("...\n").strip()


if __name__ == "__main__":
    sys.exit(main())
