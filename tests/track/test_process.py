"""Processes that work on runs: how they are stopped, and what they end with."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from fdi.track.process import alive, interruptible, repeated

WATCH = """
import sys, time
from fdi.track.process import end_with
end_with(int(sys.argv[1]))
print("watches", flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """A job in the background starts with Ctrl-C ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_process_ends_with_another():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        command = [sys.executable, "-c", WATCH, str(other.pid)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "watches\n"
            assert alive(other.pid)
            other.kill()
            other.wait()
            assert not alive(other.pid)
            assert child.wait(timeout=20) == 130


def test_an_action_is_repeated_meanwhile_and_no_longer():
    calls: list[None] = []
    with repeated(lambda: calls.append(time.sleep(0.01)), "test", every=0.001, rest=2.0):
        time.sleep(0.3)
    done = len(calls)
    assert 1 < done < 11, "a third of the time at the most"
    time.sleep(0.05)
    assert len(calls) == done


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_waits_for_the_check_and_the_second_does_not(number):
    signal.signal(number, signal.default_int_handler)
    with interruptible() as check:
        check()
        signal.raise_signal(number)
        with pytest.raises(KeyboardInterrupt):
            check()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) is signal.default_int_handler


@pytest.mark.parametrize(
    ("number", "theirs"), [(signal.SIGTERM, lambda *_: None), (signal.SIGINT, signal.SIG_IGN)]
)
def test_what_a_launcher_does_with_signals_and_what_is_ignored_stays(number, theirs):
    signal.signal(number, theirs)
    with interruptible() as check:
        signal.raise_signal(number)
        check()
        assert signal.getsignal(number) is theirs or number == signal.SIGINT
    assert signal.getsignal(number) is theirs
