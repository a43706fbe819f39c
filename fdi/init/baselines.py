"""What everybody uses: strategies that know nothing of rates and time constants."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Generator, Tensor, nn

from fdi.init.calibrate import calibrate
from fdi.init.strategy import Afferents, Measure, Rates, Strategy
from fdi.ranges import Positive

if TYPE_CHECKING:
    from fdi.snn.network import Network
    from fdi.snn.population import Population


@dataclass(frozen=True)
class Kaiming(Strategy):
    """W ~ N(0, gain^2 / fan_in), gain 1 in the paper's baseline."""

    gain: Positive = 1.0
    baseline = True

    def draw(
        self,
        population: Population,
        afferents: Afferents,
        rates: Rates,
        dt: float,
        generator: Generator,
    ) -> None:
        for weight in _two_signed(self, afferents):
            weight.normal_(0.0, self.gain / math.sqrt(weight[0].numel()), generator=generator)


@dataclass(frozen=True)
class Xavier(Strategy):
    """W ~ N(0, 2 gain^2 / (fan_in + fan_out)) (Glorot & Bengio 2010)."""

    gain: Positive = 1.0
    baseline = True

    def draw(
        self,
        population: Population,
        afferents: Afferents,
        rates: Rates,
        dt: float,
        generator: Generator,
    ) -> None:
        for weight in _two_signed(self, afferents):
            nn.init.xavier_normal_(weight, self.gain, generator=generator)


@dataclass(frozen=True)
class PyTorch(Strategy):
    """W ~ U(-1, 1) / sqrt(fan_in), what torch.nn.Linear and Conv do."""

    baseline = True

    def draw(
        self,
        population: Population,
        afferents: Afferents,
        rates: Rates,
        dt: float,
        generator: Generator,
    ) -> None:
        for weight in _two_signed(self, afferents):
            nn.init.kaiming_uniform_(weight, math.sqrt(5), generator=generator)


@dataclass(frozen=True)
class Orthogonal(Strategy):
    """Orthonormal rows or columns, times `gain` (Saxe et al. 2014)."""

    gain: Positive = 1.0
    baseline = True

    def draw(
        self,
        population: Population,
        afferents: Afferents,
        rates: Rates,
        dt: float,
        generator: Generator,
    ) -> None:
        for weight in _two_signed(self, afferents):
            nn.init.orthogonal_(weight, self.gain, generator=generator)


@dataclass(frozen=True)
class Lsuv(Strategy):
    """Orthogonal weights, scaled layer by layer to a measured spread `sigma_u` of the potential
    (after Mishkin & Matas 2016: 1).
    """

    sigma_u: Positive = 1.0
    baseline = True

    def target(self, population: Population) -> tuple[float, float]:
        return 0.0, self.sigma_u * population.neuron.theta

    def draw(
        self,
        population: Population,
        afferents: Afferents,
        rates: Rates,
        dt: float,
        generator: Generator,
    ) -> None:
        for weight in _two_signed(self, afferents):
            nn.init.orthogonal_(weight, generator=generator)

    def correct(self, network: Network, measure: Measure, analogue: bool) -> None:
        calibrate(network, measure, self.target(network.layers[-1][0])[1], analogue)


def _two_signed(strategy: Strategy, afferents: Afferents) -> list[Tensor]:
    if any(projection.nonnegative for projection in afferents):
        name = type(strategy).__name__.lower()
        instead = "use init=fluct, fluct_lognormal or fluct_calibrated"
        raise ValueError(
            f"init={name} draws weights of both signs, and Dale's law forbids them; {instead}"
        )
    return [projection.weight.data for projection in afferents]
