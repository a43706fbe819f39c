"""The benchmark as a table: how many times as fast as the library that it is relative to, and in
how much memory.
"""

from __future__ import annotations

import pandas as pd

from fdi.analysis.results import Results
from fdi.study import sizes, speed
from pages.tables import markdown


def steps(measured: Results) -> str:
    """The workloads that stork computes."""
    return _steps(measured, "stork")


def field(measured: Results) -> str:
    """Those that SpikingJelly computes, and stork does not."""
    return _steps(measured, "spikingjelly")


def _steps(measured: Results, base: str) -> str:
    """One row per workload, one column per library, fastest first; how long torch.compile takes,
    how far fdi is from what the machine could do, how much faster its threads make it, and its
    serial share.
    """
    table = measured.csv("bench")
    page = speed.bench_page(table[table["relative_to"] == base])
    rows = page.assign(cell=[_times(row.ratio, row.peak_mib) for row in page.itertuples()])
    order = rows.groupby("library")["ratio"].median().sort_values(ascending=False).index
    wide = _wide(rows, "about", "library")[order]
    for name in order[order.str.endswith("(torch.compile)")]:
        cold = rows[rows["library"] == name].set_index("about")["cold_s"]
        wide[f"{name}: first step"] = cold.map("{:.0f} s".format, na_action="ignore")
    wide = wide.fillna("")
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


def _times(ratio: float, peak_mib: float) -> str:
    return "does not compile" if pd.isna(ratio) else f"{ratio:#.3g} ({peak_mib:.0f})"


def accuracy(measured: Results) -> str:
    """One row per library: its step size, epochs, and CPU seconds relative to those of fdi from
    the same seed; mean and standard deviation over the seeds.
    """
    rows = measured.csv("bench_accuracy").fillna({"version": ""})
    seconds = rows.pivot(index="seed", columns="library", values="seconds")
    epochs = rows.pivot(index="seed", columns="library", values="epochs")
    order = rows.drop_duplicates("library").set_index("library")
    table = pd.DataFrame(
        {
            "library": [f"{name} {order.version[name]}".strip() for name in order.index],
            "step size": [f"{order.lr[name]:g}" for name in order.index],
            "epochs": [_spread(epochs[name]) for name in order.index],
            "CPU time / fdi's": [
                "1" if name == "fdi" else _spread(seconds[name] / seconds["fdi"])
                for name in order.index
            ],
        }
    )
    where = f"{rows.machine.iloc[0]}, one thread, torch {rows.torch.iloc[0]}"
    own = f"fdi takes {_spread(seconds['fdi'])} CPU seconds"
    return markdown(table) + f"\nbench_accuracy.csv: n = {len(seconds)} seeds, {where}; {own}\n"


def own_loop(measured: Results) -> str:
    """One row per workload: a step in a loop of one's own over one of the trainer."""
    rows = measured.csv("bench_own_loop")
    table = pd.DataFrame(
        {
            "network": rows["about"],
            "own loop / trainer": rows["median"].map("{:.2f}".format),
            "least and most": [f"{r.least:.2f} to {r.most:.2f}" for r in rows.itertuples()],
        }
    )
    where = f"{rows.machine.iloc[0]}, one thread, torch {rows.torch.iloc[0]}"
    return (
        markdown(table)
        + f"\nbench_own_loop.csv: median of n = {rows['rounds'].iloc[0]} rounds, {where}\n"
    )


def growth(measured: Results) -> str:
    """One row per size that grows: from where to where, its time at both ends, and the power of the
    size that time is proportional to in the upper half, mean and standard deviation over rounds.
    """
    rows = measured.csv("bench_growth")
    lines = []
    for axis, own in rows.groupby("axis", sort=False):
        first, last, fitted = own.iloc[0], own.iloc[-1], own[own["fitted"]]["size"]
        lines.append(
            {
                "what is measured": first["what"],
                "what grows": axis,
                "from ... to": f"{first['size']:,} ... {last['size']:,}",
                "CPU ms": f"{first.cpu_ms:,.1f} ... {last.cpu_ms:,.1f}",
                "exponent": f"{first.exponent:.2f} +- {first.exponent_sd:.2f}",
                "fitted from": f"{fitted.min():,}",
            }
        )
    told = f"bench_growth.csv: n = {rows['n'].iloc[0]} rounds, {rows.machine.iloc[0]}, one thread"
    return markdown(pd.DataFrame(lines)) + f"\n{told}\n"


def parts(measured: Results) -> str:
    """One row per command: the median CPU seconds of the whole and of its parts."""
    rows = measured.csv("bench_parts")
    rows = rows[rows["version"] == "now"]
    whole = rows.groupby(["network", "round"], sort=False)["seconds"].sum()
    table = rows.pivot_table(
        index="network", columns="part", values="seconds", aggfunc="median", sort=False
    )[rows["part"].unique()]
    table.insert(0, "whole", whole.groupby(level="network", sort=False).median())
    cells = table.map(lambda seconds: f"{seconds:.2f}" if seconds >= 0.005 else "").reset_index()
    told = f"bench_parts.csv: n = {rows['round'].max()} rounds, {rows.machine.iloc[0]}"
    return markdown(cells.rename(columns={"network": "command"})) + f"\n{told}\n"


def workers(measured: Results) -> str:
    """One row per number of workers: the peak memory of the sweep and of one process."""
    rows = measured.csv("bench_workers")
    table = pd.DataFrame(
        {
            "workers": rows["workers"],
            "all processes": rows["peak_mib"].map("{:,.0f}".format),
            "a worker more": (rows["peak_mib"].diff() / rows["workers"].diff())
            .map("{:,.0f}".format, na_action="ignore")
            .fillna(""),
            "largest process, with what it shares": rows["one_mib"].map("{:,.0f}".format),
        }
    )
    size = f"the table of the recordings has {rows.table_mib.iloc[0]:,.0f} MiB"
    return markdown(table) + f"\nbench_workers.csv: MiB, {size}; {rows.machine.iloc[0]}\n"


def _wide(rows: pd.DataFrame, index: str, columns: str) -> pd.DataFrame:
    """The column `cell`, in the order in which the rows come."""
    return rows.pivot_table("cell", index, columns, aggfunc="first", sort=False, fill_value="")


def _spread(values: pd.Series) -> str:
    return f"{values.mean():#.3g} +- {values.std():#.2g}"


def below(measured: Results) -> str:
    """A row for each size at which a step of the fastest other library takes less than `GOAL` times
    as long as one of fdi.
    """
    rows = sizes.fastest(measured.csv("bench_sizes")).drop_duplicates([*_SIZES])
    slow = rows[rows["ratio"] < sizes.GOAL].sort_values("ratio")
    kinds = slow["recurrent"].map({True: "recurrent", False: "feed-forward"})
    table = pd.DataFrame(
        {
            "hidden units": slow["units"].map("{:,}".format) + ", " + kinds,
            "batch": slow["batch"].map("{:,}".format),
            "inputs that spike in a step": slow["density"].map("{:.0%}".format),
            "time steps": slow["steps"].map("{:,}".format),
            "fastest other library": slow["library"],
            "its time / fdi's": slow["ratio"].map("{:.2f}".format),
        }
    )
    where = f"{rows['machine'].iloc[0]}, one thread, least CPU time of"
    told = f"bench_sizes.csv: {len(slow)} of {len(rows)} sizes; {where}"
    return markdown(table) + f"\n{told} n = {rows['rounds'].max()} rounds\n"


_SIZES = (*dict.fromkeys(sizes.COLUMNS.values()), "recurrent")
