"""What the paper claims, and whether the measurements say so: `claims` is the table of the report
and of the pages.

The verdict follows from the data alone: from the comparisons that the design of a claim in
claims.yaml finds, each for it, against it, or not able to tell, with Holm's method over those of
the claim.

    reproduced      every comparison that judges the claim is for it, and none is too wide
    partly          some are for it
    contradicted    none is, and at least one is against it
    too wide        their intervals are wider than the margin of the claim
    too short       all trainings are shorter than the authors', and have not settled
    cannot act      what the claim is about had nothing to act on: no bound that was crossed, or
                    no start that fails
    not run         there are no runs that could tell
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from html import escape

import pandas as pd

from fdi.analysis.collect import Runs
from fdi.analysis.conditions import LABELS
from fdi.analysis.derived import with_layers
from fdi.analysis.results import Results
from fdi.analysis.statistics import SMALL, correct
from fdi.figures.words import dataset_name
from fdi.study.circumstances import EPS, standard
from fdi.study.evidence import (
    AGAINST,
    DEEP,
    DESIGNS,
    FOR,
    IDLE,
    SHORT,
    WIDE,
    Design,
    Evidence,
    decide,
    evidence,
    fluct_at_its_best,
)
from fdi.study.published import columns, published, quotes

INTERVALS = (
    "Intervals (95 %, in brackets) are Student's over n paired seeds. On test sets of fewer than "
    f"{SMALL} samples they include the binomial noise from the choice of these samples; for a "
    "difference this is an upper bound, since both arms are tested on the same samples. "
    "Differences that are all equal are judged by the exact sign test."
)
RULE = (
    "Each claim has a design, written down in `fdi/study/claims.yaml`. A comparison judges the "
    "claim only if its runs are what the design asks for: what is changed can act (a bound is "
    "crossed at the start, and the start alone stays at chance), and the training has as many "
    "updates as the authors', or both arms have settled; else it *cannot act* or is *too short*. "
    "Those that judge are decided by Holm's method over all of a claim, with the interval that "
    "goes with this decision; without a decision they are against the claim where the interval "
    f"lies within the margin of {DESIGNS['margin']} points, and *too wide* elsewhere. The column "
    "'for it' counts them, 'set aside' the others. Reproduced: all are in favour; partly: some; "
    "contradicted: none, and at least one is against it. "
    f"{INTERVALS} Bounds (both for fully connected networks, the upper one for others, unless the "
    f"claim is about bounds) and eps ({EPS:g}) are the authors'; the last column but one shows "
    "each arm at the step size and eps that validation chose for it. For each network the longest "
    f"training with several seeds counts, else the longest. Deep networks have {DEEP} hidden "
    "layers or more."
)

BASELINE = (
    "Kaiming weights have a gain of 1 here, the default of the authors' library; we infer that "
    "those of the paper had it, too."
)
SEEDS = (
    "Number of seeds: three or five at first. Comparisons on Randman and on spoken digits that "
    "were undecided then got ten, a number that was fixed before the further runs; eight "
    "convolutions got five, since three differences that are all equal decide nothing. That is a "
    "second look at the data, which Holm's method does not account for: where there is no "
    "difference, a comparison that goes from three to ten seeds where it is undecided is called "
    "one in 9.4 % of cases, and from five to ten in 8.6 %, not in 5 (by simulation). All else has "
    "as many seeds as there was time for."
)
"""How the number of seeds in the reference came about."""


def claims(results: Results) -> pd.DataFrame:
    """One row per claim: claim, status, `on` which data, for it (how many comparisons of how many),
    set aside (how many, and why), measured (a line of text each, those of published networks first,
    then the deepest), best (the same with each arm at the step size and eps that suit it),
    published.
    """
    chosen = results.of(standard(results.runs))
    return pd.DataFrame([_row(design, chosen, results) for design in DESIGNS["claims"]])


def _row(design: Design, chosen: Results, results: Results) -> dict[str, str]:
    several = sorted(evidence(design, chosen), key=lambda each: _rank(each, design))
    ours = [None if each.obstacle else each.difference for each in several]
    words, lines = [], []
    for contrast, difference in zip(several, correct(ours, [0] * len(ours))):
        word = contrast.obstacle or decide(difference, contrast.same)
        words.append(word.partition(":")[0])
        if words[-1] != IDLE:
            lines.append(f"{contrast.said(difference or contrast.difference)}: {word}")
    idle = Counter(each.obstacle for each in several if each.obstacle.startswith(IDLE))
    lines += [f"{number} x {why}" for why, number in idle.items()]
    judged = [word for word in words if word in (FOR, AGAINST, WIDE)]
    aside = [f"{words.count(word)} {word}" for word in (SHORT, IDLE) if word in words]
    return {
        "claim": design["claim"],
        "status": status(words),
        "on": _data((each.network.dataset, word) for each, word in zip(several, words)),
        "for it": f"{judged.count(FOR)} of {len(judged)}" if judged else "",
        "set aside": ", ".join(aside),
        "measured": "\n".join(lines),
        "best": "\n".join(fluct_at_its_best(results, design)),
        "published": _quoted(design),
    }


def status(words: list[str]) -> str:
    """The verdict by what the comparisons of a claim say, by the rule at the head of this
    module.
    """
    if FOR in words:
        return "partly" if {AGAINST, WIDE} & {*words} else "reproduced"
    if AGAINST in words:
        return "contradicted"
    return next((word for word in (WIDE, SHORT, IDLE) if word in words), "not run")


def _data(words: Iterable[tuple[str, str]]) -> str:
    """On which data a claim is reproduced, and what is to be said of others, from what each
    comparison says: as in "digits; too short on CIFAR-10". "" where none is for it.
    """
    said: dict[str, dict[str, None]] = {word: {} for word in (FOR, AGAINST, WIDE, SHORT)}
    table = pd.DataFrame(words, columns=["dataset", "word"])
    for dataset, words_of in table.groupby("dataset", sort=False)["word"]:
        word = next((word for word in said if word in {*words_of}), None)
        if word:
            said[word][dataset_name(str(dataset)).partition(" (")[0]] = None
    others = [f"{word} on {', '.join(names)}" for word, names in said.items() if names][1:]
    return "; ".join([", ".join(said[FOR]), *others]) if said[FOR] else ""


def here(table: pd.DataFrame) -> pd.Series:
    """The verdict and its data, as in "reproduced on digits; too short on CIFAR-10"."""
    return table["status"] + table["on"].map(lambda on: f" on {on}" if on else "")


def _rank(evidence: Evidence, design: Design) -> tuple[bool, int]:
    published = map(tuple, design.get("published", ()))
    return evidence.network not in published, -evidence.network.layers


def _quoted(design: Design) -> str:
    """What was published, in percent, with its source."""
    texts = [
        f"{entry.dataset}, {entry.model}, {entry.init}: {entry}"
        for entry in quotes()[0]
        if [entry.dataset, entry.model, entry.depth] in design.get("published", ())
    ]
    return "\n".join(texts) or "no numbers [P]"


def claim_sections(mine: Results, measured: Results) -> Iterator[tuple[str, str]]:
    """The sections of the report: what was published without a run beside it; the claims judged by
    the measurements that come with fdi, and by the user's own runs, where published networks are
    among the latter, or there are none.
    """
    from fdi.figures import report  # draws: only where it is needed

    yield (
        "Published values without a run of ours beside them",
        _unmeasured(mine.runs, measured.runs),
    )
    asked = mine if len(mine.runs) else measured
    if not with_runs(asked.runs[asked.runs["state"] == "done"]):
        return
    parts = []
    for name, results in (("The measurements that come with fdi", measured), ("Own runs", mine)):
        if with_runs(results.runs[results.runs["state"] == "done"]):
            shown = report.html_table(for_readers(claims(results)), named=True)
            parts.append(f"<p>{name}:</p><div class=claims>{shown}</div>")
    if parts:
        note = f"{RULE} Sources: {sources()}. {BASELINE} {SEEDS}"
        parts.append(f"<p class=note>{escape(note)}</p>")
        yield "Reproduced or not", "".join(parts)


def _unmeasured(*tables: Runs) -> str:
    """Published values without a finished run of the same data set, architecture, depth and
    initialization.
    """
    from fdi.figures import report

    done = set().union(*(with_runs(runs[runs["state"] == "done"]) for runs in tables))
    rows = [
        {"dataset": e.dataset, "model": e.model, "init": e.init, "published (%)": str(e)}
        for e in quotes()[0]
        if str(e) not in done
    ]
    return report.html_table(pd.DataFrame(rows)) if rows else "<p>Each has one.</p>"


def with_runs(runs: Runs) -> set[str]:
    """What was published for one of the finished `runs`, as text."""
    asked = [*LABELS, *(key for key in columns() if key in runs)]
    alike = with_layers(runs)[[*asked, "layers"]].drop_duplicates()
    rows = alike.to_dict("records")
    return {str(entry) for run in rows for entry in published(run, run["layers"])}


def sources() -> str:
    """What the tags of sources mean."""
    return "; ".join(f"[{tag}] {meaning}" for tag, meaning in quotes()[1].items())


NONE = "not measured"


def for_readers(table: pd.DataFrame) -> pd.DataFrame:
    """The table of `claims` for readers of the report and the pages."""
    names = {
        "claim": "claim of the paper",
        "measured": "measured, test accuracy in percent",
        "best": "each at its best",
    }
    shown = table.assign(best=table["best"].replace("", NONE), status=here(table))
    return shown.drop(columns="on").rename(columns=names | {"status": "here"})
