"""Draw the figures of the committed reference into docs/, fill the tables of README.md and docs/,
and write what runs and experiments cost: `python scripts/study/update_docs.py`.
"""

from __future__ import annotations

import re
import sys
from functools import partial
from pathlib import Path

from pages import filterable
from pages.advice import advice
from pages.claims import full, paper, short, standing
from pages.costs import EXPERIMENTS, head
from pages.depths import controls, how_deep
from pages.findings import bounded, floors, mended, predicting, stepping, swamped
from pages.first import first_picture
from pages.gallery import FIRST, gallery
from pages.gradients import predicted, reached, surrogates
from pages.headline import at_their_best, drawn, foretold, headline, random_networks
from pages.images import convolutions, pooled, whole
from pages.instead import moving, normalized
from pages.lazy import decaying, laziness
from pages.libraries import compared, printed, rates
from pages.speed import (
    accuracy,
    epoch,
    field,
    growth,
    kernels,
    launches,
    mutants,
    parts,
    steps,
    workers,
)
from pages.tables import behind

from fdi.analysis.results import Results
from fdi.study.measured import reference

DOCS = Path("docs")
PICTURES = DOCS / "figures"
PAGES = (
    Path("README.md"),
    DOCS / "findings.md",
    DOCS / "theory.md",
    DOCS / "which-initialization.md",
    DOCS / "comparisons.md",
    DOCS / "speed.md",
    DOCS / "howto" / "gpu.md",
    DOCS / "howto" / "libraries.md",
    DOCS / "howto" / "why-not-learning.md",
    DOCS / "howto" / "snntorch-457.md",
    Path("results/reference/README.md"),
)
TABLES = {
    "alpha": partial(behind, "recurrent_alpha"),
    "headline": headline,
    "drawn": drawn,
    "foretold": foretold,
    "lowered": partial(mended, least=3),
    "one_layer": partial(bounded, most=1),
    "best": at_their_best,
    "zoo": random_networks,
    "paper": paper,
    "predicted": predicted,
    "results": short,
    "claims": full,
    "advice": advice,
    "normalized": normalized,
    "moving": moving,
    "whole": whole,
    "convolutions": convolutions,
    "how_deep": how_deep,
    "controls": controls,
    "floors": floors,
    "bounded": bounded,
    "reached": reached,
    "mended": mended,
    "standing": standing,
    "surrogates": surrogates,
    "swamped": swamped,
    "predicting": predicting,
    "stepping": stepping,
    "laziness": laziness,
    "decaying": decaying,
    "pooling": pooled,
    "speed": steps,
    "field": field,
    "accuracy": accuracy,
    "epoch": epoch,
    "growth": growth,
    "parts": parts,
    "workers": workers,
    "launches": launches,
    "kernels": kernels,
    "mutants": mutants,
    "rates": rates,  # needs snntorch, as do the next
    "question": lambda _: printed()[0],
    "answer": lambda _: printed()[1],
    "cure": lambda _: printed()[2],
    "compared": compared,
}
"""Those that do not stand behind a figure."""
MARKED = re.compile(r"<!-- table (\w+) -->\n.*?<!-- end -->\n", re.DOTALL)


def main() -> int:
    measured = reference(Path("results/reference"))
    (DOCS / "gallery.md").write_text(gallery(measured, PICTURES))
    first_picture(measured, PICTURES / FIRST)
    long: dict[str, tuple[str, str, str]] = {}
    for page in PAGES:
        page.write_text(written(page, measured, long))
    (DOCS / filterable.PAGE).write_text(filterable.page(long))
    for file in sorted(EXPERIMENTS.glob("*.yaml")):
        file.write_text(head(file.stem, file.read_text()))
    print(*(DOCS / "gallery.md", *PAGES), sep="\n")
    return 0


def written(page: Path, measured: Results, long: dict[str, tuple[str, str, str]]) -> str:
    """The page with its tables filled; the `long` ones get a page of their own."""
    text = page.read_text()

    def filled(mark: re.Match[str]) -> str:
        name = mark[1]
        table = TABLES[name](measured) if name in TABLES else behind(name, measured)
        if page.is_relative_to(DOCS) and filterable.long(table):
            title = re.findall(r"^#+ (.*)$", text[: mark.start()], re.MULTILINE)[-1]
            long[name] = title, str(page.relative_to(DOCS).with_suffix(".html")), table
            table = filterable.link(name, table, "../" * (len(page.relative_to(DOCS).parts) - 1))
        return f"<!-- table {name} -->\n{table}<!-- end -->\n"

    return MARKED.sub(filled, text)


if __name__ == "__main__":
    sys.exit(main())
