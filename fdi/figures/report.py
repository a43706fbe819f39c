"""One self-contained HTML page: all figures and tables with where they come from, and all runs,
which one filters, sorts and puts beside each other in the browser.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from html import escape
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fdi import __version__
from fdi.analysis.collect import METRIC, config_columns
from fdi.analysis.conditions import LABELS, condition_columns
from fdi.analysis.formats import plural, shown, told
from fdi.analysis.learning import by_network
from fdi.analysis.render import counted, keys, notes, readable
from fdi.analysis.results import OWN, READOUT, Results
from fdi.analysis.studies import studies
from fdi.config.metric import ACCURACY as OF_CLASSES
from fdi.config.metric import of_rows
from fdi.figures.catalogue import about, file_name, pages, svg, with_own
from fdi.track.files import printable
from fdi.track.record import STATES, UNTESTED
from fdi.track.told import spared

STYLE, SCRIPT = (files("fdi.figures").joinpath(f"report.{kind}") for kind in ("css", "js"))
SIZE = re.compile(rb'<svg [^>]*?width="([0-9.]+)pt" height="([0-9.]+)pt"')
FILTER = (
    '<input type="search" data-static aria-label="show only rows of which all these words hold" '
    'placeholder="randman kaiming eps=1e-36">'
)


def image(alt: str, svg: bytes) -> str:
    """A picture in a tenth of its bytes, which SCRIPT unpacks when it comes into view."""
    size = SIZE.search(svg)
    assert size, "matplotlib writes the size"
    width, height = (round(float(number)) for number in size.groups())
    return (
        f'<figure style="aspect-ratio: {width} / {height}"><img data-svg="{packed(svg)}" '
        f'alt="{escape(alt)}"></figure>'
    )


def table(rows: pd.DataFrame, named: bool = False) -> str:
    """A table of text that scrolls sideways on a narrow screen and that a click on the name of a
    column sorts; `named`: each cell knows its column, for screens that show it below others.
    """
    head = "".join(f"<th>{escape(str(column))}</th>" for column in rows)
    names = [f' data-column="{escape(str(column))}"' if named else "" for column in rows]
    body = ""
    for row in rows.itertuples(index=False):
        lines = [escape(str(value)).split("\n") for value in row]
        cells = [of[0] if len(of) == 1 else "".join(f"<div>{n}</div>" for n in of) for of in lines]
        body += f"<tr>{''.join(f'<td{name}>{cell}</td>' for name, cell in zip(names, cells))}</tr>"
    return (
        f"<div class=table><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


INTRODUCTION = (
    "Figures and tables are drawn from your own runs where there are any, else from the "
    "measurements that come with fdi; a line below each figure says which. Published values stand "
    "beside ours with their source and are never averaged with them."
)
FIRST = ("best", "depth", "own_sweeps", "learning_curves")
"""Figures that may stand at the top, the first that there is."""
Tell = Callable[[str], None]


def html(mine: Results, measured: Results, tell: Tell = lambda what: None) -> str:
    """The whole page; `tell` is called with what comes next."""
    main = measured if mine.runs.empty else mine
    title = f"fdi {__version__}: {len(main.runs):,} runs"
    head = (
        f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, '
        f'initial-scale=1"><meta name="color-scheme" content="light dark"><title>{title}</title>'
    )
    figures = with_own(mine.runs)
    drawn = dict(_figures(figures, mine, measured, tell))
    tell("tables")
    pictures = "".join(map(str, drawn.values()))
    sections = [
        (ALL, explorer(main)),
        ("Figures", f"<p>{INTRODUCTION}</p><div class=grid>{pictures}</div>"),
        (TABLES, "".join(_tables(mine, measured))),
    ]
    asked = list(_asked(mine, measured))
    names = [ALL, *(one.TITLE for one in figures.values()), TABLES, *(name for name, _ in asked)]
    said = escape(_sentence(main))
    parts = [f"<h1>{title}</h1><p class=said>{said}</p>{_first(drawn, main)}{_contents(names)}"]
    parts += [f"{_heading(name, 2)}{content}" for name, content in (*sections, *asked)]
    body = printable("".join(parts), keep="\n")
    return (
        f'<!doctype html><html lang="en"><head>{head}<style>{STYLE.read_text()}</style></head>'
        f"<body>{body}<script>{SCRIPT.read_text()}</script></body></html>\n"
    )


def _asked(mine: Results, measured: Results) -> Iterator[tuple[str, str]]:
    """The sections of the studies; those of one that raises end there."""
    for study in studies():
        found: list[tuple[str, str]] = []
        with spared(f"a section of {study.__name__}"):
            if hasattr(study, "sections"):
                found += ((str(name), str(text)) for name, text in study.sections(mine, measured))
        yield from found


ALL, TABLES = "All runs", "Conditions"


def _first(drawn: Mapping[str, Drawn], main: Results) -> str:
    """A picture of these runs."""
    mine = main.runs["source"].eq(OWN).any()
    own = [name for name, one in drawn.items() if one.images and one.own == mine]
    name = next((name for name in (*FIRST, *own) if name in own), None)
    return drawn[name].images[0] if name else ""


class Drawn(NamedTuple):
    """A figure of the report: its heading and sentence, its pages, and whether the first of them is
    of the user's own runs.
    """

    heading: str
    images: list[str]
    below: str
    own: bool

    def __str__(self) -> str:
        first, *others = self.images or [""]
        more = f"<details><summary>{len(others)} more</summary>{''.join(others)}</details>"
        return f"<section>{self.heading}{first}{more * bool(others)}{self.below}</section>"


def _contents(names: Iterable[str]) -> str:
    links = "".join(f'<li><a href="#{_anchor(name)}">{escape(name)}</a></li>' for name in names)
    return f"<nav><ul>{links}</ul></nav>"


def _anchor(heading: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in heading.lower())


def _heading(text: str, level: int) -> str:
    return f'<h{level} id="{_anchor(text)}">{escape(text)}</h{level}>'


def _figures(
    figures: Mapping[str, Any], mine: Results, measured: Results, tell: Tell
) -> Iterator[tuple[str, Drawn]]:
    """The pages of each figure; where data are missing, the command that makes them."""
    for place, (name, module) in enumerate(figures.items(), 1):
        tell(f"figure {place} of {len(figures)}: {name}")
        contents: dict[str, pd.DataFrame] = {}
        images: list[str] = []
        own: list[bool] = []
        with spared(f"the figure {name}"):
            contents |= pages(module, mine, measured)
        for page, content in contents.items():
            with spared(f"the figure {file_name(name, page)}"):
                images.append(image(f"{name} {page}", svg(module, content)))
                own.append(content["source"].iloc[0].startswith(OWN))
        lacks = "" if images else f"Not drawn: it needs {escape(module.NEEDS)}. "
        below = f"<p class=note>{lacks}Data: <code>{escape(module.COMMAND)}</code></p>"
        head = f"{_heading(module.TITLE, 3)}<p>{escape(about(module))}</p>"
        yield name, Drawn(head, images, below, own[:1] == [True])


def _tables(mine: Results, measured: Results) -> Iterator[str]:
    lines = counted(mine.runs) if len(mine.runs) else ["no runs"]
    yield f"<p>Your results hold {'<br>'.join(map(escape, lines))}</p>"
    for title, results in (("Own runs", mine), ("The measurements that come with fdi", measured)):
        if results.runs["state"].eq("done").any():
            yield f"<details><summary>{title}</summary>{FILTER}{''.join(_summary(results))}"
            yield "</details>"


def _summary(results: Results) -> Iterator[str]:
    """A row for each condition of all data sets and models, in one table."""
    summaries = [*by_network(results)]
    parts = []
    for summary in summaries:
        rows, names = readable(summary), [name for name in keys(summary) if name not in LABELS]
        settings = [
            ", ".join(f"{name} = {value}" for name, value in zip(names, row) if value != "-")
            for row in rows[names].itertuples(index=False)
        ]
        parts.append(rows.drop(columns=names))
        parts[-1].insert(len(LABELS), "settings", settings)
    yield table(pd.concat(parts, ignore_index=True).fillna(""))
    lines = dict.fromkeys(line for summary in summaries for line in notes(summary).split("; "))
    yield f"<p class=note>{escape('; '.join(lines))}</p>"


STATES_SAID = {UNTESTED: "that chose step sizes on validation", "probed": "only probed"}


def _sentence(results: Results) -> str:
    """How many runs of what there are."""
    runs = results.runs
    done = runs[runs["state"] == "done"]
    counts = runs["state"].value_counts().drop("done", errors="ignore")
    others = [f"{counts[s]:,} {STATES_SAID.get(s, s)}" for s in STATES if s in counts]
    data, inits = (done[key].nunique() for key in ("dataset", "init"))
    return (
        f"{plural(len(done), 'finished run')} on {plural(data, 'data set')} from "
        f"{plural(inits, 'initialization')}" + f" ({', '.join(others)})" * bool(others) + "."
    )


POINTS = 40  # of a learning curve
PLACEHOLDER = "randman kaiming eps=1e-36 test&gt;90 tags=draft"
COLUMNS = {
    "seed": "seed",
    "state": "state",
    "test_accuracy_last": "test",
    "valid_accuracy_last": "valid",
    "epoch": "epochs",
    "tags": "tags",
    "note": "note",
}
LAYER = {
    "population": "layer",
    "free_sigma": "sigma_U",
    "target_sigma_u": "target",
    "rate": "Hz",
    "silent": "silent",
    "grad_task": "gradient",
}


def explorer(results: Results) -> str:
    """The table as HTML, with its data packed beside it: fdi/figures/report.js unpacks them."""
    runs = results.runs.reset_index(drop=True)
    columns: dict[str, list[Any]] = {name: [*map(_text, runs[name])] for name in LABELS}
    columns["settings"] = _settings(runs)
    metrics = [of_rows([text]) for text in runs.get(METRIC, [None] * len(runs))]
    for name, title in COLUMNS.items():
        if "accuracy" in name:
            forms = [(of.scale, ".1f" if of.unit == "%" else ".3g") for of in metrics]
            shown = [_text(scale * v, form) for v, (scale, form) in zip(runs[name], forms)]
            unit = " (%)" if set(metrics) <= {OF_CLASSES} else ""
            columns[title + unit] = shown
        elif name in runs and (runs[name].notna().any() or name not in ("tags", "note")):
            columns[title] = [*map(_text, runs[name])]
    if METRIC in runs:
        columns["judged by"] = [*map(str, metrics)]
    keys = [name for name in config_columns(runs) if "." in name and not name.startswith("name.")]
    config = {name: [*map(_text, runs[name])] for name in keys if runs[name].notna().any()}
    alike = {name: values[0] for name, values in config.items() if len(set(values)) == 1}
    content = {
        "columns": list(columns),
        "rows": [*zip(*columns.values())],
        "paths": [*map(_text, runs["path"])],
        "same": alike,
        "config": {name: values for name, values in config.items() if name not in alike},
        "curves": _curves(results, runs, [metric.scale for metric in metrics]),
        "judged": [metric.title for metric in metrics],
        "measured": list(LAYER.values()),
        "probes": _probes(results, runs),
    }
    data = packed(json.dumps(content, allow_nan=False, separators=(",", ":")).encode())
    head = "".join(f"<th>{escape(name)}</th>" for name in ("", *columns))
    return (
        f'<div data-runs="{data}"><input type="search" '
        f'aria-label="show only runs of which all these words hold" placeholder="{PLACEHOLDER}">'
        f"<p class=note></p><div class=beside hidden></div><div class=table><table id=runs><thead>"
        f"<tr>{head}</tr></thead><tbody></tbody></table></div></div>"
    )


def packed(content: bytes) -> str:
    """What fdi/figures/report.js unpacks, as text."""
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()


def _settings(runs: pd.DataFrame) -> list[str]:
    """Of each run what tells it from others of its data set and model, as text."""
    texts = [""] * len(runs)
    columns = [name for name in condition_columns(runs) if name not in LABELS]
    for _, group in runs.groupby(["dataset", "model"]):
        several = [name for name in columns if group[name].nunique(dropna=False) > 1]
        for place, *values in zip(group.index, *(group[name] for name in several)):
            texts[place] = told(several, values)
    return texts


def _text(value: Any, form: str = "") -> str | None:
    """In this format if it is a number; None where nothing is known."""
    if value is None or value != value:
        return None
    if isinstance(value, float) and form:
        return format(value, form)
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e6
    return str(int(value)) if whole else printable(shown(value), keep="\n")


def _curves(
    results: Results, runs: pd.DataFrame, scales: list[float]
) -> dict[int, list[list[float]]]:
    """Epochs and validation accuracies in percent, or what else it is judged by, by the place of
    the run.
    """
    curves = results.learning(runs)
    found = {}
    for place, path in enumerate(runs["path"]):
        if path in curves:
            epochs, accuracy = curves[path]
            kept = np.unique(np.linspace(0, len(epochs) - 1, POINTS).round().astype(int))
            values = scales[place] * np.asarray(accuracy)[kept]
            found[place] = [np.asarray(epochs)[kept].tolist(), values.round(3).tolist()]
    return found


def _probes(results: Results, runs: pd.DataFrame) -> dict[int, list[list[str | None]]]:
    """Rows of LAYER by the place of the run."""
    places = {path: place for place, path in enumerate(runs["path"])}
    probe = results.probe
    if "population" not in probe:
        return {}
    layers = probe[probe["path"].isin(places) & (probe["population"] != READOUT)]
    known = layers.reindex(columns=[*LAYER])
    cells = [[_text(value, ".3g") for value in known[name]] for name in LAYER]
    found: dict[int, list[list[str | None]]] = {}
    for path, *row in zip(layers["path"], *cells):
        found.setdefault(places[path], []).append(row)
    return found
