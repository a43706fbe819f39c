"""The probe of an initial state, put into words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from fdi.config.metric import in_percent

if TYPE_CHECKING:
    from torch import Tensor

    from fdi.snn.network import Network

CLOSE, NEAR = 1.1, 1.5  # factors between the measured spread of U and its target, told apart
STEEP = 2.0  # factor between the rates of the first and the last layer worth a sentence
QUIET = 0.9  # share of silent neurons of a layer that counts as silent
SATURATED = 0.1  # share of saturated neurons worth a word
HELD = 3.0  # thresholds, and times their spread, by which the means of neurons lie apart

HEARD = 0.1  # ratio of the gradients of bounds and task worth a sentence
ENOUGH = 0.03  # of the size of its weights: a layer that moves less in all updates hardly learns,
SLOW = 1e-6  # and where their number is not known one that moves less in a single one
WILD = 1.0  # of the size of its weights: one step replaces them
EXPLODES = 1e4  # factor between the gradients of the first and the last layer
BLIND = 0.01  # share of a gradient that depends on the labels

NORMALIZED = (
    "normalized: the closed form does not apply; sigma U is measured behind the normalization"
)
NOT_KNOWN = "not known"
ADVICE = (
    "whether it learns is not known from the initial state, and neither is what helps: "
    "fdi-run experiment=recipe, with the same words, finds out"
)

Row = dict[str, Any]


class Training(NamedTuple):
    """The training that follows on an initial state.

    `optimizer`: its name with the value that sets its effective floor, or else its step size;
    `lower`: how to lower the floor; `least`: the floor with the least value at this precision, None
    if it cannot be lowered.
    """

    optimizer: str
    lower: str
    least: float | None = None


def remarks(rows: Sequence[Row], init: str, training: Training | None = None) -> list[str]:
    """What to make of an initial state: a sentence on the state of the layers and, where they
    apply, one on normalization, one on what the optimizer makes of the gradients, and one on the
    bounds; and where to go from there, unless all is well or that is said already.
    """
    hidden = _hidden(rows)
    said = [sentence(rows, init)]
    wrong = any(map(off, hidden)) or _steep(hidden)
    if any(row["theory_sigma_u"] is None for row in hidden):
        said.append(NORMALIZED)
    if training is not None and hidden[0].get("step") is not None and (some := _learning(hidden)):
        followed = list(_followed(some, training))
        wrong = (wrong or bool(followed)) and not any(map(is_lost, some))
        said += followed
    said.append(_bounds(hidden))
    if wrong and not held(hidden[0]):
        said.append(ADVICE)
    return [each for each in said if each]


def _hidden(rows: Sequence[Row]) -> list[Row]:
    """Those of neurons that others hear, if there are any; readouts are not judged as neurons."""
    spiking = [row for row in rows if row["rate"] is not None]
    return [row for row in spiking if not row.get("readout")] or spiking


def expected(rows: Sequence[Row]) -> str:
    """Whether a network learns from this initial state: "no" where the optimizer follows no
    gradient of the task in some layer and no bound moves it, or where no bound moves any layer and
    the task sends none a gradient, or none that depends on the labels; else NOT_KNOWN, since the
    step and much else decide.
    """
    if not (hidden := _learning(rows)):
        return NOT_KNOWN
    free = [row for row in hidden if not row["grad_bounds"] > HEARD * row["grad_task"]]
    blind = max(row.get("grad_labels", 1.0) for row in hidden) < BLIND
    none = all(row["grad_task_max"] == 0 for row in hidden)
    unmoved = (blind or none) and len(free) == len(hidden)
    return "no" if any(map(is_lost, free)) or unmoved else NOT_KNOWN


def _learning(rows: Sequence[Row]) -> list[Row]:
    """Those of spiking neurons whose incoming weights are not frozen."""
    return [row for row in rows if row["rate"] is not None and not row.get("frozen")]


def floors(row: Row) -> tuple[float, float]:
    """Below the first an optimizer hardly follows a gradient, above the second it does."""
    low, high = sorted(row.get(f"floor_{kind}") or 0.0 for kind in ("steady", "noisy"))
    return low, high


def is_lost(row: Row) -> bool:
    """Whether the optimizer hardly follows any element of the gradient of the task."""
    return 0 < (row.get("grad_task_max") or 0) < floors(row)[0]


def _too_small(row: Row) -> bool:
    """Whether a layer hardly moves even if all `updates` of the training go one way."""
    if not row["grad_task_max"] or row.get("step") is None:
        return False
    updates = row.get("updates")
    share = SLOW if updates is None else ENOUGH / updates
    return bool(row["step"] < share * row["weight_rms"])


def _moves(row: Row, steps: int = 1) -> float:
    """By how much of the size of its weights a layer can move."""
    return float(row["step"] * steps / row["weight_rms"])


def _bounds(hidden: list[Row]) -> str:
    """Which layers have spikes beyond a bound, so that the bounds move them as well as the task."""
    moved = [row for row in hidden if row["grad_bounds"] > HEARD * row["grad_task"]]
    parts = [
        f"the {side} bound acts on {_span([row for row in moved if row[side]], hidden)} ({what})"
        for side, what in (("lower", "too few spikes"), ("upper", "too many spikes"))
        if any(row[side] for row in moved)
    ]
    return f"{' and '.join(parts)}; gradients above are those of the task alone" if parts else ""


def _followed(hidden: list[Row], training: Training) -> Iterator[str]:
    """Which layers the optimizer does not move, or moves too far. Layers without a gradient, since
    those below them are silent, wait for these.
    """
    some = [row for row in hidden if row["grad_task_max"] > 0]
    if not some:
        yield "no gradient of the task reaches a hidden layer, whatever the optimizer"
        return
    if slow := [row for row in some if is_lost(row)]:
        yield _stuck(slow, some, hidden, training)
    elif small := [row for row in some if _too_small(row)]:
        row = min(small, key=_moves)
        number = row.get("updates")
        steps = "one step" if number in (None, 1) else f"{number} steps"
        yield (
            f"{steps} of {training.optimizer} can move the weights of {row['population']} by "
            f"{_moves(row, number or 1):.1g} of their size"
        )
    if large := [row for row in some if row["step"] > WILD * row["weight_rms"]]:
        row = max(large, key=_moves)
        yield (
            f"one step of {training.optimizer} can move a weight of {row['population']} by "
            f"{_moves(row):.2g} times their size"
        )
    if hidden[0]["grad_task"] > EXPLODES * hidden[-1]["grad_task"] > 0:
        times = hidden[0]["grad_task"] / hidden[-1]["grad_task"]
        down = f"{hidden[-1]['population']} down to {hidden[0]['population']}"
        yield f"gradients grow {times:.1g}-fold from {down}"
    if max(row.get("grad_labels", 1.0) for row in hidden) < BLIND:
        yield "the gradients of the hidden layers are the same for all labels: nothing to learn"


def _stuck(slow: list[Row], some: list[Row], hidden: list[Row], training: Training) -> str:
    least = min(slow, key=lambda row: row["grad_task_max"])
    floor = floors(least)[0]
    factor = floor / least["grad_task_max"]
    times = f"{float(f'{factor:.2g}'):,g}" if factor < 1e5 else f"{factor:.0e}"
    problem = (
        f"the largest element of {least['population']}'s gradient, {least['grad_task_max']:.1g}, "
        f"is {times} times below what {training.optimizer} follows "
        f"({floor:.1g})"
    )
    if others := [row for row in slow if row is not least]:
        problem += f", those of {_span(others, hidden)} lie below it, too"
    if waiting := [row for row in hidden if row not in some]:
        problem += f"; {_span(waiting, hidden)} have none until the layers below fire"
    lower = training.lower
    if training.least is not None and least["grad_task_max"] < training.least:
        lower += " with optimizer.precision=float64"
    if any(row["grad_bounds"] > HEARD * row["grad_task"] for row in slow):
        lower += " and set homeostasis=none, since the bounds are the larger gradient"
    return f"{problem}: {lower}"


def _span(rows: list[Row], hidden: list[Row]) -> str:
    """Names of layers: h1, h3..h5 where more than two follow each other."""
    places = {row["population"]: place for place, row in enumerate(hidden)}
    names = [row["population"] for row in rows]
    parts: list[str] = []
    for _, group in groupby(enumerate(names), lambda pair: places[pair[1]] - pair[0]):
        members = [name for _, name in group]
        parts += [f"{members[0]}..{members[-1]}"] if len(members) > 2 else members
    return ", ".join(parts)


def off(row: Row) -> str:
    """What is wrong with the state of a population, in a word or two. Nothing if few neurons are
    silent or saturated and the spread is within NEAR of its target, or has none.
    """
    if row["rate"] is None or row.get("readout"):
        return ""
    if row["silent"] >= QUIET:
        return "silent"
    if row["saturated"] > SATURATED:
        return "saturated"
    if row["target_sigma_u"] and not _meets_target(row):
        return "too strong" if row["free_sigma"] > row["target_sigma_u"] else "too weak"
    return ""


def held(row: Row) -> bool:
    """Whether it is their means, not fluctuations, that decide which neurons of a layer spike."""
    apart, spread = row.get("free_sigma_neurons") or 0.0, row.get("free_sigma") or 0.0
    return row["rate"] is not None and apart > HELD * max(1.0, spread)


def verdict(row: Row) -> str:
    """`off`, or else the largest factor by which the spread may differ from its target. Nothing for
    the readout, which has no spread.
    """
    if row["rate"] is None or row.get("readout"):
        return ""
    return off(row) or (f"within {_factor(row)}" if row["target_sigma_u"] else "no target")


def sentence(rows: Sequence[Row], init: str) -> str:
    """The state of all hidden layers in one sentence."""
    hidden = _hidden(rows)
    aimed = [row for row in hidden if row["target_sigma_u"] is not None]
    first, last = hidden[0]["rate"], hidden[-1]["rate"]
    if held(hidden[0]):
        row = hidden[0]
        return (
            f"the mean of the input holds the neurons of {row['population']} apart, by "
            f"{row['free_sigma_neurons']:.2g} thresholds, and {in_percent(row['silent'])} are "
            f"silent, {in_percent(row['saturated'])} saturated: standardize the input, so that "
            f"each channel has mean 0 (dataset.standardize=true of arrays)"
        )
    if silent := [place for place, row in enumerate(hidden) if off(row) == "silent"]:
        place = silent[0]
        below = "almost no gradient reaches the layers below"
        why = below if place else "its weights have almost no gradient"
        starved = all(  # no measured gradient is one that the optimizer follows
            row.get("step") is not None and (row["grad_task_max"] == 0 or is_lost(row))
            for row in hidden[: place or 1]
        )
        return f"{hidden[place]['population']} is silent" + f", and {why}" * starved
    if _steep(hidden):
        verb = "climb" if last > first else "fall"
        return f"rates {verb} from {_hertz(first)} to {_hertz(last)} Hz over {len(hidden)} layers"
    if wrong := [row for row in hidden if off(row)]:
        which = "the layer is" if len(hidden) == 1 else f"{len(wrong)} of {len(hidden)} layers are"
        words = {off(row) for row in wrong}
        return f"{which} {words.pop() if len(words) == 1 else 'off target'}"
    if not aimed:
        return f"init={init} has no target; no layer is silent or saturated"
    which = "all layers are" if len(aimed) > 1 else "the layer is"
    if len(aimed) < len(hidden):
        which = "the first layer is"
    return f"{which} within a factor of {max(map(_factor, aimed))} of the target"


def _steep(hidden: Sequence[Row]) -> bool:
    first, last = hidden[0]["rate"], hidden[-1]["rate"]
    return bool(max(first, last) > STEEP * min(first, last))


def _meets_target(row: Row, factor: float = NEAR) -> bool:
    target = row["target_sigma_u"]
    return bool(target) and target / factor <= row["free_sigma"] <= target * factor


def _factor(row: Row) -> float:
    return CLOSE if _meets_target(row, CLOSE) else NEAR


def _hertz(rate: float) -> str:
    return f"{rate:.0f}" if rate >= 1 else f"{rate:.1g}"


def unmoved(
    rows: Iterable[Row],
    network: Network,
    before: Mapping[str, Tensor],
    trained: Mapping[str, float],
    optimizer: str,
    remembers: bool = False,
) -> dict[str, str]:
    """Population -> why its weights are still what they were `before`, to the precision of their
    numbers, for those whose gradient of the task lay above the floor of the `optimizer` in the
    `rows` of a probe; `trained`: the metrics of an epoch, with the mean norm of each gradient.

    What a probe calls followed must move, but for a gradient that was 0 in training or below the
    floor, an optimizer that `remembers` larger gradients of priming, or steps that are smaller than
    the spacing of the weights' floating-point numbers.
    """
    import torch  # heavy, and of this function alone

    after, reasons = network.weights(), {}
    for row in rows:
        _, floor = floors(row)
        weights = network.afferents(row["population"])
        size = math.hypot(*(trained[f"grad/{each.name}"] for each in weights))
        precision = torch.finfo(weights[0].weight.dtype).eps
        way = math.hypot(
            *(float((before[e.name].cpu() - after[e.name].cpu()).double().norm()) for e in weights)
        )
        if way > precision * row["weight"] or not row["grad_task_max"] > floor:
            continue
        spacing = precision * row["weight_rms"]
        told = f"the task began with a gradient of {row['grad_task_max']:.2g}, which {optimizer}"
        if not size:
            why = "it was 0 in each step of training"
        elif size < floor:
            why = f"it fell to {size:.2g} in training, below the effective floor of {floor:.2g}"
        elif remembers:
            why = (
                "the optimizer still divides by the gradients of priming: "
                "homeostasis.fresh_optimizer=true resets its state"
            )
        elif row["step"] < spacing:
            why = (
                f"steps of {row['step']:.1g} are lost in rounding, where weights lie {spacing:.1g} "
                f"apart: raise optimizer.lr"
            )
        else:
            why = "nothing that fdi knows explains it: trust neither, and tell us"
        reasons[row["population"]] = (
            f"{told} follows, and no weight moved in its first epoch: {why}"
        )
    return reasons
