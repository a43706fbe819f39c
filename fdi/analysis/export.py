"""Whole tables as files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from fdi.track.files import atomic


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a whole table, its columns as fdi.analysis.collect documents them; raises ValueError
    for another format, or one not at hand.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise ValueError(f"{path} must end in .csv or .parquet")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as temporary:
            table.to_csv(temporary, index=False) if path.suffix == ".csv" else table.to_parquet(
                temporary
            )
    except ImportError:
        raise ValueError(
            f"{path} needs the package pyarrow; write .csv, or pip install 'fdi-snn[export]'"
        ) from None
    print(f"{len(table)} rows: {path}")
