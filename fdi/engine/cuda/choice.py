"""What this engine computes, which layers kernels do, and why plain torch computes the others."""

from __future__ import annotations

from torch import Tensor

from fdi.engine.checks import Computes
from fdi.engine.cuda import fused, trust
from fdi.snn.network import INPUT, Network, Norm, Projection
from fdi.snn.neuron import Neuron, Population

COMPUTES = Computes(
    "cuda",
    kinds=(Neuron,),
    resets=("zero", "subtract"),
    surrogates=("superspike", "triangle", "sigmoid", "gaussian", "boxcar"),
    norms=(Norm,),
)


def layers_and_readout(network: Network) -> list[tuple[Population, ...]]:
    """All layers, and the readout, which is none."""
    return [*network.layers, (network.readout,)]


def hears_events(network: Network, kernels: str) -> bool:
    """Whether all that hear the input hear events of it: no maps, and nothing in plain torch."""
    return not any(
        link.convolutional or refusal(network, layer, kernels)
        for layer in layers_and_readout(network)
        for p in layer
        for link in network.afferents(p.name)
        if link.source == INPUT
    )


def refusal(network: Network, layer: tuple[Population, ...], kernels: str) -> str | None:
    """Why plain torch computes the layer; None if kernels do."""
    if kernels == "off":
        return "engine.kernels = off"
    links, weight = recurrent(network, layer), network.projections[0].weight
    if why := fused.refusal(layer, links, weight):
        return why
    if kernels == "on" or not _tried(weight):
        return None
    cases = {trust.case(group, bool(links)) for group in ([layer] if links else zip(layer))}
    return next(filter(None, (trust.doubt(case, weight.device) for case in cases)), None)


def _tried(weight: Tensor) -> bool:
    """Whether kernels are tried before they are used: on a card, not in Triton's interpreter."""
    return weight.is_cuda


def recurrent(network: Network, layer: tuple[Population, ...]) -> list[Projection]:
    """The projections within the layer."""
    return [
        projection
        for p in layer
        for projection in network.afferents(p.name)
        if projection.recurrent
    ]
