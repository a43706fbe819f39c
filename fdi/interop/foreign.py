"""The initialization of any network, of fdi or of snnTorch, Norse, SpikingJelly or Sinabs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn

from fdi.config import Mistake
from fdi.data.inputs import Kind
from fdi.init.baselines import Kaiming
from fdi.init.named import named
from fdi.init.strategy import Strategy, draw_weights
from fdi.interop.network import Foreign, Seen, fdi_network, foreign
from fdi.interop.neurons import LIBRARIES
from fdi.interop.wiring import Weights, unchanged
from fdi.snn.network import Activity, Network

SWEEPS = 3  # through all layers: what upper ones send back changes what lower ones hear
MOVED = 0.05  # from its target is a spread that wants another sweep
REASONS = 3  # why nothing can be initialized, shown


@dataclass(frozen=True)
class LayerReport:
    """What `initialize` did with one weight tensor, or with one normalization.

    `layer`: its name, or those of all layers that share it. `neuron`: name and class of the neuron
    behind it, None if there is none. `fan_in`: synapses of a neuron, those that pruning leaves; 0
    for a normalization. `tau_mem`: time constant of the membrane in s, None where it has none; of
    other libraries read from beta (snnTorch), tau_mem_inv (Norse), tau (SpikingJelly) or tau_mem
    (Sinabs). `sigma_w`: spread of the new weights, None if they were not changed. `note`: why they
    were not. `sigma_u`: spread of the potential in units of theta,
    measured at the end. `gain`: new gain of a normalization, mean over its channels.
    """

    layer: str
    neuron: str | None
    fan_in: int
    tau_mem: float | None = None
    sigma_w: float | None = None
    note: str = ""
    sigma_u: float | None = None
    gain: float | None = None


@torch.no_grad()
def initialize(
    network: nn.Module,
    init: str | Strategy = "fluct_calibrated",
    *,
    batch: Any,
    dt: float | None = None,
    simulate: Callable[[Tensor], object] | None = None,
    kind: Kind | None = None,
    generator: Generator | None = None,
    **options: Any,
) -> list[LayerReport]:
    """Draw the weights of a spiking network by an initialization of `conf/init`, or by a Strategy
    of your own: any network of fdi.snn, or of snnTorch, Norse, SpikingJelly or Sinabs.

        fdi.initialize(network, "fluct_calibrated", sigma_u=0.8, batch=spikes, dt=1e-3)

    `options`: those of the state, such as sigma_u, nu and alpha. `batch`: training data [T, B,
    *shape], a tensor or an array; for a network of fdi also an input of fdi.data.inputs. `kind` of
    its numbers: spikes (Poisson spikes), counts, currents or images; None: 0 and 1 alone are
    spikes, numbers with signs or fractions currents, and others must be declared.

    For other libraries `dt` is the duration of a step in s, and `simulate(batch)` runs a whole
    trial from a fresh state; without it an nn.Sequential is run as its library does. fdi follows
    which layer feeds which neuron while it runs, and measures the answer of each neuron to an
    impulse. Layers are Linear and Conv. Those that reach one neuron, such as skip connections,
    share its variance; recurrent weights, also those that a neuron holds itself, have 1 - alpha of
    it. A tensor that reaches several neurons is drawn for the first. Biases are 0. Layers that
    reach no neuron, such as a readout, frozen ones, and what fdi cannot draw are not changed, with
    a UserWarning where they reach a neuron: what arrives from them is measured.

    States that calibrate scale what reaches each neuron, weights or the gain of a normalization,
    see fdi.init.strategy.calibrate and fdi.init.theory.spread. The readout of a network of fdi is
    drawn as `readout_init=normal` does.

    Returns a row for each weight tensor and each normalization. Raises fdi.Mistake if there is
    nothing to initialize, for a dt other than that of a neuron, where no scale reaches sigma_u, and
    for what the state refuses. Whatever is raised, also by `simulate`, leaves all as it was, and
    nothing but weights and gains changes ever; the global random numbers go on only without a
    `generator`. Source: Rossbroich et al. 2022; impulse and calibration are ours.
    """
    strategy = init if isinstance(init, Strategy) else named(init, **options)
    if isinstance(init, Strategy) and options:
        raise Mistake(f"{min(options)} is given to a Strategy that is already made")
    with unchanged(network, generator, weights=False):
        random = generator or Generator().manual_seed(int(torch.randint(2**62, ())))
        if isinstance(network, Network):
            if dt not in (None, network.dt):
                raise Mistake(
                    f"dt = {dt!r}: steps of this network take {network.dt} s; leave it out"
                )
            seen = fdi_network(deepcopy(network).cpu(), batch, kind)
            report = _report(seen, _calibrated(seen, strategy, random), network)
            for parameter, values in zip(network.parameters(), seen.network.parameters()):
                parameter.copy_(values)
            return report
        seen = foreign(network, torch.as_tensor(batch), simulate, dt, kind)
        if not seen.network.layers:
            rows = _report(seen, None, network)[:REASONS]
            reasons = "; ".join(f"{row.layer} {row.note}" for row in rows)
            raise Mistake(
                f"{type(network).__name__}: nothing to initialize "
                f"({reasons or 'no Linear or Conv layer'}); put neurons of {LIBRARIES} in it"
            )
        seen.network.rest()
        report = _report(seen, _calibrated(seen, strategy, random), network)
    left = [f"{part.name} ({why})" for part, (p, why) in seen.network.left.items() if p]
    if left:
        warnings.warn(f"fdi.initialize: not changed: {'; '.join(left)}", stacklevel=3)
    return report


def _calibrated(seen: Seen, strategy: Strategy, generator: Generator) -> Activity:
    """What a network does that is drawn, and corrected again where an upper population sends
    something back.
    """
    network = seen.network
    draw_weights(
        network,
        strategy,
        Kaiming(),
        nu_input=seen.nu,
        measure=seen.measure,
        generator=generator,
        analogue=seen.analogue,
    )
    activity = seen.measure(network)
    for _ in range(SWEEPS if network.sends_back else 0):
        for i, (population,) in enumerate(network.layers):
            target = (strategy.target(population)[1] or 0.0) / population.neuron.theta
            if target and abs(seen.sigma_u(population, activity) / target - 1) > MOVED:
                heard = seen.analogue and seen.hears_input(population)
                strategy.correct(network.up_to(i + 1), seen.measure, heard)
        activity = seen.measure(network)
    return activity


def _report(seen: Seen, activity: Activity | None, module: nn.Module) -> list[LayerReport]:
    """A row for each part, in the order of registration; `activity`: of one that is drawn."""
    network, rows = seen.network, []
    spreads = {p.name: seen.sigma_u(p, activity) for p in network.hidden if activity is not None}
    populations = {p.name: p for p in (*network.hidden, network.readout)}
    for p in network.projections if spreads else ():
        pop, values = populations[p.target], p.weight.detach()
        sigma_w = float(values[values != 0].std(correction=0))
        label, spread = getattr(pop, "label", pop.name), spreads.get(pop.name)
        rows.append(LayerReport(p.name, label, p.fan_in, pop.neuron.tau_mem, sigma_w, "", spread))
    if not isinstance(network, Foreign):
        return rows
    for name, norms in network.norms.items():
        pop, spread = populations[name], spreads.get(name)
        for norm in norms:
            gain = float(norm.layer.weight.mean())
            rows.append(
                LayerReport(norm.name, pop.label, 0, pop.neuron.tau_mem, sigma_u=spread, gain=gain)
            )
    for part, (pop, why) in network.left.items():
        label = None if pop is None or pop.reason else pop.label
        fan_in = part.fan_in if isinstance(part, Weights) else 0
        rows.append(LayerReport(part.name, label, fan_in, note=f"left alone: {why}"))
    order = {name: i for i, name in enumerate(dict(module.named_modules()))}

    def position(row: LayerReport) -> int:
        name = row.layer.partition(", ")[0]
        return order.get(name, order.get(name.rpartition(".")[0], len(order)))

    return sorted(rows, key=position)
