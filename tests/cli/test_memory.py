"""What the commands for many runs free goes back to the system."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FREED = """
import os
from fdi.cli.memory import give_back

def used():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

if {given}:
    give_back()
del (block := [bytearray(2**22)])[:]  # from then on glibc keeps blocks as large as this
blocks = [bytearray(b"x" * 2**18) for _ in range(200)]
most = used()
del blocks[:-1]
print(most - used())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_what_is_freed_goes_back_to_the_system():
    freed = [
        int(subprocess.check_output([sys.executable, "-c", FREED.format(given=given)]))
        for given in (False, True)
    ]
    assert freed[0] < 2**24 < 2**25 < freed[1]
