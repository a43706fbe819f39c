"""The state of any network, as `fdi-run probe=only` tells that of a run: why does it not learn?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from fdi.config import Mistake
from fdi.config.metric import in_percent
from fdi.data.inputs import Kind
from fdi.init.probe import firing, follow_gradients, pull
from fdi.init.verdict import Training, remarks, verdict
from fdi.interop.network import (
    Recording,
    Seen,
    Simulate,
    activity_of,
    fdi_network,
    followed,
    is_analogue,
    running,
)
from fdi.interop.wiring import NormModule, Other, Weights, unchanged
from fdi.snn.network import Activity, Network

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
        rows = [heads, *(_in_words(layer) for layer in self.layers)]
        widths = [max(map(len, column)) for column in zip(*rows)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        return "\n".join([*lines, "", *self.verdict])


def probe(
    module: nn.Module,
    batch: Any,
    simulate: Simulate | None = None,
    *,
    dt: float | None = None,
    loss: Callable[[Any], Tensor] | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    sigma_u: float | None = 1.0,
    kind: Kind | None = None,
) -> Probe:
    """What a batch of training data shows of a network, of fdi, or of snnTorch, Norse, SpikingJelly
    or Sinabs; changes nothing in it.

        U = k * I / theta,   mu_U = mean U,   sigma_U: see fdi.init.theory.spread

    k is the response of a neuron, I its input current, U free of reset. `batch`, `simulate`, `dt`
    and `kind` as for fdi.initialize; `simulate` returns what `loss` takes, a network of fdi its
    readout.

    `loss(output)`: a number; its gradient is compared with what `optimizer` is measured to follow,
    and the length of its steps with the size of the weights. `sigma_u`: what the spread is compared
    with, None for nothing.

    Raises fdi.Mistake if no neuron is called, if the loss has no gradient, for an optimizer without
    a loss, and for a dt other than that of a neuron.
    """
    if optimizer is not None and loss is None:
        raise Mistake("give loss(output), whose gradient the optimizer follows")
    with unchanged(module):
        if isinstance(module, Network):
            rows = _of_fdi(module, batch, kind)
            run: Callable[[], Any] = lambda: module(batch)  # noqa: E731
        else:
            data = torch.as_tensor(batch)
            run = running(module, data, simulate)
            rows = _of_others(module, data, run, dt, is_analogue(data, kind))
        gradients = {} if loss is None else _gradients(module, loss(run()))
        for row in rows:
            row["target_sigma_u"] = None if row["free_sigma"] is None else sigma_u
            row |= _pull(row["parts"], gradients)
    training = None
    if optimizer is not None:
        training = _training(optimizer)
        follow_gradients(rows, optimizer)
    if all(row["rate"] is None for row in rows):
        raise Mistake(f"{type(module).__name__}: none of its neurons spikes; nothing to probe")
    told = [_in_python(s) for s in remarks(rows, NAME, training)]
    return Probe([_layer(row, loss is not None) for row in rows], told)


NAME = "this network"  # in place of that of an initialization


def _gradients(module: nn.Module, value: Tensor) -> dict[int, Tensor]:
    if not (isinstance(value, Tensor) and value.requires_grad):
        raise Mistake(
            "the loss has no gradient; simulate must not run under torch.no_grad, and loss must "
            "return a tensor that depends on its output"
        )
    parameters = [p for p in module.parameters() if p.requires_grad]
    found = torch.autograd.grad(value, parameters, allow_unused=True)
    return {id(p): g.detach() for p, g in zip(parameters, found) if g is not None}


@torch.no_grad()
def _of_fdi(network: Network, batch: Any, kind: Kind | None) -> list[dict[str, Any]]:
    seen = fdi_network(network, batch, kind)
    activity = seen.measure(network)
    parts = {p.name: network.afferents(p.name) for p in (*network.hidden, network.readout)}
    rows = [_state(seen, p, activity, parts[p.name]) for p in network.hidden]
    return [*rows, _readout(network.readout.name, parts[network.readout.name])]


@torch.no_grad()
def _of_others(
    module: nn.Module, batch: Tensor, run: Callable[[], Any], dt: Any, analogue: bool
) -> list[dict[str, Any]]:
    network = followed(module, batch, run, dt)
    wiring = network.wiring
    parts = {p: [*wiring.afferents(p), *p.own] for p in wiring.populations}
    with Recording(wiring.populations) as recording:
        run()
    emitted = {p: recording.spikes(p) for p in wiring.populations if p.spiking}
    spiking = [
        p for p, s in emitted.items() if torch.equal(s.clamp(min=0).round(), s.round(decimals=3))
    ]
    network.layers = [(p,) for p in spiking if p.neuron]
    network.norms = {
        p.name: norms
        for p in spiking
        if (norms := [n for n in parts[p] if isinstance(n, NormModule)])
    }
    activity = activity_of(network, recording, [], analogue)
    seen = Seen(network, lambda _: activity, 0.0, analogue)
    rows = []
    for p in wiring.populations:
        if p in spiking:
            activity.counts[p.name] = emitted[p].sum(0)
            state = _state(seen, p, activity, parts[p])
            rows.append(state | {"readout": not wiring.heard(p)})
        else:
            rows.append(_readout(p.name, parts[p]))
    called = [w for w in wiring.layers if isinstance(w, Weights) and w.upstream]
    return rows + [_readout(w.name, [w]) for w in called if not wiring.heard(w)]


def _state(seen: Seen, population: Any, activity: Activity, parts: Sequence[Any]) -> dict[str, Any]:
    name, dt = population.name, seen.network.dt
    mu_u = sigma_u = apart = None
    if name in activity.moments:
        mean = activity.moments[name].free_mean / population.neuron.theta
        mu_u, apart = float(mean.mean()), float(mean.std(correction=0))
        sigma_u = seen.sigma_u(population, activity)
    return {
        "population": name,
        "parts": parts,
        **firing(activity.counts[name], len(activity.readout) * dt, 1 / dt),
        "free_mean": mu_u,
        "free_sigma": sigma_u,
        "free_sigma_neurons": apart if seen.hears_input(population) else None,
        "theory_sigma_u": 0.0,  # of which nothing is said
        "upper": 0.0,
        "lower": 0.0,
        "readout": False,
    }


def _readout(name: str, parts: Sequence[Any]) -> dict[str, Any]:
    empty = dict.fromkeys(("rate", "silent", "saturated", "free_mean", "free_sigma"))
    return {"population": name, "parts": parts, **empty}


def _pull(parts: Sequence[Any], gradients: dict[int, Tensor]) -> dict[str, float]:
    """Of the weights of a population, also of those behind a normalization."""
    weights, reached = [], []
    for part in parts:
        for w in getattr(part, "weights", [part]):
            if not isinstance(w, Other):
                weights.append(w.read() if isinstance(w, Weights) else w.weight.detach())
                tensors = w.tensors() if isinstance(w, Weights) else [w.weight]
                reached += [gradients[id(tensor)] for tensor in tensors if id(tensor) in gradients]
    return {**pull(weights, reached), "grad_bounds": 0.0}


def _training(optimizer: torch.optim.Optimizer) -> Training:
    name, options = type(optimizer).__name__, optimizer.param_groups[0]
    if isinstance(eps := options.get("eps"), int | float):
        return Training(f"{name} with eps={eps:g}", "lower optimizer.eps")
    return Training(f"{name} with lr={options['lr']:g}", "take an optimizer without eps")


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


def _in_words(layer: LayerState) -> tuple[str, ...]:
    two, small = "{:.2f}".format, "{:.1e}".format
    texts = ("{:.3g}".format, two, two, in_percent, small, small)
    name, layers, *numbers, told = (getattr(layer, each.name) for each in fields(layer))
    shown = ("" if n is None else text(n) for n, text in zip(numbers, texts))
    return (name, ", ".join(layers), *shown, told)
