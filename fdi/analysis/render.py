"""The summary for people, as text."""

from __future__ import annotations

import re
from collections import Counter

import pandas as pd

from fdi.analysis.conditions import LABELS, short_names, shown
from fdi.analysis.studies import quotes
from fdi.analysis.summary import BASELINE, SAID
from fdi.analysis.table_types import Runs, Summary
from fdi.track.record import STATES

EXAMPLE = "fdi-run -m init=kaiming,fluct 'seed=range(3)'"  # makes runs, where there are none
CAPTION = (
    "test accuracy in percent after the last epoch; 95 % intervals by Student's t, of means over "
    "n seeds and of differences over n pairs of equal seed, those of differences by Holm's method "
    "over all comparisons of a network, as better, worse or undecided"
)
LEARNING = (
    "at chance: share of runs no better than guessing; area: mean validation accuracy over the "
    "epochs; epochs to target: until the validation accuracy is 90 % of the best one with that "
    "data set and model, mean over the n runs that get there"
)
QUOTED = re.compile(r"(\[.\])[^;]*")  # the tag of a source, and the circumstances after it
NUMERIC = ("n", "mean", "sd", "95 %")
NAMED = 3  # populations whose rates are shown one by one


def keys(summary: Summary) -> dict[str, str]:
    """Names of the columns of `readable` that tell its rows apart -> columns of the summary."""
    settings = list(summary.columns[len(LABELS) : summary.columns.get_loc("n")])
    return {name: column for column, name in short_names([*LABELS, *settings]).items()}


def readable(summary: Summary) -> pd.DataFrame:
    """The summary as text: accuracies in percent, of many rates the range and how many, empty
    columns left out.
    """
    rows = summary.to_dict("records")
    text = {
        **settings(summary),
        "n": [str(row["n"]) for row in rows],
        "not finished": [_unfinished(row) for row in rows],
        "mean": [percent(row["accuracy"]) for row in rows],
        "sd": [percent(row["sd"]) for row in rows],
        "95 %": [_interval(row["low"], row["high"]) for row in rows],
        "rates (Hz)": [_rates(row) for row in rows],
        f"minus {summary.attrs.get('versus', BASELINE)}": [versus(row) for row in rows],
        **remarks(summary),
    }
    table = pd.DataFrame(text).assign(published=lambda t: t["published"].str.replace("; ", "\n"))
    return table[[column for column in table if column in NUMERIC or (table[column] != "").any()]]


def counted(runs: Runs) -> list[str]:
    """How many runs are in each state, and what is wrong with each broken one, a line each."""
    counts = Counter(runs["state"])
    states = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    broken = runs[runs["state"] == "broken"]
    return [
        f"{len(runs):,} run{'s' * (len(runs) != 1)}: {states}",
        *(f"broken: {path}: {error}" for path, error in zip(broken["path"], broken["error"])),
    ]


def notes(summary: Summary) -> str:
    """What the columns of `readable` mean, and what `quoted` says."""
    learning = [LEARNING] if "chance" in summary else []
    return "; ".join(filter(None, [CAPTION, *learning, quoted(summary)]))


def quoted(summary: Summary) -> str:
    """The published values with their circumstances, and their sources."""
    cells = summary["published"]
    entries = dict.fromkeys(entry for cell in cells for entry in cell.split("; ") if entry)
    sources = [
        f"[{tag}] {meaning}"
        for tag, meaning in quotes()[1].items()
        if any(f"[{tag}]" in entry for entry in entries)
    ]
    return "; ".join(["published, percent: " + ", ".join(entries), *sources] if entries else [])


def _unfinished(row: dict) -> str:
    return "\n".join(f"{row[key]} {key}" for key in ("failed", "partial") if row[key])


def percent(share: float) -> str:
    """A share in percent with one decimal."""
    return "-" if pd.isna(share) else f"{100 * share:.1f}"


def _interval(low: float, high: float) -> str:
    return "-" if pd.isna(low) else f"{100 * low:.1f}..{100 * high:.1f}"


def _rates(row: dict) -> str:
    rates = {
        key.removeprefix("rate/"): row[key]
        for key in row
        if key.startswith("rate/") and not pd.isna(row[key])
    }
    if len(rates) > NAMED:
        return f"{min(rates.values()):.1f}..{max(rates.values()):.1f}\nin {len(rates)}"
    return "\n".join(f"{name} {rate:.1f}" for name, rate in rates.items())


def settings(summary: Summary) -> dict[str, list[str]]:
    """The first columns of every table of a summary, as text: what tells its rows apart."""
    return {
        name: ["-" if pd.isna(value) else shown(value) for value in summary[column]]
        for name, column in keys(summary).items()
    }


def remarks(summary: Summary) -> dict[str, list[str]]:
    """The last ones: those of fdi.analysis.learning, and what the user said, where the summary has
    them, and what was published.
    """
    columns: dict[str, list[str]] = {}
    if "chance" in summary:
        columns["at chance"] = [*summary["chance"].map(percent)]
        columns["area"] = [*summary["area"].map(percent)]
        columns["epochs to target"] = [_soon(row) for row in summary.to_dict("records")]
    columns |= {name: list(summary[name]) for name in SAID if name in summary}
    return columns | {"published": [QUOTED.sub(r"\1", text) for text in summary["published"]]}


def _soon(row: dict) -> str:
    if pd.isna(row["target"]):
        return "-"
    epochs = "-" if pd.isna(row["epochs_to"]) else f"{row['epochs_to']:.1f}"
    return f"{epochs} to {100 * row['target']:.0f}, n={row['reached']:.0f}"


def versus(row: dict) -> str:
    """The difference to the baseline in points, the verdict, its pairs, and its interval on a
    second line, of a row of the summary.
    """
    if pd.isna(row["versus"]):
        return ""
    interval = (
        ""
        if pd.isna(row["versus_low"])
        else f"\n({100 * row['versus_low']:+.1f}..{100 * row['versus_high']:+.1f})"
    )
    word = f" {row['verdict']}," if row["verdict"] else ""
    return f"{100 * row['versus']:+.1f}{word} n={row['versus_n']:.0f}{interval}"
