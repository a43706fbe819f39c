"""What an initialization is: the interface between strategies and those who use them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from torch import Generator

    from fdi.snn.network import Activity, Moments, Network, Projection
    from fdi.snn.population import Population


Rates = dict[str, float]
Afferents = Sequence["Projection"]
Measure = Callable[["Network"], "Activity"]


def obeys_dale(afferents: Afferents) -> bool:
    """Whether Dale's law forbids weights of both signs in any of these projections."""
    return any(projection.nonnegative for projection in afferents)


class Strategy(ABC):
    """Fills the weights of a network, layer by layer from the input up.

    `nu`: which rates the sources are taken to fire at, see fdi.init.draw; None if it does not
    matter. `baseline`: is it one of those that fluctuation-driven initialization is compared with?
    A strategy works on every architecture or refuses with a ValueError of one sentence. One of your
    own inherits from this class, and needs `draw` alone.
    """

    nu: Any = None
    baseline: ClassVar[bool] = False

    @abstractmethod
    def draw(
        self,
        population: Population,
        afferents: Afferents,
        rates: Rates,
        dt: float,
        generator: Generator,
    ) -> None:
        """Fill the weights of all `afferents` of `population`.

        `rates`: what the targets see of each source, behind its pooling, in Hz by the name of the
        projection; `dt` in s.
        """

    def target(self, population: Population) -> tuple[float | None, float | None]:
        """The mean and spread of the free potential that it aims at; None for what it does not aim
        at.
        """
        return None, None

    def correct(self, network: Network, measure: Measure, analogue: bool) -> None:  # noqa: B027
        """Mend the last layer of `network` by measuring it; `analogue`: it hears an analogue
        input.
        """


TOLERANCE = 0.02
ROUNDS = 12


class Unreachable(ValueError):
    """A population cannot be brought to its target."""


class Approach:
    """Factors for the afferents of one population, round after round.

        factor = (target / spread)^p

    p = 1 where the spread is linear in the weights. Recurrence makes it depend on the rate it
    causes: from half of the rounds on p = 1/2 and, once the spread jumped over the target, the
    power that would have met it (regula falsi in logarithms).
    """

    def __init__(self) -> None:
        self.round = 0
        self.power = 1.0
        self.missed = 0.0

    def factor(self, ratio: float) -> float:
        """`ratio`: target / spread of this round."""
        miss = math.log(ratio)
        if self.round == ROUNDS // 2:
            self.power = 0.5
        elif self.round > ROUNDS // 2 and miss * self.missed < 0:
            self.power *= self.missed / (self.missed - miss)
        self.round += 1
        self.missed = miss
        return ratio**self.power


def calibrate(network: Network, measure: Measure, sigma_u: float, analogue: bool) -> None:
    """Scale the afferent weights of each population of the last layer, or the gain of its
    normalization, until its measured spread is sigma_u within 2 %.

        sqrt(mean_j,b Var_t(U_jb)) = sigma_u,   U free of reset

    The spread is the theory's, over the time of a trial. A constant input has none: that of a layer
    that hears an `analogue` input is over time and samples, Var_t,b.

    One factor a population keeps the shares of its projections (alpha, and the balance of Dale's
    law). Raises Unreachable if a population gets no input or does not settle within 12 forward
    passes.
    """
    layer = network.layers[-1]
    approaches = {population.name: Approach() for population in layer}
    for _ in range(ROUNDS):
        moments = measure(network).moments
        spreads = {
            population.name: measured_spread(moments[population.name], analogue)
            for population in layer
        }
        for name, spread in spreads.items():
            if not spread > 0:
                raise Unreachable(
                    f"{name} gets no input in the measured batch, so no scale of its weights makes "
                    f"its spread sigma_u = {sigma_u}; raise init.sigma_u, so that the layer below "
                    f"fires, or check the data"
                )
        if all(abs(spread / sigma_u - 1) < TOLERANCE for spread in spreads.values()):
            return
        for name, spread in spreads.items():
            network.scale(name, approaches[name].factor(sigma_u / spread))
    reached = ", ".join(f"{name} at {spread:.3g}" for name, spread in spreads.items())
    raise Unreachable(
        f"sigma_u = {sigma_u} is not reached within {ROUNDS} rounds ({reached}); raise init.alpha "
        f"or lower init.sigma_u"
    )


def measured_spread(moments: Moments, analogue: bool) -> float:
    """The spread of a population's free potential that sigma_u stands for: over time, with an
    `analogue` input over time and samples; root mean square over neurons.
    """
    variance = moments.free_temporal + (moments.free_across if analogue else 0)
    return float(variance.mean().sqrt())
