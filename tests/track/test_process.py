"""Processes that work on runs: what they end with, and what they repeat."""

from __future__ import annotations

import subprocess
import sys
import time

from fdi.track.process import alive, repeating

WATCH = """
import sys, time
from fdi.track.process import end_with
end_with(int(sys.argv[1]))
print("watches", flush=True)
time.sleep(60)
"""


def test_a_process_ends_with_another():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        command = [sys.executable, "-c", WATCH, str(other.pid)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "watches\n"
            assert alive(other.pid)
            other.kill()
            assert child.wait(timeout=20) == 130, "though nobody has waited for the other"
            assert not alive(other.pid)
            other.wait()
            assert not alive(other.pid)


def test_an_action_is_repeated_meanwhile_and_no_longer():
    calls: list[None] = []
    with repeating(lambda: calls.append(time.sleep(0.01)), "test", every=0.001, rest=2.0):
        time.sleep(0.3)
    done = len(calls)
    assert 1 < done < 11, "a third of the time at the most"
    time.sleep(0.05)
    assert len(calls) == done
