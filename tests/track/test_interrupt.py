from __future__ import annotations

import signal

import pytest
from fdi.track.state import interruptible


@pytest.fixture(autouse=True)
def heard():
    """A job in the background starts with Ctrl-C ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_first_control_c_waits_for_the_check_and_the_second_does_not():
    with interruptible() as check:
        check()
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            check()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_sigterm_that_stands_for_control_c_waits_and_that_of_a_launcher_is_left_alone():
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with interruptible() as check:
            signal.raise_signal(signal.SIGTERM)
            with pytest.raises(KeyboardInterrupt):
                check()
        signal.signal(signal.SIGTERM, theirs := lambda *_: None)
        with interruptible() as check:
            assert signal.getsignal(signal.SIGTERM) is theirs
    finally:
        signal.signal(signal.SIGTERM, before)


def test_an_ignored_control_c_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interruptible() as check:
        signal.raise_signal(signal.SIGINT)
        check()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
