"""The command line of `fdi-run`: Hydra's options, and overrides."""

from __future__ import annotations

from argparse import Namespace
from typing import NoReturn

from hydra._internal.utils import get_args_parser


def parse() -> Namespace:
    """The parsed command line. Raises ValueError for an option that does not exist."""
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        raise ValueError(f"{message}; see fdi-run --help")

    parser.error = refuse  # type: ignore[method-assign]
    arguments, unknown = parser.parse_known_args()
    if unknown:
        key, _, value = unknown[0].lstrip("-").partition("=")
        value = value or next(iter(arguments.overrides), "VALUE")
        raise ValueError(
            f"{unknown[0]} is no option; what is to run is said without dashes, as in "
            f"{key or 'key'}={value if '=' not in value else 'VALUE'}"
        )
    return arguments
