"""What the paper claims, and whether the measurements say so: `claims` is the table at the top of
the README and of the report.

The status follows from the data alone. A claim is a number of comparisons at the authors' settings
(bounds on activity, eps of SMORMS3), each decided for it, against it, or undecided, by a paired
test with Holm's method over all comparisons of the claim, or by a limit that the claim itself
names. The same comparisons under other bounds or with another eps stand beside it, and count in
Holm's method, but not for the status.

    reproduced             every comparison is decided for the claim
    partly                 some are
    not                    none is, and at least one is decided against it
    undecided              none is decided
    not measurable here    there are no runs that could tell
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from html import escape
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import yaml

from fdi.analysis.collect import Runs
from fdi.analysis.conditions import LABELS
from fdi.analysis.derived import with_layers
from fdi.analysis.results import Results
from fdi.analysis.statistics import SMALL, holm, verdict
from fdi.analysis.studies import columns, of_depth, quotes
from fdi.study import evidence
from fdi.study.circumstances import standard
from fdi.study.evidence import DEEP, Evidence

PUBLISHED = Path(__file__).with_name("published.yaml")
INTERVALS = (
    "Intervals (95 %, in brackets) are Student's over n paired seeds. On test sets of fewer than "
    f"{SMALL} samples they include the binomial noise from the choice of these samples; for a "
    "difference this is an upper bound, since both sides are tested on the same samples. "
    "Differences that are all equal are judged by the exact sign test."
)
RULE = (
    "Each measurement is a paired comparison, decided by Holm's method over all comparisons of "
    "its claim, with the interval that goes with this decision. The column 'for it' says how many "
    "of them are decided in favour of the claim. "
    f"{INTERVALS} Only runs with the authors' bounds and eps count (both bounds for fully "
    "connected networks, the upper one for others; eps 1e-16); the columns beside show what was "
    "measured without them, and with each side at the step size and eps that validation chose for "
    "it. For each network the longest training counts. A single pair of runs "
    "decides nothing and is not counted. Reproduced: all are in favour; partly: some; not: "
    "none, and at least one is against it; undecided: none either way. Deep networks have "
    f"{DEEP} hidden layers or more."
)

BASELINE = (
    "Kaiming weights have a gain of 1 here, the default of the authors' library; we infer that "
    "those of the paper had it, too."
)
SEEDS = (
    "Number of seeds: comparisons that were undecided with three or five seeds got ten; this "
    "number was fixed before the further runs, and none were added afterwards. It is a second look "
    "at the data that Holm's method does not account for, so verdicts with n = 10 are slightly "
    "more liberal than 5 %. Convolutions, sweeps of the gain and interventions have as many seeds "
    "as there was time for."
)
"""How the number of seeds in the reference came about."""


class Claim(NamedTuple):
    """`published`: (data set, architecture, hidden layers) of the networks of the paper that the
    claim is about, in published.yaml with numbers; `source`: where it is made, a tag of a source
    there; `about`: which networks by model and hidden layers, where fluctuation-driven weights
    stand against Kaiming weights.
    """

    text: str
    published: tuple[tuple[str, str, int], ...]
    source: str
    evidence: Callable[[Results], Iterator[Evidence]]
    about: Callable[[str, int], bool] = lambda model, layers: False


def claims(results: Results) -> pd.DataFrame:
    """One row per claim: claim, status, for it (how many comparisons of how many), measured (a line
    of text each, those of published networks first, then the deepest), without (as `measured`,
    under other bounds than the authors' or with another eps), best (the same with each side at the
    step size and eps that suit it), published, source.
    """
    chosen = results.of(standard(results.runs))
    by_claim = [_in_order(claim, chosen) for claim in CLAIMS]
    rows = []
    for claim, several in zip(CLAIMS, by_claim):
        p = holm([e.p if e.decided is None else np.nan for e in several])
        judged = [(e, *_judged(e, own)) for e, own in zip(several, p)]
        decided = [decision for e, _, decision in judged if e.authors and not e.single]
        rows.append(
            {
                "claim": claim.text,
                "status": status(decided),
                "for it": f"{decided.count(True)} of {len(decided)}" if decided else "",
                "measured": "\n".join(text for e, text, _ in judged if e.authors),
                "without": "\n".join(text for e, text, _ in judged if not e.authors),
                "best": "\n".join(evidence.each_at_its_best(results, claim.about)),
                "published": _quoted(claim),
                "source": claim.source,
            }
        )
    return pd.DataFrame(rows)


def sections(mine: Results, measured: Results) -> Iterator[tuple[str, str]]:
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
            shown = report.table(readable(claims(results)), named=True)
            parts.append(f"<p>{name}:</p><div class=claims>{shown}</div>")
    if parts:
        note = f"{RULE} Sources: {sources()}. {BASELINE} {SEEDS} {hearsay()}"
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
    return report.table(pd.DataFrame(rows)) if rows else "<p>Each has one.</p>"


def with_runs(runs: Runs) -> set[str]:
    """What was published for one of the finished `runs`, as text."""
    asked = [*LABELS, *(key for key in columns() if key in runs)]
    alike = with_layers(runs)[[*asked, "layers"]].drop_duplicates()
    rows = alike.to_dict("records")
    return {str(entry) for run in rows for entry in of_depth(run, run["layers"])}


def sources(tags: Iterable[str] = ()) -> str:
    """What these tags of sources mean, or all of them."""
    meanings = quotes()[1]
    return "; ".join(f"[{tag}] {meanings[tag]}" for tag in [*tags] or meanings)


def hearsay() -> str:
    """What source 2, a third party, reports of the paper."""
    return str(yaml.safe_load(PUBLISHED.read_text(encoding="utf-8"))["hearsay"])


NONE = "not measured"


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """The table of `claims` for readers of the report, the README and docs/."""
    names = {
        "claim": "claim of the paper",
        "status": "here",
        "measured": "measured, test accuracy in percent",
        "without": "without these bounds, or with another eps",
        "best": "each at its best",
    }
    filled = table.assign(**{key: table[key].replace("", NONE) for key in ("without", "best")})
    return filled.drop(columns="source").rename(columns=names)


def status(decided: list[bool | None]) -> str:
    """The word for a claim, by the rule at the head of this module."""
    if not decided:
        return "not measurable here"
    if all(decided):
        return "reproduced"
    if any(decided):
        return "partly"
    return "not" if False in decided else "undecided"


def _in_order(claim: Claim, results: Results) -> list[Evidence]:
    def rank(evidence: Evidence) -> tuple[bool, int]:
        return evidence.network not in claim.published, -evidence.network.layers

    return sorted(claim.evidence(results), key=rank)


def _judged(evidence: Evidence, p: float) -> tuple[str, bool | None]:
    text = evidence.said(p)
    if evidence.single:
        return f"{text}: one pair, not counted", None
    if evidence.decided is not None:
        return f"{text}: {FOR if evidence.decided else AGAINST}", evidence.decided
    word = verdict(evidence.gain, p) or "undecided"
    return f"{text}: {word}", {"better": True, "worse": False}.get(word)


FOR, AGAINST = "for it", "against it"
DENSE = ("dense", "conv_recurrent_deep")
CONV = ("conv", "conv_deep")
RECURRENT = ("recurrent", "conv_recurrent")


def _learns_better(
    text: str,
    published: tuple[tuple[str, str, int], ...],
    models: tuple[str, ...],
    layers: Callable[[int], bool] = lambda layers: True,
) -> Claim:
    """That networks of these models and depths learn better than from Kaiming weights."""
    return Claim(
        text,
        published,
        "P",
        evidence.better(models, layers),
        lambda model, number: model in models and layers(number),
    )


def _deep(layers: int) -> bool:
    return layers >= DEEP


CLAIMS = (
    Claim(
        "Networks with one hidden layer learn better than from Kaiming weights",
        (("randman", "dense", 1),),
        "P",
        evidence.one_layer,
        lambda model, layers: model == "dense" and layers == 1,
    ),
    _learns_better(
        "Recurrent networks learn better than from Kaiming weights",
        (("shd", "conv_recurrent", 3),),
        RECURRENT,
    ),
    _learns_better(
        "Deep networks learn better than from Kaiming weights",
        (("shd", "conv_recurrent", 7),),
        DENSE,
        _deep,
    ),
    _learns_better(
        "Deep convolutional networks learn better than from Kaiming weights",
        (("cifar10", "conv", 4), ("dvs_gesture", "conv", 4), ("dvs_gesture", "conv", 8)),
        CONV,
        _deep,
    ),
    Claim(
        "Kaiming weights leave deep networks at chance",
        (("shd", "conv_recurrent", 7), ("cifar10", "conv", 4), ("dvs_gesture", "conv", 8)),
        "2",
        evidence.left_at_chance,
        lambda model, layers: _deep(layers),
    ),
    Claim(
        "Under Dale's law a network learns better (than from a weak start, sigma_U = 0.2, since "
        "the law forbids Kaiming weights)",
        (("shd", "dale", 1),),
        "P",
        evidence.dale,
    ),
    Claim("A spread sigma_U of 1/3 to 1 of the threshold is best", (), "P", evidence.band),
    Claim("At sigma_U = 0.2 all but the first layer are silent", (), "2", evidence.silence),
    Claim(
        "The initial state changes hidden gradients a hundredfold, the readout's less",
        (),
        "2",
        evidence.gradients,
    ),
    Claim(
        "Homeostasis restores activity and thus training in deep networks",
        (),
        "P",
        evidence.restores,
    ),
    Claim("Homeostasis broadens the range of good initial states", (), "P", evidence.broadens),
    Claim("Homeostasis makes up only partly for bad initial states", (), "P", evidence.in_part),
)


def _quoted(claim: Claim) -> str:
    """What was published, in percent, with its source."""
    texts = [
        f"{entry.dataset}, {entry.model}, {entry.init}: {entry}"
        for entry in quotes()[0]
        if (entry.dataset, entry.model, entry.depth) in claim.published
    ]
    return "\n".join(texts) or f"no numbers [{claim.source}]"
