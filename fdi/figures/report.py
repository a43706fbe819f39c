"""`python -m fdi.figures.report`: one self-contained HTML page with all figures and tables, and
where each comes from.
"""

from __future__ import annotations

import argparse
import base64
import sys
import tempfile
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import pandas as pd

from fdi import __version__
from fdi.analysis.published import PUBLISHED
from fdi.analysis.render import notes, readable
from fdi.analysis.results import PROVENANCE, Results, own, reference
from fdi.analysis.sections import sections
from fdi.figures import style
from fdi.figures.catalogue import FIGURES, draw, file_name, pages

PIXELS = 105  # of a screen, for an inch of a figure
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 0 auto; padding: 0 1rem
3rem; color: #222; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; } h3 { font-size: 1rem;
margin-bottom: 0.3rem; }
figure { margin: 1rem 0 2rem; overflow-x: auto; } img { max-width: 100%; } img.wide { max-width:
none; }
.note { font-size: 0.85rem; color: #555; }
.table { overflow-x: auto; } table { border-collapse: collapse; font-size: 0.8rem; }
th, td { padding: 0.2rem 0.6rem; text-align: left; border-bottom: 1px solid #ddd; vertical-align:
top; white-space: pre; }
code { font-size: 0.85em; background: #f3f3f3; padding: 0.1em 0.3em; overflow-wrap: anywhere; }
"""
INTRODUCTION = (
    "Does fluctuation-driven initialization train spiking networks better than what everybody "
    "uses? Figures and tables are drawn from own "
    "runs where there are any, else from the measurements that come with fdi; a line below each "
    "figure says which. "
    "Published values stand beside ours with their source and are never averaged with them."
)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(
        "fdi.figures.report", description="Writes report.html: all figures and tables on one page."
    )
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("results"),
        help="folder with runs/ or reference/ in it (default: results)",
    )
    results = parser.parse_args(argv).results
    try:
        path = results / "report.html"
        path.write_text(html(own(results), reference(results / "reference")), encoding="utf-8")
        print(path)
    except (ValueError, OSError) as error:
        print(f"fdi.figures.report: {error}", file=sys.stderr)
        return 1
    return 0


def html(mine: Results, measured: Results) -> str:
    """The whole page."""
    title = f"fdi {__version__}: what was measured"
    head = (
        f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, '
        f'initial-scale=1"><title>{title}</title>'
    )
    parts = [
        f"<h1>{title}</h1><p>{INTRODUCTION}</p>",
        "<h2>Figures</h2>",
        *_figures(mine, measured),
    ]
    parts += [
        "<h2>Tables</h2>",
        *_summary("Own runs", mine),
        *_summary("The measurements that come with fdi", measured),
    ]
    parts += [
        "<h2>What could not be measured</h2>",
        _unmeasured(pd.concat([mine.runs, measured.runs])),
    ]
    parts += ["<h2>How the reference was made</h2>", *_provenance(measured)]
    return (
        f"<!doctype html><html "
        f'lang="en"><head>{head}<style>{STYLE}</style></head><body>{"".join(parts)}</body></html>\n'
    )


def _figures(mine: Results, measured: Results) -> Iterator[str]:
    """Each page of each figure; for what is missing the command that makes it."""
    with tempfile.TemporaryDirectory() as folder:
        for name, module in FIGURES.items():
            about = escape(f"{module.ABOUT[0].upper()}{module.ABOUT[1:]}.")
            yield (
                f"<h3>{name}</h3><p>{about} <span class=note>Data: "
                f"<code>{escape(module.COMMAND)}</code></span></p>"
            )
            found = pages(module, mine, measured)
            for page, content in found.items():
                *_, png = draw(module, content, Path(folder) / file_name(name, page))
                image = base64.b64encode(png.read_bytes()).decode()
                alt, wide = (
                    escape(f"{name} {page}: {module.ABOUT}"),
                    "wide" if module.SIZE[0] > style.COLUMN else "",
                )
                width = f"{PIXELS * module.SIZE[0]:.0f}px"
                yield (
                    f'<figure><img class="{wide}" src="data:image/png;base64,{image}" '
                    f'alt="{alt}" style="width: {width}"></figure>'
                )
            if not found:
                yield f"<p class=note>Missing: needs {escape(module.NEEDS)}.</p>"


def _summary(title: str, results: Results) -> Iterator[str]:
    """A table for each set of runs that differ in their initialization only."""
    found = list(sections(results))
    if found:
        yield f"<h3>{title}</h3>"
    for settings, summary in found:
        shown = readable(summary).drop(columns=["dataset", "model"])
        yield f"<p>{escape(settings)}</p>{table(shown)}"
    parts = dict.fromkeys(part for _, summary in found for part in notes(summary).split("; "))
    yield f"<p class=note>{escape('; '.join(parts))}</p>"


def _unmeasured(runs: pd.DataFrame) -> str:
    """Published values without a finished run of the same data set, model and initialization."""
    done = set(
        runs.loc[runs["state"] == "done", ["dataset", "model", "init"]].itertuples(
            index=False, name=None
        )
    )
    rows = [entry for entry in PUBLISHED if (entry.dataset, entry.model, entry.init) not in done]
    if not rows:
        return "<p>Every published value has a counterpart of ours.</p>"
    found = pd.DataFrame(
        [
            {"dataset": e.dataset, "model": e.model, "init": e.init, "published (%)": str(e)}
            for e in rows
        ]
    )
    return (
        f"<p>Published values that have no run of ours beside them, for want of the data set "
        f"or "
        f"of time:</p>{table(found)}"
    )


def _provenance(measured: Results) -> Iterator[str]:
    path = measured.folder / PROVENANCE
    if path.exists():
        yield table(pd.read_csv(path, dtype=str).fillna(""))
    else:
        yield "<p>There is no reference.</p>"


def table(rows: pd.DataFrame) -> str:
    """A table of text that scrolls sideways on a narrow screen."""
    head = "".join(f"<th>{escape(str(column))}</th>" for column in rows)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(value))}</td>" for value in row) + "</tr>"
        for row in rows.itertuples(index=False)
    )
    return f"<div class=table><table><tr>{head}</tr>{body}</table></div>"


if __name__ == "__main__":
    sys.exit(main())
