"""The measurements that come with fdi, results/reference: read from its tables, and in the report
how they were made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from fdi.analysis.collect import KEYS, OWN_INIT, SHARED, checked, config_columns, with_neutral
from fdi.analysis.results import Results, own, read_curves, with_origin

REFERENCE = "results/reference, commit "
EXACT: dict[str, Any] = {}  # numbers to their last bit, as all of pandas 3.1 reads
if tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1):
    EXACT["float_precision"] = "round_trip"
RUNS, CURVES, PROBES, PROVENANCE = "runs.csv.gz", "curves", "probe.csv.gz", "provenance.csv"
NAME = ("dataset", "model", "init", "seed", "id")
"""What tells runs apart in these files."""


def read_export(folder: Path) -> Results:
    """What scripts/study/export_reference.py wrote to `folder`; no rows where it wrote
    nothing.
    """
    if not (folder / RUNS).exists():
        nothing = own(folder)
        return replace(nothing, curves=read_curves(nothing.runs))
    as_text = ("id", "error", "provenance", "data_checksum", "data", "code", OWN_INIT)
    given = dict.fromkeys(as_text, str)
    table = in_one_type(_keyed(pd.read_csv(folder / RUNS, dtype=given, low_memory=False, **EXACT)))
    table = with_neutral(table)
    checked(table, str(folder / RUNS))
    commits = (
        pd.read_csv(folder / PROVENANCE, dtype=str)
        .set_index("provenance")["commit"]
        .str.replace(r"^(.{7})\w*", r"\1", regex=True)
    )
    texts = [name for name in table if isinstance(table[name].dtype, pd.StringDtype)]
    table = table.astype(dict.fromkeys(texts, object)).copy()  # one block, not one for each of them
    table = with_origin(table, REFERENCE + table["provenance"].map(commits).fillna("unknown"))
    parts = [
        pd.read_csv(file, dtype={"id": str, "phase": str})
        for file in sorted((folder / CURVES).glob("*.csv.gz"))
    ]
    learning = (
        pd.concat(parts, ignore_index=True)
        if parts
        else pd.DataFrame(columns=[*NAME, "epoch", "phase"])
    )
    return Results(
        table,
        _keyed(learning),
        _keyed(pd.read_csv(folder / PROBES, dtype={"id": str}, low_memory=False)),
        folder,
    )


def in_one_type(table: pd.DataFrame) -> pd.DataFrame:
    """`table` with one number for "1", 1.0 and 1 in columns of the config that have texts, too."""
    keys = [column for column in config_columns(table) if column not in (*SHARED, OWN_INIT)]
    mixed = [column for column in keys if table[column].dtype == object]
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


def provenance(measured: Results) -> Iterator[tuple[str, str]]:
    """The section of the report on the commands, commits and machines of the measurements."""
    from fdi.figures.report import html_table  # draws: only where it is needed

    path = measured.folder / PROVENANCE
    if path.exists():
        rows = html_table(pd.read_csv(path, dtype=str).fillna(""))
        text = f"<details><summary>Commands, commits and machines</summary>{rows}</details>"
        yield "How the measurements were made", text
