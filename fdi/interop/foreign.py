"""Fluctuation-driven initialization of networks built with snnTorch, Norse, SpikingJelly or
Sinabs.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Generator, Tensor, nn

from fdi.config import Mistake
from fdi.data.inputs import Kind, kind_of
from fdi.init.strategy import ROUNDS, TOLERANCE, Approach, Unreachable
from fdi.init.theory import Afferent, normal_weights, variance_shares
from fdi.interop.currents import Recording, free_potential, measured_spread, simulated
from fdi.interop.neurons import Response, Unmeasurable, measure
from fdi.interop.wiring import (
    DATA,
    Norm,
    Other,
    Population,
    Snapshot,
    Source,
    Weights,
    Wiring,
    follow,
    in_order,
    own_weights,
)

SWEEPS = 4  # through all layers: what upper ones send back changes what lower ones hear
MOVED = 0.05  # from its target is a spread that wants another sweep
SHOWN = 3  # reasons why nothing can be initialized

Part = Weights | Norm


@dataclass(frozen=True)
class LayerReport:
    """What `initialize` did with one weight tensor, or with one normalization.

    `layer`: its name, or those of all layers that share it. `neuron`: name and class of the neuron
    behind it, None if there is none. `fan_in`: synapses of a neuron, those that pruning leaves; 0
    for a normalization. `tau_mem`, `tau_syn`: time constants of the neuron in seconds, None where
    it has none; read from beta and alpha (snnTorch), tau_mem_inv and tau_syn_inv (Norse), tau
    (SpikingJelly), tau_mem and tau_syn (Sinabs), for information only. `sigma_w`: spread of the new
    weights, None if they were not changed. `note`: why it was not calibrated, why the weights were
    not changed, or what the theory does not take into account. `sigma_u`: spread of the potential
    in units of theta, measured at the end. `gain`: new gain of a normalization.
    """

    layer: str
    neuron: str | None
    fan_in: int
    tau_mem: float | None = None
    tau_syn: float | None = None
    sigma_w: float | None = None
    note: str = ""
    sigma_u: float | None = None
    gain: float | None = None


@torch.no_grad()
def initialize(
    module: nn.Module,
    *,
    sigma_u: float = 1.0,
    nu: float | None = None,
    dt: float,
    alpha: float = 0.9,
    batch: Tensor | np.ndarray | None = None,
    simulate: Callable[[Tensor], object] | None = None,
    kind: Kind | None = None,
    generator: Generator | None = None,
) -> list[LayerReport]:
    """Draw the weights of a spiking network so that the potential of its neurons has mean 0 and
    spread sigma_u, in units of theta.

        W ~ N(0, sigma_w^2),   sigma_w^2 = share (sigma_u theta)^2 / (n nu eps_hat),   bias = 0

    `simulate(batch)` runs a whole trial from a fresh state. fdi follows which layer feeds which
    neuron while it runs; without it, only the order of an nn.Sequential says so. Layers are Linear,
    Conv1d and Conv2d. Those that reach one neuron, such as skip connections, share its variance
    equally; recurrent weights, also those that a neuron holds itself, have 1 - alpha of it. A
    tensor that reaches several neurons is drawn for the first. theta and eps_hat are measured on
    each neuron with an impulse, so every model counts with its own conventions; the state of the
    neurons is reset. Layers that reach no neuron, such as a readout, are not changed.

    `nu`: rate of the inputs in Hz; every layer is drawn for it. None: that of the spikes in `batch`
    [T, B, *shape] of training data, <x> / dt, or else <x^2> / dt. `kind` of `batch`: spikes
    (Poisson spikes), counts, currents or images; None: 0 and 1 alone are spikes, numbers with signs
    or fractions currents, and others must be declared. `dt`: duration of one step in seconds.

    With `simulate`, what reaches each neuron is then scaled, from the input up, until the spread
    measured on the batch is sigma_u within 2 %, as `init=fluct_calibrated` does: weights, or the
    gain of a normalization (BatchNorm, LayerNorm, GroupNorm), which undoes a scaling of the weights
    in front of it. The spread is that over time, in units of what a trial from rest shows of the
    steady state (not behind a normalization), apart from the mean of each neuron; for neurons that
    hear data other than spikes, over time and samples. Without `simulate`, layers in front of a
    normalization are not changed.

    New weights are written through parametrizations (weight_norm) and masks (pruning); layers that
    do not keep them (spectral_norm, orthogonal) are not changed, with a UserWarning. Returns one
    row for each weight tensor and each normalization. Raises fdi.Mistake if there is nothing to
    initialize, for a dt other than that of a neuron, where no scale reaches sigma_u, and for what
    the theory refuses. Whatever is raised, also by `simulate`, leaves all weights as they were.
    Source: Rossbroich et al. 2022; impulse and calibration are ours.
    """
    if not 0 < dt < math.inf:
        raise Mistake(f"dt = {dt} must be a positive, finite time in seconds")
    data = None if batch is None else torch.as_tensor(batch)
    analogue = data is not None and is_analogue(data, kind)
    if nu is None and data is not None:
        x = data.double()
        nu = float((x.square() if analogue else x).mean()) / dt
    if nu is None or (simulate is not None and data is None):
        raise Mistake("give nu in Hz, or a batch of spikes [T, B, ...] to measure it from")
    if simulate is None and analogue:
        raise Mistake(
            "the batch has other values than spikes; give simulate, so that the spread that they "
            "cause is measured"
        )
    before = Snapshot([module])
    try:
        if simulate is None or data is None:
            plan = _Plan(module, in_order(module), dt, nu, calibrated=False)
            plan.draw(sigma_u, alpha, generator)
        else:
            plan = _Plan(module, follow(module, data, simulate), dt, nu, calibrated=True)
            plan.draw(sigma_u, alpha, generator)
            plan.calibrate(sigma_u, lambda: simulate(data), analogue)
            before.restore(parameters=False)
    except BaseException:
        before.restore()
        raise
    for warning in plan.warnings:
        warnings.warn(f"fdi.interop: {warning}", stacklevel=3)
    return plan.report()


def is_analogue(data: Tensor, kind: Kind | None) -> bool:
    """Whether a batch of this kind, or of that which is certain, is none of spikes."""
    return kind_of(data.detach().float().cpu().numpy(), kind, "the batch", "kind") != "spikes"


def response_of(population: Population, dt: float) -> Response | Unmeasurable:
    """What `measure` finds, or why there is nothing to be found."""
    if population.reason:
        return Unmeasurable(population.reason)
    try:
        return measure(population.module, dt)
    except Unmeasurable as error:
        return type(error)(f"{population.name}: {error}")


@dataclass(eq=False)
class _Driven:
    """A population whose spread can be set. `scaled`: by these, which reach no population before
    it; `recurrent`: which of them. `fixed`: names of what else reaches it.
    """

    population: Population
    response: Response
    scaled: list[Part]
    recurrent: list[bool]
    fixed: list[str]

    def measured(self, simulate: Callable[[], object], analogue: bool) -> float:
        return self.spread(simulated([self.population], simulate), analogue)

    def spread(self, recording: Recording, analogue: bool) -> float:
        potential = free_potential(recording.current(self.population), self.response)
        normalized = any(isinstance(part, Norm) for part in self.scaled)
        analogue = analogue and self.population.hears_data
        return measured_spread(potential, self.response, normalized, analogue)


class _Plan:
    """What is drawn for which population, and what is left alone and why."""

    def __init__(
        self, module: nn.Module, wiring: Wiring, dt: float, nu: float, calibrated: bool
    ) -> None:
        self.dt, self.nu, self.calibrated = dt, nu, calibrated
        self.rows: dict[Weights | Norm | Other | Population, LayerReport] = {}
        self.driven: list[_Driven] = []
        self.warnings: list[str] = []
        self.names = [name for name, _ in module.named_modules()]
        self.wiring = wiring
        for population in wiring.populations:
            self._plan(population)
        for part in wiring.layers:
            if not self._planned(part):
                self._leave(part, None, self._unreached(part))
        if not self.driven:
            told = [f"{row.layer} {row.note}" for row in self.report()]
            more = [f"and {len(told) - SHOWN} more"] if len(told) > SHOWN else []
            reasons = "; ".join(told[:SHOWN] + more)
            raise Mistake(
                f"{type(module).__name__}: nothing to initialize "
                f"({reasons or 'no Linear, Conv1d or Conv2d layer'}); put neurons of snnTorch, "
                f"Norse, SpikingJelly or Sinabs in it"
            )

    def report(self) -> list[LayerReport]:
        """The rows in the order of registration."""
        order = {name: i for i, name in enumerate(self.names)}

        def position(row: LayerReport) -> int:
            name = row.layer.partition(", ")[0]
            return order.get(name, order.get(name.rpartition(".")[0], len(order)))

        return sorted(self.rows.values(), key=position)

    def draw(self, sigma_u: float, alpha: float, generator: Generator | None) -> None:
        """The weights of all populations, and the gains that are right for white noise."""
        for driven in self.driven:
            response = driven.response
            for part, share in zip(driven.scaled, variance_shares(driven.recurrent, alpha)):
                target = math.sqrt(share) * sigma_u * response.theta
                of_part = part.weights if isinstance(part, Norm) else [part]
                for w in of_part:
                    if w in self.rows:
                        continue
                    afferent = Afferent(w.fan_in, self.nu, response.eps_bar, response.eps_hat)
                    ((_, sigma_w),) = normal_weights(
                        [afferent], sigma_u=target / math.sqrt(len(of_part))
                    )
                    w.draw(sigma_w, generator)
                    self.rows[w] = self._row(w, driven, sigma_w=sigma_w, note=_pooling(w))
                if isinstance(part, Norm) and part.gain is not None:
                    part.gain.fill_(target / math.sqrt(response.eps_hat / self.dt))
                    if isinstance(bias := getattr(part.layer, "bias", None), Tensor):
                        bias.zero_()
                    self.rows[part] = self._row(part, driven, gain=float(part.gain.flatten()[0]))

    def calibrate(self, sigma_u: float, simulate: Callable[[], object], analogue: bool) -> None:
        """Population after population, from the input up, until all have their spread at once."""
        inside = [d for d in self.driven if hasattr(d.population.module, "recurrent_weights")]
        reason = "not calibrated: {} keeps its weights inside, where no hook reads its current"
        for driven in inside:
            self._change(driven, note=reason.format(driven.population.name))
        others = [driven for driven in self.driven if driven not in inside]
        for _ in range(SWEEPS if others else 0):
            for driven in others:
                self._calibrate(driven, sigma_u, simulate, analogue)
            recording = simulated([driven.population for driven in others], simulate)
            for driven in others:
                self._change(driven, sigma_u=driven.spread(recording, analogue))
            measured = [self.rows[driven.scaled[0]].sigma_u or 0.0 for driven in others]
            if all(abs(value / sigma_u - 1) < MOVED for value in measured):
                return

    def _calibrate(
        self, driven: _Driven, sigma_u: float, simulate: Callable[[], object], analogue: bool
    ) -> None:
        """Scale what reaches a population until its spread is sigma_u within 2 %.

        The spread is that of fdi.init.theory.spread, of U = k * I free of reset: k is the measured
        response of the neuron, I its input current during `simulate()`. Raises Unreachable if
        nothing arrives, the part that is not scaled exceeds it, or it does not settle within 12
        simulations.
        """
        name, approach, fixed = driven.population.name, Approach(), 0.0
        if driven.fixed:
            self._scale(driven, 1e-6)
            fixed = driven.measured(simulate, analogue)
            self._scale(driven, 1e6)
            if not fixed < sigma_u:
                raise Unreachable(
                    f"{name}: what is not scaled ({', '.join(driven.fixed)}) makes its spread "
                    f"{fixed:.3g} by itself; raise sigma_u = {sigma_u}, or scale that connection"
                )
        for _ in range(ROUNDS):
            found = driven.measured(simulate, analogue)
            if abs(found / sigma_u - 1) < TOLERANCE:
                return
            if not found > 0:
                raise Unreachable(
                    f"{name} gets no input in the batch, so no scale of its weights makes its "
                    f"spread sigma_u = {sigma_u}; raise sigma_u, so that the layer below fires, or "
                    f"check the batch"
                )
            own = max(found**2 - fixed**2, 1e-4 * found**2)
            factor = approach.factor(math.sqrt((sigma_u**2 - fixed**2) / own))
            self._scale(driven, factor)
        raise Unreachable(
            f"{name}: sigma_u = {sigma_u} is not reached within {ROUNDS} rounds ({found:.3g}); "
            f"raise alpha or lower sigma_u"
        )

    def _scale(self, driven: _Driven, factor: float) -> None:
        for part in driven.scaled:
            row = self.rows[part]
            if isinstance(part, Norm):
                if part.gain is not None:
                    part.gain.mul_(factor)
                self.rows[part] = replace(row, gain=(row.gain or 0.0) * factor)
            else:
                part.write(part.read() * factor)
                self.rows[part] = replace(row, sigma_w=(row.sigma_w or 0.0) * factor)

    def _change(self, driven: _Driven, note: str = "", sigma_u: float | None = None) -> None:
        for part in driven.scaled:
            behind = part.weights if isinstance(part, Norm) else []
            for row_of in (part, *behind):
                row = self.rows[row_of]
                if row.neuron == driven.population.name and (row.sigma_w or row.gain):
                    notes = "; ".join(filter(None, (row.note, note)))
                    self.rows[row_of] = replace(row, note=notes, sigma_u=sigma_u)

    def _plan(self, population: Population) -> None:
        """What of a population's afferents can be set for it."""
        name = population.path
        own = list(own_weights(name, population.module))
        parts = self.wiring.afferents(population)
        for w in own:
            w.upstream = {population if w.inside else DATA}
        response = response_of(population, self.dt)
        unmeasurable = isinstance(response, Unmeasurable)
        if any(not w.inside for w in own):
            for part in () if unmeasurable else parts:
                self._leave(part, None, f"{population.name} has input weights of its own")
            parts = []
        new = [part for part in (*parts, *own) if not self._planned(part)]
        scaled: list[Part] = []
        for part in new:
            if why := str(response) if unmeasurable else self._refusal(part):
                self._leave(part, population, why)
            elif not isinstance(part, Other):
                scaled.append(part)
        if isinstance(response, Unmeasurable) or not scaled:
            if not unmeasurable and not new:
                note = "left alone: no weights are drawn for it, so its spread is what it gets"
                self.rows[population] = LayerReport(name, population.name, 0, note=note)
            return
        order: dict[Source, int] = {p: i for i, p in enumerate(self.wiring.populations)}
        self.driven.append(
            _Driven(
                population,
                response,
                scaled,
                [all(order.get(s, -1) >= order[population] for s in part.heard) for part in scaled],
                [s.name for s in population.sources if s not in scaled],
            )
        )

    def _planned(self, part: Weights | Norm | Other) -> bool:
        scaled = [s for driven in self.driven for s in driven.scaled]
        behind = [w for s in scaled if isinstance(s, Norm) for w in s.weights]
        return part in self.rows or part in scaled or part in behind

    def _refusal(self, part: Weights | Norm | Other) -> str:
        """Why a part cannot be set, or ""."""
        if isinstance(part, Other):
            return part.reason
        if isinstance(part, Weights):
            if why := part.refusal():
                self.warnings.append(f"{part.name} is not changed: {why}")
            return why
        kind = f"{part.name} ({type(part.layer).__name__})"
        why = ""
        if part.gain is None:
            why = "it has no gain (affine=False)"
        elif not self.calibrated:
            why = "give batch and simulate, and fdi sets its gain"
        elif not part.layer.training and getattr(part.layer, "running_mean", None) is not None:
            raise Mistake(
                f"{kind} is in evaluation mode, and normalizes otherwise than in training; "
                f"call train() of the network first"
            )
        if why:
            why = f"{kind} follows, which sets the spread of the potential by itself; {why}"
            for w in part.weights:
                self.warnings.append(f"{w.name} is not changed: {why}")
        return why

    def _unreached(self, part: Weights | Norm | Other) -> str:
        """Why a part reaches no neuron."""
        if isinstance(part, Other):
            return part.reason
        if not part.upstream:
            return "it is not called when the batch is simulated"
        for other in self.wiring.layers:
            if part in other.upstream:
                if isinstance(other, Norm):
                    return f"no neuron follows {other.name}"
                kind = type(other.layers[0]).__name__ if isinstance(other, Weights) else other.kind
                return f"{other.name} ({kind}) follows, not a neuron"
        return "no neuron follows"

    def _leave(self, part: Weights | Norm | Other, neuron: Population | None, reason: str) -> None:
        if not reason:
            return
        name = None if neuron is None or neuron.reason else neuron.name
        fan_in = part.fan_in if isinstance(part, Weights) else 0
        self.rows[part] = LayerReport(part.name, name, fan_in, note=f"left alone: {reason}")
        for w in part.weights if isinstance(part, Norm) else ():
            self._leave(w, neuron, reason)

    def _row(self, part: Part, driven: _Driven, *, note: str = "", **values: float) -> LayerReport:
        response = driven.response
        return LayerReport(
            part.name,
            driven.population.name,
            part.fan_in if isinstance(part, Weights) else 0,
            response.tau_mem,
            response.tau_syn,
            note=note,
            **values,
        )


def _pooling(weights: Weights) -> str:
    return "; ".join(f"the theory does not count {name}" for name in sorted(weights.pooled))
