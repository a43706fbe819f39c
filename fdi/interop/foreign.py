"""Fluctuation-driven initialization of networks built with snnTorch, Norse, SpikingJelly or
Sinabs: which weights reach which neuron, their draw, and its calibration by hooks that read the
input currents of the neurons.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.signal import oaconvolve
from torch import Generator, Tensor, nn

from fdi.init.strategy import ROUNDS, TOLERANCE, Approach, Unreachable
from fdi.init.theory import Afferent, normal_weights
from fdi.interop.neurons import Response, Unmeasurable, library, measure

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)
_RESHAPING = ("Identity", "Flatten", "Unflatten")
_OPAQUE = ("LinearRecurrentContainer", "ElementWiseRecurrentContainer")


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
    within 2 %, as `init=fluct_calibrated` does.

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


@dataclass(frozen=True)
class Weights:
    """A weight tensor on its way to a neuron. `autapses`: False if a neuron's weight onto itself is
    to stay 0.
    """

    name: str
    weight: Tensor
    bias: Tensor | None = None
    recurrent: bool = False
    autapses: bool = True
    note: str = ""

    @property
    def fan_in(self) -> int:
        return self.weight[0].numel() - (not self.autapses)


Population = tuple[list[Weights], str | None, nn.Module | None, str]
"""Afferent weights with the name of their neuron, the neuron, and ""; or one layer with None, None,
and why it has no neuron.
"""


def populations(module: nn.Module) -> Iterator[Population]:
    """Of the layers and neurons of a network, in the order of registration."""
    waiting: Weights | None = None
    for name, child in _leaves(module):
        kind = type(child).__name__
        if library(child):
            own = list(_own_weights(name, child))
            if waiting and any(not w.recurrent for w in own):
                yield [waiting], None, None, f"{name} ({kind}) has input weights of its own"
            elif waiting:
                own.insert(0, waiting)
            if own:
                yield own, name, child, ""
            waiting = None
        elif isinstance(child, _LAYERS):
            if waiting:
                yield [waiting], None, None, f"{name} ({kind}) follows, not a neuron"
            waiting = Weights(name, child.weight, child.bias)
        elif waiting and ("Pool" in kind or "Dropout" in kind):
            waiting = replace(waiting, note=f"the theory does not count {name} ({kind})")
        elif waiting and "Norm" in kind:
            reason = f"{name} ({kind}) follows, which sets the spread of the potential by itself"
            warnings.warn(f"fdi.interop: {waiting.name} is not changed: {reason}", stacklevel=4)
            yield [waiting], None, None, reason
            waiting = None
        elif waiting and kind not in _RESHAPING:
            yield [waiting], None, None, f"{name} ({kind}) follows, not a neuron"
            waiting = None
    if waiting:
        yield [waiting], None, None, "no neuron follows"


def _leaves(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Layers, neurons and other modules that are not just containers of such, in the order of
    registration.
    """
    children = list(module.named_children())
    if (
        not children
        or library(module)
        or isinstance(module, _LAYERS)
        or type(module).__name__ in _OPAQUE
    ):
        yield name, module
        return
    for child_name, child in children:
        yield from _leaves(child, f"{name}.{child_name}" if name else child_name)


def _own_weights(name: str, neuron: Any) -> Iterator[Weights]:
    """Weights inside a neuron: `recurrent` in snnTorch, `input_weights` and `recurrent_weights` in
    Norse.
    """
    layer = getattr(neuron, "recurrent", None)
    if isinstance(layer, _LAYERS):
        yield Weights(f"{name}.recurrent", layer.weight, layer.bias, recurrent=True)
    if hasattr(neuron, "recurrent_weights"):
        yield Weights(f"{name}.input_weights", neuron.input_weights)
        yield Weights(
            f"{name}.recurrent_weights",
            neuron.recurrent_weights,
            recurrent=True,
            autapses=neuron.autapses,
        )


@torch.no_grad()
def calibrate_module(
    name: str,
    neuron: nn.Module,
    weights: Sequence[Tensor],
    response: Response,
    sigma_u: float,
    simulate: Callable[[], object],
) -> float:
    """Scale `weights`, all those that reach `neuron`, until the measured spread of its potential is
    sigma_u within 2 %; returns that spread, in units of theta.

        sqrt(mean_j,b Var_t(U_j)) = sigma_u theta,   U = k * I free of reset

    k is the measured `response` of the neuron, I its input current during `simulate()`. Raises
    Unreachable if nothing arrives, or the spread does not settle within 12 simulations.
    """
    approach = Approach()
    for _ in range(ROUNDS):
        spread = _spread(name, neuron, response, simulate)
        if abs(spread / sigma_u - 1) < TOLERANCE:
            return spread
        if not spread > 0:
            raise Unreachable(
                f"{name} gets no input in the batch, so no scale of its weights makes its spread "
                f"sigma_u = {sigma_u}; raise sigma_u, so that the layer below fires, or check the "
                f"batch"
            )
        factor = approach.factor(sigma_u / spread)
        for weight in weights:
            weight.mul_(factor)
    raise Unreachable(
        f"{name}: sigma_u = {sigma_u} is not reached within {ROUNDS} rounds ({spread:.3g}); raise "
        f"alpha or lower sigma_u"
    )


def _spread(
    name: str, neuron: nn.Module, response: Response, simulate: Callable[[], object]
) -> float:
    currents: list[Tensor] = []
    feedback: dict[int, Tensor] = {}  # of each step: snnTorch asks for it more than once
    hooks = [neuron.register_forward_pre_hook(lambda _, inputs: currents.append(inputs[0]))]
    if isinstance(recurrent := getattr(neuron, "recurrent", None), nn.Module):
        hooks.append(
            recurrent.register_forward_hook(
                lambda _, inputs, out: feedback.update({len(currents): out})
            )
        )
    try:
        simulate()
    finally:
        for hook in hooks:
            hook.remove()
    if not currents:
        raise Unreachable(f"{name} is not called when the batch is simulated; check `simulate`")
    current = _over_time(currents, neuron)
    if feedback:
        current = current + _over_time(list(feedback.values()), neuron)
    kernel = response.kernel[: len(current)].reshape(-1, *(1,) * (current.ndim - 1))
    potential = oaconvolve(current, kernel, axes=0)[: len(current)]
    return float(np.sqrt(potential.var(0).mean())) / response.theta


def _over_time(calls: list[Tensor], neuron: nn.Module) -> np.ndarray:
    """[T, ...] from one call with all steps, or from one call per step."""
    steps = calls[0] if len(calls) == 1 else torch.stack(calls)
    if len(calls) == 1 and library(neuron) == "sinabs":  # [B, T, ...], or both in one axis
        if hasattr(neuron, "num_timesteps"):
            steps = steps.unflatten(0, (neuron.batch_size, neuron.num_timesteps))
        steps = steps.swapaxes(0, 1)
    return steps.detach().cpu().numpy()
