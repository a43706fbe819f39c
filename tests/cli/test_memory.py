"""What the commands for many runs free goes back to the system; a run takes it again."""

from __future__ import annotations

import platform
import subprocess
import sys

import pandas as pd
import pytest

FREED = """
import os
from fdi.cli.command import give_back

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


IMPORTED = """
import sys
from fdi.cli.command import give_back
give_back()
import fdi.analysis.results, fdi.figures.report
from fdi.analysis.statistics import paired
paired([0.5, 0.7, 0.8], [0.4, 0.5, 0.7], 0.05)
print(*{"pyarrow", "scipy.optimize", "scipy.stats", "torch"} & set(sys.modules))
"""


def test_a_report_imports_nothing_large_that_it_can_do_without():
    assert subprocess.check_output([sys.executable, "-c", IMPORTED], text=True) == "\n"


def test_a_table_does_without_pyarrow(tmp_path):
    pytest.importorskip("pyarrow")
    code = f"from fdi.cli.table import main; main(['--results', {str(tmp_path)!r}]); import sys; "
    code += "print('pandas' in sys.modules, 'pyarrow' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "True False\n"


def test_who_wants_pyarrow_gets_it_all_the_same(tmp_path):
    pytest.importorskip("pyarrow")
    code = "from fdi.cli.command import give_back; give_back(); import pandas as pd; "
    code += "pd.DataFrame({'a': ['x', None]}).to_parquet('a.parquet')"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    assert pd.read_parquet(tmp_path / "a.parquet")["a"].tolist()[0] == "x"


TAKEN = """
import resource
from fdi.cli.command import take_again
if {given}:
    take_again()
for _ in range(100):
    block = bytearray(b"x" * 2**24)
    del block
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_what_a_run_frees_it_takes_again():
    new_pages = [
        int(subprocess.check_output([sys.executable, "-c", TAKEN.format(given=given)]))
        for given in (False, True)
    ]
    assert new_pages[1] < new_pages[0] / 2


ENDS = """
from fdi.cli.command import may_close

class Garbage:
    def __del__(self):
        print("found")

garbage = Garbage()
garbage.itself = garbage
del garbage
if {command}:
    may_close(lambda: 0)()
"""


def test_a_command_looks_for_no_garbage_as_it_ends():
    found = [
        subprocess.check_output([sys.executable, "-c", ENDS.format(command=command)], text=True)
        for command in (False, True)
    ]
    assert found == ["found\n", ""]
