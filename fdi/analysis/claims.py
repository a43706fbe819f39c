"""What the paper claims, and whether the measurements say so: `claims` is the table at the top of
the README and of the report.

The status follows from the data alone. A claim is a number of comparisons, each decided for it,
against it, or undecided, by a paired Student test with Holm's method over all comparisons of the
table, or by a limit that the claim itself names.

    reproduced             every comparison is decided for the claim
    partly                 some are
    not                    none is, and at least one is decided against it
    undecided              none is decided
    not measurable here    there are no runs that could tell
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pandas as pd

from fdi.analysis import evidence
from fdi.analysis.contrasts import where
from fdi.analysis.evidence import Evidence
from fdi.analysis.published import PUBLISHED
from fdi.analysis.results import Results
from fdi.analysis.statistics import holm, verdict

STANDARD = {
    "readout_init": "normal",
    "optimizer._target_": "fdi.train.optimizers.SMORMS3",
    "optimizer.lr": 0.005,
    "neuron._target_": "fdi.snn.neuron.lif",
}


RULE = (
    "Each measurement is a paired comparison over n seeds (Student's t, 95 % intervals in "
    "brackets), decided by Holm's method over all comparisons of this table; for it: how many are "
    "decided for the claim. One pair of runs decides nothing and is not counted. Reproduced: all, "
    "partly: some, not: none and at least one against it, undecided: none."
)


class Claim(NamedTuple):
    """`published`: (data set, architecture, hidden layers) of its numbers in
    fdi.analysis.published; `source`: where the claim is made, of one without numbers.
    """

    text: str
    published: tuple[tuple[str, str, int], ...]
    source: str
    evidence: Callable[[Results], Iterator[Evidence]]


def claims(results: Results) -> pd.DataFrame:
    """A row a claim: claim, status, for it (how many comparisons of how many), measured (a line of
    text each, those of published networks first, then the deepest), published.
    """
    standard = where(results.runs, STANDARD)
    chosen = Results(standard, results.curves, results.probe, results.folder)
    found = [_in_order(claim, chosen) for claim in CLAIMS]
    p = iter(holm([e.p for several in found for e in several]))
    rows = []
    for claim, several in zip(CLAIMS, found):
        judged = [_judged(evidence, next(p)) for evidence in several]
        decided = [decision for e, (_, decision) in zip(several, judged) if not e.single]
        rows.append(
            {
                "claim": claim.text,
                "status": status(decided),
                "for it": f"{decided.count(True)} of {len(decided)}" if decided else "",
                "measured": "\n".join(text for text, _ in judged),
                "published": _quoted(claim),
            }
        )
    return pd.DataFrame(rows)


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
    if evidence.decided is not None:
        return evidence.text, evidence.decided
    word = "one pair, not counted" if evidence.single else verdict(evidence.gain, p) or "undecided"
    return f"{evidence.text}: {word}", {"better": True, "worse": False}.get(word)


CLAIMS = (
    Claim(
        "One hidden layer learns better than with Kaiming weights",
        (("randman", "dense", 1),),
        "",
        evidence.better(("dense",), lambda layers: layers == 1),
    ),
    Claim(
        "So does a recurrent one",
        (("shd", "conv_recurrent", 3),),
        "",
        evidence.better(("recurrent", "conv_recurrent"), lambda layers: True),
    ),
    Claim(
        "Deep networks learn, where Kaiming weights leave them at chance",
        (("shd", "conv_recurrent", 7),),
        "",
        evidence.better(("dense", "conv_recurrent_deep"), lambda layers: layers > 1),
    ),
    Claim(
        "So do convolutional ones",
        (("cifar10", "conv", 4), ("dvs_gesture", "conv", 8)),
        "",
        evidence.better(("conv", "conv_deep"), lambda layers: True),
    ),
    Claim(
        "Under Dale's law networks learn, better than at the spread of Kaiming weights (0.2)",
        (("shd", "dale", 1),),
        "",
        evidence.dale,
    ),
    Claim("A spread sigma_U of 1/3 to 1 of the threshold is best", (), "P", evidence.band),
    Claim("At sigma_U = 0.2 all but the first layer are silent", (), "2", evidence.silence),
    Claim(
        "The initial state changes hidden gradients a hundredfold, the readout's less than tenfold",
        (),
        "2",
        evidence.gradients,
    ),
    Claim("Homeostasis restores activity in deep networks", (), "P", evidence.restores),
    Claim("It broadens the range of good initial states", (), "P", evidence.broadens),
    Claim("It makes up for bad ones in part only", (), "P", evidence.in_part),
)


def _quoted(claim: Claim) -> str:
    """What was published, in percent, with its source."""
    texts = [
        f"{entry.dataset}, {entry.model}, {entry.init}: {entry}"
        for entry in PUBLISHED
        if (entry.dataset, entry.model, entry.depth) in claim.published
    ]
    return "\n".join(texts) or f"no numbers [{claim.source}]"
