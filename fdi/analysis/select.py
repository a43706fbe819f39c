"""Choosing runs by their columns."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence

import pandas as pd
import yaml


def select(runs: pd.DataFrame, filters: Sequence[str]) -> pd.DataFrame:
    """The runs that pass all `filters`, each column=value or column=value,value,... in the syntax
    of the command line.

    Raises ValueError, one line, for an unknown column, a filter that cannot be read, and filters
    that nothing passes.
    """
    for text in filters:
        column, _, values = text.partition("=")
        if not values:
            raise ValueError(
                f"cannot read '{text}'; write column=value, for example dataset=randman"
            )
        if column not in runs:
            close = difflib.get_close_matches(column, map(str, runs.columns), n=1)
            raise ValueError(
                f"no column {column}"
                + (f"; did you mean {close[0]}?" if close else "; it must be a key of the config")
            )
        accepted = _values(values)
        runs = runs[[(None if pd.isna(value) else value) in accepted for value in runs[column]]]
        if runs.empty:
            raise ValueError(f"no run has {text}")
    return runs


def _values(text: str) -> list[object]:
    """Both what the words mean in YAML and the words themselves: an id of digits is a word."""
    try:
        meant, words = yaml.safe_load(f"[{text}]"), yaml.load(f"[{text}]", yaml.BaseLoader)
    except yaml.YAMLError:
        raise ValueError(f"cannot read the value {text}; write a list as [128,128]") from None
    return [json.dumps(value) if isinstance(value, list) else value for value in meant] + words
