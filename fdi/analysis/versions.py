"""Runs of several versions of fdi side by side, whose configs have other keys."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd

from fdi.config.identity import ADDED, REMOVED


def as_now(table: pd.DataFrame) -> pd.DataFrame:
    """The run table with the values that older runs would have for keys that were added after them
    (fdi.config.identity.ADDED), in objects of the same class, and without those that mean what runs
    do today without the key (REMOVED), so that equal runs agree in each column.
    """
    changed: dict[str, pd.Series] = {}
    for column, value in ADDED.items():
        target = f"{column.split('.')[0]}._target_"
        if value is not None and column in table and target in table:
            owners = table.loc[table[column].notna(), target].unique()
            unsaid = table[column].isna() & table[target].isin(owners)
            changed[column] = table[column].mask(unsaid, value)
    targets = [str(name) for name in table if str(name).endswith("._target_")]
    removed = [(owner, *item) for owner, keys in REMOVED.items() for item in keys.items()]
    for target, (owner, key, value) in product(targets, removed):
        column = target.replace("_target_", key)
        if column in table:
            values = changed.get(column, table[column])
            changed[column] = values.mask((table[target] == owner) & values.isin([value]), np.nan)
    return table.assign(**changed)
