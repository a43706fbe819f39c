"""docs/gallery.md and the pictures in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path

import pandas as pd

from fdi.analysis.results import Results
from fdi.figures import sheet, style, words
from fdi.figures.catalogue import FIGURES, about, figure, file_name, pages_of

MOST = 2  # pictures of a figure; `make report` draws the others
HEAD = """# Gallery

The figures that `make figures` draws, by the question they answer, from the measurements in
[`results/reference`](measurements.md), at most two of a kind; `fdi-report` puts all of them on one
page. A click opens the picture, which says below it where its data come from. This page is written
by `python scripts/study/update_docs.py`.
"""
QUESTIONS = {
    "Which initial state trains better?": (
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
    "Is it the bounds on the activity?": ("bounds", "homeostasis", "restore"),
    "Is it the readout, or a normalization?": ("readout", "instead"),
    "Which spread of the potential is best?": ("gain", "lazy"),
    "And recurrent networks, and Dale's law?": ("alpha", "recurrent_alpha", "dale"),
    "What happens in a trial, and what does it cost?": (
        "snapshot",
        "speed",
        "sizes",
        "operations",
        "quantize",
    ),
}
REST = "And else"


def gallery(measured: Results, pictures: Path) -> str:
    """The page; its pictures replace those in the folder `pictures`, once all are drawn."""
    pictures.mkdir(exist_ok=True)
    page = "\n".join([HEAD, *_sections(measured, pictures)])
    for picture in pictures.glob("*.png"):
        if f'/{picture.name}"' not in page:
            picture.unlink()
    return page


def _sections(measured: Results, pictures: Path) -> Iterator[str]:
    """A grid of thumbnails for each question; the name of a figure leads to its first one."""
    known = {name for names in QUESTIONS.values() for name in names}
    rest = tuple(name for name in FIGURES if name not in known)
    for question, names in (QUESTIONS | ({REST: rest} if rest else {})).items():
        shown, missing = [], []
        for name in names:
            pages = pages_of(FIGURES[name], measured)
            shown += [*_thumbnails(name, pages, pictures)]
            missing += [] if pages else [name]
        yield f'## {question}\n\n<div class="gallery">\n{"".join(shown)}</div>\n'
        for name in missing:
            yield (
                f'<span id="{name}"></span>*{name} is not measured yet: it needs '
                f"{FIGURES[name].NEEDS} (`{FIGURES[name].COMMAND}`).*\n"
            )


def _thumbnails(name: str, pages: Mapping[str, pd.DataFrame], pictures: Path) -> Iterator[str]:
    """Each picture with its sentence, leading to the whole picture."""
    module = FIGURES[name]
    for number, (page, content) in enumerate(most_evident(pages)):
        stem = file_name(name, page)
        drawn = figure(module, content)
        with style.house_style():
            pdf, _ = sheet.save(drawn, pictures / stem)
        pdf.unlink()
        where = f"{_where(page)}." if page else ""
        sentence = escape(f"The same: {where}" if number else f"{about(module)} {where}".rstrip())
        anchor = "" if number else f' id="{name}"'
        file = f"{pictures.name}/{stem}.png"
        image = f'<img src="{file}" alt="{escape(sheet.alternative(drawn))}" loading="lazy">'
        yield f'<a{anchor} href="{file}">{image}{sentence}</a>\n'


def _where(page: str) -> str:
    """The network of a page in words, as in: Randman, fully connected network."""
    for model in sorted(words.MODELS, key=len, reverse=True):
        dataset, found, _ = page.partition(f"_{model}")
        if found:
            network = f"{words.dataset_name(dataset).partition(' (')[0]}, {words.MODELS[model]}"
            return network[0].upper() + network[1:]
    return page


def most_evident(pages: Mapping[str, pd.DataFrame]) -> list[tuple[str, pd.DataFrame]]:
    """The simulation, if there is one, and the pages with most seeds and initial states; those with
    two values of x after others.
    """

    def evidence(page: tuple[str, pd.DataFrame]) -> tuple[bool, bool, float]:
        name, rows = page
        states, values = (rows[key].nunique() if key in rows else 1 for key in ("init", "x"))
        return name == "", values != 2, rows["n"].max() * states if "n" in rows else 0

    return sorted(pages.items(), key=evidence, reverse=True)[:MOST]
