"""docs/tables.html: the long tables of all pages, on one page that filters their rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape

import markdown

MOST_ROWS, MOST_WORDS = 6, 160
"""Of a table that stands on its own page; those of the findings all do."""
PAGE = "tables.html"
STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 95rem; padding: 0 1rem 4rem; }
header { background: Canvas; padding: 0.5rem 0; position: sticky; top: 0; }
input { font: inherit; padding: 0.3rem 0.5rem; width: min(30rem, 95%); }
section { overflow-x: auto; scroll-margin-top: 4rem; }
table { border-collapse: collapse; font-size: 0.85rem; margin-bottom: 1rem; }
th, td { border-bottom: 1px solid #8884; padding: 0.15rem 0.6rem; }
th, td { text-align: left; vertical-align: top; }
[hidden] { display: none; }
"""
SCRIPT = """
const field = document.querySelector("input"), shown = document.querySelector("output");
function filter() {
  const words = field.value.toLowerCase().split(/\\s+/).filter(Boolean);
  let count = 0;
  for (const section of document.querySelectorAll("section")) {
    let any = false;
    for (const table of section.querySelectorAll("table")) {
      const above = table.previousElementSibling.textContent;
      const title = `${section.dataset.title} ${above}`.toLowerCase();
      let some = false;
      for (const row of table.tBodies[0].rows) {
        const text = title + " " + row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        if (!row.hidden) { some = true; count += 1; }
      }
      table.hidden = !some;
      any ||= some;
    }
    section.hidden = !any;
  }
  shown.textContent = `${count} rows`;
}
field.addEventListener("input", filter);
filter();
"""


def rows(table: str) -> int:
    """Those below the heads of a table in markdown, of several tables all."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return len(lines) - 2 * sum(line.startswith("| ---") for line in lines)


def long(table: str) -> bool:
    """Whether it is a table, and too long for the page that speaks of it."""
    return rows(table) > MOST_ROWS or (rows(table) > 0 and len(table.split()) > MOST_WORDS)


def link(name: str, table: str, up: str) -> str:
    """What stands on a page in its place; `up` leads from there to docs/."""
    return f"[{rows(table)} rows, to filter]({up}{PAGE}#{name})\n"


def section(name: str, title: str, source: str, text: str) -> str:
    """That of one table."""
    linked = re.sub(r"\]\(([\w/-]+)\.md", r"](\1.html", text)
    return (
        f'<section id="{name}" data-title="{escape(title)}"><h2><a href="{source}">{escape(title)}'
        f"</a></h2>\n{markdown.markdown(linked, extensions=['tables'])}</section>\n"
    )


def page(tables: Mapping[str, tuple[str, str, str]]) -> str:
    """The page; `tables`: name -> title, the page that speaks of it, its markdown."""
    sections = "".join(section(name, *of) for name, of in tables.items())
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>fdi: all tables'
        '</title><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head>\n<body><header><strong>All tables.</strong> A title leads "
        "to the page that says how a table was made; n = 1 is one run, which decides nothing. "
        '<label>Rows with all these words: <input type="search" placeholder="deep kaiming digits" '
        f"autofocus></label> <output></output></header>\n{sections}"
        f"<script>{SCRIPT}</script></body></html>\n"
    )
