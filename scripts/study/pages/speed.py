"""The benchmark as a table: how many times as fast as the library that it is relative to, and in
how much memory.
"""

from __future__ import annotations

import pandas as pd

from fdi.analysis.results import Results
from fdi.study import speed
from pages.tables import markdown


def steps(measured: Results) -> str:
    """One row per workload, one column per library, fastest first; how far fdi is from what the
    machine could do, how much faster its threads make it, and its serial share.
    """
    page = speed.data(measured)[""]
    rows = page.assign(cell=[f"{row.ratio:#.3g} ({row.peak_mib:.0f})" for row in page.itertuples()])
    order = rows.groupby("library")["ratio"].median().sort_values(ascending=False).index
    wide = (
        rows.pivot(index="about", columns="library", values="cell")
        .reindex(rows["about"].unique())[order]
        .fillna("")
    )
    own = rows[rows["library"] == "fdi"].set_index("about")
    wide["fdi: time / floor"] = own["above_floor"].map("{:.2g}".format)
    threads = own["threads"].iloc[0]
    columns = {"faster": f"{threads} threads", "at_most": f"{threads} processes"}
    for column, title in columns.items():
        if column in own:
            wide[title] = own[column].map("{:.2f}".format, na_action="ignore").fillna("")
    if "serial" in own:
        wide["serial"] = own["serial"].map("{:.0%}".format, na_action="ignore").fillna("")
    return markdown(wide.reset_index(names="network")) + f"\n{page['source'].iloc[0]}\n"


def launches(measured: Results) -> str:
    """One row per workload: launches, waits, MB and sorted keys of a training step in each
    way.
    """
    rows = measured.csv("bench_launches")
    cells = [f"{r.launches:,}, {r.waits}, {r.mb:,.0f}, {r.sorted:,}" for r in rows.itertuples()]
    wide = rows.assign(cell=cells).pivot(index="about", columns="way", values="cell")
    wide = wide.reindex(rows["about"].unique())[rows["way"].unique()]
    return markdown(wide.reset_index(names="network"))


def kernels(measured: Results) -> str:
    """One row per kernel of engine=cuda, one column per generation of GPUs: registers, bytes that
    spill, KiB of shared memory.
    """
    rows = measured.csv("kernels")
    cells = [f"{r.registers}, {r.spilled}, {r.shared_kib:.3g}" for r in rows.itertuples()]
    wide = rows.assign(cell=cells).pivot(index="kernel", columns="sm", values="cell")
    wide = wide.reindex(rows["kernel"].unique()).rename(columns=lambda sm: f"sm_{sm}")
    return markdown(wide.reset_index(names="kernel"))


def mutants(measured: Results) -> str:
    """One row per kernel, one column per kind of fault: how many the trial found, and how many only
    their addresses, of all; and those that nobody found.
    """
    rows = measured.csv("mutants")
    rows["by"] = rows["found_by"].str.split().str[0]
    cells = {
        key: f"{(group.by == 'trial').sum()} + {(group.by == 'sanitizer').sum()} of {len(group)}"
        for key, group in rows.groupby(["kernel", "kind"])
    }
    kinds = list(rows["kind"].unique())
    lines = [
        {"kernel": kernel} | {kind: cells.get((kernel, kind), "") for kind in kinds}
        for kernel in rows["kernel"].unique()
    ]
    left = rows[rows["by"] == "nothing"]
    told = "".join(f"- {row.kernel}: `{row.fault}`\n" for row in left.itertuples())
    count = f"\n{len(rows)} faults so far, {len(left)} of them not found.\n"
    return markdown(pd.DataFrame(lines)) + count + (f"\n{told}" if told else "")


def epoch(measured: Results) -> str:
    """A column for each part of an epoch of the default run, in percent."""
    parts = measured.csv("bench_epoch")
    parts = parts[parts["part"] != "epoch"].assign(
        share=lambda rows: rows["share"].map("{:.1%}".format)
    )
    wide = parts.pivot(index="output", columns="part", values="share")[parts["part"].unique()]
    return markdown(wide.reset_index(names="output to a"))
