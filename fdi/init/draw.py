"""Draw the weights of a whole network, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fdi.init.strategy import Measure, Strategy, obeys_dale
from fdi.snn.population import INPUT

if TYPE_CHECKING:
    from torch import Generator

    from fdi.snn.network import Activity, Network, Projection

SETTLED = 0.02
REDRAWS = 20
LARGER = "draw larger weights (init.sigma_u), or set init.nu to a rate in Hz"
SPIKES = (
    "a constant input through weights of one sign can hold all below threshold, whatever sigma_u "
    "is; give it as spikes: dataset.encoding=poisson"
)


def draw(
    network: Network,
    strategy: Strategy,
    readout: Strategy,
    *,
    nu_input: float,
    measure: Measure,
    generator: Generator,
    analogue: bool = False,
) -> None:
    """Fill every weight of `network`: `strategy` for the hidden layers from the input up, `readout`
    for the readout, from random numbers that do not depend on the `strategy`.

    `nu_input`: rate of the input in Hz, or of an `analogue` input the rate of equal spread.
    `measure(network)` simulates a batch of training data and returns an Activity with moments; it
    is called with the layers drawn so far, by strategies that measure.

    The strategy's `nu` says which rate the sources are taken to fire at: "auto" the input's for all
    (as the authors), a number for all, a mapping from source names to numbers, or "propagate", the
    rate that each layer is measured to pass on, behind its pooling; "auto" is "propagate" behind an
    analogue input, which has no rate to hand on. A recurrent layer's own rate depends on its
    weights: they are drawn again from the same random numbers until they cause the rate they were
    drawn for within 2 %, at most 20 times.
    """
    import torch  # the type of a strategy is read without it

    for_readout = torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=generator)))
    rates = _assumed(strategy.nu, network, nu_input)
    propagate = strategy.nu == "propagate" or (strategy.nu == "auto" and analogue)
    advice = SPIKES if analogue and obeys_dale(network.projections) else LARGER
    asked = f"init.nu = {strategy.nu}{', for images' if strategy.nu == 'auto' else ''}"
    for i, layer in enumerate(network.layers):
        afferents = [p for population in layer for p in network.afferents(population.name)]
        recurrent = [projection.name for projection in afferents if projection.recurrent]
        if propagate:
            below = next(rates[p.name] for p in afferents if not p.recurrent)
            rates |= dict.fromkeys(recurrent, below)
        hears_input = any(projection.source == INPUT for projection in afferents)
        start = generator.get_state()
        for _ in range(REDRAWS):
            generator.set_state(start)
            for population in layer:
                strategy.draw(
                    population, network.afferents(population.name), rates, network.dt, generator
                )
            strategy.correct(network.up_to(i + 1), measure, analogue and hears_input)
            if not propagate:
                break
            activity = measure(network.up_to(i + 1))
            measured = {
                projection.name: _rate(activity, projection, network.dt, f"({asked}); {advice}")
                for projection in network.projections
                if projection.source in [population.name for population in layer]
            }
            settled = all(abs(measured[name] / rates[name] - 1) < SETTLED for name in recurrent)
            rates |= measured
            if settled:
                break
    if not propagate:
        rates = _assumed(readout.nu, network, nu_input)
    readout.draw(
        network.readout, network.afferents(network.readout.name), rates, network.dt, for_readout
    )


def seen(activity: Activity, projection: Projection, dt: float) -> float:
    """The rate in Hz at which the targets of a projection see its source: behind pooling, unless
    they are in the same layer.
    """
    counts = (activity.counts if projection.recurrent else activity.passed)[projection.source]
    return float(counts.double().mean()) / (len(activity.readout) * dt)


def _assumed(nu: Any, network: Network, nu_input: float) -> dict[str, float]:
    """The rates in Hz that weights are drawn for, by the name of the projection."""
    sources = [INPUT, *(population.name for population in network.hidden)]
    if isinstance(nu, Mapping):
        unknown = set(nu) - set(sources)
        if unknown:
            raise ValueError(
                f"init.nu names {', '.join(sorted(unknown))}; the sources of this network are "
                f"{', '.join(sources)}"
            )
        given = {name: float(rate) for name, rate in nu.items()}
        return {p.name: given.get(p.source, nu_input) for p in network.projections}
    names = [projection.name for projection in network.projections]
    if nu in (None, "auto", "propagate"):
        return dict.fromkeys(names, nu_input)
    try:
        return dict.fromkeys(names, float(nu))
    except (TypeError, ValueError):
        raise ValueError(
            f"init.nu = {nu!r}: give a rate in Hz, auto, propagate, or a rate for each source"
        ) from None


def _rate(activity: Activity, projection: Projection, dt: float, why: str) -> float:
    rate = seen(activity, projection, dt)
    if rate == 0:
        raise ValueError(
            f"{projection.source} fires no spike, and the weights of its targets are drawn for its "
            f"rate {why}"
        )
    return rate
