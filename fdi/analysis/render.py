"""The summary as text: for terminals, and as LaTeX and files for a paper."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from fdi.analysis.collect import METRIC, Runs
from fdi.analysis.conditions import BASELINE, LABELS
from fdi.analysis.derived import OPERATIONS
from fdi.analysis.formats import number, plural, short_names, shown
from fdi.analysis.statistics import PERCENT
from fdi.analysis.summary import CHANCE, SAID
from fdi.config import Mistake
from fdi.config.metric import of_rows
from fdi.config.parts import choose
from fdi.track.files import atomic
from fdi.track.record import STATES

EXAMPLE = "fdi-run -m init=kaiming,fluct 'seed=range(3)'"  # makes runs, where there are none
CAPTION = (
    "test accuracy in percent after the last epoch; 95 % intervals by Student's t, of means over "
    "n seeds and of differences over n pairs of equal seed, those of differences by Holm's method "
    "over all comparisons of a network, as better, worse or undecided"
)
FULL = (
    "at chance: share of runs no better than guessing; operations: synaptic ones of a test sample "
    "whose input and weight are not 0"
)
ALWAYS = ("n", "mean", "sd", "95 %")  # columns that stay where they are empty
ONE_BY_ONE = 3  # populations whose rates are shown one by one


def keys(summary: pd.DataFrame) -> dict[str, str]:
    """Names of the columns of `readable` that tell its rows apart -> columns of the summary."""
    varied = list(summary.columns[len(LABELS) : summary.columns.get_loc("n")])
    return {name: column for column, name in short_names([*LABELS, *varied]).items()}


def readable(summary: pd.DataFrame) -> pd.DataFrame:
    """The summary as text: accuracies in percent, other metrics in their unit, of many rates the
    range and how many, empty columns left out.
    """
    rows = summary.to_dict("records")
    text = {
        name: ["-" if pd.isna(value) else shown(value) for value in summary[column]]
        for name, column in keys(summary).items()
    }
    text |= {
        "n": [str(row["n"]) for row in rows],
        "not finished": [
            "\n".join(f"{row[key]} {key}" for key in ("failed", "partial") if row[key])
            for row in rows
        ],
        "mean": [_reached(row, row["accuracy"]) for row in rows],
        "sd": [_reached(row, row["sd"]) for row in rows],
        "95 %": [_interval(row, row["low"], row["high"], "-") for row in rows],
        "judged by": [row.get(METRIC, "") for row in rows],
        "rates (Hz)": [_rates(row) for row in rows],
        f"minus {summary.attrs.get('versus', BASELINE)}": [_versus(row) for row in rows],
    }
    if CHANCE in summary:
        text["at chance"] = [number(share, scale=PERCENT) for share in summary[CHANCE]]
        if OPERATIONS in summary:
            text["operations"] = [*summary[OPERATIONS].map(lambda n: number(n, ",.0f"))]
    text |= {name: list(summary[name]) for name in SAID if name in summary}
    table = pd.DataFrame(text)
    return table[[column for column in table if column in ALWAYS or (table[column] != "").any()]]


def counted(runs: Runs) -> list[str]:
    """How many runs are in each state, and what is wrong with each broken one, a line each."""
    counts = Counter(runs["state"])
    states = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    broken = runs[runs["state"] == "broken"]
    return [
        f"{plural(len(runs), 'run')}: {states}",
        *(f"broken: {row['path']}: {row['error']}" for row in broken.to_dict("records")),
    ]


def caption(summary: pd.DataFrame) -> str:
    """What the columns of `readable` mean."""
    said = CAPTION
    if METRIC in summary:
        said = said.replace("accuracy in percent", "set, as each row is judged,")
    return f"{said}; {FULL}" if CHANCE in summary else said


def _rates(row: Mapping[Any, Any]) -> str:
    """The rates of the populations, or from where to where they are, and of how many."""
    rates = {
        key.removeprefix("rate/"): row[key]
        for key in row
        if key.startswith("rate/") and not pd.isna(row[key])
    }
    if len(rates) > ONE_BY_ONE:
        low, high = (number(end(rates.values())) for end in (min, max))
        return f"{low}..{high}\nin {len(rates)}"
    return "\n".join(f"{name} {rate:.1f}" for name, rate in rates.items())


def _reached(row: Mapping[Any, Any], value: float, form: str = ".1f") -> str:
    """What a row of the summary is judged by, three digits where it is not in percent."""
    metric = of_rows([row.get(METRIC)])
    return number(value, form if metric.unit == "%" else f"{form[:-3]}.3g", metric.scale)


def _interval(
    row: Mapping[Any, Any], low: float, high: float, unknown: str, form: str = ".1f"
) -> str:
    return unknown if low != low else "..".join(_reached(row, end, form) for end in (low, high))


def _versus(row: Mapping[Any, Any]) -> str:
    """The difference to the baseline in points, the verdict, its pairs, and its interval on a
    second line, of a row of the summary.
    """
    if pd.isna(row["versus"]):
        return ""
    around = _interval(row, row["versus_low"], row["versus_high"], "", "+.1f")
    word = f" {row['verdict']}," if row["verdict"] else ""
    text = f"{_reached(row, row['versus'], '+.1f')}{word} n={row['versus_n']:.0f}"
    return f"{text}\n({around})" if around else text


def export(table: pd.DataFrame, path: Path) -> None:
    """Write a whole table as CSV with the columns that fdi.analysis.collect documents. Raises
    ValueError for a file of another name.
    """
    if path.suffix != ".csv":
        raise Mistake(f"{path} must end in .csv")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        without_formulas(table).to_csv(temporary, index=False)
    print(f"{len(table)} rows: {path}")


def without_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a ' in front of texts that a spreadsheet would take for formulas."""
    columns = {name: _safe(table[name]) for name in table}
    return pd.DataFrame(columns, copy=False).rename(columns=_no_formula)


def _safe(column: pd.Series) -> pd.Series:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.rename_categories(_no_formula)
    return column if pd.api.types.is_numeric_dtype(column) else column.map(_no_formula)


def _no_formula(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and FORMULA_SIGN.match(cell) else cell


FORMULA_SIGN = re.compile(r"'*([=@\t\r]|[+-](?!inf$|nan$|[0-9.]+(e[+-]?[0-9]+)?$))")
SPECIAL = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}
POWER = re.compile(r"\b([0-9.]+)e([+-][0-9]+)\b")
NEGATIVE = re.compile(r"(?<![\w-])-(?=[0-9])")
NUMERIC = ("n", "mean", "sd", "95 %", "sigma_U", "target", "rate (Hz)", "gradient")


def chosen(rows: pd.DataFrame | Sequence[Mapping[str, Any]], names: str | None) -> pd.DataFrame:
    """The columns with these `names`, separated by commas, in their order; all, if none are given.
    Raises ValueError for one that is not there.
    """
    table = pd.DataFrame(rows)
    if names is None:
        return table
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in table:
            raise Mistake(f"no column {name or repr(name)}; {choose(name, map(str, table))}")
    return table[list(dict.fromkeys(wanted))]


def latex(table: pd.DataFrame, caption: str, label: str) -> str:
    """The table with rules of the package booktabs. Raises ValueError without jinja2."""
    shape = "".join("r" if column in NUMERIC else "l" for column in table)
    cells = table.map(_tex).rename(columns=_escaped)
    try:
        text = cells.style.hide(axis="index").to_latex(
            hrules=True,
            column_format=shape,
            caption=_escaped(f"{caption[0].upper()}{caption[1:].removesuffix('.')}."),
            label=label,
            position="t",
            position_float="centering",
        )
    except (ImportError, AttributeError):
        raise Mistake("--latex needs the package jinja2: pip install 'fdi-snn[export]'") from None
    return f"{text}% needs \\usepackage{{booktabs}}"


def _tex(text: str) -> str:
    """With a true minus, and powers of ten."""
    return POWER.sub(
        lambda number: rf"${number[1]} \times 10^{{{int(number[2])}}}$",
        NEGATIVE.sub("$-$", _escaped(text)),
    )


def _escaped(text: str) -> str:
    """As LaTeX prints it, on one line."""
    return "".join(SPECIAL.get(sign, sign) for sign in " ".join(str(text).split()))
