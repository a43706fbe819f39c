"""A public name says one thing: hardly any function or class of fdi shares its name with one of
another module, but for those that a contract asks of each.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

from fdi.engine import Engine
from fdi.figures.catalogue import PROTOCOL
from fdi.snn.surrogate import SURROGATES

ROOT = Path(__file__).parents[1]
MOST = 0.03
COMMANDS = {script.value for script in entry_points(group="console_scripts")}


def _own_names(path: Path) -> Iterator[str]:
    """The public names that a module defines, without those of its contract."""
    body = ast.parse(path.read_text("utf-8")).body
    defined = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    targets = [node.targets if isinstance(node, ast.Assign) else [] for node in body]
    constants = {name.id for names in targets for name in names if isinstance(name, ast.Name)}
    asked = {*PROTOCOL} if defined | constants >= {*PROTOCOL} else set()
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    asked |= {"main"} if f"{module}:main" in COMMANDS else set()
    if module.startswith("fdi.engine"):
        asked |= Engine.__abstractmethods__ | {*SURROGATES}
    yield from (name for name in defined - asked if not name.startswith("_"))


def test_hardly_any_name_has_two_homes():
    times = Counter(name for path in (ROOT / "fdi").rglob("*.py") for name in _own_names(path))
    shared = sorted(name for name, homes in times.items() if homes > 1)
    assert len(shared) <= MOST * len(times), f"{len(shared)} of {len(times)}: {shared}"
