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
:root { color-scheme: light dark; --ground: light-dark(#fff, hsl(225, 15%, 5%));
  --text: light-dark(#000000de, hsla(225, 15%, 90%, 0.82));
  --line: light-dark(#0000001f, #e2e4e933);
  --soft: light-dark(#0000008a, hsla(225, 15%, 90%, 0.56)); --a: light-dark(#4051b5, #7fa3f0);
  --field: light-dark(#f5f5f5, hsl(225, 15%, 12%)); }
:root[data-scheme="slate"] { color-scheme: dark; }
:root[data-scheme="default"] { color-scheme: light; }
body { background: var(--ground); color: var(--text); font: 15px/1.5 system-ui, sans-serif;
  margin: 0 auto; max-width: 95rem; padding: 0 1rem 4rem; }
a { color: var(--a); text-decoration: none; } a:hover { text-decoration: underline; }
header { background: var(--ground); border-bottom: 1px solid var(--line); padding: 0.6rem 0;
  position: sticky; top: 0; }
header p { color: var(--soft); margin: 0.3rem 0; } nav a { font-weight: bold; }
input { background: var(--field); border: 1px solid var(--line); border-radius: 4px; color: inherit;
  box-sizing: border-box; font: inherit; padding: 0.3rem 0.5rem; width: min(30rem, 100%); }
section { overflow-x: auto; scroll-margin-top: 9rem; } h2 { font-size: 1.2rem; }
table { border-collapse: collapse; font-size: 0.85rem; margin-bottom: 1rem; }
th, td { border-bottom: 1px solid var(--line); padding: 0.2rem 0.6rem; }
th, td { text-align: left; vertical-align: top; }
[hidden] { display: none; }
@media (max-width: 40rem) { header { position: static; } }
"""
SCHEME = """
const kept = localStorage.getItem(new URL(".", location).pathname + ".__palette");
if (kept) document.documentElement.dataset.scheme = JSON.parse(kept).color.scheme;
"""
"""As chosen on the other pages of the site, else as the system says."""
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
field.parentNode.hidden = false; // of no use without a script
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
    return f"[{rows(table)} rows]({up}{PAGE}#{name})\n"


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
        f"<style>{STYLE}</style><script>{SCHEME}</script></head>\n<body><header><nav>"
        '<a href="index.html">fdi</a> / <a href="comparisons.html">Comparisons</a> / All tables'
        "</nav><p>A title leads to the page that says how a table was made; n = 1 is one run, "
        "which decides nothing.</p><label hidden>Rows with all these words: "
        '<input type="search" placeholder="deep kaiming digits"></label> '
        f"<output></output></header>\n<main>{sections}</main>"
        f"<script>{SCRIPT}</script></body></html>\n"
    )
