"""Fluctuation-driven initialization: weights that give the free membrane potential a target mean
and spread (Rossbroich et al. 2022).

`sigma_u` and `mu_u` are in units of the threshold; `nu`: see fdi.init.draw; `alpha`: share of the
variance that feed-forward input carries in a recurrent population; under Dale's law, where
inhibition adds to the variance, too, of its excitatory part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fdi.config.ranges import Fraction, NotNegative, Positive
from fdi.init.calibrate import calibrate
from fdi.init.fluct_weights import exponential, log_normal, normal
from fdi.init.strategy import Afferents, Measure, Rates, Strategy, obeys_dale
from fdi.init.theory import sigma_u_from_xi

if TYPE_CHECKING:
    from torch import Generator

    from fdi.snn.network import Network
    from fdi.snn.population import Population

Nu = Literal["auto", "propagate"] | Positive | Mapping[str, NotNegative]


@dataclass(frozen=True)
class Fluct(Strategy):
    """Centred fluctuation-driven weights: normal, or exponential under Dale's law (Rossbroich et
    al. 2022).
    """

    sigma_u: Positive = 1.0
    nu: Nu = "auto"
    alpha: Fraction = 0.9

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
        draw = exponential if obeys_dale(afferents) else normal
        draw(population, afferents, rates, dt, self.target(population), self.alpha, generator)


@dataclass(frozen=True)
class FluctLognormal(Fluct):
    """Fluctuation-driven log-normal weights for populations under Dale's law. The readout does not
    obey it and gets normal weights.
    """

    def draw(
        self,
        population: Population,
        afferents: Afferents,
        rates: Rates,
        dt: float,
        generator: Generator,
    ) -> None:
        if not obeys_dale(afferents) and population.neuron.spiking:
            raise ValueError(
                "init=fluct_lognormal draws non-negative weights, for model=dale or dale_conv; use "
                "init=fluct for this model"
            )
        draw = log_normal if obeys_dale(afferents) else normal
        draw(population, afferents, rates, dt, self.target(population), self.alpha, generator)


@dataclass(frozen=True)
class FluctMu(Strategy):
    """Fluctuation-driven normal weights with a mean potential `mu_u` that lies `xi` spreads below
    threshold (Rossbroich et al. 2022).
    """

    mu_u: float = 0.0
    xi: Positive = 1.0
    nu: Nu = "auto"
    alpha: Fraction = 0.9

    def target(self, population: Population) -> tuple[float, float]:
        return self.mu_u * population.neuron.theta, sigma_u_from_xi(
            self.mu_u, self.xi
        ) * population.neuron.theta

    def draw(
        self,
        population: Population,
        afferents: Afferents,
        rates: Rates,
        dt: float,
        generator: Generator,
    ) -> None:
        if obeys_dale(afferents):
            instead = f"use init=fluct init.sigma_u={1 / self.xi:g}"
            raise ValueError(
                f"init=fluct_mu draws weights of both signs, and Dale's law forbids them; {instead}"
            )
        normal(population, afferents, rates, dt, self.target(population), self.alpha, generator)


@dataclass(frozen=True)
class FluctCalibrated(Fluct):
    """Fluct, then corrected layer by layer until a batch of training data measures the spread
    `sigma_u`.
    """

    def correct(self, network: Network, measure: Measure, analogue: bool) -> None:
        calibrate(network, measure, self.target(network.layers[-1][0])[1], analogue)
