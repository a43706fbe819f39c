from __future__ import annotations

import subprocess
import sys
import time

from fdi.track.state import alive, repeated


def test_a_dead_process_that_nobody_collected_is_not_alive():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert alive(child.pid)
    child.kill()
    while alive(child.pid):
        time.sleep(0.01)
    assert child.returncode is None
    child.wait()
    assert not alive(child.pid)
    child.stdin.close()


def test_a_process_ends_with_another():
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    code = "import sys, time; from fdi.track.state import end_with\n"
    code += "end_with(int(sys.argv[1])); print('watches', flush=True); time.sleep(60)"
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(other.pid)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "watches\n"
    other.kill()
    assert child.wait(timeout=20) == 130
    other.wait()
    other.stdin.close()
    child.stdout.close()


def test_an_action_is_repeated_meanwhile_and_no_longer():
    calls: list[None] = []
    with repeated(lambda: calls.append(time.sleep(0.01)), "test", every=0.001, rest=2.0):
        time.sleep(0.3)
    done = len(calls)
    assert 1 < done < 11, "a third of the time at the most"
    time.sleep(0.05)
    assert len(calls) == done
