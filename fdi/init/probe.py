"""The initial state of a network: what the theory predicts from the weights that were drawn, what a
batch of training data shows, and which of its gradients an optimizer follows.
"""

from __future__ import annotations

import math
import pickle
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fdi.data.inputs import Input
from fdi.init.strategy import Measure, Strategy, measured_spread, seen
from fdi.init.theory import integrals
from fdi.snn.neuron import INPUT

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from fdi.engine import Engine
    from fdi.snn.network import Activity, Network
    from fdi.snn.neuron import Population
    from fdi.snn.objective import Objective


def probe_populations(
    network: Network,
    engine: Engine,
    inputs: Input,
    labels: np.ndarray,
    objective: Objective,
    strategy: Strategy,
    nu_input: float,
    measure: Measure | None = None,
    selective: bool = False,
) -> list[dict[str, Any]]:
    """A row for each population, from one batch. `measure`: simulates it with moments, if that has
    begun while the weights were drawn; `selective`: with `selectivity`.

    `target_*`: mean and spread of U that the strategy aims at (None if it aims at none).
    `theory_*`: what the theory predicts from the drawn weights and the measured rates of their
    sources as they see them, behind pooling; None behind normalization, where its closed form does
    not apply. `free_mean`, `free_sigma` (what the target speaks of:
    over time, apart from the mean of each neuron, as a trial without end would show it; for a layer
    that hears an analogue input over time and samples; root mean square over neurons), what the
    trial shows of it, `free_sigma_time` and `free_sigma_samples` (of a neuron's means in each
    trial), `free_sigma_neurons` (spread of the neurons' means): measured without reset, as the
    theory has it; `mean`, `sigma` (over time), `sigma_samples`, `sigma_neurons`: with reset. `rate`
    in Hz, `rate_passed` behind pooling; `silent`, `saturated`: shares of neurons without a spike,
    and with more than half of the highest possible rate; `upper`, `lower`: what the bounds of the
    objective add to the loss. `grad`: norm of the gradient of the objective, by surrogate, of all
    afferent weights; `grad_task`: of the task alone, without bounds; `grad_task_max`: its largest
    element; `grad_bounds`: norm of the difference of the two; `grad_labels`: norm of what changes
    in the gradient of the task when samples exchange their labels, as a share of it;
    `weight`: norm of the weights, `weight_rms`: root of their mean square. A last row has the
    gradients of the readout.
    """
    activity = (measure or engine.measuring(inputs))(network)
    # Of a copy, since a step changes the running statistics of a normalization; of one alone, since
    # each network has memory of its own. Without dropout, whose mean they are about.
    copy = deepcopy(network)
    copy.dropout = 0.0
    whole = _gradients(copy, engine, inputs, labels, objective)
    alone = replace(objective, upper=None, lower=None, task_weight=1.0)
    task = whole if alone == objective else _gradients(copy, engine, inputs, labels, alone)
    exchanged = _gradients(copy, engine, inputs, np.roll(labels, 1, axis=0), alone)
    dt, duration = network.dt, inputs.steps * network.dt
    heard = [p.name for p in network.projections if p.source == INPUT]
    rates = {p.name: seen(activity, p, dt) for p in network.projections if p.source != INPUT}
    drive = rates | dict.fromkeys(heard, inputs.mean() / dt)
    noise = rates | dict.fromkeys(heard, nu_input)
    rows, bounds = [], {"upper": objective.upper, "lower": objective.lower}
    for population in network.hidden:
        name, counts = population.name, activity.counts[population.name]
        analogue = inputs.analogue and any(p.name in heard for p in network.afferents(name))
        aims = population in network.layers[0] or not strategy.target_in_first_layer_only
        target_mu, target_sigma = strategy.target(population) if aims else (None, None)
        theory: tuple[Any, Any] = (None, None)
        if name not in network.norms:
            theory = predicted(network, population, drive, noise)
        rows.append(
            {
                "population": name,
                "neurons": population.units,
                "target_mu_u": target_mu,
                "target_sigma_u": target_sigma,
                "theory_mu_u": theory[0],
                "theory_sigma_u": theory[1],
                **_potentials(network, population, activity, analogue),
                **firing(counts, duration, population.neuron.highest_rate(dt)),
                "rate_passed": float(activity.passed[name].double().mean()) / duration,
                **{
                    side: float(bound.per_sample(counts.float()).mean()) if bound else 0.0
                    for side, bound in bounds.items()
                },
                **_pulls(network, population, whole, task, exchanged),
            }
        )
        if selective:
            rows[-1] |= selectivity(counts, labels)
    readout = {"population": network.readout.name, "neurons": network.readout.units}
    readout |= _pulls(network, network.readout, whole, task, exchanged)
    return [*rows, dict.fromkeys(rows[0]) | readout]


def _potentials(
    network: Network, population: Population, activity: Activity, analogue: bool
) -> dict[str, float]:
    moments = activity.moments[population.name]
    return {
        "free_mean": float(moments.free_mean.mean()),
        "free_sigma": measured_spread(network, population, activity, analogue),
        "free_sigma_time": float(moments.free_temporal.mean().sqrt()),
        "free_sigma_samples": float(moments.free_across.mean().sqrt()),
        "free_sigma_neurons": float(moments.free_mean.std(correction=0)),
        "mean": float(moments.mean.mean()),
        "sigma": float(moments.temporal.mean().sqrt()),
        "sigma_samples": float(moments.across.mean().sqrt()),
        "sigma_neurons": float(moments.mean.std(correction=0)),
    }


def firing(counts: Tensor, duration: float, highest: float) -> dict[str, float]:
    """Of spikes counted in trials of that duration in s; `highest` possible rate in Hz."""
    per_neuron = counts.double().mean(0) / duration
    return {
        "rate": float(per_neuron.mean()),
        "silent": float((per_neuron == 0).double().mean()),
        "saturated": float((per_neuron > 0.5 * highest).double().mean()),
    }


def selectivity(counts: Tensor, labels: np.ndarray) -> dict[str, float | None]:
    """`fano`: the variance of a neuron's spike counts N over samples by their mean, mean over the
    neurons that fire; `decoded`: the share of samples whose class a linear readout of the counts
    knows that has seen all others, a ridge regression of each class's indicators Y:

        Y_b - (Y_b - F_b) / (1 - H_bb),   F = H Y,   H = K (K + lambda)^-1 + 1 / B

    with K [B, B] the products of the samples' counts [B, ...] without their means, and lambda = tr
    K / B; the formula is that of leaving one out (Allen 1974). Without a spike fano is None;
    where counts do not differ decoded is the chance level, and None where the targets are no
    classes of samples.
    """
    n = counts.detach().cpu().flatten(1).double()
    mean = n.mean(0)
    fires = mean > 0
    ratios = n.var(0, correction=0)[fires] / mean[fires]
    fano = float(ratios.mean()) if fires.any() else None
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        return {"fano": fano, "decoded": None}
    classes = int(labels.max()) + 1
    kernel = (n - mean) @ (n - mean).T
    samples, penalty = len(n), float(kernel.trace()) / len(n)
    if not penalty:
        return {"fano": fano, "decoded": 1 / classes}
    hat = torch.linalg.solve(kernel + penalty * torch.eye(samples), kernel) + 1 / samples
    given = torch.eye(classes, dtype=torch.float64)[torch.from_numpy(labels.astype(np.int64))]
    left = given - (given - hat @ given) / (1 - hat.diagonal())[:, None]
    right = left.argmax(1).numpy() == labels
    return {"fano": fano, "decoded": float(right.mean())}


Gradients = dict[str, Tensor]


def _gradients(
    network: Network, engine: Engine, inputs: Input, labels: np.ndarray, objective: Objective
) -> dict[str, Gradients]:
    engine.step(network, inputs, labels, objective)
    return {
        population.name: {
            projection.name: gradient.to(torch.float64, copy=True)  # the next step has its own
            for projection in network.afferents(population.name)
            if (gradient := projection.weight.grad) is not None
        }
        for population in (*network.hidden, network.readout)
    }


def _pulls(
    network: Network, population: Population, *gradients: dict[str, Gradients]
) -> dict[str, float]:
    """`gradients`: of the objective, of the task alone, and where samples exchange their labels."""
    both, alone, other = (gradient[population.name] for gradient in gradients)
    afferents = network.afferents(population.name)
    task = pull([projection.weight.detach() for projection in afferents], alone.values())
    size = task["grad_task"]
    return {
        "grad": norm_all(both.values()),
        **task,
        "grad_bounds": norm_all(both[name] - alone[name] for name in alone),
        "grad_labels": norm_all(alone[name] - other[name] for name in alone) / size
        if size
        else 0.0,
    }


def pull(weights: Sequence[Tensor], gradients: Collection[Tensor]) -> dict[str, float]:
    """Sizes of the weights of a population and of their gradients."""
    weight = norm_all(weights)
    return {
        "grad_task": norm_all(gradients),
        "grad_task_max": max((float(g.abs().max()) for g in gradients), default=0.0),
        "weight": weight,
        "weight_rms": weight / math.sqrt(max(1, sum(w.numel() for w in weights))),
    }


def norm_all(tensors: Iterable[Tensor]) -> float:
    """Of all numbers in the tensors."""
    return math.sqrt(sum(float(tensor.double().square().sum()) for tensor in tensors))


def predicted(
    network: Network, population: Population, drive: dict[str, float], noise: dict[str, float]
) -> tuple[float, float]:
    """(mu_u, sigma_u) of the free potential from weights and rates in Hz, sums over afferent
    projections of n synapses, means over neurons; a bias b arrives in every step.

        mu_u = <sum sign n <W> drive eps_bar + b eps_bar / dt>
        sigma_u^2 = <sum n <W^2> noise eps_hat>

    `drive` and `noise` by the name of the projection. For spikes both are the rate of the source;
    for an analogue input `drive` is its mean per time step, and `noise` the rate of equal spread.
    """
    mu_u, variance, dt = 0.0, 0.0, network.dt
    for projection in network.afferents(population.name):
        channel, n = projection.channel, projection.fan_in
        rows = projection.weight.detach().cpu().double().flatten(1)
        eps_bar, eps_hat = rows.new_tensor(
            [integrals(neuron, channel, dt) for neuron in population.neurons]
        ).T
        sign, mean = population.neuron.signs[channel], float((rows.mean(1) * eps_bar).mean())
        mu_u += sign * n * mean * drive[projection.name]
        noisy = n * noise[projection.name] / math.prod(projection.average)
        variance += noisy * float((rows.square().mean(1) * eps_hat).mean())
    if population.name in network.biases:
        arrives = network.biases[population.name].detach().cpu().double()
        means = arrives.new_tensor([integrals(neuron, 0, dt)[0] for neuron in population.neurons])
        mu_u += float((arrives * means).mean()) / dt
    return mu_u, math.sqrt(variance)


STEPS = 16  # of a trial; the second half counts, when running means have settled
SHAPE = (2, 4)  # of weights with gradients of one size; some optimizers take matrices alone
SIZES = 10.0 ** np.arange(3, -38, -1)  # of gradients, all normal numbers of float32
FINER = 10.0 ** -np.linspace(0, 1, 9)  # between two of them


class Floor(NamedTuple):
    """Which gradients an optimizer follows.

    `steady`, `noisy`: the size of an element of the gradient at which its step falls to half of
    that of a large one, if the gradient stays the same, and if it is random in each step; 0 where
    that never happens, and for steps that are proportional to the gradient, as those of SGD.
    `steps`: of a steady gradient, by SIZES.
    """

    steady: float
    noisy: float
    steps: np.ndarray

    def step(self, gradient: float) -> float:
        """By how much a steady gradient of this size moves its weight in one step."""
        size, least = np.log(max(gradient, SIZES[-1])), np.finfo(np.float64).tiny
        logarithms = np.log(np.maximum(self.steps, least))
        return float(np.exp(np.interp(size, np.log(SIZES)[::-1], logarithms[::-1])))


def follow_gradients(
    rows: Iterable[dict[str, Any]],
    optimizer: Optimizer,
    weights: Mapping[str, Iterable[Tensor]] | None = None,
) -> None:
    """Add to the rows of a probe what `optimizer` makes of their gradients: its `floor_steady` and
    `floor_noisy`, `step`, by how much it moves a weight with the largest gradient in one step, and
    `frozen`, whether it has none of the `weights` of a population. They may have `factor` times its
    step size, if their group says so.
    """
    known = floor(optimizer)
    factors = {
        id(p): group.get("factor", 1.0) for group in optimizer.param_groups for p in group["params"]
    }
    for row in rows:
        given = [id(p) for p in (weights or {}).get(row["population"], ())]
        own = [factors[p] for p in given if p in factors]
        row |= {
            "frozen": bool(given) and not own,
            "floor_steady": known.steady,
            "floor_noisy": known.noisy,
            "step": max(own, default=1.0) * known.step(row["grad_task_max"]),
        }


def floor(optimizer: Optimizer) -> Floor:
    """The effective floor of `optimizer`: copies of it are fed with gradients of sizes s from 1e3
    to 1e-37; the optimizer and its weights stay as they are.

        step(s) = mean |dw(s)|,   floor = s where step(s) = step(1e3) / 2

    A steady gradient is s in each step, a noisy one s times a standard normal number. Weights are
    at 0 before each step, so that no step is lost in rounding; weight decay does nothing there.
    It depends on the class and the settings alone, for which a process measures it once.
    """
    settings = vars(_copy(optimizer, []))
    settings["param_groups"][0].pop("factor", None)
    try:
        key = type(optimizer), pickle.dumps(settings)
    except Exception:  # a user's own optimizer may hold what cannot be pickled
        return _floor_of(optimizer)
    if key not in _floors:
        _floors[key] = _floor_of(optimizer)
    return _floors[key]


_floors: dict[tuple[type, bytes], Floor] = {}


def _floor_of(optimizer: Optimizer) -> Floor:
    steady, noisy = _steps(optimizer, SIZES)
    if steady[0] > 2 * steady[1]:
        return Floor(0.0, 0.0, steady)
    floors = []
    for kind, steps in enumerate((steady, noisy)):
        below = np.flatnonzero(steps < steps[0] / 2)
        if not below.size:
            floors.append(0.0)
            continue
        sizes = SIZES[below[0] - 1] * FINER
        between = _steps(optimizer, sizes)[kind]
        half = int(np.argmax(between < steps[0] / 2))
        floors.append(float(np.sqrt(sizes[half - 1] * sizes[half])))
    return Floor(floors[0], floors[1], steady)


def _steps(optimizer: Optimizer, sizes: np.ndarray) -> np.ndarray:
    """[2, sizes] the mean step of steady and of noisy gradients."""
    generator = torch.Generator().manual_seed(0)
    weights = [torch.nn.Parameter(torch.zeros(SHAPE)) for _ in range(2 * len(sizes))]
    trial = _copy(optimizer, weights)
    update = getattr(trial, "prepared", lambda: trial.step)()
    moved = torch.zeros(2, len(sizes), dtype=torch.float64)
    for step in range(STEPS):
        noise = torch.randn(SHAPE, generator=generator, dtype=torch.float64)
        shapes = (torch.ones(SHAPE, dtype=torch.float64), noise)
        gradients = [(size * shape).float() for shape in shapes for size in sizes]
        for w, gradient in zip(weights, gradients):
            w.detach().zero_()
            w.grad = gradient
        update()
        if 2 * step >= STEPS:
            dw = torch.stack([w.detach() for w in weights]).double().unflatten(0, moved.shape)
            moved += dw.abs().mean((2, 3)).nan_to_num(0.0, 0.0)
    return moved.numpy() / (STEPS - STEPS // 2)


def _copy(optimizer: Optimizer, weights: list[Any]) -> Optimizer:
    """An optimizer of the same class and options, for other weights. A schedule puts a `step` of
    its own into the optimizer, which is left out.
    """
    trial = object.__new__(type(optimizer))
    trial.__dict__ = {key: value for key, value in vars(optimizer).items() if key != "step"}
    trial.state = defaultdict(dict)
    trial.param_groups = [{**optimizer.param_groups[0], "params": weights}]
    return trial
