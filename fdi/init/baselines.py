"""The usual initializations: strategies that ignore rates and time constants."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar

from fdi.config import Mistake
from fdi.config.parts import Positive
from fdi.init.strategy import Drawing, Measure, Strategy, both_signs, calibrate, column
from fdi.init.theory import scaling
from fdi.snn.surrogate import derivative_named

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from fdi.snn.network import Network
    from fdi.snn.neuron import Population


class Baseline(Strategy):
    """Fills each weight by itself, with both signs."""

    baseline: ClassVar[bool] = True

    def forbidden(self) -> str:
        name = type(self).__name__.lower().replace("scaled", "_scaled")
        return both_signs(f"init={name}", "init=fluct, fluct_lognormal or fluct_calibrated")

    def draw(self, drawing: Drawing) -> None:
        self.refuse_dale(drawing.afferents)
        for projection in drawing.afferents:
            self.fill(projection.weight.data, drawing.population, drawing.dt, drawing.generator)

    @abstractmethod
    def fill(self, weight: Tensor, population: Population, dt: float, generator: Generator) -> None:
        """Draw one weight onto `population`; `dt` in s."""


@dataclass(frozen=True)
class Kaiming(Baseline):
    """W ~ N(0, gain^2 / fan_in), gain 1 in the authors' library and the square root of 2 for
    rectified linear units (He et al. 2015).
    """

    gain: Positive = 1.0

    def fill(self, weight: Tensor, population: Population, dt: float, generator: Generator) -> None:
        _normal(weight, self.gain, generator)


@dataclass(frozen=True)
class KaimingScaled(Kaiming):
    """W ~ N(0, gain^2 / fan_in) / (1 - beta_m): `Kaiming` for a membrane that adds its input as it
    is; here the membrane itself scales it by 1 - beta_m = 1 - exp(-dt / tau_mem), and the
    potentials are the same.
    """

    def fill(self, weight: Tensor, population: Population, dt: float, generator: Generator) -> None:
        super().fill(weight, population, dt, generator)
        _unscale(weight, population, dt)


@dataclass(frozen=True)
class Xavier(Baseline):
    """W ~ N(0, 2 gain^2 / (fan_in + fan_out)) (Glorot & Bengio 2010)."""

    gain: Positive = 1.0

    def fill(self, weight: Tensor, population: Population, dt: float, generator: Generator) -> None:
        _filled("xavier_normal_", weight, self.gain, generator=generator)


@dataclass(frozen=True)
class PyTorch(Baseline):
    """W ~ U(-1, 1) / sqrt(fan_in), what torch.nn.Linear and Conv do."""

    def fill(self, weight: Tensor, population: Population, dt: float, generator: Generator) -> None:
        _filled("kaiming_uniform_", weight, math.sqrt(5), generator=generator)


@dataclass(frozen=True)
class Orthogonal(Baseline):
    """Orthonormal rows or columns, times `gain` (Saxe et al. 2014)."""

    gain: Positive = 1.0

    def fill(self, weight: Tensor, population: Population, dt: float, generator: Generator) -> None:
        _filled("orthogonal_", weight, self.gain, generator=generator)


@dataclass(frozen=True)
class SpyTorch(Baseline):
    """W ~ N(0, 7^2 / fan_in), the heuristic of the SpyTorch tutorials (Zenke 2019).

    There it reads 7 (1 - beta_m) / sqrt(fan_in), for a membrane U[t+1] = beta_m U[t] + I[t]; here
    the membrane itself scales its input by 1 - beta_m, and the potentials are the same.
    """

    def fill(self, weight: Tensor, population: Population, dt: float, generator: Generator) -> None:
        _normal(weight, 7.0, generator)
        if population.neuron.tau_mem is None:
            raise Mistake(
                f"init=spytorch needs the time constant of the membrane, and that of "
                f"{population.name} is not known; use init=fluct"
            )
        leaks = [-math.expm1(-dt / n.tau_mem) / scaling(n, dt) for n in population.neurons]
        weight *= column(leaks, weight)


@dataclass(frozen=True)
class Ikun(Baseline):
    """W ~ N(0, b / fan_in), b = 1 / mean of the surrogate derivative over -1 <= U - theta <= 1
    (Chang, Wang & Yang 2024, arXiv:2411.18250, as `ikun_v1` in their code).

    b = beta + 1 for SuperSpike, whose derivative is 1/(beta |U - theta| + 1)^2.
    """

    def fill(self, weight: Tensor, population: Population, dt: float, generator: Generator) -> None:
        import torch

        neuron = population.neuron
        if not hasattr(neuron, "surrogate"):
            raise Mistake(
                f"init=ikun and ikun_scaled need the surrogate derivative, and that of "
                f"{population.name} is not known; use init=fluct"
            )
        v = torch.linspace(-1, 1, 10_001, dtype=torch.float64)
        slope = derivative_named(neuron.surrogate)(v, neuron.beta)
        _normal(weight, float(slope.mean()) ** -0.5, generator)


@dataclass(frozen=True)
class IkunScaled(Ikun):
    """W ~ N(0, b / fan_in) / (1 - beta_m): `Ikun` for the membrane of its code, an integrator that
    adds its input as it is; here the membrane itself scales it by 1 - beta_m.
    """

    def fill(self, weight: Tensor, population: Population, dt: float, generator: Generator) -> None:
        super().fill(weight, population, dt, generator)
        _unscale(weight, population, dt)


@dataclass(frozen=True)
class Micheli(Baseline):
    """W ~ N(0, 1 / (fan_in P)) / (1 - beta_m), P = P(u > theta) of a standard normal u, 0.16 at a
    threshold of 1: behind sources that spike with P in each step, independently, a potential
    without memory is standard normal, too (after Micheli et al. 2025, arXiv:2410.00580).

    There the membrane adds its input as it is; here the membrane itself scales it by 1 - beta_m =
    1 - exp(-dt / tau_mem), and the potentials are the same.
    """

    def fill(self, weight: Tensor, population: Population, dt: float, generator: Generator) -> None:
        spiking = math.erfc(population.neuron.theta / math.sqrt(2)) / 2
        _normal(weight, spiking**-0.5, generator)
        _unscale(weight, population, dt)


@dataclass(frozen=True)
class Lsuv(Baseline):
    """Orthogonal weights, scaled layer by layer to a measured spread `sigma_u` of the potential
    (after Mishkin & Matas 2016: 1).
    """

    sigma_u: Positive = 1.0

    def target(self, population: Population) -> tuple[float, float]:
        return 0.0, self.sigma_u * population.neuron.theta

    def fill(self, weight: Tensor, population: Population, dt: float, generator: Generator) -> None:
        _filled("orthogonal_", weight, generator=generator)

    def correct(self, network: Network, measure: Measure, analogue: bool) -> None:
        calibrate(network, measure, self.target(network.layers[-1][0])[1], analogue)


def _filled(how: str, weight: Tensor, *options: float, generator: Generator) -> None:
    """By torch.nn.init, which takes time to load."""
    getattr(import_module("torch.nn.init"), how)(weight, *options, generator=generator)


def _unscale(weight: Tensor, population: Population, dt: float) -> None:
    """Over 1 - beta_m of each neuron, by which the membrane scales its input."""
    weight /= column([scaling(neuron, dt) for neuron in population.neurons], weight)


def _normal(weight: Tensor, gain: float, generator: Generator) -> None:
    weight.normal_(0.0, gain / math.sqrt(weight[0].numel()), generator=generator)
