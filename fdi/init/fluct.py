"""Fluctuation-driven initialization: weights that give the free membrane potential a target mean
and spread (Rossbroich et al. 2022).

`sigma_u` and `mu_u` are in units of the threshold; `nu`: see fdi.init.strategy; `alpha`: share of
the variance that feed-forward input carries in a recurrent population; under Dale's law, where
inhibition adds to the variance, too, of its excitatory part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from fdi.config import Mistake
from fdi.config.parts import Fraction, NotNegative, Positive, UpToOne
from fdi.init.strategy import (
    Drawing,
    Measure,
    Strategy,
    both_signs,
    calibrate,
    column,
    equalize,
    obeys_dale,
)
from fdi.init.theory import Afferent, dale_scales, integrals, normal_weights, sigma_u_from_xi
from fdi.snn.neuron import INPUT

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from fdi.snn.network import Network, Projection
    from fdi.snn.neuron import Neuron, Population


def normal(drawing: Drawing, target: tuple[float, float], alpha: float) -> None:
    """Weights of both signs."""
    mu_u, sigma_u = target
    drawn = []
    for neuron in drawing.population.neurons:
        inputs = [_afferent(neuron, projection, drawing) for projection in drawing.afferents]
        drawn.append(normal_weights(inputs, sigma_u=sigma_u, mu_u=mu_u, alpha=alpha))
    for projection, of_neurons in zip(drawing.afferents, zip(*drawn)):
        mu_w, sigma_w = zip(*of_neurons)
        _normal(projection.weight.data, mu_w, sigma_w, drawing.generator)


def _dale(
    second_moment: float,
    fill: Callable[[Tensor, Sequence[float], Generator], object],
    drawing: Drawing,
    target: tuple[float, float],
    alpha: float,
) -> None:
    kinds = (
        [p for p in drawing.afferents if not p.recurrent],
        [p for p in drawing.afferents if p.channel == 1],
        [p for p in drawing.afferents if p.recurrent and p.channel == 0],
    )
    drawn = []
    for neuron in drawing.population.neurons:
        inputs: list[Any] = [
            _pooled([_afferent(neuron, projection, drawing) for projection in kind])
            for kind in kinds
        ]
        scales = dale_scales(*inputs, second_moment=second_moment, sigma_u=target[1], alpha=alpha)
        drawn.append(scales)
    for kind, of_neurons in zip(kinds, zip(*drawn)):
        for projection in kind:
            fill(projection.weight.data, of_neurons, drawing.generator)


def _afferent(neuron: Neuron, projection: Projection, drawing: Drawing) -> Afferent:
    eps_bar, eps_hat = integrals(neuron, projection.channel, drawing.dt)
    rate = drawing.rates[projection.name]
    eps_hat /= math.prod(projection.average)  # of independent spikes
    return Afferent(projection.fan_in, rate, eps_bar, eps_hat, recurrent=projection.recurrent)


def _pooled(inputs: list[Afferent]) -> Afferent | None:
    """Projections through the same kind of synapse as one: with all their synapses, at their mean
    rate.
    """
    if not inputs:
        return None
    n = sum(afferent.n for afferent in inputs)
    nu = sum(afferent.n * afferent.nu for afferent in inputs) / n
    return Afferent(n, nu, inputs[0].eps_bar, inputs[0].eps_hat, inputs[0].recurrent)


# Each takes one parameter for all rows, or one for each: rows of neurons that differ are drawn
# from the same random numbers, and then scaled.


def _normal(
    weight: Tensor, mu: Sequence[float], sigma: Sequence[float], generator: Generator
) -> None:
    if len(mu) == 1:
        weight.normal_(mu[0], sigma[0], generator=generator)
    else:
        weight.normal_(generator=generator).mul_(column(sigma, weight)).add_(column(mu, weight))


def _exponential(weight: Tensor, scale: Sequence[float], generator: Generator) -> None:
    rate = [1 / s for s in scale]
    if len(rate) == 1:
        weight.exponential_(rate[0], generator=generator)
    else:
        weight.exponential_(generator=generator).div_(column(rate, weight))


def _log_normal(weight: Tensor, scale: Sequence[float], generator: Generator) -> None:
    location = [math.log(s) for s in scale]
    if len(location) == 1:
        weight.log_normal_(location[0], 1.0, generator=generator)
    else:
        weight.log_normal_(0.0, 1.0, generator=generator).mul_(column(location, weight).exp())


exponential = partial(_dale, 2.0, _exponential)
log_normal = partial(_dale, math.e**2, _log_normal)
"""Weights under Dale's law, balanced, so that the mean of the potential is 0: as `normal`."""


Nu = Literal["auto", "propagate"] | Positive | Mapping[str, NotNegative]


@dataclass(frozen=True)
class Fluct(Strategy):
    """Centred fluctuation-driven weights: normal, or exponential under Dale's law (Rossbroich et
    al. 2022).
    """

    under_dale: ClassVar[Callable[..., None]] = staticmethod(exponential)
    sigma_u: Positive = 1.0
    nu: Nu = "auto"
    alpha: Fraction = 0.9

    def target(self, population: Population) -> tuple[float, float]:
        return 0.0, self.sigma_u * population.neuron.theta

    def draw(self, drawing: Drawing) -> None:
        draw = self.under_dale if obeys_dale(drawing.afferents) else normal
        draw(drawing, self.target(drawing.population), self.alpha)


@dataclass(frozen=True)
class FluctLognormal(Fluct):
    """Fluctuation-driven log-normal weights for populations under Dale's law. The readout does not
    obey it and gets normal weights.
    """

    under_dale = staticmethod(log_normal)

    def draw(self, drawing: Drawing) -> None:
        if drawing.population.neuron.spiking and not obeys_dale(drawing.afferents):
            raise Mistake(
                "init=fluct_lognormal draws non-negative weights, for model=dale or dale_conv; use "
                "init=fluct for this model"
            )
        super().draw(drawing)


@dataclass(frozen=True)
class FluctMu(Strategy):
    """Fluctuation-driven normal weights with a mean potential `mu_u` that lies `xi` spreads below
    threshold (Rossbroich et al. 2022).
    """

    mu_u: float = 0.0
    xi: Positive = 1.0
    nu: Nu = "auto"
    alpha: Fraction = 0.9

    def forbidden(self) -> str:
        return both_signs("init=fluct_mu", f"init=fluct init.sigma_u={1 / self.xi:g}")

    def target(self, population: Population) -> tuple[float, float]:
        theta, sigma_u = population.neuron.theta, sigma_u_from_xi(self.mu_u, self.xi)
        return self.mu_u * theta, sigma_u * theta

    def draw(self, drawing: Drawing) -> None:
        self.refuse_dale(drawing.afferents)
        normal(drawing, self.target(drawing.population), self.alpha)


@dataclass(frozen=True)
class FluctCalibrated(Fluct):
    """Fluct, then corrected layer by layer until a batch of training data measures the spread
    `sigma_u`.
    """

    def correct(self, network: Network, measure: Measure, analogue: bool) -> None:
        calibrate(network, measure, self.target(network.layers[-1][0])[1], analogue)


@dataclass(frozen=True)
class FluctRate(FluctCalibrated):
    """Fluct, the first layer corrected until it measures the spread `sigma_u`, and each further one
    until it fires at the rate of the first, so that rates do not collapse with depth (Perez-Nieves
    and Goodman 2023 name the collapse).

    Random weights mix what they hear, once more in each layer. `identity` is the share of the
    variance of the potential that comes from one source alone, the one at the place of the target,
    so that layers hand on what they hear:

        W'_ij = sqrt(1 - identity) W_ij + sqrt(identity sum_k W_ik^2) [j = i mod n]

    for n sources, or channels in the middle of a kernel (after Xiao et al. 2018, who put orthogonal
    weights there). The first layer and recurrent weights are drawn without.
    """

    target_in_first_layer_only: ClassVar[bool] = True
    identity: UpToOne = 0.0

    def draw(self, drawing: Drawing) -> None:
        super().draw(drawing)
        if not self.identity or not drawing.population.neuron.spiking:
            return
        if obeys_dale(drawing.afferents):
            raise Mistake(
                f"init.identity = {self.identity:g} makes one excitatory weight large, and Dale's "
                f"law forbids the negative ones that balance it; use init.identity=0"
            )
        for projection in drawing.afferents:
            if not projection.recurrent and projection.source != INPUT:
                _hand_on(projection.weight.data, self.identity)

    def correct(self, network: Network, measure: Measure, analogue: bool) -> None:
        if len(network.layers) == 1:
            super().correct(network, measure, analogue)
        else:
            equalize(network, measure)


def _hand_on(weight: Tensor, share: float) -> None:
    """Gives the source at the place of each target this share of the squares of its weights."""
    targets, sources, *kernel = weight.shape
    sizes = weight.flatten(1).norm(dim=1) * share**0.5
    weight *= (1 - share) ** 0.5
    middle = tuple(edge // 2 for edge in kernel)
    for i in range(targets):
        own = (i, i % sources, *middle)
        weight[own] += sizes[i]
