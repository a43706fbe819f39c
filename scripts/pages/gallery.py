"""docs/gallery.md and the pictures in it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pandas as pd

from fdi.analysis.results import Results
from fdi.figures import learning_curves
from fdi.figures.catalogue import FIGURES, draw, file_name

EPOCHS = 200  # of the paper
HEAD = """# Gallery

Every figure that `make figures` draws, here from the measurements in
[`results/reference`](measurements.md). Each says below
it where its data come from. This page is written by `python scripts/update_docs.py`.
"""


def gallery(measured: Results, pictures: Path) -> str:
    """The page; its pictures replace those in the folder `pictures`, once all are drawn."""
    pictures.mkdir(exist_ok=True)
    page = "\n".join([HEAD, *_sections(measured, pictures)])
    for picture in pictures.glob("*.png"):
        if f"/{picture.name})" not in page:
            picture.unlink()
    return page


def paper_settings(measured: Results, picture: Path) -> None:
    """The learning curves of Randman, one layer, with the settings of the paper."""
    runs = measured.runs
    chosen = runs[
        (runs["dataset"] == "randman")
        & (runs["model"] == "dense")
        & (runs["trainer.epochs"] == EPOCHS)
    ]
    for page in [*learning_curves.data(replace(measured, runs=chosen)).values()][:1]:
        _picture(learning_curves, page, picture)


def _sections(measured: Results, pictures: Path) -> Iterator[str]:
    for name, module in FIGURES.items():
        found = module.data(measured)
        yield (
            f"## {name}\n\n{module.ABOUT[0].upper()}{module.ABOUT[1:]}. Data: `{module.COMMAND}`.\n"
        )
        for page, content in found.items():
            stem = file_name(name, page)
            _picture(module, content, pictures / f"{stem}.png")
            yield f"![{name}: {page or module.ABOUT}]({pictures.name}/{stem}.png)\n"
        if not found:
            yield f"*Not measured yet: needs {module.NEEDS}.*\n"


def _picture(module: ModuleType, page: pd.DataFrame, path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        *_, png = draw(module, page, Path(folder) / path.stem)
        shutil.copy(png, path)
