"""What commands leave undone to be quick: a look for garbage at the end."""

from __future__ import annotations

import subprocess
import sys

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
