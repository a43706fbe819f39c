"""docs/gallery.md and the pictures in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path

import pandas as pd

from fdi.analysis.results import Results
from fdi.figures import sheet, style
from fdi.figures.catalogue import FIGURES, about, figure, file_name, pages_of

HEAD = """# Gallery

One picture of each figure, by the question that it answers; `make figures` draws them for every
network, from [the measurements](measurements.md). A click opens the picture.
"""
QUESTIONS = {
    "Which initialization trains better?": (
        "zoo",
        "best",
        "depth",
        "how_deep",
        "shallow",
        "regime_map",
        "learning_curves",
    ),
    "Does the theory hold?": ("membrane", "regimes", "states", "calibrated", "in_training"),
    "Is it the optimizer?": (
        "floor",
        "gradients",
        "learning_rate",
        "which_step",
        "searches",
    ),
    "Is it the activity regularization?": ("bounds", "homeostasis", "restore"),
    "Is it the readout, or a normalization?": ("readout", "instead"),
    "Which spread of the potential is best?": ("gain", "lazy"),
    "What of recurrent networks and Dale's law?": ("alpha", "recurrent_alpha", "dale"),
    "What happens in a trial, and what does it cost?": (
        "snapshot",
        "speed",
        "sizes",
        "operations",
        "quantize",
    ),
}
REST = "Further figures"


def gallery(measured: Results, pictures: Path) -> str:
    """The page; its pictures replace those in the folder `pictures`, once all are drawn."""
    pictures.mkdir(exist_ok=True)
    page = "\n".join([HEAD, *_sections(measured, pictures)])
    for picture in pictures.glob("*.png"):
        if f'/{picture.name}"' not in page:
            picture.unlink()
    return page


def _sections(measured: Results, pictures: Path) -> Iterator[str]:
    """A grid of thumbnails for each question; the name of a figure leads to its own."""
    known = {name for names in QUESTIONS.values() for name in names}
    rest = tuple(name for name in FIGURES if name not in known)
    for question, names in (QUESTIONS | ({REST: rest} if rest else {})).items():
        shown, missing = [], []
        for name in names:
            pages = pages_of(FIGURES[name], measured)
            if pages:
                shown.append(_thumbnail(name, pages, pictures))
            else:
                missing.append(name)
        pictured = f'<div class="gallery">\n{"".join(shown)}</div>\n' if shown else ""
        yield f"## {question}\n\n{pictured}"
        for name in missing:
            yield (
                f'<span id="{name}"></span>*{name} is not measured yet: it needs '
                f"{FIGURES[name].NEEDS} (`{FIGURES[name].COMMAND}`).*\n"
            )


def _thumbnail(name: str, pages: Mapping[str, pd.DataFrame], pictures: Path) -> str:
    """The most evident picture above its title, leading to the whole picture; its alternative text
    is what it found, or else what it shows.
    """
    module, page = FIGURES[name], max(pages, key=lambda page: _evidence(page, pages[page]))
    stem, drawn = file_name(name, page), figure(module, pages[page])
    with style.house_style():
        pdf, _ = sheet.save(drawn, pictures / stem)
    pdf.unlink()
    file = f"{pictures.name}/{stem}.png"
    finding = sheet.caption_text(drawn.finding)
    said = escape(f"{finding}." if finding else about(module))
    image = f'<img src="{file}" alt="{said}" loading="lazy">'
    return f'<a id="{name}" href="{file}">{image}{escape(module.TITLE)}</a>\n'


def _evidence(page: str, rows: pd.DataFrame) -> tuple[bool, bool, float]:
    """Highest for the simulation, if there is one, then for the page with most seeds and
    initializations; those with two values of x are below others.
    """
    states, values = (rows[key].nunique() if key in rows else 1 for key in ("init", "x"))
    return page == "", values != 2, rows["n"].max() * states if "n" in rows else 0
