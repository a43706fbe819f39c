"""A recipe for a network that does not learn, from Python: for one of fdi's own by words, as
`fdi-run experiment=recipe`; and for anybody's network and training loop in torch.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.optim import Optimizer

from fdi.analysis.choice import FAILS, Question, Reached
from fdi.analysis.formats import plural
from fdi.analysis.recipe import (
    AS_IT_IS,
    BUDGET,
    FLOOR,
    STATE,
    STEP,
    WHOLE,
    Candidate,
    Change,
    Proof,
    Rule,
    Scope,
    can_be_lowered,
    proof,
)
from fdi.cli.recipe_result import Recipe, budgeted, print_in_log
from fdi.cli.recipe_result import recipe as as_recipe
from fdi.cli.terminal import bar, console
from fdi.config import Mistake
from fdi.init.probe import floor
from fdi.interop.network import random_numbers_kept

GAINS = (2.0, 5.0, 0.5)  # factors of all weights
WEIGHTS = "initial weights"
INITIALIZE = 'fdi.initialize(network, "{}", dt={:g}, batch=inputs, simulate=simulate)'
PARTS = 5  # of the samples: one to choose by, one to prove it
SEARCH, PROOF = 1000, (0, 1)  # seeds of the order of batches, and of initial weights
BARS = (BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn("epochs"), TimeRemainingColumn())
Batch = tuple[Tensor, Tensor]
Trial = Callable[[Tensor], "Tensor | tuple[Tensor, Mapping[str, Tensor]]"]
LAYOUTS = {"[T, B, classes]": (1, 2), "[B, T, classes]": (0, 2), "[B, classes, T]": (0, 1)}
"""Of scores over time: the axes of samples and of classes."""


def recipe(*of: Any, data: Any = None, **values: Any) -> Recipe:
    """Which change makes a network learn: fluctuation-driven weights and short trainings at ten
    steps, and what else may be at fault where that does not suffice; proven by whole trainings.

        fdi.recipe("dataset=randman", "model.depth=3", init="kaiming")
        fdi.recipe(network, loader, simulate=run_trial, optimizer=optimizer, dt=1e-3)

    Words and keywords are those of `fdi.run`, and so are the trainings. For a network of torch see
    `of_network`. Raises fdi.Mistake.
    """
    if of and not isinstance(of[0], str):
        return of_network(*of, **(values if data is None else values | {"data": data}))
    from fdi.notebook.calls import of_words  # pandas and Hydra: only where there are words

    return of_words(*of, data=data, **values)


def of_network(
    network: nn.Module | Sequence[Tensor],
    data: Batch | Iterable[Batch],
    *,
    simulate: Trial,
    optimizer: Optimizer,
    loss: Callable[[Tensor, Tensor], Tensor] = nn.functional.cross_entropy,
    epochs: int = 10,
    budget: float = BUDGET,
    dt: float | None = None,
) -> Recipe:
    """A recipe for a network in its own training loop: an nn.Module, or the tensors of a
    hand-written one.

    `data`: a batch (inputs, labels), or a loader of them, which is read once and kept; a fifth of
    it is held out to choose by, and another to prove it. `simulate(inputs)`: a whole trial from a
    fresh state; returns the score of each class, [B, classes], or the scores and a dict of spikes
    and currents by name, neurons last, which are described as they are in the beginning;
    `loss(scores, labels)`. Scores of each step, as one of LAYOUTS, are summed over time to tell
    classes, if their lengths say which axis is which; the loss gets them as they are. `optimizer`:
    over the weights; the step is changed in all of its groups alike, eps where it has one. `dt`:
    duration of a step in seconds, for a network whose neurons fdi.initialize knows; without it,
    weights are tried in other sizes. A training has `epochs` passes over the data; the search costs
    at most `budget` trainings, its proof three more.

    The network and its optimizer are as before when it returns; `apply` of what it returns makes
    the change. Trials are not kept: what `simulate` and `loss` compute cannot be told from outside,
    so that a later call could not know whether they are the same. Raises fdi.Mistake for data that
    cannot be split, for labels and scores that do not fit each other, and where nothing can be
    learned.
    """
    if epochs < 1:
        raise Mistake(f"epochs = {epochs} must be at least 1")
    train, valid, held = _split(data)
    classes = 1 + max(int(labels.max()) for _, labels in (*train, *valid, *held))
    search = _Search(
        network, optimizer, simulate, loss, epochs, budget, dt, train, valid, held, classes
    )
    try:
        return search.run()
    finally:
        search.restore()


def _batches(data: Any) -> list[Batch]:
    """Raises Mistake for what are no pairs of inputs and class numbers."""
    one = isinstance(data, tuple | list) and len(data) == 2 and hasattr(data[0], "shape")
    batches = []
    for each in data if isinstance(data, Iterable) and not one else [data]:
        if not isinstance(each, tuple | list) or len(each) != 2:
            raise Mistake(f"data: {_told(each)} is no batch; give pairs of inputs and labels")
        inputs, labels = each
        try:
            labels = torch.as_tensor(labels)
            fit = labels.ndim == 1 and len(labels) and ((labels >= 0) & (labels % 1 == 0)).all()
        except (TypeError, ValueError):
            fit = False
        if not fit:
            raise Mistake(
                f"labels: {_told(labels)} is not a class number, 0, 1, ..., for each sample of a "
                "batch; give such numbers, and encode them in `loss` where it needs another form"
            )
        batches.append((torch.as_tensor(inputs) if one else inputs, labels))
    return batches


def _told(value: Any) -> str:
    """What it is, in few words."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)} and {value.dtype}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {', '.join(type(v).__name__ for v in value[:3])}"
    return f"something of type {type(value).__name__}"


def _split(data: Batch | Iterable[Batch]) -> list[list[Batch]]:
    """Samples to train with, to choose by, and to prove it: whole batches where there are enough of
    them, else samples of each.
    """
    batches = _batches(data)
    if len({label for _, labels in batches for label in labels.unique().tolist()}) < 2:
        raise Mistake("labels: there are not two classes, so there is nothing to tell apart")
    if len(batches) >= 2 * PARTS:
        place = np.arange(len(batches)) % PARTS
        parts = [[b for b, p in zip(batches, place) if p == kind] for kind in (0, 1)]
        return [[b for b, p in zip(batches, place) if p > 1], *parts]
    found: list[list[Batch]] = [[], [], []]
    for inputs, labels in batches:
        axes = [axis for axis, size in enumerate(inputs.shape[:2]) if size == len(labels)]
        if len(axes) != 1 or len(labels) < PARTS:
            raise Mistake(
                f"inputs of shape {tuple(inputs.shape)} with {len(labels)} labels: which of them "
                f"are samples cannot be told; give a loader of at least {2 * PARTS} batches"
            )
        drawn = np.random.default_rng(SEARCH).permutation(len(labels)) % PARTS
        for part, mine in zip(found, (drawn > 1, drawn == 0, drawn == 1)):
            rows = torch.as_tensor(np.flatnonzero(mine), device=labels.device)
            if len(rows):
                part.append((inputs.index_select(axes[0], rows), labels[rows]))
    return found


class _Trained(NamedTuple):
    """What a training reached, its validation accuracy by epoch, and which of the samples that
    prove are right.
    """

    reached: Reached
    curve: list[float]
    right: np.ndarray


Asked = tuple[Candidate, int, int]
"""A candidate, its epochs and its seed."""


@dataclass
class _Search:
    """The trainings of a network, each from the state that it was given in."""

    network: nn.Module | Sequence[Tensor]
    optimizer: Optimizer
    trial: Trial
    loss: Callable[[Tensor, Tensor], Tensor]
    epochs: int
    budget: float
    dt: float | None
    train: list[Batch]
    valid: list[Batch]
    held: list[Batch]
    classes: int
    known: dict[Asked, _Trained] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    curves: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        net = self.network
        self.modules = [*net.modules()] if isinstance(net, nn.Module) else []
        self.tensors = [*(net.state_dict().values() if isinstance(net, nn.Module) else net)]
        own = net.parameters() if isinstance(net, nn.Module) else self.tensors
        if {*map(id, own)}.isdisjoint(map(id, self._moved())):
            raise Mistake("optimizer: it holds none of the network's tensors; make it from them")
        if isinstance(self.optimizer, torch.optim.LBFGS):
            raise Mistake(
                "optimizer: LBFGS takes several looks at each batch; take another, as Adam"
            )
        self.layouts = LAYOUTS
        self.begin = self._state()
        self.unit = self._unit()

    def simulate(self, inputs: Tensor) -> Tensor:
        return self._named(inputs)[0]

    def _named(self, inputs: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The scores, and what the trial names."""
        found = self.trial(inputs)
        scores, named = found if isinstance(found, tuple) and len(found) == 2 else (found, {})
        if not isinstance(scores, Tensor) or not isinstance(named, Mapping):
            raise Mistake(
                f"simulate returned {_told(found)}; return the scores, a tensor [B, classes], or "
                "these and a dict of tensors by name"
            )
        return scores, named

    def _by_class(self, scores: Tensor, labels: Tensor) -> Tensor:
        """[B, classes], summed over time where there is one. Raises Mistake where the axes cannot
        be told apart by their lengths.
        """
        shape, samples = tuple(scores.shape), len(labels)
        if len(shape) == 2 and shape[0] == samples and shape[1] >= self.classes:
            return scores
        fitting = {
            name: (of, classes)
            for name, (of, classes) in self.layouts.items()
            if len(shape) == 3 and (shape[of], shape[classes]) == (samples, self.classes)
        }
        if len(fitting) != 1:
            told = f"simulate returned scores of shape {shape} for {samples} samples of "
            told += f"{self.classes} classes, which "
            if not fitting:
                raise Mistake(f"{told}are not [B, classes]; return them so, or as [T, B, classes]")
            raise Mistake(
                f"{told}may be {' or '.join(fitting)}; return their sum over time, [B, classes], "
                "or [T, B, classes] in batches of other than T samples"
            )
        self.layouts = fitting
        ((of, classes),) = fitting.values()
        return scores.movedim((of, classes), (0, 1)).sum(2)

    def _state(self) -> Any:
        return [t.detach().clone() for t in self.tensors], deepcopy(self.optimizer.state_dict())

    def restore(self, state: Any = None) -> None:
        """The network and its optimizer as they were in the beginning, or in a `state`."""
        weights, options = state or self.begin
        with torch.no_grad():
            for tensor, weight in zip(self.tensors, weights):
                tensor.copy_(weight)
        self.optimizer.load_state_dict(deepcopy(options))

    def run(self) -> Recipe:
        group, node = self.optimizer.param_groups[0], _node()
        eps, tiny = group.get("eps", 0.0), max(torch.finfo(p.dtype).tiny for p in self._moved())
        ((_, rows),) = node["eps"].items()
        floors = [float(row.partition("+")[0]) for row in rows.split(",")]
        stages = {
            FLOOR: [
                Change(FLOOR, (f"eps={e:g}",), e) for e in floors if can_be_lowered(eps, e, tiny)
            ]
        }
        initial: Candidate = ()
        others = [Change(WEIGHTS, (f"weight *= {gain:g}",), gain) for gain in GAINS]
        why = self._unknown(node["init"])
        if why:
            stages[WEIGHTS] = others
        else:
            initial = (Change(STATE, (f"init={node['init']}",)),)
        plan = Scope("lr", group["lr"], self.epochs, self.budget, initial, stages, others)
        rule = Rule(plan, self._proven)
        print(budgeted(plan, 2 * len(PROOF) - 1, self.epochs * self._seconds()))
        with bar(console(), TextColumn("{task.description}"), *BARS, transient=True) as self.shown:
            while rule.asked:
                rule.hear(self._answers(rule.title, rule.asked))
        finding = rule.found
        self.restore()
        if why and finding.state != "learns":
            finding.open.append(why)
        lines = [line for change in finding.candidate for line in self._lines(change)]
        return as_recipe(
            finding,
            rule,
            lines,
            (2 * len(PROOF) - 1) * bool(finding.proof),
            curves=self.curves if finding.proof else {},
            seen=self.seen,
            make=lambda: self._change(finding.candidate, PROOF[0]),
        )

    def _unknown(self, init: str) -> str:
        """Why the initial weights of this network cannot be drawn; "" where they can."""
        if self.dt is None:
            return "not tried: fdi.initialize, which needs dt, the duration of a step in s"
        try:
            self._initialize(init, SEARCH)
        except Mistake as error:
            return f"not tried: fdi.initialize, since {error}"
        finally:
            self.restore()
        return ""

    def _seconds(self) -> float:
        """Of an epoch, by a batch as it is, which is described, the second time."""
        self._margin(describe=True)
        start = time.perf_counter()
        self._margin()
        return (time.perf_counter() - start) * len(self.train)

    def _unit(self) -> float:
        """What the loss is multiplied by for the rule, which knows the cross-entropy: that of
        guessing over the loss of a readout that says nothing, or else of the untrained network.
        """
        inputs, labels = self.train[0]
        with torch.no_grad():
            scores = self.simulate(inputs)
            self.columns = self._by_class(scores, labels).shape[1]
            losses = [self.loss(s, labels) for s in (torch.zeros_like(scores), scores)]
        if wrong := [each for each in losses if not isinstance(each, Tensor) or each.numel() != 1]:
            raise Mistake(f"loss returned {_told(wrong[0])}; return one number, a tensor")
        guess = next((loss for loss in map(float, losses) if 0 < loss < math.inf), math.nan)
        return math.log(self.columns) / guess if guess == guess else 1.0

    def _change(self, candidate: Candidate, seed: int) -> None:
        first = self.optimizer.param_groups[0]["lr"]
        for kind, words, value in candidate:
            for group in self.optimizer.param_groups:
                if kind == STEP:
                    group["lr"] *= value / first
                elif kind == FLOOR:
                    group["eps"] = value
            if kind == WEIGHTS:
                with torch.no_grad():
                    for tensor in self._weights():
                        tensor.mul_(value)
            elif kind == STATE:
                self._initialize(words[0].partition("=")[2], seed)

    def _initialize(self, init: str, seed: int) -> None:
        from fdi.interop.foreign import initialize

        if not isinstance(self.network, nn.Module):
            raise Mistake("the network is no nn.Module")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a readout is not changed
            initialize(
                self.network,
                init,
                dt=self.dt,
                batch=self.train[0][0],
                simulate=self.simulate,
                generator=torch.Generator().manual_seed(seed),
            )

    def _lines(self, change: Change) -> list[str]:
        """The code that makes it."""
        kind, (words, *_), value = change
        groups = "for group in optimizer.param_groups:"
        if kind == STEP:
            return [f"{groups} group['lr'] *= {value / self.optimizer.param_groups[0]['lr']:.3g}"]
        if kind == FLOOR:
            return [f"{groups} group['eps'] = {value:g}"]
        if kind == STATE:
            return [INITIALIZE.format(words.partition("=")[2], self.dt)]
        every = "network.parameters()" if isinstance(self.network, nn.Module) else "network"
        return [f"for weight in {every}: weight.data *= {value:g} if weight.ndim > 1 else 1"]

    def _weights(self) -> list[Tensor]:
        """Those with a fan-in that the optimizer moves."""
        return [p for p in self._moved() if p.ndim > 1]

    def _moved(self) -> list[Tensor]:
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def _answers(self, title: str, asked: list[Question]) -> dict[Question, Reached]:
        """What the trainings of the rule reached on the validation samples."""
        seed = PROOF[0] if title == WHOLE else SEARCH
        answers = self._train(title, [(candidate, epochs, seed) for candidate, epochs in asked])
        return {question: answer.reached for question, answer in zip(asked, answers)}

    def _proven(self, candidate: Candidate) -> Proof:
        """On the held out samples; nothing is right where a training diverged."""
        both = [[(of, self.epochs, seed) for seed in PROOF] for of in (AS_IT_IS, candidate)]
        every = self._train("proof", [each for of in both for each in of])
        before, after = every[: len(PROOF)], every[len(PROOF) :]
        self.curves = {"before": before[0].curve, "after": after[0].curve}
        shares = [np.mean([each.right for each in of], 0) for of in (before, after)]
        labels = torch.cat([labels for _, labels in self.held]).cpu().numpy()
        return proof(shares[0], shares[1], labels, len(PROOF))

    def _train(self, title: str, asked: list[Asked]) -> list[_Trained]:
        """Those that were not trained yet are."""
        new = [each for each in asked if each not in self.known]
        epochs = sum(epochs for _, epochs, _ in new)
        print_in_log(f"{title}: {plural(len(new), 'training')}, {plural(epochs, 'epoch')} in all")
        task = self.shown.add_task(title, total=epochs)
        for each in new:
            self.known[each] = self._trained(*each, lambda: self.shown.advance(task))
        self.shown.remove_task(task)
        return [self.known[each] for each in asked]

    def _trained(
        self, candidate: Candidate, epochs: int, seed: int, advance: Callable[[], None]
    ) -> _Trained:
        self.restore()
        curve: list[float] = []
        with random_numbers_kept():
            torch.manual_seed(seed)
            self._change(candidate, seed)
            margin, loss = self._margin(), math.nan
            for epoch in range(epochs):
                loss = self._epoch(seed, epoch)
                if math.isfinite(loss):
                    right, loss = self._tested(self.valid)
                if not math.isfinite(loss):
                    samples = sum(len(labels) for _, labels in self.held)
                    return _Trained(FAILS, curve, np.zeros(samples))
                curve.append(float(right.mean()))
                advance()
            right = self._tested(self.held)[0] if seed in PROOF else np.zeros(0)
        reached = Reached(curve[-1], self.unit * loss, self.columns, margin)
        return _Trained(reached, curve, right)

    def _epoch(self, seed: int, epoch: int) -> float:
        """The mean loss; infinite where it diverges."""
        losses = []
        for place in np.random.default_rng([seed, epoch]).permutation(len(self.train)):
            inputs, labels = self.train[place]
            loss = self.loss(self.simulate(inputs), labels)
            if not torch.isfinite(loss):
                return math.inf
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses.append(float(loss.detach()))
        return float(np.mean(losses))

    def _tested(self, batches: Sequence[Batch]) -> tuple[np.ndarray, float]:
        """Which samples are right, and the mean loss; dropout is off, and norms have the averages
        they learned.
        """
        right, losses = [], []
        training = [module.training for module in self.modules]
        for module in self.modules[:1]:
            module.eval()
        with torch.no_grad():
            for inputs, labels in batches:
                scores = self.simulate(inputs)
                losses.append(float(self.loss(scores, labels)) * len(labels))
                right.append(self._by_class(scores, labels).argmax(-1) == labels)
        for module, mode in zip(self.modules, training):
            module.training = mode
        every = torch.cat(right).cpu().numpy()
        return every, sum(losses) / len(every)

    def _margin(self, describe: bool = False) -> float:
        """The largest gradient of a weight over the effective floor, the least of all; what the
        trial names, and the gradients, are `seen` where they are to be described.
        """
        inputs, labels = self.train[0]
        self.optimizer.zero_grad()
        scores, named = self._named(inputs)
        loss = self.loss(scores, labels)
        if not loss.requires_grad:
            raise Mistake("loss has no gradient; let simulate return scores that have one")
        loss.backward()
        largest = [float(p.grad.abs().max()) for p in self._weights() if p.grad is not None]
        self.optimizer.zero_grad()
        known = floor(self.optimizer)
        least = max(known.steady, known.noisy)
        if describe:
            self.seen = [_described(name, of.detach(), len(labels)) for name, of in named.items()]
            if scores.ndim == 3:
                (layout,) = self.layouts
                self.seen.insert(0, f"scores {layout}, summed over time to tell classes")
            sizes = ", ".join(f"{g:.1e}" for g in largest)
            follows = f"the optimizer follows those above {least:.0e}"
            self.seen.append(f"largest gradients {sizes}; {follows}")
        return min((g / least if least else math.inf for g in largest if g > 0), default=math.nan)


def _described(name: str, values: Tensor, samples: int) -> str:
    """Spikes (all of them 0 or 1) or a current [..., neurons] in words."""
    if ((values == 0) | (values == 1)).all():
        spikes = values.flatten(0, -2).sum(0)
        silent = (spikes == 0).float().mean()
        each = float(spikes.mean()) / samples
        return f"{name}: {each:.2g} spikes a neuron and sample, {silent:.0%} of neurons silent"
    spread, mean = torch.std_mean(values.double())
    return f"{name}: mean {mean:.2g}, standard deviation {spread:.2g}"


def _node() -> dict[str, Any]:
    """What conf/experiment/recipe.yaml tries."""
    text = (files("fdi.conf") / "experiment" / "recipe.yaml").read_text()
    return yaml.safe_load(text)["recipe"]
