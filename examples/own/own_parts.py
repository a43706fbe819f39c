"""A data set, a model, a neuron with its surrogate derivative, and an initialization of one's own.
From any folder:

fdi-data show stripes --config-dir PATH/examples/own/conf
fdi-run --config-dir PATH/examples/own/conf dataset=stripes model=hourglass init=sparse
fdi-run --config-dir PATH/examples/own/conf dataset=stripes neuron=quadratic
fdi-run --config-dir PATH/examples/own/conf neuron.surrogate=own_parts.laplace neuron.beta=5
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.utils.data import TensorDataset

from fdi.data import from_torch
from fdi.data.dataset import Dataset
from fdi.init import Strategy
from fdi.snn.models import dense
from fdi.snn.network import Network
from fdi.snn.neuron import Neuron


def stripes(*, noise: float, steps: int, dt: float, samples: int, seed: int) -> Dataset:
    """Horizontal or vertical stripes in noise, 1 x 8 x 8, `samples` a class, as a data set of
    torch. `seed`, that of the run, draws only which samples validate.
    """
    generator = torch.Generator().manual_seed(1)

    def images(n: int) -> TensorDataset:
        labels = torch.arange(2 * n) % 2
        pattern = torch.cos(math.pi * torch.arange(8.0)).expand(8, 8)
        clean = torch.where(labels.view(-1, 1, 1) == 1, pattern, pattern.T)[:, None]
        return TensorDataset(clean + noise * torch.randn(clean.shape, generator=generator), labels)

    train, test = images(samples), images(samples // 4)
    return from_torch("stripes", train, test, kind="images", duration=steps * dt, dt=dt, seed=seed)


def hourglass(*, wide: int, narrow: int, **data) -> Network:
    """Three layers, the middle one narrow; `data`: input_shape, classes, steps, dt and neuron, as
    fdi gives them to every model.
    """
    return dense(**data, hidden=[wide, narrow, wide])


def laplace(v, beta=5.0):
    """dS/dU = beta / 2 exp(-beta |V|) for V = U - theta, a tensor."""
    return beta / 2 * (-beta * v.abs()).exp()


@dataclass(frozen=True)
class Quadratic(Neuron):
    """A neuron that pulls itself up: D[t] = (1 - beta_m) (I[t] + pull U[t]^2)."""

    pull: float = 0.5

    def step(self, u, s, current, state, c):
        """(the next potential, the next state) from potential, spikes, current and state; `state`
        is a tuple of as many tensors as `STATES` says, none here. `c`: dt, beta_m and gain, 1 -
        beta_m.
        """
        drive = c.gain * (current + self.pull * u**2)
        return self.after(u, s, drive, c), state


def quadratic(*, pull: float, surrogate: str, beta: float) -> Neuron:
    return Quadratic(surrogate=surrogate, beta=beta, pull=pull)


@dataclass(frozen=True)
class Sparse(Strategy):
    """W ~ N(0, gain^2 / (share fan_in)) for a `share` of the synapses, 0 for the others."""

    share: float = 0.5
    gain: float = 1.0

    def draw(self, drawing) -> None:
        """Fill `projection.weight` [target, source, ...] of all `drawing.afferents` of a
        `drawing.population`, from `drawing.generator` alone. `drawing.rates`: Hz, what it hears of
        each source, by the name of the projection; `drawing.dt`: s.
        """
        generator = drawing.generator
        for projection in drawing.afferents:
            weight = projection.weight.data
            weight.normal_(
                0.0, self.gain / math.sqrt(self.share * projection.fan_in), generator=generator
            )
            weight *= torch.rand(weight.shape, generator=generator) < self.share
