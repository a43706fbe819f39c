"""The command line of `fdi-run`, before anything is composed."""

from __future__ import annotations

import pytest

from fdi.cli.run import parse


def test_words_stand_before_and_behind_flags():
    found = parse(["seed=1", "-m", "--config-dir", "mine", "model=dense", "-c", "job", "init=he"])
    assert found.overrides == ["seed=1", "model=dense", "init=he"]
    assert (found.multirun, found.config_dir, found.cfg) == (True, "mine", "job")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--seed=3"], "--seed=3 is not an option; write settings without dashes, as in seed=3"),
        (["-m", "--seed", "3"], "--seed is not an option; .* as in seed=3"),
        (["--cfg", "yaml"], "argument -c/--cfg: invalid choice: 'yaml'.*; see fdi-run --help"),
    ],
)
def test_what_is_no_flag_is_one_line(words, line):
    with pytest.raises(ValueError, match=line):
        parse(words)
