"""The command line of `fdi-run`, before anything is composed."""

from __future__ import annotations

from argparse import ArgumentParser

from fdi.cli.compose import parse


def test_python_that_reads_each_help_text_at_once_reads_none_of_hydras(monkeypatch):
    add = ArgumentParser.add_argument

    def check(parser, action):
        if not isinstance(action.help, str):
            raise ValueError("badly formed help string")

    def checked(parser, *given, **options):  # as in Python 3.14
        action = add(parser, *given, **options)
        parser._check_help(action)
        return action

    monkeypatch.setattr(ArgumentParser, "add_argument", checked)
    monkeypatch.setattr(ArgumentParser, "_check_help", check, raising=False)
    assert parse(["-m", "seed=1"]).multirun
    assert vars(ArgumentParser)["_check_help"] is check
