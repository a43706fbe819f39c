"""What commands leave undone to be quick: large imports, and a look for garbage at the end."""

from __future__ import annotations

import subprocess
import sys

IMPORTED = """
import sys
import fdi.analysis.results, fdi.figures.report
from fdi.analysis.statistics import paired
paired([0.5, 0.7, 0.8], [0.4, 0.5, 0.7], 0.05)
print(*{"scipy.optimize", "scipy.stats", "torch"} & set(sys.modules))
"""


def test_a_report_imports_nothing_large_that_it_can_do_without():
    assert subprocess.check_output([sys.executable, "-c", IMPORTED], text=True) == "\n"


ENDS = """
from fdi.cli.command import command_line

class Garbage:
    def __del__(self):
        print("found")

garbage = Garbage()
garbage.itself = garbage
del garbage
if {command}:
    command_line("fdi-none")(lambda: 0)()
"""


def test_a_command_looks_for_no_garbage_as_it_ends():
    found = [
        subprocess.check_output([sys.executable, "-c", ENDS.format(command=command)], text=True)
        for command in (False, True)
    ]
    assert found == ["found\n", ""]
