"""The state of a network of another library, as `fdi-run probe=only` tells that of fdi's own: why
does it not learn?
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fdi.config import Mistake
from fdi.data.inputs import Kind
from fdi.init.probe import follow_gradients, norm
from fdi.init.verdict import NORMALIZED, Training, remarks, verdict
from fdi.interop.currents import Recording, free_potential, measured_spread
from fdi.interop.foreign import is_analogue, response_of
from fdi.interop.neurons import NotSpiking, Response, Unmeasurable
from fdi.interop.wiring import (
    Norm,
    Other,
    Population,
    Snapshot,
    Weights,
    Wiring,
    follow,
    own_weights,
)

IN_PYTHON = {  # what verdicts call by the keys of a configuration
    "fdi-run experiment=recipe, with the same words,": "fdi.recipe",
    "optimizer.eps": "its eps",
    " (dataset.standardize=true of arrays)": "",
}


@dataclass(frozen=True)
class LayerState:
    """The neurons behind some layers.

    `neuron`: its name; of a readout, that of its layer. `layers`: names of the weights that reach
    it. `rate` in Hz, `silent`: share of neurons that do not spike in the batch; None for a readout.
    `mu_u`, `sigma_u`: mean and spread over time of the potential free of reset, in units of theta;
    None where the response of the neuron is not known. `gradient`, `gradient_max`: norm and largest
    element of the gradient of the loss; None without one. `verdict`: a word or two.
    """

    neuron: str
    layers: tuple[str, ...]
    rate: float | None
    mu_u: float | None
    sigma_u: float | None
    silent: float | None
    gradient: float | None
    gradient_max: float | None
    verdict: str


@dataclass(frozen=True)
class Probe:
    """A row for each population of neurons in the order in which they are called, then one for each
    readout; and what to make of them, in sentences.
    """

    layers: list[LayerState]
    verdict: list[str]

    def __str__(self) -> str:
        heads = ("neuron", "layers", "rate", "mu U", "sigma U", "silent", "|grad|", "max|grad|", "")
        rows = [heads, *(_cells(layer) for layer in self.layers)]
        widths = [max(map(len, column)) for column in zip(*rows)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        return "\n".join([*lines, "", *self.verdict])


def probe(
    module: nn.Module,
    batch: Tensor | np.ndarray,
    simulate: Callable[[Tensor], Any],
    *,
    dt: float,
    loss: Callable[[Any], Tensor] | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    sigma_u: float | None = 1.0,
    kind: Kind | None = None,
) -> Probe:
    """What a batch of training data shows of a network of snnTorch, Norse, SpikingJelly or Sinabs;
    changes nothing in it but the state of its neurons.

        U = k * I / theta,   mu_U = mean U,   sigma_U: see fdi.init.theory.spread

    k is the measured response of a neuron, I its input current, U free of reset. `simulate(batch)`
    runs a whole trial from a fresh state and returns what `loss` takes. `batch`: [T, B, *shape], a
    tensor or an array, of this `kind`, see fdi.interop.initialize. `dt`: duration of a step in
    seconds.

    `loss(output)`: a number; its gradient is compared with what `optimizer` is measured to follow,
    and the length of its steps with the size of the weights. `sigma_u`: what the spread is compared
    with, None for nothing.

    Raises fdi.Mistake if no neuron is called, if the loss has no gradient, for an optimizer without
    a loss, and for a dt other than that of a neuron.
    """
    if not 0 < dt < math.inf:
        raise Mistake(f"dt = {dt} must be a positive, finite time in seconds")
    if optimizer is not None and loss is None:
        raise Mistake("give loss(output), whose gradient the optimizer follows")
    data = torch.as_tensor(batch)
    analogue = is_analogue(data, kind)
    before = Snapshot([module])
    cards = sorted({p.device.index or 0 for p in module.parameters() if p.is_cuda})
    try:
        with torch.random.fork_rng(cards), torch.no_grad():
            wiring = follow(module, data, simulate)
        responses = {p: response_of(p, dt) for p in wiring.populations}
        with (
            torch.random.fork_rng(cards),
            torch.set_grad_enabled(loss is not None),
            Recording(wiring.populations, spikes=True) as recording,
        ):
            output = simulate(data)
            gradients = {} if loss is None else _gradients(module, loss(output))
    finally:
        before.restore(parameters=False)
    rows = [_state(p, wiring, recording, responses[p], analogue, dt) for p in wiring.populations]
    rows += [
        _readout(part.name, [part])
        for part in wiring.layers
        if isinstance(part, Weights) and _ends(part, wiring)
    ]
    for row in rows:
        row["target_sigma_u"] = None if row["free_sigma"] is None else sigma_u
        row |= _pull(row["parts"], gradients)
    training = None if optimizer is None else _training(optimizer)
    if optimizer is not None:
        follow_gradients(rows, optimizer)
    if all(row["rate"] is None for row in rows):
        raise Mistake(f"{type(module).__name__}: none of its neurons spikes; nothing to probe")
    told = [s for s in remarks(rows, NAME, training) if s != NORMALIZED]
    return Probe([_layer(row, loss is not None) for row in rows], [_in_python(s) for s in told])


NAME = "this network"  # in place of that of an initialization


def _gradients(module: nn.Module, value: Tensor) -> dict[int, Tensor]:
    """By the identity of each parameter."""
    if not (isinstance(value, Tensor) and value.requires_grad):
        raise Mistake(
            "the loss has no gradient; simulate must not run under torch.no_grad, and loss must "
            "return a tensor that depends on its output"
        )
    parameters = [p for p in module.parameters() if p.requires_grad]
    found = torch.autograd.grad(value, parameters, allow_unused=True)
    return {id(p): g.detach() for p, g in zip(parameters, found) if g is not None}


def _state(
    population: Population,
    wiring: Wiring,
    recording: Recording,
    response: Response | Unmeasurable,
    analogue: bool,
    dt: float,
) -> dict[str, Any]:
    name = population.path
    parts = [*wiring.afferents(population), *own_weights(name, population.module)]
    spikes = recording.spikes(population)
    if isinstance(response, NotSpiking) or not _are_spikes(spikes.round(3)):
        return _readout(name, parts)
    mu_u = sigma_u = apart = None
    if isinstance(response, Response) and not hasattr(population.module, "recurrent_weights"):
        potential = free_potential(recording.current(population), response)
        mu_u, apart = float(potential.mean()), float(potential.mean((0, 1)).std())
        normalized = any(isinstance(part, Norm) for part in parts)
        heard = analogue and population.hears_data
        sigma_u = measured_spread(potential, response, normalized, heard)
    rates = spikes.reshape(*spikes.shape[:2], -1).mean((0, 1)) / dt
    return {
        "population": name,
        "parts": parts,
        "rate": float(rates.mean()),
        "silent": float((rates == 0).mean()),
        "saturated": float((rates > 0.5 / dt).mean()),
        "free_mean": mu_u,
        "free_sigma": sigma_u,
        "free_sigma_neurons": apart if population.hears_data else None,
        # 0 where there would be a closed form, None behind a normalization
        "theory_sigma_u": None if any(isinstance(part, Norm) for part in parts) else 0.0,
        "upper": 0.0,
        "lower": 0.0,
        "readout": not _heard(population, wiring),
    }


def _heard(one: Population | Weights, wiring: Wiring) -> bool:
    """Whether a neuron or another layer hears it."""
    reached = [p.sources for p in wiring.populations] + [part.upstream for part in wiring.layers]
    return any(one in sources for sources in reached)


def _are_spikes(values: np.ndarray) -> bool:
    return bool(((values >= 0) & (values % 1 == 0)).all())


def _readout(name: str, parts: Sequence[Weights | Norm | Other]) -> dict[str, Any]:
    empty = dict.fromkeys(("rate", "silent", "saturated", "free_mean", "free_sigma"))
    return {"population": name, "parts": parts, **empty}


def _ends(weights: Weights, wiring: Wiring) -> bool:
    """Whether weights are called and reach neither a neuron nor another layer."""
    return bool(weights.upstream) and not _heard(weights, wiring)


def _pull(
    parts: Sequence[Weights | Norm | Other], gradients: dict[int, Tensor]
) -> dict[str, float | None]:
    """Of the weights of a population, also of those behind a normalization."""
    weights = [
        w
        for part in parts
        if not isinstance(part, Other)
        for w in (part.weights if isinstance(part, Norm) else [part])
    ]
    found = [
        gradients[id(tensor)].double()
        for w in weights
        for tensor in w.tensors()
        if id(tensor) in gradients
    ]
    size = norm(w.read().double() for w in weights)
    return {
        "grad_task": norm(found),
        "grad_task_max": max((float(g.abs().max()) for g in found), default=0.0),
        "grad_bounds": 0.0,
        "weight": size,
        "weight_rms": size / math.sqrt(max(1, sum(w.read().numel() for w in weights))),
    }


def _training(optimizer: torch.optim.Optimizer) -> Training:
    """The words for an optimizer of torch."""
    name, options = type(optimizer).__name__, optimizer.param_groups[0]
    if isinstance(eps := options.get("eps"), int | float):
        return Training(f"{name} with eps={eps:g}", "lower optimizer.eps")
    return Training(f"{name} with lr={options['lr']:g}", "take an optimizer without a floor")


def _layer(row: dict[str, Any], learns: bool) -> LayerState:
    return LayerState(
        neuron=row["population"],
        layers=tuple(part.name for part in row["parts"]),
        rate=row["rate"],
        mu_u=row["free_mean"],
        sigma_u=row["free_sigma"],
        silent=row["silent"],
        gradient=row["grad_task"] if learns else None,
        gradient_max=row["grad_task_max"] if learns else None,
        verdict="" if row["rate"] is None else verdict(row),
    )


def _in_python(sentence: str) -> str:
    for key, word in IN_PYTHON.items():
        sentence = sentence.replace(key, word)
    return sentence.replace(f"init={NAME} has no target; no", "no")


def _cells(layer: LayerState) -> tuple[str, ...]:
    numbers = (
        (layer.rate, ".3g"),
        (layer.mu_u, ".2f"),
        (layer.sigma_u, ".2f"),
        (layer.silent, ".0%"),
        (layer.gradient, ".1e"),
        (layer.gradient_max, ".1e"),
    )
    shown = ("" if value is None else format(value, how) for value, how in numbers)
    return (layer.neuron, ", ".join(layer.layers), *shown, layer.verdict)
