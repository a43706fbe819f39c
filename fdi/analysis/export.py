"""Whole tables as files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from fdi.track.files import atomic


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a whole table with the columns that fdi.analysis.collect documents. Raises ValueError
    for a format that is unknown or needs a package that is not installed.
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
