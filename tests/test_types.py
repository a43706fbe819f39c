"""What a type checker sees of the names that users import."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAZY = ("fdi", "fdi.init", "fdi.data", "fdi.interop")  # import a name when it is first used
PROGRAM = """\
import fdi
from fdi.init import psp_kernel_integrals
reveal_type(psp_kernel_integrals(20e-3, 10e-3, dt=1e-3))
psp_kernel_integrals("20 ms", 10e-3, 1e-3)
fdi.init.psp_kernel_integral
"""
SETTINGS = """\
[mypy]
[mypy-fdi.*]
ignore_errors = true
[mypy-torch.*,numpy.*,pandas.*,matplotlib.*]
follow_imports = skip
"""


@pytest.mark.parametrize("name", LAZY)
def test_a_type_checker_sees_what_is_imported_when_it_is_used(name):
    module = import_module(name)
    tree = ast.parse((ROOT / name.replace(".", "/") / "__init__.py").read_text())
    seen = {
        alias.name: line.module
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for line in node.body
        if isinstance(line, ast.ImportFrom)
        for alias in line.names
    }
    for public in module.__all__:
        part = getattr(module, public)
        if isinstance(part, type(ast)):
            assert part is import_module(f"{name}.{public}")
            continue
        assert public in seen or part.__module__ == name
        assert part is getattr(import_module(seen.get(public) or name), public)
        if not isinstance(part, type):
            arguments = part.__code__.co_varnames[: part.__code__.co_argcount]
            assert {"return", *arguments} <= part.__annotations__.keys()


def test_what_does_not_exist_is_an_error_of_its_name():
    for name in LAZY:
        with pytest.raises(AttributeError, match=f"module {name} has no attribute nothing"):
            getattr(import_module(name), "nothing")  # noqa: B009 # as a user would


@pytest.mark.slow
def test_mypy_knows_the_signatures(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "mypy.ini").write_text(SETTINGS)
    found = subprocess.run(
        [sys.executable, "-m", "mypy", "program.py"],
        cwd=tmp_path,
        env=os.environ | {"MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    said = [line for line in found.stdout.splitlines() if line.startswith("program.py")]
    assert len(said) == 3, found.stdout[:2000] + found.stderr[:2000]
    assert 'Revealed type is "tuple[float, float]"' in said[0]
    assert 'Argument 1 to "psp_kernel_integrals" has incompatible type "str"' in said[1]
    assert 'no attribute "psp_kernel_integral"' in said[2]
