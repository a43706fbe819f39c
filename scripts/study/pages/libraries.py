"""Networks of snnTorch: rates as examples/snntorch_init.py measures them, and what the code of a
page prints.
"""

from __future__ import annotations

import contextlib
import functools
import io
import re
import runpy
from pathlib import Path

import pandas as pd

from fdi.analysis.results import Results
from pages.tables import markdown

EXAMPLE = Path(__file__).parents[3] / "examples" / "snntorch_init.py"
STATES = ("PyTorch's default", "`initialize`", "`initialize`, calibrated on a batch")


def rates(measured: Results | None = None) -> str:
    """A row for each state of the network, a column for each layer, in Hz."""
    rates = runpy.run_path(str(EXAMPLE))["main"]()
    layers = {f"layer {i}": map("{:.3g}".format, hertz) for i, hertz in enumerate(zip(*rates), 1)}
    return markdown(pd.DataFrame({"rate (Hz)": STATES, **layers}))


WHY = Path(__file__).parents[3] / "docs" / "howto" / "why-not-learning.md"


@functools.cache
def printed(page: Path = WHY) -> list[str]:
    """What each block of Python of a page prints, one after the other."""
    names: dict[str, object] = {}
    blocks = []
    for code in re.findall(r"(?ms)^```python\n(.*?)^```", page.read_text("utf-8")):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(code, page.name, "exec"), names)
        blocks.append(f"```text\n{out.getvalue()}```\n")
    return blocks
