"""Words for values and choices in messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

MEANT = {"gpu": "cuda"}
"""Words of others for a choice that is not spelt alike."""


def choose(word: str, choices: Iterable[str]) -> str:
    """'did you mean b? choose one of a, b, c', the question only if one is close to `word`."""
    choices = sorted(choices)
    if not choices:
        return "there is nothing to choose from"
    close = difflib.get_close_matches(MEANT.get(word, word), choices, n=1)
    return (f"did you mean {close[0]}? " if close else "") + f"choose one of {', '.join(choices)}"


def shown(value: Any) -> str:
    """A value as one would write it on the command line."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(shown, value))}]"
    return (
        {None: "null", True: "true", False: "false"}[value]
        if value is None or isinstance(value, bool)
        else str(value)
    )
