"""Packages that offer parts: those that are installed and have an entry point in the group
`fdi.parts`, such as `mine = "my_package"`. Its modules hold what a `_target_` names, as in
`my_package.data.load`, and its folder `conf` their YAML files, as fdi's own does.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

GROUP = "fdi.parts"


class Package(NamedTuple):
    """`name` and `version` of what was installed; `module`: what its targets begin with."""

    name: str
    version: str
    module: str
    folder: Path

    def evidence(self) -> str:
        """Its name, its version, and a hash over its files."""
        digest = hashlib.blake2b(digest_size=8)
        for file in sorted(self.folder.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                content = file.read_bytes()
                digest.update(f"{file.relative_to(self.folder).as_posix()}\0".encode())
                digest.update(f"{len(content)}\0".encode() + content)
        return f"{self.name} {self.version} {digest.hexdigest()}"


def packages() -> Mapping[str, Package]:
    """By their modules."""
    return _installed(tuple(sys.path))


@cache
def _installed(path: tuple[str, ...]) -> dict[str, Package]:
    found = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        module = entry.module.partition(".")[0]
        spec = find_spec(module)
        if spec and spec.submodule_search_locations and entry.dist:
            folder = Path(next(iter(spec.submodule_search_locations)))
            found[module] = Package(entry.dist.name, entry.dist.version, module, folder)
    return found


def of(target: str) -> Package | None:
    """The package that the dotted name `target` is in."""
    return packages().get(target.partition(".")[0])


def configured() -> list[Path]:
    """Their folders with YAML files."""
    folders = (package.folder / "conf" for package in packages().values())
    return [folder for folder in folders if folder.is_dir()]
