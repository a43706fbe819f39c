"""Draw the weights of a whole network, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from torch import Generator

if TYPE_CHECKING:
    from fdi.snn.activity import Activity
    from fdi.snn.network import Network

TOLERANCE = 0.02
ROUNDS = 20

Measure = Callable[["Network"], "Activity"]


def draw(
    network: Network,
    strategy: Any,
    readout: Any,
    *,
    nu_input: float,
    measure: Measure,
    generator: Generator,
    analogue: bool = False,
) -> None:
    """Fill every weight of `network`: `strategy` for the hidden layers from the input up, `readout`
    for the readout.

    `nu_input`: rate of the input in Hz, or of an `analogue` input the rate of equal spread.
    `measure(network)` simulates a batch of training data and returns an Activity with moments; it
    is called with the layers drawn so far, by strategies that measure.

    The strategy's `nu` says which rate the sources are taken to fire at: "auto" the input's for all
    (as the authors), a number for all, a mapping from source names to numbers, or "propagate", the
    rate that each layer is measured to pass on; "auto" is "propagate" behind an analogue input,
    which has no rate to hand on. A recurrent layer's own rate depends on its weights: they are
    drawn again from the same random numbers until they cause the rate they were drawn for within 2
    %, at most 20 times.
    """
    names = ["input", *(population.name for population in network.hidden)]
    rates = _assumed(getattr(strategy, "nu", "auto"), names, nu_input)
    nu = getattr(strategy, "nu", None)
    propagate = nu == "propagate" or (nu == "auto" and analogue)
    for i, layer in enumerate(network.layers):
        if propagate:
            below = nu_input if i == 0 else rates[network.layers[i - 1][0].name]
            rates |= {population.name: below for population in layer}
        recurrent = any(
            projection.recurrent
            for population in layer
            for projection in network.afferents(population.name)
        )
        start = generator.get_state()
        for _ in range(ROUNDS):
            generator.set_state(start)
            for population in layer:
                strategy.draw(
                    population, network.afferents(population.name), rates, network.dt, generator
                )
            if hasattr(strategy, "correct"):
                strategy.correct(network.up_to(i + 1), measure)
            if not propagate:
                break
            measured = _measured(measure(network.up_to(i + 1)), layer, network.dt)
            settled = all(
                abs(rate / rates[name] - 1) < TOLERANCE for name, rate in measured.items()
            )
            rates |= measured
            if settled or not recurrent:
                break
    if not propagate:
        rates = _assumed(getattr(readout, "nu", "auto"), names, nu_input)
    readout.draw(
        network.readout, network.afferents(network.readout.name), rates, network.dt, generator
    )


def _assumed(nu: Any, names: list[str], nu_input: float) -> dict[str, float]:
    if isinstance(nu, Mapping):
        unknown = set(nu) - set(names)
        if unknown:
            raise ValueError(
                f"init.nu names {', '.join(sorted(unknown))}; the sources of this network are "
                f"{', '.join(names)}"
            )
        return dict.fromkeys(names, nu_input) | {name: float(rate) for name, rate in nu.items()}
    if nu in ("auto", "propagate"):
        return dict.fromkeys(names, nu_input)
    try:
        rate = float(nu)
    except (TypeError, ValueError):
        raise ValueError(
            f"init.nu = {nu!r}: give a rate in Hz, auto, propagate, or a rate for each source"
        ) from None
    return dict.fromkeys(names, rate)


def _measured(activity: Activity, layer: tuple, dt: float) -> dict[str, float]:
    duration = len(activity.readout) * dt
    rates = {
        population.name: float(activity.counts[population.name].double().mean()) / duration
        for population in layer
    }
    for name, rate in rates.items():
        if rate == 0:
            raise ValueError(
                f"init.nu = propagate: {name} fires no spike, so there is no rate to pass on; "
                f"raise sigma_u or give nu"
            )
    return rates
