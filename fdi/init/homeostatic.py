"""Homeostasis as an initialization: the weights of another one, brought to a target on training
data before the task starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from fdi.config.parts import Count, NotNegative, Positive, StepSize
from fdi.init.named import named
from fdi.init.strategy import (
    TOLERANCE,
    Drawing,
    Measure,
    Strategy,
    both_signs,
    calibrate,
)

if TYPE_CHECKING:
    from fdi.snn.network import Network
    from fdi.snn.neuron import Population

UPPER, LOWER = 0.1, 100.0  # strengths of the authors' bounds, fully connected
SILENT = 0.01  # of the neurons of a population that is on target may be
CENTRED = 0.1  # of its spread, what the mean of its potential may be away from 0


@dataclass(frozen=True)
class Homeostatic(Strategy):
    """The weights that the initialization `base` draws with these `options`, then one of two rules.

    "bounds": descend the bounds of Rossbroich et al. 2022 on spike counts alone, with their
    optimizer and the step size `lr`, until in each hidden population at most 1 % of the neurons are
    silent and the mean rate lies between `lower` and `upper` Hz, or for `epochs`. What trains does
    this, after `draw`.

    "fluctuations": layer by layer centre the weights of each neuron and scale those of a population
    until the spread that a batch of training data measures is `sigma_u`, around a mean of 0:

        W_ij <- factor (W_ij - mean_j W_ij)
    """

    homeostatic: ClassVar[bool] = True
    base: str = "kaiming"
    options: Mapping[str, Any] | None = None
    rule: Literal["bounds", "fluctuations"] = "bounds"
    sigma_u: Positive = 1.0
    lower: NotNegative = 5e-3
    upper: Positive = 20.0
    lr: StepSize = 5e-3
    epochs: Count = 50

    @cached_property
    def of(self) -> Strategy:
        """The initialization that `base` names."""
        return named(self.base, **(self.options or {}))

    @property
    def nu(self) -> Any:
        return self.of.nu

    def target(self, population: Population) -> tuple[float | None, float | None]:
        if self.rule == "bounds":
            return None, None
        return 0.0, self.sigma_u * population.neuron.theta

    def forbidden(self) -> str:
        if self.of.baseline:
            return both_signs(f"init.base = {self.base}", "init.base=fluct")
        if self.rule == "fluctuations":
            return (
                "init.rule = fluctuations centres the weights of a neuron, and Dale's law forbids "
                "those below 0; use init.rule=bounds"
            )
        return ""

    def draw(self, drawing: Drawing) -> None:
        self.refuse_dale(drawing.afferents)
        self.of.draw(drawing)

    def correct(self, network: Network, measure: Measure, analogue: bool) -> None:
        self.of.correct(network, measure, analogue)
        if self.rule == "bounds":
            return
        for population in network.layers[-1]:
            for projection in network.afferents(population.name):
                weight = projection.weight.data
                weight -= weight.flatten(1).mean(1).view(-1, *[1] * (weight.dim() - 1))
        theta = network.layers[-1][0].neuron.theta
        calibrate(network, measure, self.sigma_u * theta, analogue)

    def on_target(self, row: Mapping[str, Any]) -> bool:
        """Whether a hidden population is, by its row of the probe; of `rate` and `silent` alone
        where the rule is "bounds".
        """
        if self.rule == "bounds":
            return self.lower <= row["rate"] <= self.upper and row["silent"] <= SILENT
        wanted = row["target_sigma_u"]
        off = abs(row["free_sigma"] / wanted - 1)
        return off < TOLERANCE and abs(row["free_mean"]) < CENTRED * wanted
