"""The full summary in parts that fit a page: a table for each set of runs that differ in their
initialization only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from fdi.analysis.conditions import LABELS, condition_columns, conditions, short_names, shown
from fdi.analysis.learning import full
from fdi.analysis.results import Results
from fdi.analysis.select import groups, kept


def sections(results: Results) -> Iterator[tuple[str, pd.DataFrame]]:
    """(data set, model and the values of the differing keys as text, summary of
    `fdi.analysis.learning`) of the finished runs.
    """
    done = kept(results.runs, results.runs["state"] == "done")
    for (dataset, model), group in groups(done, ["dataset", "model"]):
        keys = [
            column
            for column in condition_columns(group)
            if column not in LABELS and not column.startswith("init.")
        ]
        names = short_names(keys)
        for values, members in conditions(group, keys) if keys else [((), group)]:
            settings = [
                f"{names[key]} = {shown(value)}"
                for key, value in zip(keys, values)
                if value is not None
            ]
            yield (
                ", ".join([f"{dataset}, {model}", *settings]),
                full(replace(results, runs=members)),
            )
