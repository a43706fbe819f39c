"""The command line of `fdi-run`: Hydra's options, and overrides."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import NoReturn

from fdi.cli.inside import command_line_parser


def parse(words: Sequence[str] | None = None) -> Namespace:
    """The parsed command line, or `words` in place of it. Raises ValueError for an option that does
    not exist.
    """
    parser = command_line_parser()

    def refuse(message: str) -> NoReturn:
        raise ValueError(f"{message}; see fdi-run --help")

    parser.error = refuse  # type: ignore[method-assign]
    arguments, unknown = parser.parse_known_args(words)
    if unknown:
        key, _, value = unknown[0].lstrip("-").partition("=")
        value = value or next(iter(arguments.overrides), "VALUE")
        raise ValueError(
            f"{unknown[0]} is not an option; write settings without dashes, as in "
            f"{key or 'key'}={value if '=' not in value else 'VALUE'}"
        )
    return arguments
