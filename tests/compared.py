"""What engines get, and what they compute beside what the reference engine does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from fdi.data.inputs import Events, Frames, Input, sparse
from fdi.engine import Engine
from fdi.engine.reference import ReferenceEngine
from fdi.init.baselines import Kaiming
from fdi.init.strategy import Strategy, draw_weights
from fdi.snn.network import Network
from fdi.snn.objective import Objective


def as_events(counts: np.ndarray, counted: bool = False) -> Events:
    """The spikes of frames [B, T, ...], each once, or as often as it is counted."""
    found = sparse(counts.reshape(*counts.shape[:2], -1))
    return replace(found, shape=counts.shape[2:], counts=found.counts if counted else None)


def weighted(net: Network, strength: float, seed: int = 0, positive: float = 1.0) -> Network:
    """With normal weights whose sum over the synapses of a neuron has the spread `strength`;
    those of one sign are their sizes, times `positive`.
    """
    generator = torch.Generator().manual_seed(seed)
    for link in net.projections:
        link.weight.data.normal_(0, strength / link.fan_in**0.5, generator=generator)
        if link.nonnegative:
            link.weight.data.abs_().mul_(positive)
    return net


def drawn(
    net: Network,
    strategy: Strategy,
    inputs: Input,
    nu: float,
    seed: int = 0,
    analogue: bool = False,
    readout: Strategy | None = None,
) -> Network:
    """With the weights that a strategy draws for this input of `nu` Hz; Kaiming's readout, if
    none is given.
    """
    measure = ReferenceEngine().measuring(inputs)
    generator = torch.Generator().manual_seed(seed)
    given: dict[str, Any] = {"measure": measure, "generator": generator, "analogue": analogue}
    draw_weights(net, strategy, readout or Kaiming(), nu_input=nu, **given)
    return net


def frames(net: Network, steps: int, samples: int, rate: float = 0.3) -> Frames:
    """Counts of Poisson spikes, so many in a step."""
    counts = np.random.default_rng(0).poisson(rate, (samples, steps, *net.input_shape))
    return Frames(counts.astype(np.uint8))


def spoiling(
    spoil: Callable[[Network, int], object], kind: Callable[[], Engine] = ReferenceEngine
) -> Engine:
    """An engine of that kind that does to the gradients of each step, counted from 1, what `spoil`
    does.
    """
    engine = kind()

    class Spoiling(type(engine)):  # type: ignore[misc] # a class made of a class that is given
        steps = 0

        def step(self, network, *given):
            outcome = super().step(network, *given)
            self.steps += 1
            spoil(network, self.steps)
            return outcome

    engine.__class__ = Spoiling
    return engine


def free_potential(x: Any, dt: float, tau_mem: float = 20e-3, tau_syn: float = 10e-3) -> list[Any]:
    """U in each step of a membrane without reset whose current jumps by x, [T, ...]; it hears a
    jump one step later.
    """
    beta_m, beta_s = np.exp(-dt / tau_mem), np.exp(-dt / tau_syn)
    u, current, trace = 0 * x[0], 0 * x[0], []
    for jump in x:
        u, current = beta_m * u + (1 - beta_m) * current, beta_s * current + jump
        trace.append(u)
    return trace


Gradients = dict[str, torch.Tensor]
"""By the names of the parameters."""


def gradients(
    engine: Engine, net: Network, x: Input, labels: np.ndarray, objective: Objective
) -> Gradients:
    engine.step(net, x, labels, objective)
    return gradients_of(net)


def gradients_of(net: Network) -> Gradients:
    """Those of the last step."""
    return {name: p.grad.clone() for name, p in net.named_parameters()}


def assert_near(found: Gradients, wanted: Gradients, near: float = 1e-9) -> None:
    """Equal to the share `near` of the largest number of each."""
    for name, expected in wanted.items():
        atol = near * float(np.abs(expected.numpy()).max(initial=1e-30))
        torch.testing.assert_close(found[name], expected, rtol=0, atol=atol, msg=name)


def assert_like_the_reference(
    net: Network,
    x: Input,
    labels: np.ndarray,
    objective: Objective,
    *engines: Engine,
    spikes: int = 0,
    near: float = 1e-9,
) -> list[Gradients]:
    """A step and an evaluation of each engine, of a network in float64 whose
    populations have at least so many `spikes`; returns the gradients of each, which are as `near`.
    """
    expected = ReferenceEngine().step(net, x, labels, objective)
    wanted, found = gradients_of(net), []
    assert all(counts.sum() >= spikes for counts in expected.counts.values())
    for engine in engines:
        for compute in (engine.evaluate, engine.step):
            if net.norms and compute == engine.evaluate:  # by other means than a step
                continue
            outcome = compute(net, x, labels, objective)
            assert outcome.samples == expected.samples
            np.testing.assert_allclose(outcome.sums, expected.sums, rtol=1e-9)
            assert outcome.task == pytest.approx(expected.task, rel=1e-9, abs=1e-12)
            assert outcome.regularizer == pytest.approx(expected.regularizer, rel=1e-9, abs=1e-12)
            for name, counts in expected.counts.items():
                np.testing.assert_array_equal(outcome.counts[name], counts)
        found.append(gradients_of(net))
        assert_near(found[-1], wanted, near)
    return found
