"""Draw the figures of the committed reference into docs/, and fill the tables of the pages there: `python scripts/update_docs.py`."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from fdi.analysis.results import Results, reference
from fdi.figures.cli import FIGURES, draw, file_name

DOCS = Path("docs")
MARKED = re.compile(r"<!-- table (\w+) -->\n.*?<!-- end -->\n", re.DOTALL)
WIDE = {"depth": ("accuracy", "x", "{:g} layers"), "homeostasis": ("accuracy", "mode", "{}"), "dale": ("sigma", "x", "sigma_u = {:g}")}
LONG = {"shallow": {"init": "init", "x": "sigma_u"}, "alpha": {"init": "init", "x": "alpha"}, "calibrated": {"line": "init"}}
GALLERY = """# Gallery

Every figure that `make figures` draws, here from the measurements in [`results/reference`](../results/reference/README.md). Each says below
it where its data come from. This page is written by `python scripts/update_docs.py`.
"""


def main() -> int:
    measured = reference(Path("results/reference"))
    (DOCS / "gallery.md").write_text("\n".join([GALLERY, *gallery(measured)]))
    page = DOCS / "which-initialization.md"
    page.write_text(MARKED.sub(lambda found: f"<!-- table {found[1]} -->\n{tables(found[1], measured)}<!-- end -->\n", page.read_text()))
    print(f"{DOCS / 'gallery.md'}\n{page}")
    return 0


def gallery(measured: Results) -> Iterator[str]:
    """A section for each figure; its pictures go to docs/figures."""
    for name, module in FIGURES.items():
        found = module.data(measured)
        yield f"## {name}\n\n{module.ABOUT[0].upper()}{module.ABOUT[1:]}. Data: `{module.COMMAND}`.\n"
        for page, content in found.items():
            stem = file_name(name, page)
            with tempfile.TemporaryDirectory() as folder:
                *_, png = draw(module, content, Path(folder) / stem)
                (DOCS / "figures").mkdir(exist_ok=True)
                shutil.copy(png, DOCS / "figures" / png.name)
            yield f"![{name}: {page or module.ABOUT}](figures/{stem}.png)\n"
        if not found:
            yield f"*Not measured yet: needs {module.NEEDS}.*\n"


def tables(name: str, measured: Results) -> str:
    """The accuracies behind a figure as markdown, a table a page."""
    pages = [page for page in FIGURES[name].data(measured).values() if "title" in page and {"init", "n"} <= set(page)]
    texts = [_wide(page, *WIDE[name]) if name in WIDE else _long(page, LONG[name]) for page in pages]
    found = [f"{page['title'].iloc[0]}\n\n{text}" for page, text in zip(pages, texts) if text]
    return "\n".join(found) if found else f"*Not measured yet: `{FIGURES[name].COMMAND}`.*\n"


def _wide(page: pd.DataFrame, part: str, column: str, label: str) -> str:
    rows = page[page.get("part", page.get("quantity")) == part].dropna(subset=[column])
    if rows.empty:
        return ""
    rows = rows.assign(cell=_cells(rows), row=[_state(row) for row in rows.to_dict("records")])
    wide = rows.pivot(index="row", columns=column, values="cell").fillna("")
    return _markdown(wide.rename(columns=label.format).reset_index(names="init"))


def _long(page: pd.DataFrame, columns: dict[str, str]) -> str:
    rows = page[page["quantity"] == "accuracy"]
    if rows.empty:
        return ""
    shown = rows[list(columns)].rename(columns=columns)
    shown = shown.map(lambda value: value if isinstance(value, str) else "-" if pd.isna(value) else f"{value:.2g}")
    return _markdown(shown.assign(**{"test accuracy (%)": _cells(rows)}))


def _state(row: dict) -> str:
    return row["init"] if pd.isna(row.get("sigma_u")) else f"{row['init']}, sigma_u = {row['sigma_u']:g}"


def _cells(rows: pd.DataFrame) -> list[str]:
    return [f"{row.mean:.1f}{'' if pd.isna(row.sd) else f' +- {row.sd:.1f}'} (n = {row.n})" for row in rows.itertuples()]


def _markdown(table: pd.DataFrame) -> str:
    lines = [list(table), ["---"] * table.shape[1], *table.itertuples(index=False)]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
