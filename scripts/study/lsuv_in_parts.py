"""LSUV with one of its parts exchanged: an initialization for scripts/study/declared.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fdi.config import Mistake
from fdi.init.baselines import Lsuv
from fdi.init.strategy import ROUNDS, TOLERANCE, Approach
from fdi.init.theory import spread

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from fdi.init.strategy import Measure
    from fdi.snn.network import Network
    from fdi.snn.neuron import Population


@dataclass(frozen=True)
class LsuvInParts(Lsuv):
    """`Lsuv` with weights that are `normal`, or `centred` for each neuron; or scaled to the spread
    that trials of finite length show (`as_shown`), without what fdi.init.theory.spread corrects.
    """

    normal: bool = False
    centred: bool = False
    as_shown: bool = False

    def fill(self, weight: Tensor, population: Population, dt: float, generator: Generator) -> None:
        if self.normal:
            weight.normal_(0.0, weight[0].numel() ** -0.5, generator=generator)
        else:
            super().fill(weight, population, dt, generator)
        if self.centred:
            weight -= weight.flatten(1).mean(1).view(-1, *[1] * (weight.dim() - 1))

    def correct(self, network: Network, measure: Measure, analogue: bool) -> None:
        if not self.as_shown:
            super().correct(network, measure, analogue)
            return
        layer = network.layers[-1]
        wanted, approaches = self.target(layer[0])[1], {p.name: Approach(0.0) for p in layer}
        for _ in range(ROUNDS):
            moments = measure(network).moments
            spreads = {
                name: spread(of.free_mean, of.free_temporal, of.free_across, None, analogue)
                for name, of in moments.items()
                if name in approaches
            }
            if all(abs(reached / wanted - 1) < TOLERANCE for reached in spreads.values()):
                return
            for name, reached in spreads.items():
                network.scale(name, approaches[name].factor(wanted, reached))
        raise Mistake(f"init.sigma_u = {self.sigma_u} is not reached; lower it")
