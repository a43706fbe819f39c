"""docs/gallery.md and the pictures in it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from fdi.analysis.results import Results
from fdi.figures.catalogue import FIGURES, about, draw, file_name

OWN_SWEEPS = "own_sweeps"  # shows nothing of the reference
MOST = 2  # pictures of a figure; `make report` draws the others
HEAD = """# Gallery

Every figure that `make figures` draws, here from the measurements in
[`results/reference`](measurements.md), at most two of a kind; `fdi-report` puts all of them on one
page. Each says below it where its data come from. This page is written by
`python scripts/study/update_docs.py`.
"""


def gallery(measured: Results, pictures: Path) -> str:
    """The page; its pictures replace those in the folder `pictures`, once all are drawn."""
    pictures.mkdir(exist_ok=True)
    page = "\n".join([HEAD, *_sections(measured, pictures)])
    for picture in pictures.glob("*.png"):
        if f"/{picture.name})" not in page:
            picture.unlink()
    return page


def _sections(measured: Results, pictures: Path) -> Iterator[str]:
    for name, module in FIGURES.items():
        if name == OWN_SWEEPS:
            continue
        pages = module.data(measured)
        yield f"## {name}\n\n{about(module)} Data: `{module.COMMAND}`.\n"
        for page, content in most_evident(pages):
            stem = file_name(name, page)
            _picture(module, content, pictures / f"{stem}.png")
            yield f"![{name}: {page or module.ABOUT}]({pictures.name}/{stem}.png)\n"
        if not pages:
            yield f"*Not measured yet: needs {module.NEEDS}.*\n"


def most_evident(pages: Mapping[str, pd.DataFrame]) -> list[tuple[str, pd.DataFrame]]:
    """The simulation, if there is one, and the pages with most seeds and initial states."""

    def evidence(page: tuple[str, pd.DataFrame]) -> tuple[bool, float]:
        name, rows = page
        states = rows["init"].nunique() if "init" in rows else 1
        return name == "", rows["n"].max() * states if "n" in rows else 0

    return sorted(pages.items(), key=evidence, reverse=True)[:MOST]


def first_picture(measured: Results, picture: Path) -> None:
    """Each initial state at a common step size, and each at its best."""
    best = FIGURES["best"]
    for page in best.data(measured).values():
        _picture(best, page, picture)


def _picture(module: Any, page: pd.DataFrame, path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        *_, png = draw(module, page, Path(folder) / path.stem)
        shutil.copy(png, path)
