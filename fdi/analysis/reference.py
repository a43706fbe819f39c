"""The measurements that come with fdi, as fdi.analysis.export_reference wrote them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from fdi.analysis.collect import KEYS, config_columns, runs
from fdi.analysis.metrics import curves
from fdi.analysis.results import REFERENCE, Results, with_origin
from fdi.analysis.versions import as_now

EXACT: dict[str, Any] = {}  # numbers to their last bit, as all of pandas 3.1 reads
if tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1):
    EXACT["float_precision"] = "round_trip"
RUNS, CURVES, PROBES, PROVENANCE = "runs.csv", "curves", "probe.csv", "provenance.csv"
NAME = ("dataset", "model", "init", "seed", "id")
"""What tells runs apart in these files."""


def of_folder(folder: Path) -> Results:
    """What `export_reference.write` wrote to `folder`, or the runs below `folder`/runs."""
    if (folder / RUNS).exists():
        return reference(folder)
    return Results(runs(folder), None, None, folder)


def reference(folder: Path) -> Results:
    """What `export_reference.write` wrote to `folder`; no rows where it wrote nothing."""
    if not (folder / RUNS).exists():
        nothing = runs(folder)
        return Results(with_origin(nothing, ""), curves(nothing), None, folder)
    given = {"id": str, "error": str, "provenance": str}
    table = numbers(_keyed(pd.read_csv(folder / RUNS, dtype=given, **EXACT)))
    commits = (
        pd.read_csv(folder / PROVENANCE, dtype=str)
        .set_index("provenance")["commit"]
        .str.replace(r"^(.{7})\w*", r"\1", regex=True)
    )
    table = as_now(table)
    texts = [name for name in table if isinstance(table[name].dtype, pd.StringDtype)]
    table = table.astype(dict.fromkeys(texts, object)).copy()  # one block, not one for each of them
    table = with_origin(table, REFERENCE + table["provenance"].map(commits).fillna("unknown"))
    parts = [
        pd.read_csv(file, dtype={"id": str, "phase": str})
        for file in sorted((folder / CURVES).glob("*.csv"))
    ]
    learning = (
        pd.concat(parts, ignore_index=True)
        if parts
        else pd.DataFrame(columns=[*NAME, "epoch", "phase"])
    )
    return Results(
        table, _keyed(learning), _keyed(pd.read_csv(folder / PROBES, dtype={"id": str})), folder
    )


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    """`table` with one number for "1", 1.0 and 1 in columns of the config that have texts, too."""
    mixed = [column for column in config_columns(table) if table[column].dtype == object]
    return table.assign(**{column: table[column].map(_number) for column in mixed}).copy()


def _number(value: Any) -> Any:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return value
    return int(number) if number.is_integer() and not isinstance(value, bool) else value


def _keyed(table: pd.DataFrame) -> pd.DataFrame:
    """`path` from the columns that tell runs apart, as in a folder of runs; `state` of a table that
    has none is "done".
    """
    names = [
        f"{row.dataset}/{row.model}/{row.init}/seed={row.seed}-{row.id}"
        for row in table[list(NAME)].itertuples()
    ]
    keyed = table.copy().assign(path=names, state=table.get("state", "done"))
    return keyed[[*KEYS, *(column for column in keyed if column not in KEYS)]]
