"""The accuracies behind a figure as a markdown table."""

from __future__ import annotations

import pandas as pd

from fdi.analysis.results import Results
from fdi.figures.catalogue import FIGURES

WIDE = {
    "depth": ("accuracy", "x", "{:g} layers"),
    "homeostasis": ("accuracy", "mode", "{}"),
    "dale": ("sigma", "x", "sigma_u = {:g}"),
}
LONG = {
    "shallow": {"init": "init", "x": "sigma_u"},
    "alpha": {"init": "init", "x": "alpha"},
    "calibrated": {"line": "init"},
}


def behind(name: str, measured: Results) -> str:
    """The accuracies behind a figure as markdown, a table a page."""
    pages = [
        page
        for page in FIGURES[name].data(measured).values()
        if "title" in page and {"init", "n"} <= set(page)
    ]
    texts = [
        _wide(page, *WIDE[name]) if name in WIDE else _long(page, LONG[name]) for page in pages
    ]
    found = [f"{page['title'].iloc[0]}\n\n{text}" for page, text in zip(pages, texts) if text]
    return "\n".join(found) if found else f"*Not measured yet: `{FIGURES[name].COMMAND}`.*\n"


def _wide(page: pd.DataFrame, part: str, column: str, label: str) -> str:
    rows = page[page.get("part", page.get("quantity")) == part].dropna(subset=[column])
    if rows.empty:
        return ""
    rows = rows.assign(cell=_accuracies(rows), row=[_state(row) for row in rows.to_dict("records")])
    wide = rows.pivot(index="row", columns=column, values="cell").fillna("")
    return markdown(wide.rename(columns=label.format).reset_index(names="init"))


def _long(page: pd.DataFrame, columns: dict[str, str]) -> str:
    rows = page[page["quantity"] == "accuracy"]
    if rows.empty:
        return ""
    shown = rows[list(columns)].rename(columns=columns)
    shown = shown.map(
        lambda value: value if isinstance(value, str) else "-" if pd.isna(value) else f"{value:.2g}"
    )
    return markdown(shown.assign(**{"test accuracy (%)": _accuracies(rows)}))


def _state(row: dict) -> str:
    return (
        row["init"]
        if pd.isna(row.get("sigma_u"))
        else f"{row['init']}, sigma_u = {row['sigma_u']:g}"
    )


def _accuracies(rows: pd.DataFrame) -> list[str]:
    return [
        f"{row.mean:.1f}{'' if pd.isna(row.sd) else f' +- {row.sd:.1f}'} (n = {row.n})"
        for row in rows.itertuples()
    ]


def markdown(table: pd.DataFrame) -> str:
    lines = [list(table), ["---"] * table.shape[1], *table.itertuples(index=False)]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)
