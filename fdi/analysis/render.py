"""The summary for people, as text."""

from __future__ import annotations

import re
from collections import Counter

import pandas as pd

from fdi.analysis.conditions import LABELS, short_names, shown
from fdi.analysis.studies import quotes
from fdi.analysis.summary import BASELINE, SAID
from fdi.track.files import STATES

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


def keys(summary: pd.DataFrame) -> dict[str, str]:
    """Names of the columns of `readable` that tell its rows apart -> columns of the summary."""
    settings = list(summary.columns[len(LABELS) : summary.columns.get_loc("n")])
    return {name: column for column, name in short_names([*LABELS, *settings]).items()}


def readable(summary: pd.DataFrame) -> pd.DataFrame:
    """The summary as text: accuracies in percent, of many rates the range and how many, empty
    columns left out.
    """
    text: dict[str, pd.Series | list[str]] = {
        name: summary[column].map(lambda value: "-" if pd.isna(value) else shown(value))
        for name, column in keys(summary).items()
    }
    rows = summary.to_dict("records")
    text |= {
        "n": [str(row["n"]) for row in rows],
        "not finished": [_unfinished(row) for row in rows],
        "mean": [percent(row["accuracy"]) for row in rows],
        "sd": [percent(row["sd"]) for row in rows],
        "95 %": [_interval(row["low"], row["high"]) for row in rows],
        "rates (Hz)": [_rates(row) for row in rows],
        f"minus {summary.attrs.get('versus', BASELINE)}": [versus(row) for row in rows],
        **learning(rows),
        **{name: list(summary[name]) for name in SAID if name in summary},
        "published": [QUOTED.sub(r"\1", text).replace("; ", "\n") for text in summary["published"]],
    }
    table = pd.DataFrame(text)
    return table[[column for column in table if column in NUMERIC or (table[column] != "").any()]]


def counted(runs: pd.DataFrame) -> list[str]:
    """How many runs are in each state, and what is wrong with each broken one, a line each."""
    counts = Counter(runs["state"])
    states = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    broken = runs[runs["state"] == "broken"]
    return [
        f"{len(runs):,} run{'s' * (len(runs) != 1)}: {states}",
        *(f"broken: {path}: {error}" for path, error in zip(broken["path"], broken["error"])),
    ]


def notes(summary: pd.DataFrame) -> str:
    """What the columns of `readable` mean, and what `quoted` says."""
    learning = [LEARNING] if "chance" in summary else []
    return "; ".join(filter(None, [CAPTION, *learning, quoted(summary)]))


def quoted(summary: pd.DataFrame) -> str:
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


def learning(rows: list[dict]) -> dict[str, list[str]]:
    """The columns of fdi.analysis.learning, where the summary has them."""
    if not rows or "chance" not in rows[0]:
        return {}
    return {
        "at chance": [percent(row["chance"]) for row in rows],
        "area": [percent(row["area"]) for row in rows],
        "epochs to target": [_soon(row) for row in rows],
    }


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
