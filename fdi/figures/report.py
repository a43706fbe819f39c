"""One self-contained HTML page with all figures and tables, and where each comes from."""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

import pandas as pd

from fdi import __version__
from fdi.analysis.index import Index, index
from fdi.analysis.learning import sections
from fdi.analysis.render import counted, notes, readable
from fdi.analysis.results import PROVENANCE, Results
from fdi.analysis.select import kept
from fdi.analysis.studies import quotes, studies, with_runs
from fdi.figures.catalogue import about, pages, svg, with_own
from fdi.figures.unchanged import drawing, of_page

STYLE = """
body { font: 16px/1.45 system-ui, sans-serif; max-width: 64rem; margin: 0 auto; padding: 0 1rem;
color: #222; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
h3 { font-size: 1rem; margin: 0; }
nav ul { columns: 16rem; padding-left: 1.2rem; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 28rem), 1fr));
gap: 1.5rem; align-items: start; }
figure { margin: 0.5rem 0; } img { width: 100%; height: auto; }
.note, summary { font-size: 0.85rem; color: #555; } summary { cursor: pointer; }
.table { overflow-x: auto; } table { border-collapse: collapse; font-size: 0.8rem; }
th, td { padding: 0.2rem 0.6rem; text-align: left; border-bottom: 1px solid #ddd; vertical-align:
top; white-space: pre; }
th { cursor: pointer; } th[aria-sort=ascending]::after { content: " \\25b2"; }
th[aria-sort=descending]::after { content: " \\25bc"; }
input { font: inherit; width: 100%; max-width: 30rem; box-sizing: border-box; padding: 0.3rem; }
.claims td { white-space: normal; } .claims div + div { margin-top: 0.4rem; }
@media (max-width: 48rem) { .claims th { display: none; }
.claims tr, .claims td { display: block; padding: 0.2rem 0; } .claims td { border: 0; }
.claims tr { border-bottom: 1px solid #ddd; } .claims td:empty { display: none; }
.claims td:nth-child(-n+2) { font-weight: bold; }
.claims td:nth-child(n+3)::before { content: attr(data-column) ": "; color: #555; } }
code { font-size: 0.85em; background: #f3f3f3; padding: 0.1em 0.3em; overflow-wrap: anywhere; }
"""
SIZE = re.compile(rb'<svg [^>]*?width="([0-9.]+)pt" height="([0-9.]+)pt"')
PACKED = re.compile(r"([0-9]+) ([0-9]+) ([A-Za-z0-9+/]+=*)")
SCRIPT = """
const show = async image => {
  const packed = Uint8Array.from(atob(image.dataset.svg), letter => letter.charCodeAt(0));
  const svg = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const plain = await new Response(svg, {headers: {"Content-Type": "image/svg+xml"}}).blob();
  image.src = URL.createObjectURL(plain);
};
const seen = new IntersectionObserver(entries => {
  for (const entry of entries.filter(entry => entry.isIntersecting)) {
    seen.unobserve(entry.target);
    show(entry.target);
  }
}, {rootMargin: "400px"});
for (const image of document.querySelectorAll("img[data-svg]")) seen.observe(image);
for (const head of document.querySelectorAll("th")) {
  const sort = () => {
    const rows = head.closest("table").tBodies[0], column = head.cellIndex;
    const up = head.getAttribute("aria-sort") !== "ascending" ? 1 : -1;
    const text = row => row.cells[column].textContent;
    const number = row => parseFloat(text(row).replaceAll(",", ""));
    const compare = (a, b) => number(a) - number(b) || text(a).localeCompare(text(b));
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up > 0 ? "ascending" : "descending");
    rows.append(...[...rows.rows].sort((a, b) => up * compare(a, b)));
  };
  head.tabIndex = 0;
  head.onclick = sort;
  head.onkeydown = event => event.key === "Enter" && sort();
}
for (const input of document.querySelectorAll("input")) input.oninput = () => {
  const words = input.value.toLowerCase().split(/\\s+/);
  for (const part of input.parentNode.querySelectorAll(".runs")) {
    const about = part.firstChild.textContent;
    let any = false;
    for (const row of part.querySelectorAll("tbody tr")) {
      const text = (about + " " + row.textContent).toLowerCase();
      row.hidden = !words.every(word => text.includes(word));
      any ||= !row.hidden;
    }
    part.hidden = !any;
  }
};
"""
FILTER = (
    '<input type="search" aria-label="show only rows with these words" '
    'placeholder="show only rows with these words: randman kaiming">'
)


def pack(svg: bytes) -> str:
    """Width, height and the picture in base64, as PACKED: it takes a tenth of the bytes."""
    size = SIZE.search(svg)
    assert size, "matplotlib writes the size"
    width, height = (float(number) for number in size.groups())
    return f"{width:.0f} {height:.0f} {base64.b64encode(gzip.compress(svg, mtime=0)).decode()}"


def image(alt: str, picture: re.Match[str]) -> str:
    """A packed picture, which SCRIPT unpacks when it comes into view."""
    width, height, packed = picture.groups()
    return (
        f'<figure style="aspect-ratio: {width} / {height}"><img data-svg="{packed}" '
        f'alt="{escape(alt)}"></figure>'
    )


def table(rows: pd.DataFrame, named: bool = False) -> str:
    """A table of text that scrolls sideways on a narrow screen and that a click on the name of a
    column sorts; `named`: each cell knows its column, for screens that show it below others.
    """
    head = "".join(f"<th>{escape(str(column))}</th>" for column in rows)
    names = [f' data-column="{escape(str(column))}"' if named else "" for column in rows]
    body = "".join(
        "<tr>"
        + "".join(f"<td{name}>{_cell(str(value))}</td>" for name, value in zip(names, row))
        + "</tr>"
        for row in rows.itertuples(index=False)
    )
    return (
        f"<div class=table><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(text: str) -> str:
    """The text of a cell; several lines are set apart."""
    if "\n" not in text:
        return escape(text)
    return "".join(f"<div>{escape(line)}</div>" for line in text.split("\n"))


PICTURE = "picture"  # kind of entries of the index
INTRODUCTION = (
    "Does fluctuation-driven initialization train spiking networks better than the usual "
    "initializations? Figures and tables are drawn from your own runs where there are any, else "
    "from the measurements that come with fdi; a line below each figure says which. "
    "Published values stand beside ours with their source and are never averaged with them."
)


def html(mine: Results, measured: Results) -> str:
    """The whole page."""
    title = f"fdi {__version__}: what was measured"
    head = (
        f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, '
        f'initial-scale=1"><title>{title}</title>'
    )
    first = [
        section
        for study in studies()
        if hasattr(study, "sections")
        for section in study.sections(mine, measured)
    ]
    figures = with_own(mine.runs)
    parts = [
        f"<h1>{title}</h1><p>{INTRODUCTION}</p>",
        _contents([*(heading for heading, _ in first), *(one.TITLE for one in figures.values())]),
        *(part for heading, content in first for part in _section(heading, [content])),
        *_section("Figures", _figures(figures, mine, measured)),
        *_section("Tables", _tables(mine, measured)),
        *_section("How the measurements were made", _provenance(measured)),
    ]
    return (
        f'<!doctype html><html lang="en"><head>{head}<style>{STYLE}</style></head>'
        f"<body>{''.join(parts)}<script>{SCRIPT}</script></body></html>\n"
    )


def _contents(first: Iterable[str]) -> str:
    names = (*first, "Tables", "How the measurements were made")
    links = "".join(f'<li><a href="#{_anchor(name)}">{escape(name)}</a></li>' for name in names)
    return f"<nav><ul>{links}</ul></nav>"


def _anchor(heading: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in heading.lower())


def _section(heading: str, content: Iterable[str]) -> Iterator[str]:
    yield f'<h2 id="{_anchor(heading)}">{escape(heading)}</h2>'
    yield from content


def _figures(figures: Mapping[str, Any], mine: Results, measured: Results) -> Iterator[str]:
    """The first page of each figure, with the others folded; where data are missing, the command
    that makes them.
    """
    yield "<div class=grid>"
    drawn_with, seen = drawing(*figures.values()), []
    with index(mine.folder) as kept:
        for name, module in figures.items():
            heading, text = module.TITLE, escape(about(module))
            yield f'<section><h3 id="{_anchor(heading)}">{escape(heading)}</h3><p>{text}</p>'
            contents = {f"{name} {p}": c for p, c in pages(module, mine, measured).items()}
            images = [_picture(*page, module, kept, drawn_with) for page in contents.items()]
            seen += [*contents]
            yield from images[:1]
            if len(images) > 1:
                yield f"<details><summary>{len(images) - 1} more</summary>"
                yield f"{''.join(images[1:])}</details>"
            if not images:
                yield f"<p class=note>Not drawn: it needs {escape(module.NEEDS)}.</p>"
            yield f"<p class=note>Data: <code>{escape(module.COMMAND)}</code></p></section>"
        kept.forget(PICTURE, seen)
    yield "</div>"


def _picture(name: str, content: pd.DataFrame, module: Any, kept: Index, drawn_with: str) -> str:
    """The picture of a page, from the index where the same was drawn before."""
    key = of_page(content, drawn_with)
    known = kept.find(PICTURE, name, key)
    picture = PACKED.fullmatch(known[0]) if known else None
    if picture is None:
        picture = PACKED.fullmatch(packed := pack(svg(module, content)))
        assert picture, "this is how it is packed"
        kept.keep(PICTURE, name, key, packed)
    return image(name, picture)


def _tables(mine: Results, measured: Results) -> Iterator[str]:
    lines = counted(mine.runs) if len(mine.runs) else ["no runs"]
    yield f"<p>Your results hold {'<br>'.join(map(escape, lines))}</p>"
    for title, results in (("Own runs", mine), ("The measurements that come with fdi", measured)):
        if results.runs["state"].eq("done").any():
            tables = "".join(_summary(results))
            yield f"<details><summary>{title}</summary>{FILTER}{tables}</details>"
    if quotes()[0]:
        yield "<details><summary>Published values without a run of ours beside them</summary>"
        yield f"{_unmeasured(mine.runs, measured.runs)}</details>"


def _summary(results: Results) -> Iterator[str]:
    """A table for each set of runs that differ in their initialization only."""
    tables = list(sections(results))
    for settings, summary in tables:
        shown = readable(summary).drop(columns=["dataset", "model"])
        yield f"<div class=runs><p>{escape(settings)}</p>{table(shown)}</div>"
    lines = dict.fromkeys(line for _, summary in tables for line in notes(summary).split("; "))
    yield f"<p class=note>{escape('; '.join(lines))}</p>"


def _unmeasured(*tables: pd.DataFrame) -> str:
    """Published values without a finished run of the same data set, architecture, depth and
    initialization.
    """
    done = set().union(*(with_runs(kept(runs, runs["state"] == "done")) for runs in tables))
    rows = [
        {"dataset": e.dataset, "model": e.model, "init": e.init, "published (%)": str(e)}
        for e in quotes()[0]
        if str(e) not in done
    ]
    return table(pd.DataFrame(rows)) if rows else "<p>Each has one.</p>"


def _provenance(measured: Results) -> Iterator[str]:
    path = measured.folder / PROVENANCE
    if path.exists():
        rows = table(pd.read_csv(path, dtype=str).fillna(""))
        yield f"<details><summary>Commands, commits and machines</summary>{rows}</details>"
    else:
        yield "<p>There are no measurements that came with fdi.</p>"
