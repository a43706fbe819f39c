"""A recipe for a network that does not learn, from Python: for one of fdi's own by words, as
`fdi-run experiment=recipe`; and for anybody's network and training loop in torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn
from torch.optim import Optimizer

from fdi.analysis.choice import FAILS, Reached
from fdi.analysis.recipe import (
    APPLIES,
    AS_IT_IS,
    FLOOR,
    STEP,
    TRIALS,
    Candidate,
    Change,
    Rule,
    Scope,
    can_be_lowered,
    proven,
)
from fdi.config import Mistake
from fdi.init.probe import floor

SPREADS = (1.0, 0.5)  # sigma_u of networks whose neurons are known
GAINS = (2.0, 5.0, 0.5)  # factors of all weights where they are not
WEIGHTS, STATE = "size of the weights", "initial state"
INITIALIZE = "fdi.initialize(network, sigma_u={:g}, dt={:g}, batch=inputs, simulate=simulate)"
PICTURE = "proof.png"
PARTS = 5  # of the samples: one to choose by, one to prove it
SEARCH, PROOF = 1000, 0  # seeds of the order of batches
Batch = tuple[Tensor, Tensor]
Trial = Callable[[Tensor], "Tensor | tuple[Tensor, Mapping[str, Tensor]]"]
LAYOUTS = {"[T, B, classes]": (1, 2), "[B, T, classes]": (0, 2), "[B, classes, T]": (0, 1)}
"""Of scores over time: the axes of samples and of classes."""


@dataclass
class Recipe:
    """What was found: `state` and `cause`, see fdi.analysis.recipe.Finding; `lines`, which do it;
    the accuracies of a whole training `before` and `after`, None without one; what it left `open`;
    `curves`, name -> validation accuracy by epoch; `folder`: where one of fdi's own is kept;
    `seen`: of a network of torch, a line for each tensor that its trial named, and its gradients;
    `steps`: what trainings of `short` epochs reached, by step size.
    """

    state: str
    cause: str
    lines: list[str]
    before: float | None
    after: float | None
    open: list[str]
    curves: dict[str, list[float]] = field(default_factory=dict)
    folder: Path | None = None
    seen: list[str] = field(default_factory=list)
    steps: dict[float, Reached] = field(default_factory=dict)
    short: int = 0
    make: Callable[[], None] | None = None

    def apply(self) -> None:
        """Make the change in the network and its optimizer. Raises fdi.Mistake for one of fdi's
        own, whose lines are commands, and where nothing was found.
        """
        if self.make is None:
            raise Mistake("this recipe is a command; give its lines to fdi.run")
        if self.state not in APPLIES or not self.lines:
            raise Mistake(f"no recipe was found that could be applied: {self.cause}")
        self.make()

    def draw(self) -> Any:
        """A matplotlib figure: `curves` before and after, and accuracy by step size. Raises
        fdi.Mistake for one of fdi's own, whose picture is in `folder`, and where nothing was found.
        """
        if not self.curves:
            where = f"it is {self.folder / PICTURE}" if self.folder else "no recipe was found"
            raise Mistake(f"there is no picture to draw: {where}")
        from fdi.figures.learning_curves import draw_proof  # matplotlib: only where it is needed

        curves = {name: (range(1, len(of) + 1), of) for name, of in self.curves.items()}
        return draw_proof(curves, self.steps, self.short)

    def __str__(self) -> str:
        proof = []
        if self.before is not None and self.after is not None:
            proof = [f"proof: {100 * self.before:.1f} % before, {100 * self.after:.1f} % after"]
        seen = [f"as it is: {line}" for line in self.seen]
        rest = [f"open: {line}" for line in self.open]
        recipe = [f"recipe: {line}" for line in self.lines]
        return "\n".join([*seen, f"cause: {self.cause}", *recipe, *proof, *rest])


def recipe(*of: Any, data: Any = None, **values: Any) -> Recipe:
    """The single change that makes a network learn, the cheapest first: by short trainings, proven
    by two whole ones.

        fdi.recipe("dataset=randman", "model.depth=3", init="kaiming")
        fdi.recipe(network, loader, simulate=run_trial, optimizer=optimizer, dt=1e-3)

    Words and keywords are those of `fdi.run`, and so are the trainings. For a network of torch see
    `of_network`. Raises fdi.Mistake.
    """
    if of and not isinstance(of[0], str):
        return of_network(*of, **(values if data is None else values | {"data": data}))
    from fdi.notebook.calls import of_words  # pandas and Hydra: only where there are words

    content, folder = of_words(*of, data=data, **values)
    return Recipe(
        content["state"],
        content["why"],
        content["lines"],
        content.get("before"),
        content.get("after"),
        content["open"],
        folder=folder,
    )


def of_network(
    network: nn.Module | Sequence[Tensor],
    data: Batch | Iterable[Batch],
    *,
    simulate: Trial,
    optimizer: Optimizer,
    loss: Callable[[Tensor, Tensor], Tensor] = nn.functional.cross_entropy,
    epochs: int = 10,
    test: Batch | Iterable[Batch] | None = None,
    trainings: float = 1.0,
    dt: float | None = None,
) -> Recipe:
    """A recipe for a network in its own training loop: an nn.Module, or the tensors of a
    hand-written one.

    `data`: a batch (inputs, labels), or a loader of them, which is read once and kept; a fifth of
    it is held out to choose by, and another to prove it unless there is `test`. `simulate(inputs)`:
    a whole trial from a fresh state; returns the score of each class, [B, classes], or the scores
    and a dict of spikes and currents by name, neurons last, which are described as they are in the
    beginning; `loss(scores, labels)`. Scores of each step, as one of LAYOUTS, are summed over time
    to tell classes, if their lengths say which axis is which; the loss gets them as they are.
    `optimizer`: over the weights; the step is changed in all of its groups alike, eps where it has
    one. `dt`: duration of a step in seconds, for a network whose neurons fdi.initialize knows;
    without it, initial weights are tried in other sizes. A training has `epochs` passes over the
    data; `trainings`: what the search for a step may cost.

    The network and its optimizer are as before when it returns; `apply` of what it returns makes
    the change. Raises fdi.Mistake for data that cannot be split, for labels and scores that do not
    fit each other, and where nothing can be learned.
    """
    if epochs < 1:
        raise Mistake(f"epochs = {epochs} must be at least 1")
    train, valid, held = _split(data, test is None)
    held = held if test is None else _batches(test)
    classes = 1 + max(int(labels.max()) for _, labels in (*train, *valid, *held))
    search = _Search(network, optimizer, simulate, loss, epochs, dt, train, valid, classes)
    try:
        return search.run(trainings, held)
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


def _split(data: Batch | Iterable[Batch], hold: bool) -> tuple[list[Batch], ...]:
    """Training, validation and, if they are to be held out, test samples: whole batches where there
    are enough of them, else samples of each.
    """
    batches = _batches(data)
    if len({label for _, labels in batches for label in labels.unique().tolist()}) < 2:
        raise Mistake("labels: there are not two classes, so there is nothing to tell apart")
    kinds = [0, 1] if hold else [0]
    if len(batches) >= 2 * PARTS:
        place = np.arange(len(batches)) % PARTS
        parts = [[b for b, p in zip(batches, place) if p == kind] for kind in kinds]
        return [b for b, p in zip(batches, place) if p not in kinds], *parts, *[[]] * (not hold)
    found: list[list[Batch]] = [[], [], []]
    for inputs, labels in batches:
        axes = [axis for axis, size in enumerate(inputs.shape[:2]) if size == len(labels)]
        if len(axes) != 1 or len(labels) < PARTS:
            raise Mistake(
                f"inputs of shape {tuple(inputs.shape)} with {len(labels)} labels: which of them "
                f"are samples cannot be told; give a loader of at least {2 * PARTS} batches"
            )
        drawn = np.random.default_rng(SEARCH).permutation(len(labels)) % PARTS
        for kind, part in enumerate(found):
            mine = drawn == kind - 1 if kind else ~np.isin(drawn, kinds)
            rows = torch.as_tensor(np.flatnonzero(mine), device=labels.device)
            if len(rows):
                part.append((inputs.index_select(axes[0], rows), labels[rows]))
    return (*found,)


@dataclass
class _Search:
    """The trainings of a network, each from the state that it was given in."""

    network: nn.Module | Sequence[Tensor]
    optimizer: Optimizer
    trial: Trial
    loss: Callable[[Tensor, Tensor], Tensor]
    epochs: int
    dt: float | None
    train: list[Batch]
    valid: list[Batch]
    classes: int
    kept: dict[Candidate, tuple[int, Any]] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)

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

    def run(self, trainings: float, test: list[Batch]) -> Recipe:
        group = self.optimizer.param_groups[0]
        eps, tiny = group.get("eps", 0.0), max(torch.finfo(p.dtype).tiny for p in self._moved())
        lower = [
            Change(FLOOR, (f"eps={e:g}",), e) for e in _floors() if can_be_lowered(eps, e, tiny)
        ]
        weights = [Change(WEIGHTS, (f"weight *= {gain:g}",), gain) for gain in GAINS]
        if self.dt is not None:
            weights = [Change(STATE, (INITIALIZE.format(s, self.dt),), s) for s in SPREADS]
        stages = {FLOOR: lower, weights[0].kind: weights}
        plan = Scope("lr", group["lr"], self.epochs, max(1, round(TRIALS * trainings)), stages)
        rule = Rule(plan)
        asking = rule.decide()
        stage = next(asking)
        while True:
            share = stage.epochs / self.epochs
            print(f"{stage.title}: short trainings that cost {share:.2g} of a whole one")
            answers = {each: self._reached(*each) for each in stage.asked}
            try:
                stage = asking.send(answers)
            except StopIteration as end:
                finding = end.value
                break
        before = after = None
        curves: dict[str, list[float]] = {}
        lines: list[str] = []
        if finding.candidate and finding.state in APPLIES:
            print("proof: 2 whole trainings")
            before, curves["before"] = self._whole(AS_IT_IS, test)
            after, curves["after"] = self._whole(finding.candidate, test)
            finding = proven(finding, before, after)
            lines = [*map(_line, finding.candidate)] if finding.state in APPLIES else []
        return Recipe(
            finding.state,
            finding.why,
            lines,
            before,
            after,
            finding.open,
            curves,
            seen=self.seen,
            steps=rule.steps,
            short=plan.short,
            make=lambda: self._change(finding.candidate),
        )

    def _unit(self) -> float:
        """What the loss is multiplied by for the rule, which knows the cross-entropy: that of
        guessing over the loss of a readout that says nothing, or else of the untrained network.
        """
        inputs, labels = self.train[0]
        with torch.no_grad():
            scores = self.simulate(inputs)
            classes = self._by_class(scores, labels).shape[1]
            losses = [self.loss(s, labels) for s in (torch.zeros_like(scores), scores)]
        if wrong := [each for each in losses if not isinstance(each, Tensor) or each.numel() != 1]:
            raise Mistake(f"loss returned {_told(wrong[0])}; return one number, a tensor")
        guess = next((loss for loss in map(float, losses) if 0 < loss < math.inf), math.nan)
        return math.log(classes) / guess if guess == guess else 1.0

    def _change(self, candidate: Candidate) -> None:
        first = self.optimizer.param_groups[0]["lr"]
        for kind, _, value in candidate:
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
                self._initialize(value)

    def _initialize(self, sigma_u: float) -> None:
        from fdi.interop.foreign import initialize

        assert isinstance(self.network, nn.Module)
        how: dict[str, Any] = {"sigma_u": sigma_u, "dt": self.dt, "batch": self.train[0][0]}
        generator = torch.Generator().manual_seed(SEARCH)
        initialize(self.network, **how, simulate=self.simulate, generator=generator)

    def _weights(self) -> list[Tensor]:
        """Those with a fan-in that the optimizer moves."""
        return [p for p in self._moved() if p.ndim > 1]

    def _moved(self) -> list[Tensor]:
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def _reached(self, candidate: Candidate, epochs: int) -> Reached:
        begun, state = self.kept.get(candidate, (0, None))
        self.restore(state)
        margin = self._margin() if candidate == AS_IT_IS and not state else math.nan
        if not state:
            self._change(candidate)
        loss = math.nan
        for epoch in range(begun, epochs):
            loss = self._epoch(SEARCH, epoch)
            if not math.isfinite(loss):
                return FAILS
        self.kept[candidate] = epochs, self._state()
        accuracy, classes = self._accuracy(self.valid)
        return Reached(accuracy, self.unit * loss, classes, margin)

    def _whole(self, candidate: Candidate, test: list[Batch]) -> tuple[float, list[float]]:
        """Accuracy on the test samples, and on the validation samples by epoch."""
        self.restore()
        self._change(candidate)
        curve: list[float] = []
        for epoch in range(self.epochs):
            if not math.isfinite(self._epoch(PROOF, epoch)):
                return 0.0, curve
            curve.append(self._accuracy(self.valid)[0])
        return self._accuracy(test)[0], curve

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

    def _accuracy(self, batches: Sequence[Batch]) -> tuple[float, int]:
        """And the number of classes; dropout is off, and norms have the averages they learned."""
        right = total = classes = 0
        training = [module.training for module in self.modules]
        for module in self.modules[:1]:
            module.eval()
        with torch.no_grad():
            for inputs, labels in batches:
                scores = self._by_class(self.simulate(inputs), labels)
                classes = scores.shape[1]
                right += int((scores.argmax(-1) == labels).sum())
                total += len(labels)
        for module, mode in zip(self.modules, training):
            module.training = mode
        return right / total, classes

    def _margin(self) -> float:
        """The largest gradient of a weight over the effective floor of the optimizer, the least of
        all; what the trial names, and the gradients, are `seen`.
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
        self.seen = [_described(name, part.detach(), len(labels)) for name, part in named.items()]
        if scores.ndim == 3:
            (layout,) = self.layouts
            self.seen.insert(0, f"scores {layout}, summed over time to tell classes")
        sizes = ", ".join(f"{g:.1e}" for g in largest)
        self.seen += [f"largest gradients {sizes}; the optimizer follows those above {least:.0e}"]
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


def _floors() -> list[float]:
    """Those of eps that conf/experiment/recipe.yaml tries."""
    node = yaml.safe_load((files("fdi.conf") / "experiment" / "recipe.yaml").read_text())
    ((_, floors),) = node["recipe"]["stages"][FLOOR].items()
    return [float(each.partition("+")[0]) for each in floors.split(",")]


def _line(change: Change) -> str:
    where = "in each group of the optimizer, " if change.kind == FLOOR else ""
    if change.kind == STEP:
        where = "in the first group of the optimizer, and in all others by the same factor, "
    return where + " ".join(change.words)
