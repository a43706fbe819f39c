"""Tables for a paper: the summary, or initial states, as LaTeX and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from fdi.analysis.conditions import LABELS
from fdi.analysis.render import NAMED, percent, remarks, settings
from fdi.analysis.summary import BASELINE, BEST_OF_ALL
from fdi.analysis.table_types import Summary
from fdi.config import Mistake
from fdi.config.parts import choose
from fdi.track.files import atomic


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a whole table with the columns that fdi.analysis.collect documents. Raises ValueError
    for a format that is unknown or needs a package that is not installed.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise Mistake(f"{path} must end in .csv or .parquet")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as temporary:
            if path.suffix == ".csv":
                without_formulas(table).to_csv(temporary, index=False)
            else:
                table.to_parquet(temporary)
    except ImportError:
        raise Mistake(
            f"{path} needs the package pyarrow; write .csv, or pip install 'fdi-snn[export]'"
        ) from None
    print(f"{len(table)} rows: {path}")


def without_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a ' in front of texts that a spreadsheet would take for formulas."""
    columns = {name: _text(table[name]) for name in table}
    return pd.DataFrame(columns, copy=False).rename(columns=_no_formula)


def _text(column: pd.Series) -> pd.Series:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.rename_categories(_no_formula)
    return column if pd.api.types.is_numeric_dtype(column) else column.map(_no_formula)


def _no_formula(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and FORMULA_SIGN.match(cell) else cell


FORMULA_SIGN = re.compile(r"'*([=@\t\r]|[+-](?!inf$|nan$|[0-9.]+(e[+-]?[0-9]+)?$))")
MINUS, PLUS_MINUS = "\u2212", "\u00b1"
CAPTION = (
    f"Test accuracy in percent after the last epoch: mean {PLUS_MINUS} standard deviation over n "
    f"seeds, and the 95 % confidence interval of the mean (Student's t). Difference: accuracy "
    f"minus that of {{versus}} with the same seeds, in points, with the interval over the pairs; "
    f"better or worse by Holm's method over all comparisons of a network (95 % together), and so "
    f"are the intervals of differences."
)
STATES_CAPTION = (
    "Initial states, means over n seeds (gradient: median of the norm of the afferent weights' "
    "gradient): standard deviation of the membrane potential without reset in units of the "
    "threshold, its target, and firing rate."
)
SYMBOLS = {PLUS_MINUS: r"\pm ", MINUS: "-", "%": r"\%"}
SPECIAL = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}
MARKS = re.compile(r"[\\`*|~]|(?<!\w)_|_(?!\w)|](?=[(\[:])")  # that Markdown would obey
NUMBER = rf"[\[\]+{MINUS}{PLUS_MINUS}0-9., e-]*"
FORMULA = re.compile(rf"{NUMBER}[\[+{MINUS}{PLUS_MINUS}e]{NUMBER}")
MEASURED = (
    "measured_sigma_u",
    "target_sigma_u",
    "rate",
    "silent",
    "gradient",
    "below_floor",
    "verdict",
)
POWER = re.compile(r"([0-9.]+)e([+-])0*([0-9]+)")
NUMERIC = (
    "n",
    "accuracy",
    "95 % interval",
    "difference",
    "its interval",
    "pairs",
    "sigma_U",
    "target",
    "rate (Hz)",
    "gradient",
)


def caption(summary: Summary) -> str:
    """CAPTION with the baseline of this summary."""
    versus = summary.attrs.get("versus", BASELINE)
    if versus == BEST_OF_ALL:
        versus = "the initialization that is best on the validation split"
    return CAPTION.format(versus=versus)


def summary_table(summary: Summary) -> pd.DataFrame:
    """The summary as text, a number and its interval in columns of their own; without columns that
    are empty, and conditions without a finished run. Raises ValueError if no run is finished.
    """
    finished = summary[summary["n"] > 0]
    rows: list[dict[Any, Any]] = finished.to_dict("records")
    if not rows:
        raise Mistake("none of these runs is finished; fdi-status shows how far they are")
    return _without_empty(
        {
            **settings(finished),
            "n": [str(row["n"]) for row in rows],
            "accuracy": [_spread(row["accuracy"], row["sd"]) for row in rows],
            "95 % interval": [_interval(row["low"], row["high"]) for row in rows],
            "difference": [_signed(row["versus"]) for row in rows],
            "its interval": [
                _interval(row["versus_low"], row["versus_high"], _signed) for row in rows
            ],
            "pairs": [f"{row['versus_n']:.0f}" if row["versus_n"] > 0 else "" for row in rows],
            "verdict": [row["verdict"] for row in rows],
            "rates (Hz)": [_rates(row) for row in rows],
            **remarks(finished),
        }
    )


def states_table(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The records of fdi.cli.summary as text."""
    given = dict.fromkeys(key for row in records for key in row if key not in MEASURED)
    order = [*(name for name in given if name not in ("n", "layer")), "n", "layer"]
    return _without_empty(
        {
            **{name: [str(row.get(name, "")) for row in records] for name in order},
            "sigma_U": [_number(row["measured_sigma_u"], ".2f") for row in records],
            "target": [_number(row["target_sigma_u"], ".2f") for row in records],
            "rate (Hz)": [_number(row["rate"], ".1f") for row in records],
            "gradient": [_number(row["gradient"], ".2g") for row in records],
            "verdict": [row["verdict"] for row in records],
        }
    )


def chosen(table: pd.DataFrame, names: str | None) -> pd.DataFrame:
    """The columns with these `names`, separated by commas, in their order; all, if none are given.
    Raises ValueError for one that is not there.
    """
    if names is None:
        return table
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in table:
            raise Mistake(f"no column {name or repr(name)}; {choose(name, map(str, table))}")
    return table[list(dict.fromkeys(wanted))]


def latex(table: pd.DataFrame, caption: str, label: str, note: str = "") -> str:
    """The table with rules of the package booktabs, and a `note` as a comment. Raises ValueError
    without jinja2.
    """
    shape = "".join("r" if column in NUMERIC else "l" for column in table)
    cells = table.map(_formula).rename(columns=_escaped)
    try:
        text = cells.style.hide(axis="index").to_latex(
            hrules=True,
            column_format=shape,
            caption=_formulas(caption),
            label=label,
            position="t",
            position_float="centering",
        )
    except (ImportError, AttributeError):
        raise Mistake("--latex needs the package jinja2: pip install 'fdi-snn[export]'") from None
    return f"{text}% needs \\usepackage{{booktabs}}" + (f"; {_line(note)}" if note else "")


def markdown(table: pd.DataFrame, caption: str, note: str = "") -> str:
    """The same table in Markdown, with its caption below."""
    bars = ["---:" if column in NUMERIC else "---" for column in table]
    head, *rows = ([*map(_marked, row)] for row in (table.columns, *table.to_numpy()))
    lines = [f"| {' | '.join(row)} |" for row in (head, bars, *rows)]
    return "\n".join([*lines, "", _marked(caption), *([_marked(note)] if note else [])])


def _without_empty(columns: Mapping[str, list[str]]) -> pd.DataFrame:
    kept = {name: cells for name, cells in columns.items() if name in LABELS or any(cells)}
    return pd.DataFrame(kept, dtype=str)


def _spread(mean: float, sd: float) -> str:
    return percent(mean) + ("" if pd.isna(sd) else f" {PLUS_MINUS} {percent(sd)}")


def _interval(low: float, high: float, text: Callable[[float], str] = percent) -> str:
    return "" if pd.isna(low) else f"[{text(low)}, {text(high)}]"


def _signed(share: float) -> str:
    return "" if pd.isna(share) else f"{100 * share:+.1f}".replace("-", MINUS)


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _rates(row: Mapping[Any, Any]) -> str:
    rates = {
        key.removeprefix("rate/"): value
        for key, value in row.items()
        if key.startswith("rate/") and not pd.isna(value)
    }
    if len(rates) > NAMED:
        return f"{min(rates.values()):.1f} to {max(rates.values()):.1f}"
    return ", ".join(f"{name} {rate:.1f}" for name, rate in rates.items())


def _formula(cell: str) -> str:
    """A cell of numbers as a formula, which has a true minus, another with its signs escaped."""
    if not FORMULA.fullmatch(cell):
        return _escaped(cell)
    return f"${POWER.sub(_power, _symbols(cell))}$"


def _power(match: re.Match[str]) -> str:
    sign = "-" if match[2] == "-" else ""
    return rf"{match[1]} \times 10^{{{sign}{match[3]}}}"


def _symbols(text: str) -> str:
    for sign, command in SYMBOLS.items():
        text = text.replace(f"{sign} " if sign == PLUS_MINUS else sign, command)
    return text


def _escaped(text: str) -> str:
    """As LaTeX prints it, on one line."""
    return "".join(SPECIAL.get(sign, sign) for sign in _line(text))


def _marked(text: Any) -> str:
    """As Markdown shows it, and HTML behind it, on one line."""
    return MARKS.sub(r"\\\g<0>", escape(_line(text), quote=False))


def _line(text: Any) -> str:
    return " ".join(str(text).split())


def _formulas(caption: str) -> str:
    return _escaped(caption).replace(PLUS_MINUS, r"$\pm$")
