"""The initial state of a network: what the theory says of the weights that were drawn, and what a
batch of training data measures.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fdi.data.inputs import Constant, Input
from fdi.init.calibrate import measured_spread
from fdi.init.draw import seen
from fdi.init.psp import psp_kernel_integrals
from fdi.init.strategy import Strategy
from fdi.snn.network import INPUT

if TYPE_CHECKING:
    from fdi.snn.network import Network
    from fdi.snn.objective import Objective
    from fdi.snn.population import Population


def probe(
    network: Network,
    engine: Any,
    inputs: Input,
    labels: np.ndarray,
    objective: Objective,
    strategy: Strategy,
    nu_input: float,
) -> list[dict[str, Any]]:
    """A row for each population, from one batch.

    `target_*`: mean and spread of U that the strategy aims at (None if it aims at none).
    `theory_*`: what the theory predicts from the drawn weights and the measured rates of their
    sources as they see them, behind pooling. `free_mean`, `free_sigma` (what the target speaks of:
    over the time of a trial, for a layer that hears images over time and samples; root mean square
    over neurons), its parts `free_sigma_time` and `free_sigma_samples` (of a neuron's means in each
    trial), `free_sigma_neurons` (spread of the neurons' means): measured without reset, as the
    theory has it; `mean`, `sigma` (over time), `sigma_samples`, `sigma_neurons`: with reset. `rate`
    in Hz, `rate_passed` behind pooling; `silent`, `saturated`: shares of neurons without a spike,
    and with more than half of the highest possible rate; `grad`: norm of the gradient of the
    objective, by surrogate, of all afferent weights. A last row has the `grad` of the readout.
    """
    activity = engine.simulate(network, inputs, record=("moments",))
    engine.step(network, inputs, labels, objective)
    duration = inputs.steps * network.dt
    rates = {
        projection.name: seen(activity, projection, network.dt)
        for projection in network.projections
        if projection.source != INPUT
    }
    heard = [projection.name for projection in network.projections if projection.source == INPUT]
    drive = rates | dict.fromkeys(heard, inputs.mean() / network.dt)
    noise = rates | dict.fromkeys(heard, nu_input)
    analogue = isinstance(inputs, Constant)
    rows = []
    for population in network.hidden:
        afferents = network.afferents(population.name)
        hears_input = any(projection.name in heard for projection in afferents)
        moments = activity.moments[population.name]
        per_neuron = activity.counts[population.name].double().mean(0) / duration
        passed = float(activity.passed[population.name].double().mean()) / duration
        target_mu, target_sigma = strategy.target(population)
        theory_mu, theory_sigma = predicted(population, afferents, drive, noise, network.dt)
        rows.append(
            {
                "population": population.name,
                "neurons": population.units,
                "target_mu_u": target_mu,
                "target_sigma_u": target_sigma,
                "theory_mu_u": theory_mu,
                "theory_sigma_u": theory_sigma,
                "free_mean": float(moments.free_mean.mean()),
                "free_sigma": measured_spread(moments, analogue and hears_input),
                "free_sigma_time": float(moments.free_temporal.mean().sqrt()),
                "free_sigma_samples": float(moments.free_across.mean().sqrt()),
                "free_sigma_neurons": float(moments.free_mean.std(correction=0)),
                "mean": float(moments.mean.mean()),
                "sigma": float(moments.temporal.mean().sqrt()),
                "sigma_samples": float(moments.across.mean().sqrt()),
                "sigma_neurons": float(moments.mean.std(correction=0)),
                "rate": float(per_neuron.mean()),
                "rate_passed": passed,
                "silent": float((per_neuron == 0).double().mean()),
                "saturated": float(
                    (per_neuron > 0.5 * population.neuron.highest_rate(network.dt)).double().mean()
                ),
                "grad": _gradient_norm(afferents),
            }
        )
    nothing = dict.fromkeys(rows[0])
    readout = network.readout
    rows.append(
        nothing
        | {
            "population": readout.name,
            "neurons": readout.units,
            "grad": _gradient_norm(network.afferents(readout.name)),
        }
    )
    network.zero_grad(set_to_none=True)
    return rows


def _gradient_norm(afferents: list) -> float:
    return math.sqrt(
        sum(float(projection.weight.grad.double().square().sum()) for projection in afferents)
    )


def predicted(
    population: Population,
    afferents: list,
    drive: dict[str, float],
    noise: dict[str, float],
    dt: float,
) -> tuple[float, float]:
    """(mu_u, sigma_u) of the free potential from weights and rates in Hz, sums over afferent
    projections of n synapses, means over neurons.

        mu_u = <sum sign n <W> drive eps_bar>,    sigma_u^2 = <sum n <W^2> noise eps_hat>

    `drive` and `noise` by the name of the projection. For spikes both are the rate of the source;
    for images `drive` is their mean per time step, and `noise` the rate of equal spread.
    """
    mu_u, variance = 0.0, 0.0
    for projection in afferents:
        channel, n = projection.channel, projection.fan_in
        rows = projection.weight.detach().cpu().double().flatten(1)
        eps_bar, eps_hat = rows.new_tensor(
            [psp_kernel_integrals(m.tau_mem, m.tau_syn[channel], dt) for m in population.neurons]
        ).T
        mu_u += (
            population.neuron.signs[channel]
            * n
            * float((rows.mean(1) * eps_bar).mean())
            * drive[projection.name]
        )
        variance += n * noise[projection.name] * float((rows.square().mean(1) * eps_hat).mean())
    return mu_u, math.sqrt(variance)
