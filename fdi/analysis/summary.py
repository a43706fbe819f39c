"""The summary: one row per condition, statistics over its seeds, the difference to a baseline; and
tables as text, for terminals, LaTeX and files.

Columns (accuracies are shares, 0 to 1, on the test set):

    dataset, model, init, and the config columns that differ
    n                                 seeds of finished runs; everything below is about these
    failed, refused, partial          runs that failed, those refused for a value that a user can
                                      mend, and those that are not finished; not part of the
                                      statistics
    accuracy, sd, low, high           after the last epoch: mean, standard deviation, 95 % interval
                                      of the mean (Student's t, with the noise of a test set below
                                      500 samples, cut at 0 and 1; of other metrics where they end)
    accuracy_best                     with the weights of the best validation epoch: mean
    valid                             on the validation split, after the last epoch: mean
    rate/<population>                 Hz: mean
    operations/<..>                   of a sample, see fdi.runner.operations: mean
    energy, energy_dense              nJ of a sample, see fdi.analysis.derived: mean
    chance                            if asked for, share of runs no better than guessing
    versus, versus_low, versus_high, versus_n
                                      accuracy minus that of the baseline over the seeds both have:
                                      mean, interval (paired, as above), seeds
    versus_p                          of that difference, by Holm's method over all comparisons of a
                                      data set and model, as the interval: it holds 0 where this is
                                      0.05 or more
    verdict                           better or worse than the baseline where versus_p < 0.05, else
                                      undecided
    metric                            what stands in place of an accuracy, its unit and direction;
                                      only where there are such runs
    tags, note                        of the user's own, of all runs of the row; where there are any

The baseline of a condition is the one of the initialization `versus`, kaiming unless given, that
agrees in all columns but those of `init`; without exactly one there is no difference. Its name is
in `table.attrs`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fdi.analysis.collect import ACCURACY, BEST, METRIC, TEST_SAMPLES, VALID, Runs, checked
from fdi.analysis.conditions import (
    BASELINE,
    LABELS,
    UNTRAINED,
    compared,
    mean_and_interval,
    versus_columns,
)
from fdi.analysis.derived import OPERATIONS, energies, energy, guesses
from fdi.analysis.formats import number, plural, short_names, shown
from fdi.analysis.statistics import PERCENT, better_or_worse
from fdi.config import Mistake
from fdi.config.metric import of_rows
from fdi.config.parts import choose
from fdi.track.files import atomic
from fdi.track.record import REFUSED, STATE_WORDS, STATES

SAID = ("tags", "note")
CHANCE = "chance"
CAPTION = (
    "test accuracy in percent after the last epoch; 95 % intervals by Student's t, of means over "
    "n seeds and of differences over n pairs of equal seed, those of differences by Holm's method "
    "over all comparisons of a network, as better, worse or undecided"
)
FULL = (
    "at chance: share of runs no better than guessing; operations: synaptic ones of a test sample "
    "whose input and weight are not 0; energy: of these arithmetic operations alone, at {:g} pJ an "
    "addition and {:g} pJ a multiplication with addition, and, if dense, of one of the latter for "
    "each connection and step"
)
ALWAYS = ("n", "mean", "sd", "95 %")  # columns that stay where they are empty
ENDED = ("failed", REFUSED)  # states of a run that does not go on by itself
ONE_BY_ONE = 3  # populations whose rates are shown one by one


def summarize(runs: Runs, versus: str = BASELINE, full: bool = False) -> pd.DataFrame:
    """The summary of a table of runs (fdi.analysis.collect.runs), `full`: with `chance`; raises
    ValueError if no run in it is readable, or none is of the initialization `versus`.
    """
    _refuse(runs, versus)
    rates = [column for column in map(str, runs) if column.startswith(("rate/", "operations/"))]
    if full:
        known = runs[[ACCURACY, "classes", TEST_SAMPLES]].notna().all(axis=1)
        runs = runs.assign(**{CHANCE: guesses(runs).astype(float).where(known)})
        rates.append(CHANCE)
    measured = [ACCURACY, BEST, VALID, TEST_SAMPLES, *rates]
    said = [name for name in SAID if name in runs and runs[name].notna().any()]
    states = runs["state"].to_numpy(dtype=str)
    found = compared(runs, measured, versus)
    columns, rows = found.columns, []
    for (condition, at), own, apart in zip(found.places.items(), found.seeds, found.differences):
        n, mean, sd, low, high = mean_and_interval(own)
        rows.append(
            {
                **dict(zip(columns, condition)),
                "n": n,
                **{state: int((states[at] == state).sum()) for state in ENDED},
                "partial": int((~np.isin(states[at], ["done", *ENDED])).sum()),
                "accuracy": mean,
                "sd": sd,
                "low": low,
                "high": high,
                "accuracy_best": own.mean(BEST),
                "valid": own.mean(VALID),
                **{column: own.mean(column) for column in rates},
                **versus_columns(apart),
                "verdict": better_or_worse(apart.mean, apart.p, own.metric.sign) if apart else "",
                **({METRIC: str(own.metric)} if METRIC in runs else {}),
                **{n: "; ".join(map(str, runs[n].iloc[at].dropna().unique())) for n in said},
            }
        )
    table = pd.DataFrame(rows)
    if OPERATIONS in table:
        table = table.assign(energy=energy(table), energy_dense=energy(table, dense=True))
    table.attrs["versus"] = versus
    return table


def _refuse(runs: Runs, versus: str) -> None:
    checked(runs)
    if versus != BASELINE and versus not in set(runs["init"]):
        raise Mistake(f"--versus {versus}: no such run; {choose(versus, {*runs['init']})}")
    if (runs["state"] == "broken").all():
        raise Mistake(
            f"all {len(runs)} runs are broken, the first one: {runs['path'].iloc[0]}: "
            f"{runs['error'].iloc[0]}"
        )
    if runs["state"].isin(UNTRAINED).all():
        raise Mistake(f"{len(runs)} runs, none of them trained: there is nothing to summarize")


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
            "\n".join(f"{row[key]} {key}" for key in (*ENDED, "partial") if row[key])
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
            for name, column in (("energy (nJ)", "energy"), ("if dense", "energy_dense")):
                text[name] = [number(n, ",.1f") for n in summary[column]]
    text |= {name: list(summary[name]) for name in SAID if name in summary}
    table = pd.DataFrame(text)
    return table[[column for column in table if column in ALWAYS or (table[column] != "").any()]]


def counted(runs: Runs) -> list[str]:
    """How many runs are in each state, and what is wrong with each broken one, a line each."""
    counts = Counter(runs["state"])
    states = ", ".join(
        f"{counts[state]} {STATE_WORDS.get(state, state)}" for state in STATES if counts[state]
    )
    broken = runs[runs["state"] == "broken"]
    return [
        f"{plural(len(runs), 'run')}: {states}",
        *(f"broken: {row['path']}: {row['error']}" for row in broken.to_dict("records")),
    ]


def caption(summary: pd.DataFrame) -> str:
    """What the columns of `readable` mean."""
    said = as_judged(CAPTION, summary)
    return f"{said}; {FULL.format(*energies())}" if CHANCE in summary else said


def as_judged(caption: str, table: pd.DataFrame) -> str:
    """The caption of a table, also where its rows are judged by something else than accuracies."""
    of_each = "set, as each row is judged," if METRIC in table else "accuracy in percent"
    return caption.replace("accuracy in percent", of_each)


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


def _reached(row: Mapping[Any, Any], value: float, sign: str = "") -> str:
    """What a row of the summary is judged by, three digits where it is not in percent."""
    metric = of_rows([row.get(METRIC)])
    return number(value, metric.form(sign), metric.scale)


def _interval(row: Mapping[Any, Any], low: float, high: float, unknown: str, sign: str = "") -> str:
    return unknown if low != low else "..".join(_reached(row, end, sign) for end in (low, high))


def _versus(row: Mapping[Any, Any]) -> str:
    """The difference to the baseline in points, the verdict, its pairs, and its interval on a
    second line, of a row of the summary.
    """
    if pd.isna(row["versus"]):
        return ""
    around = _interval(row, row["versus_low"], row["versus_high"], "", "+")
    word = f" {row['verdict']}," if row["verdict"] else ""
    text = f"{_reached(row, row['versus'], '+')}{word} n={row['versus_n']:.0f}"
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


def picked(rows: pd.DataFrame | Sequence[Mapping[str, Any]], names: str | None) -> pd.DataFrame:
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
    cells = table.map(tex).rename(columns=_escaped)
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


def tex(text: str) -> str:
    """With a true minus, and powers of ten."""
    return POWER.sub(
        lambda number: rf"${number[1]} \times 10^{{{int(number[2])}}}$",
        NEGATIVE.sub("$-$", _escaped(text)),
    )


def _escaped(text: str) -> str:
    """As LaTeX prints it, on one line."""
    return "".join(SPECIAL.get(sign, sign) for sign in " ".join(str(text).split()))
