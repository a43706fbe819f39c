"""Faults that Triton's interpreter cannot show, put into the sources of the kernels one at a time:
a line of JSON for each, with what scripts/kernel_faults.py finds in what they are compiled to.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

os.environ["TRITON_INTERPRET"] = "0"
sys.path.insert(0, str(Path(__file__).parents[3] / "scripts"))

import compile_kernels
import kernel_faults
from needs import loaded
from triton.compiler.errors import CompilationError

from fdi.engine.cuda.kernels import scan, sparse

CHANGES = {
    r"tl\.debug_barrier\(\)": "pass",
    r"\.to\(tl\.int64\)": "",
    r"tl\.cast\((\w+), tl\.int64\)": r"\1",
}
GENERATION, WIDTHS = 90, [16, 128]


class Mutant(NamedTuple):
    """The line of a file that has become another one, and the whole source with it."""

    file: str
    before: str
    after: str
    source: str


def mutants(file: Path) -> Iterator[Mutant]:
    whole = file.read_text()
    for pattern, instead in CHANGES.items():
        for found in re.finditer(pattern, whole):
            source = whole[: found.start()] + found.expand(instead) + whole[found.end() :]
            number = whole.count("\n", 0, found.start())
            before, after = (text.splitlines()[number].strip() for text in (whole, source))
            yield Mutant(file.name, before, after, source)


def faults(mutant: Mutant, asked: dict[str, partial[Any]]) -> list[str]:
    """What is found in the kernels of its file."""
    with tempfile.TemporaryDirectory() as folder:
        (file := Path(folder) / mutant.file).write_text(mutant.source)
        module = loaded(file)
        told: dict[str, None] = {}
        for name, ask in asked.items():
            if name.startswith(file.stem):
                told |= dict.fromkeys(of(module, ask, mutant))
        return list(told)


def of(module: ModuleType, ask: partial[Any], mutant: Mutant) -> list[str]:
    kernel, *given = ask.args
    own = partial(ask.func, getattr(module, kernel.__name__), *given, **ask.keywords)
    try:
        forms = compile_kernels.compiled(own, GENERATION).asm
    except CompilationError:
        return ["does not compile"]
    return kernel_faults.faults(forms["ttir"], forms["ptx"], {mutant.file: mutant.source})


def main() -> None:
    asked = compile_kernels.asked(WIDTHS)
    for each in (scan, sparse):
        for mutant in mutants(Path(str(each.__file__))):
            print(json.dumps([*mutant[:3], faults(mutant, asked)]), flush=True)


if __name__ == "__main__":
    main()
