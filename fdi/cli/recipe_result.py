"""What a recipe says, in a terminal and in a notebook."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fdi.analysis.choice import Reached
from fdi.analysis.formats import plural
from fdi.analysis.recipe import APPLIES, Finding, Proof, Rule, Scope
from fdi.cli.terminal import console, duration
from fdi.config import Mistake

COMPLAINTS = ("refuted", "unknown")  # states of a finding that are complaints


@dataclass
class Recipe:
    """What was found: `state` and `cause`, see fdi.analysis.recipe.Finding; `lines`, which do it;
    its `proof`, None without one; what it left `open`; `cost` of the search and of the proof, in
    whole trainings; `curves`, name -> validation accuracy by epoch, before and after; `steps`: what
    trainings of `short` epochs reached, by step size; `folder`: where one of fdi's own is kept;
    `seen`: of a network of torch, a line for each tensor that its trial named, and its gradients.
    """

    state: str
    cause: str
    lines: list[str]
    proof: Proof | None
    open: list[str]
    cost: tuple[float, int]
    curves: dict[str, list[float]] = field(default_factory=dict)
    steps: dict[float, Reached] = field(default_factory=dict)
    short: int = 0
    folder: Path | None = None
    seen: list[str] = field(default_factory=list)
    make: Callable[[], None] | None = None

    @property
    def before(self) -> float | None:
        """Accuracy on the samples of the proof, of whole trainings without the change."""
        return self.proof.before if self.proof else None

    @property
    def after(self) -> float | None:
        """The same with the change."""
        return self.proof.after if self.proof else None

    def apply(self) -> None:
        """Make the change in the network and its optimizer. Raises fdi.Mistake for one of fdi's
        own, whose lines are commands, and where nothing was found.
        """
        if self.state not in APPLIES:
            raise Mistake(f"no recipe was found that could be applied: {self.cause}")
        if self.make is None:
            raise Mistake("this recipe is a command; give its line to fdi.run")
        self.make()

    def draw(self) -> Any:
        """A matplotlib figure: `curves` before and after, and accuracy by step size. Raises
        fdi.Mistake where nothing was found.
        """
        if not self.curves:
            raise Mistake("there is no picture to draw: no recipe was found")
        from fdi.figures.learning_curves import draw_proof  # matplotlib: only where it is needed

        curves = {name: (range(1, len(of) + 1), of) for name, of in self.curves.items()}
        return draw_proof(curves, self.steps, self.short)

    def __str__(self) -> str:
        search, proof = self.cost
        apart = f", and {proof} for the proof" * bool(proof)
        return "\n".join(
            [
                *(f"as it is: {line}" for line in self.seen),
                f"cause: {self.cause}",
                *(f"recipe: {line}" for line in self.lines),
                *([f"proof: {self.proof}"] if self.proof else []),
                *(f"open: {line}" for line in self.open),
                f"cost: the search took {search:.2g} trainings{apart}",
            ]
        )


def recipe(finding: Finding, rule: Rule, lines: list[str], proof: int, **more: Any) -> Recipe:
    """What the `rule` found, whose `lines` do it where it is proven; `proof`: trainings of it."""
    applies = finding.state in APPLIES
    return Recipe(
        finding.state,
        finding.why,
        lines if applies else [],
        finding.proof,
        finding.open,
        (rule.cost, proof),
        steps=rule.steps,
        short=rule.plan.short,
        **more,
    )


def budgeted(plan: Scope, proof: int, seconds: float | None) -> str:
    """What a search costs at most, and its `proof` in trainings that take so many seconds each."""

    def time(trainings: float) -> str:
        if seconds is None:
            return ""
        return f", about {duration(max(1.0, trainings * seconds))}"

    search = f"at most {plan.budget:g} trainings of {plural(plan.epochs, 'epoch')}"
    return f"{search}{time(plan.budget)}; the proof takes {proof} more{time(proof)}"


def print_in_log(text: str) -> None:
    """What a line that moves says where there is a terminal."""
    if not console().is_terminal:
        print(text, flush=True)
