"""Who is a baseline: what the class of an initialization says of itself (fdi.init.strategy), read
from its source, because tables and figures do without torch.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

TARGET = "init._target_"


@lru_cache
def is_baseline(target: Any) -> bool:
    """Does the class `target` (a dotted name) or one that it inherits from in its own module say
    `baseline = True`? One that cannot be found is none.
    """
    module, _, name = str(target).rpartition(".")
    try:
        spec = find_spec(module) if module else None
        source = Path(spec.origin).read_text(encoding="utf-8") if spec and spec.origin else ""
        body = ast.parse(source).body
    except (ImportError, OSError, SyntaxError, ValueError):
        return False
    return _said({node.name: node for node in body if isinstance(node, ast.ClassDef)}, name)


def _said(classes: dict[str, ast.ClassDef], name: str) -> bool:
    if name not in classes:
        return False
    for statement in classes[name].body:
        match statement:
            case ast.Assign(targets=[ast.Name(id="baseline")], value=ast.Constant(value=said)):
                return said is True
            case ast.AnnAssign(target=ast.Name(id="baseline"), value=ast.Constant(value=said)):
                return said is True
    return any(
        _said(classes, base.id) for base in classes[name].bases if isinstance(base, ast.Name)
    )
