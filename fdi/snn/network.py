"""A network: populations and the projections between them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from fdi.snn.population import INPUT as INPUT
from fdi.snn.population import Population
from fdi.snn.projection import Projection

if TYPE_CHECKING:
    from fdi.snn.norm import Norm


class Network(nn.Module):
    """Layers of hidden populations, the projections between them, and a readout; all that engines,
    strategies and figures need to know.

    `layers`: the hidden populations, one tuple per layer (two populations in a Dale layer), from
    the input up. `readout`: the population that does not spike; its units are the classes.
    `projections`: every weight of the network; sources are population names or "input".
    `input_shape`: shape of one sample in one time step; `dt`: the time step in seconds. `norms`:
    normalization of the input, by population; see fdi.snn.norm.normalize. `leaks`: of the
    populations whose neurons learn tau_mem, the a in 1 - beta_m = 1 / (1 + e^-a), that is tau_mem =
    dt / log(1 + e^a), as in the PLIF neuron of Fang et al. (2021). Raises ValueError for a dt that
    is not positive, and for two projections of one name.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        layers: Sequence[tuple[Population, ...]],
        readout: Population,
        projections: list[Projection],
        dt: float,
    ) -> None:
        super().__init__()
        if not dt > 0:
            raise ValueError(f"the time step dt = {dt} s must be positive")
        names = [projection.name for projection in projections]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two projections {min(twice)}; give one weight from source to target")
        self.input_shape, self.layers, self.readout, self.dt = (
            tuple(input_shape),
            layers,
            readout,
            dt,
        )
        self.projections = cast(Sequence[Projection], nn.ModuleList(projections))
        self.norms = cast("dict[str, Norm]", nn.ModuleDict())
        self.leaks = nn.ParameterDict(
            {
                p.name: torch.tensor(math.log(math.expm1(dt / p.neuron.tau_mem)))
                for p in self.hidden
                if p.neuron.learn_tau
            }
        )

    @property
    def hidden(self) -> list[Population]:
        """The spiking populations, from the input up."""
        return [population for layer in self.layers for population in layer]

    def afferents(self, target: str) -> list[Projection]:
        return [projection for projection in self.projections if projection.target == target]

    def up_to(self, depth: int) -> Network:
        """The first `depth` layers, with the same weights; its readout receives nothing."""
        layers = self.layers[:depth]
        names = {population.name for layer in layers for population in layer}
        projections = [projection for projection in self.projections if projection.target in names]
        below = Network(self.input_shape, layers, self.readout, projections, self.dt)
        below.norms.update({name: norm for name, norm in self.norms.items() if name in names})
        below.leaks.update({name: leak for name, leak in self.leaks.items() if name in names})
        return below

    @torch.no_grad()
    def scale(self, population: str, factor: float) -> None:
        """Multiply the input of a population: through the gain of its normalization, which would
        undo a scaling of the weights, or without a normalization through its weights.
        """
        scaled = [projection.weight for projection in self.afferents(population)]
        if population in self.norms:
            scaled = [self.norms[population].gain]
        for values in scaled:
            values.mul_(factor)

    def weights(self) -> dict[str, Tensor]:
        """What training changes, in the memory of the network: weights by projection, such as
        "input->h1", what normalization learns and averages, such as "h1.norm.gain", and leaks, such
        as "h1.leak".
        """
        tensors = {projection.name: projection.weight.detach() for projection in self.projections}
        for name, norm in self.norms.items():
            tensors |= {f"{name}.norm.{key}": value for key, value in norm.state_dict().items()}
        return tensors | {f"{name}.leak": leak.detach() for name, leak in self.leaks.items()}

    def learned(self) -> dict[str, float]:
        """tau_mem in s of each population whose training changes it."""
        return {name: self.dt / float(softplus(leak.detach())) for name, leak in self.leaks.items()}

    @torch.no_grad()
    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Copy the result of `weights()` of an equal network; raises ValueError, and changes
        nothing, if names or shapes differ.
        """
        shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
        own = {name: tuple(weight.shape) for name, weight in self.weights().items()}
        if shapes != own:
            raise ValueError(f"weights {shapes} do not fit a network of {own}")
        for name, weight in self.weights().items():
            weight.copy_(weights[name])

    def time_constants(self) -> dict[str, Tensor]:
        """`taus` of each hidden population whose neurons have their own, float64 [1 + channels,
        units] in s.
        """
        return {p.name: torch.tensor(p.taus, dtype=torch.float64) for p in self.hidden if p.taus}

    def load_time_constants(self, taus: Mapping[str, Tensor]) -> None:
        """Copy the result of `time_constants()` of an equal network; raises ValueError, and changes
        nothing, if names or shapes differ.
        """
        if taus.keys() != self.time_constants().keys():
            raise ValueError(
                f"time constants of {list(taus)} do not fit {list(self.time_constants())}"
            )
        rows = {name: tuple(map(tuple, value.tolist())) for name, value in taus.items()}
        self.layers = [
            tuple(replace(p, taus=rows.get(p.name)) for p in layer) for layer in self.layers
        ]

    @torch.no_grad()
    def constrain(self) -> None:
        """Dale's law: clamp the weights that must not change sign at zero (after every optimizer
        step).
        """
        for projection in self.projections:
            if projection.nonnegative:
                projection.weight.clamp_(min=0)
