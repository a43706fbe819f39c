"""What runs say, in three sentences: what there is, what the initial state changed, and under which
condition that holds.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from fdi.analysis.best import each_at_its_best
from fdi.analysis.conditions import UNTRAINED
from fdi.analysis.results import Results
from fdi.analysis.select import guesses, kept
from fdi.analysis.summary import BASELINE, summarize
from fdi.analysis.table_types import Runs, Summary
from fdi.track.record import STATES, TRAINED, UNTESTED

WORDS = {UNTESTED: "that chose step sizes on validation", "probed": "only probed"}
SEVERAL = 2  # pairs that a comparison needs


def sentences(results: Results) -> Iterator[str]:
    """Three of them, without full stops."""
    runs = results.runs
    done = kept(runs, runs["state"] == "done")
    yield _there_is(runs, done)
    if runs["state"].isin(UNTRAINED).all():
        yield "Nothing is trained yet"
        yield "fdi-table --probe shows the initial states that were measured"
        return
    yield _compared(summarize(runs))
    yield _holds(results, done)


def _there_is(runs: Runs, done: pd.DataFrame) -> str:
    counts = runs["state"].value_counts()
    others = [
        f"{counts[state]:,} {WORDS.get(state, state)}"
        for state in STATES
        if state != "done" and state in counts
    ]
    data, inits = done["dataset"].nunique(), done["init"].nunique()
    text = (
        f"{len(done):,} finished run{'s' * (len(done) != 1)} on {data} data "
        f"set{'s' * (data != 1)} from {inits} initialization{'s' * (inits != 1)}"
    )
    return f"{text} ({', '.join(others)})" if others else text


def _compared(summary: Summary) -> str:
    """How many comparisons are decided, and the largest of them."""
    rows = summary[summary["versus_n"] >= SEVERAL]
    if rows.empty:
        return (
            f"No initialization has been compared with {BASELINE} over {SEVERAL} seeds or more "
            f"with equal settings: fdi-run -m init={BASELINE},fluct 'seed=range(5)' does it"
        )
    counts = rows["verdict"].value_counts()
    said = ", ".join(
        f"{word} in {counts.get(word, 0)}" for word in ("better", "worse", "undecided")
    )
    text = f"Against {BASELINE} with the same seeds, other initializations are {said}"
    decided = rows[rows["verdict"].isin(["better", "worse"])]
    if decided.empty:
        return text
    top = decided.loc[decided["versus"].abs().idxmax()]
    return (
        f"{text}; the largest difference is {100 * top['versus']:+.1f} points "
        f"({100 * top['versus_low']:+.1f}..{100 * top['versus_high']:+.1f}, "
        f"n = {top['versus_n']:.0f}), {top['init']} on {top['dataset']}, {top['model']}"
    )


def _holds(results: Results, done: pd.DataFrame) -> str:
    """Each at its best, or that nobody has looked."""
    table = each_at_its_best(results) if results.runs["state"].isin(TRAINED).any() else done[:0]
    if "setting" in table:
        best = table[(table["setting"] == "best") & table["difference"].notna()]
        if len(best):
            decided = int(((best["from"] > 0) | (best["to"] < 0)).sum())
            return (
                f"Each at the step size that suits it, {decided} of {len(best)} differences to "
                f"{BASELINE} are decided, the largest of all {best['difference'].abs().max():.1f} "
                f"points"
            )
    known = done.dropna(subset=["test_accuracy_last", "classes", "test_samples"])
    stuck = f"{sum(guesses(known)):,} of {len(known):,} runs do no better than guessing; "
    return (
        f"{stuck if len(known) else ''}all of this holds at the step sizes that were used, and "
        f"fdi-run -m experiment=best gives each initialization its own"
    ).capitalize()
