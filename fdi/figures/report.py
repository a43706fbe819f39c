"""One self-contained HTML page: all figures with where they come from, and tables of all
conditions, which one filters and sorts in the browser.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from html import escape
from importlib.resources import files
from typing import Any

import pandas as pd

from fdi import __version__
from fdi.analysis.conclusion import of_sweep, shortly
from fdi.analysis.conditions import LABELS, groups
from fdi.analysis.formats import plural
from fdi.analysis.results import Results, studies
from fdi.analysis.summary import caption, counted, keys, readable, summarize
from fdi.figures.catalogue import about, figure, file_name, pages, with_own
from fdi.figures.sheet import Page, alternative, caption_text, png
from fdi.track.files import printable, spared

STYLE, SCRIPT = (files("fdi.figures").joinpath(f"report.{kind}") for kind in ("css", "js"))
FILTER = (
    '<input type="search" hidden aria-label="show only rows of which all these words hold" '
    'placeholder="randman kaiming eps=1e-36 mean&gt;90 tags=draft">'
)


def image(figure: Page, title: str) -> str:
    """A picture as in a paper, with its alternative text, and its caption but for the `title`."""
    packed = base64.b64encode(png(figure)).decode()
    alt = escape(alternative(figure))
    caption = escape(caption_text(figure.caption.removeprefix(f"{title}. ")))
    return (
        f'<figure class="mm{figure.paper}"><img src="data:image/png;base64,{packed}" alt="{alt}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def html_table(rows: pd.DataFrame, named: bool = False) -> str:
    """A table of text that scrolls sideways on a narrow screen and that a click on the name of a
    column sorts; `named`: each cell knows its column, for screens that show it below others.
    """
    head = "".join(f"<th>{escape(str(column))}</th>" for column in rows)
    names = [f' data-column="{escape(str(column))}"' if named else "" for column in rows]
    body = ""
    for row in rows.itertuples(index=False):
        lines = [escape(str(value)).split("\n") for value in row]
        cells = [
            entries[0] if len(entries) == 1 else "".join(f"<div>{n}</div>" for n in entries)
            for entries in lines
        ]
        body += f"<tr>{''.join(f'<td{name}>{cell}</td>' for name, cell in zip(names, cells))}</tr>"
    return (
        f"<div class=table><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


INTRODUCTION = (
    "Figures and tables are drawn from your own runs where there are any, else from the "
    "measurements that come with fdi; a line below each figure says which."
)
Tell = Callable[[str], None]


def html(
    mine: Results, measured: Results, tell: Tell = lambda what: None, claims: bool = False
) -> str:
    """The whole page; `tell` is called with what comes next. `claims`: with the sections of the
    studies, which a report without own runs has anyway.
    """
    main = measured if mine.runs.empty else mine
    title = f"fdi {__version__}: {plural(len(main.runs), 'run')}"
    head = (
        f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, '
        f'initial-scale=1"><meta name="color-scheme" content="light dark"><title>{title}</title>'
    )
    pictures, rest = _figures(with_own(mine.runs), mine, measured, tell)
    tell("tables")
    introduction = f"<p>{INTRODUCTION}</p>" * (not measured.runs.empty)
    grid = f"<div class=grid>{''.join(pictures.values())}</div>"
    asked = list(_asked(mine, measured)) if claims or mine.runs.empty else []
    sections = [
        (TABLES, "".join(_tables(mine, measured))),
        ("Figures", f"{introduction}{grid}{rest}"),
        *asked,
    ]
    names = [TABLES, *pictures, *(name for name, _ in asked)]
    lines = [*counted(main.runs), *_verdicts(mine.runs)]
    said = "<br>".join(map(escape, lines))
    links = "".join(f'<li><a href="#{_anchor(name)}">{escape(name)}</a></li>' for name in names)
    parts = [f"<h1>{title}</h1><p class=said>{said}</p><nav><ul>{links}</ul></nav>"]
    parts += [f"{_heading(name, 2)}{content}" for name, content in sections]
    body = printable("".join(parts), keep="\n")
    return (
        f'<!doctype html><html lang="en"><head>{head}<style>{STYLE.read_text()}</style></head>'
        f"<body>{body}<script>{SCRIPT.read_text()}</script></body></html>\n"
    )


def _verdicts(runs: pd.DataFrame) -> list[str]:
    """What the tested runs come to, in sentences."""
    return shortly(of_sweep(runs)) if runs["state"].eq("done").any() else []


def _asked(mine: Results, measured: Results) -> Iterator[tuple[str, str]]:
    """The sections of the studies; those of one that raises end there."""
    for study in studies():
        written: list[tuple[str, str]] = []
        with spared(f"a section of {study.__name__}"):
            if hasattr(study, "sections"):
                written += ((str(name), str(text)) for name, text in study.sections(mine, measured))
        yield from written


TABLES = "Conditions"
RUN = "fdi-"  # start of the commands that users have


def _anchor(heading: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in heading.lower())


def _heading(text: str, level: int) -> str:
    return f'<h{level} id="{_anchor(text)}">{escape(text)}</h{level}>'


def _figures(
    figures: Mapping[str, Any], mine: Results, measured: Results, tell: Tell
) -> tuple[dict[str, str], str]:
    """The figures that there are, by title; and in one line that opens, what others need."""
    drawn: dict[str, str] = {}
    lacking = []
    for place, (name, module) in enumerate(figures.items(), 1):
        tell(f"figure {place} of {len(figures)}: {name}")
        contents: dict[str, pd.DataFrame] = {}
        images: list[str] = []
        with spared(f"the figure {name}"):
            contents |= pages(module, mine, measured)
        for page, content in contents.items():
            with spared(f"the figure {file_name(name, page)}"):
                images.append(image(figure(module, content, paper=True), module.TITLE))
        command = f"<code>{escape(module.COMMAND)}</code>"
        if images:
            more = (
                f"<details><summary>{len(images) - 1} more</summary>{''.join(images[1:])}</details>"
            )
            drawn[module.TITLE] = (
                f"<section>{_heading(module.TITLE, 3)}<p>{escape(about(module))}</p>{images[0]}"
                f"{more * (len(images) > 1)}<p class=note>Runs like these: {command}</p></section>"
            )
        elif module.COMMAND.startswith(RUN):
            lacking.append(f"<li>{escape(module.TITLE)}: {escape(module.NEEDS)}: {command}</li>")
    many = plural(len(lacking), "other figure")
    rest = f"<details><summary>{many}, and what they need</summary><ul>{''.join(lacking)}</ul>"
    return drawn, f"{rest}</details>" * bool(lacking)


def _tables(mine: Results, measured: Results) -> Iterator[str]:
    for title, results in (("Own runs", mine), ("The measurements that come with fdi", measured)):
        if results.runs["state"].eq("done").any():
            shown = " open" * (results is mine)
            yield f"<details{shown}><summary>{title}</summary>{FILTER}{''.join(_summary(results))}"
            yield "</details>"


def _summary(results: Results) -> Iterator[str]:
    """A row for each condition of all data sets and models, in one table."""
    done = results.runs[results.runs["state"] == "done"]
    networks = groups(done, ["dataset", "model"])
    summaries = [summarize(network, full=True) for _, network in networks]
    parts = []
    for summary in summaries:
        rows, names = readable(summary), [name for name in keys(summary) if name not in LABELS]
        settings = [
            ", ".join(f"{name} = {value}" for name, value in zip(names, row) if value != "-")
            for row in rows[names].to_numpy(object)
        ]
        parts.append(rows.drop(columns=names))
        parts[-1].insert(len(LABELS), "settings", settings)
    yield html_table(pd.concat(parts, ignore_index=True).fillna(""))
    lines = dict.fromkeys(map(caption, summaries))
    yield f"<p class=note>{escape('; '.join(lines))}</p>"
