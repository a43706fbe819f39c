"""Fluctuation-driven initialization of networks built with snnTorch, Norse, SpikingJelly or
Sinabs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from fdi.init.theory import Afferent, normal_weights
from fdi.interop.foreign_layers import Population, Weights, populations
from fdi.interop.hooks import calibrate_module
from fdi.interop.impulse import Response, measure
from fdi.interop.neurons import Unmeasurable


@dataclass(frozen=True)
class LayerReport:
    """What `initialize` did with one weight tensor.

    `neuron`: name and class of the neuron behind it, None if there is none. `tau_mem`, `tau_syn`:
    its time constants in seconds, None where it has none; read from beta and alpha (snnTorch),
    tau_mem_inv and tau_syn_inv (Norse), tau (SpikingJelly), tau_mem and tau_syn (Sinabs), for
    information only. `sigma_w`: spread of the new weights, None if they were not changed.
    `sigma_u`: measured spread of the potential in units of theta, where it was calibrated. `note`:
    why it was not calibrated, why the weights were not changed, or what the theory does not take
    into account.
    """

    layer: str
    neuron: str | None
    fan_in: int
    tau_mem: float | None = None
    tau_syn: float | None = None
    sigma_w: float | None = None
    note: str = ""
    sigma_u: float | None = None


@torch.no_grad()
def initialize(
    module: nn.Module,
    *,
    sigma_u: float = 1.0,
    nu: float | None = None,
    dt: float,
    alpha: float = 0.9,
    batch: Tensor | None = None,
    simulate: Callable[[Tensor], object] | None = None,
    generator: Generator | None = None,
) -> list[LayerReport]:
    """Draw the weights of a spiking network so that the potential of its neurons has mean 0 and
    spread sigma_u, in units of theta.

        W ~ N(0, sigma_w^2),   sigma_w^2 = share (sigma_u theta)^2 / (n nu eps_hat),   bias = 0

    A Linear, Conv1d or Conv2d layer belongs to the neuron registered next (the order of an
    nn.Sequential, a SequentialState, or of the assignments in __init__: a convention, which the
    report lets you check). Recurrent weights that a neuron holds itself share the variance with the
    layer in front, alpha : 1 - alpha. theta and eps_hat are measured on each neuron with an
    impulse, so every model counts with its own conventions; the state of the neurons is reset.
    Layers in front of no neuron, such as a readout, are not changed. Neither are those in front of
    a normalization (such as BatchNorm), which sets the spread itself; a UserWarning names them.

    `nu`: rate of the inputs in Hz; every layer is drawn for it. None: that of `batch`, spikes
    [T, B, *shape] of training data. `dt`: duration of one step in seconds.
    `simulate(batch)` runs a whole trial from a fresh state. Where it is given, the weights of each
    neuron are then scaled, from the input up, until the spread measured on the batch is sigma_u
    within 2 %, as `init=fluct_calibrated` does (fdi.interop.hooks).

    Returns one row for each weight tensor. Raises ValueError if there is nothing to initialize, for
    a dt other than that of a neuron, where no scale reaches sigma_u, and for what the theory
    refuses. No weight is changed then. Source: Rossbroich et al. 2022; impulse and calibration
    are ours.
    """
    if not 0 < dt < math.inf:
        raise ValueError(f"dt = {dt} must be a positive, finite time in seconds")
    if nu is None and batch is not None:
        nu = float(batch.double().mean()) / dt
    if nu is None or (simulate is not None and batch is None):
        raise ValueError("give nu in Hz, or a batch of spikes [T, B, ...] to measure it from")
    rows: list[LayerReport] = []
    driven: list[_Driven] = []
    for population in populations(module):
        new, of_neuron = _by_theory(population, sigma_u, nu, dt, alpha)
        rows += new
        driven += [of_neuron] if of_neuron else []
    if not driven:
        reasons = (
            "; ".join(f"{row.layer} {row.note}" for row in rows)
            or "no Linear, Conv1d or Conv2d layer"
        )
        raise ValueError(
            f"{type(module).__name__}: nothing to initialize ({reasons}); put neurons of snnTorch, "
            f"Norse, SpikingJelly or Sinabs in it"
        )
    before = [parameter.clone() for parameter in module.parameters()]
    for neuron in driven:
        for w, sigma_w in zip(neuron.afferents, neuron.spreads):
            _draw(w, sigma_w, generator)
    if simulate is None or batch is None:
        return rows
    by_layer = {row.layer: row for row in rows}
    try:
        for neuron in driven:
            drawn = [by_layer[w.name] for w in neuron.afferents]
            for row in _calibrated(drawn, neuron, sigma_u, lambda: simulate(batch)):
                by_layer[row.layer] = row
    except ValueError:
        for parameter, old in zip(module.parameters(), before):
            parameter.copy_(old)
        raise
    return list(by_layer.values())


class _Driven(NamedTuple):
    """A neuron whose sigma_u can be set, and the spreads of the weights that reach it."""

    name: str
    neuron: nn.Module
    afferents: list[Weights]
    response: Response
    spreads: list[float]


def _by_theory(
    population: Population, sigma_u: float, nu: float, dt: float, alpha: float
) -> tuple[list[LayerReport], _Driven | None]:
    """The rows of the weights that reach one neuron, and what is to be drawn; nothing, and why, if
    they reach none that can be measured.
    """
    afferents, name, neuron, reason = population
    response = None
    if neuron is not None:
        name = f"{name} ({type(neuron).__name__})"
        try:
            response = measure(neuron, dt)
        except Unmeasurable as error:
            reason = f"{name}: {error}"
    if response is None or name is None or neuron is None:
        note = f"left alone: {reason}"
        return [LayerReport(w.name, name, w.fan_in, note=note) for w in afferents], None
    spreads = _spreads(afferents, response, sigma_u, nu, alpha)
    constants = response.tau_mem, response.tau_syn
    rows = [
        LayerReport(w.name, name, w.fan_in, *constants, sigma_w, w.note)
        for w, sigma_w in zip(afferents, spreads)
    ]
    return rows, _Driven(name, neuron, afferents, response, spreads)


def _calibrated(
    rows: list[LayerReport], driven: _Driven, sigma_u: float, simulate: Callable[[], object]
) -> list[LayerReport]:
    """The rows as they are after calibration."""
    name, neuron, afferents, response, _ = driven
    if hasattr(neuron, "recurrent_weights"):
        reason = f"not calibrated: {name} keeps its weights inside, where no hook reads its current"
        return [replace(row, note="; ".join(filter(None, (row.note, reason)))) for row in rows]
    weights = [w.weight for w in afferents]
    start = float(weights[0].norm())
    spread = calibrate_module(name, neuron, weights, response, sigma_u, simulate)
    factor = float(weights[0].norm()) / start
    return [replace(row, sigma_w=(row.sigma_w or 0.0) * factor, sigma_u=spread) for row in rows]


def _spreads(
    afferents: list[Weights], response: Response, sigma_u: float, nu: float, alpha: float
) -> list[float]:
    theory = [
        Afferent(w.fan_in, nu, response.eps_bar, response.eps_hat, w.recurrent) for w in afferents
    ]
    return [
        sigma_w
        for _, sigma_w in normal_weights(theory, sigma_u=sigma_u * response.theta, alpha=alpha)
    ]


def _draw(w: Weights, sigma_w: float, generator: Generator | None) -> None:
    w.weight.normal_(0.0, sigma_w, generator=generator)
    if not w.autapses:
        w.weight.fill_diagonal_(0.0)
    if w.bias is not None:
        w.bias.zero_()
