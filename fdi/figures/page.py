"""How the report looks and behaves: its style, its script, and a table of text."""

from __future__ import annotations

import base64
import gzip
import re
from html import escape

import pandas as pd

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


def image(alt: str, svg: bytes) -> str:
    """A picture that SCRIPT unpacks when it comes into view: packed it takes a tenth of the
    bytes.
    """
    size = SIZE.search(svg)
    assert size, "matplotlib writes the size"
    width, height = (float(number) for number in size.groups())
    packed = base64.b64encode(gzip.compress(svg, mtime=0)).decode()
    return (
        f'<figure style="aspect-ratio: {width:.0f} / {height:.0f}"><img data-svg="{packed}" '
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
