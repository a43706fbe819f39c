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
from pages.claims import full, standing
from pages.confirmed import answered, carried, carrying, decided, described, lasting, outlasting
from pages.costs import EXPERIMENTS, head
from pages.depths import controls, how_deep
from pages.findings import (
    beside_stork,
    brought,
    floors,
    followed,
    interacting,
    lowered,
    one_layer,
    predicting,
    primed,
    stepping,
)
from pages.gallery import gallery
from pages.gradients import predicted, reached, surrogates
from pages.headline import (
    at_their_best,
    drawn,
    foretold,
    headline,
    random_networks,
    recipe_verdicts,
    recipes,
)
from pages.images import convolutions, pooled, whole
from pages.instead import moving, normalized
from pages.lazy import decaying, laziness
from pages.libraries import asked, compared, printed, rates
from pages.speed import (
    accuracy,
    below,
    field,
    growth,
    own_loop,
    parts,
    steps,
    workers,
)
from pages.tables import behind

from fdi.analysis.results import Results
from fdi.study.measured import read_export

DOCS = Path("docs")
PICTURES = DOCS / "figures"
PAGES = (
    Path("README.md"),
    DOCS / "findings.md",
    DOCS / "theory.md",
    DOCS / "which-initialization.md",
    DOCS / "comparisons.md",
    DOCS / "speed.md",
    DOCS / "howto" / "libraries.md",
    DOCS / "howto" / "why-not-learning.md",
    Path("results/reference/snntorch-457.md"),
    Path("results/reference/README.md"),
)
TABLES = {
    "alpha": partial(behind, "recurrent_alpha"),
    "headline": headline,
    "drawn": drawn,
    "confirmed": answered,
    "decided": decided,
    "described": described,
    "lasting": lasting,
    "longer": outlasting,
    "carried": carried,
    "ingredients": carrying,
    "foretold": foretold,
    "lowered": lowered,
    "one_layer": one_layer,
    "interaction": interacting,
    "beside_stork": beside_stork,
    "brought": brought,
    "best": at_their_best,
    "zoo": random_networks,
    "predicted": predicted,
    "claims": full,
    "advice": advice,
    "normalized": normalized,
    "moving": moving,
    "whole": whole,
    "convolutions": convolutions,
    "how_deep": how_deep,
    "controls": controls,
    "recipes": recipes,
    "recipe_verdicts": recipe_verdicts,
    "floors": floors,
    "followed": followed,
    "reached": reached,
    "standing": standing,
    "surrogates": surrogates,
    "primed": primed,
    "predicting": predicting,
    "stepping": stepping,
    "laziness": laziness,
    "decaying": decaying,
    "pooling": pooled,
    "speed": steps,
    "field": field,
    "accuracy": accuracy,
    "own_loop": own_loop,
    "growth": growth,
    "below": below,
    "parts": parts,
    "workers": workers,
    "rates": rates,  # needs snntorch, as do the next
    "question": lambda _: printed()[0],
    "answer": lambda _: printed()[1],
    "asked": asked,  # needs norse and spikingjelly, too
    "cure": lambda _: printed()[2],
    "compared": compared,
}
"""Those that do not stand behind a figure."""
MARKED = re.compile(r"<!-- table (\w+) -->\n.*?<!-- end -->\n", re.DOTALL)


def main() -> int:
    measured = read_export(Path("results/reference"))
    (DOCS / "gallery.md").write_text(gallery(measured, PICTURES))
    long: Long = {}
    for page in PAGES:
        fill = partial(filled, page=page, measured=measured, long=long)
        page.write_text(MARKED.sub(fill, page.read_text()))
    (DOCS / filterable.PAGE).write_text(filterable.page(long))
    for file in sorted(EXPERIMENTS.glob("*.yaml")):
        file.write_text(head(file.stem, file.read_text()))
    print(*(DOCS / "gallery.md", *PAGES), sep="\n")
    return 0


Long = dict[str, tuple[str, str, str]]
"""Name of a table too long for its page -> title, page, markdown."""


def filled(mark: re.Match[str], page: Path, measured: Results, long: Long) -> str:
    """A table between its marks on the page, or the link to it if it joins the `long` ones."""
    name = mark[1]
    table = TABLES[name](measured) if name in TABLES else behind(name, measured)
    if page.is_relative_to(DOCS) and page.stem != "findings" and filterable.long(table):
        title = re.findall(r"^#+ (.*)$", mark.string[: mark.start()], re.MULTILINE)[-1]
        place = page.relative_to(DOCS)
        long[name] = title, str(place.with_suffix(".html")), table
        table = filterable.link(name, table, "../" * (len(place.parts) - 1))
    return f"<!-- table {name} -->\n{table}<!-- end -->\n"


if __name__ == "__main__":
    sys.exit(main())
