"""What an engine refuses before it computes: neurons that it does not know, and indices that would
read or write elsewhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fdi.config import Mistake
from fdi.data.inputs import Events, Input
from fdi.data.targets import NO_CLASS
from fdi.snn.network import Network, Norm, Projection
from fdi.snn.neuron import Neuron, Population


@dataclass(frozen=True)
class Computes:
    """What an engine called `engine` computes by equations of its own: neurons with these resets
    and surrogates (those of a readout are always `Neuron` without spikes), `projections` of exactly
    these classes, whose `forward` it never calls; `norms` of these classes and of what inherits
    from them.
    """

    engine: str
    resets: tuple[str, ...]
    surrogates: tuple[str, ...]
    projections: tuple[type[Projection], ...] = (Projection,)
    norms: tuple[type[Norm], ...] = ()


def _divided(network: Network, projection: Projection) -> bool:
    """Whether square windows of the average divide the map of a layer below."""
    shapes = {p.name: p.shape[1:] for p in network.hidden if p.pool == 1}
    edges, windows = shapes.get(projection.source, ()), projection.average
    even = len(edges) == len(windows) and not any(a % b for a, b in zip(edges, windows))
    return even and len({*windows}) == 1 and not projection.recurrent


def check_parts(network: Network, computes: Computes) -> None:
    """ValueError if the network has a neuron, projection or normalization that the engine does not
    compute.
    """
    for option, given in (("bias=true", network.biases), ("dropout above 0", network.dropout)):
        if given:
            raise refused(computes.engine, f"does not compute model.{option}")
    for population in network.hidden:
        _check_neuron(population, computes)
    if network.delay != 2:
        raise refused(computes.engine, f"does not compute layers {network.delay} steps apart")
    for projection in network.projections:
        _check_projection(network, projection, computes)
    check_norms(network)
    for name, norm in network.norms.items():
        if not isinstance(norm, computes.norms):
            what = f"normalization ({norm.kind}, of population {name})"
            raise refused(computes.engine, f"does not compute {what}")
    if type(network.readout.neuron) is not Neuron or network.readout.neuron.spiking:
        raise refused(computes.engine, "computes a readout of leaky integrators only")


def refused(engine: str, what: str) -> Mistake:
    """`what`: "computes ..." or "does not compute ..."."""
    return Mistake(f"engine={engine} {what}; use engine=reference")


def _check_neuron(population: Population, computes: Computes) -> None:
    neuron, name = population.neurons[0], population.name
    for what, value, known in (
        ("reset", neuron.reset, computes.resets),
        ("surrogate", neuron.surrogate, computes.surrogates),
        ("spiking", neuron.spiking, (True,)),
    ):
        if value not in known:
            what = f"neurons of {what} {value} (population {name})"
            raise refused(computes.engine, f"does not compute {what}")


def _check_projection(network: Network, projection: Projection, computes: Computes) -> None:
    if type(projection) not in computes.projections:
        what = f"projections of class {type(projection).__name__} ({projection.name})"
        raise refused(computes.engine, f"does not compute {what}")
    if projection.average and not _divided(network, projection):
        what = "averages maps of hidden layers below over square windows that divide them"
        raise refused(computes.engine, f"{what} ({projection.name})")


def check_norms(network: Network) -> None:
    """ValueError for a normalization that lacks what engines and training ask of it."""
    for name, norm in network.norms.items():
        if not isinstance(norm, Norm):
            raise Mistake(
                f"the normalization of population {name} is a {type(norm).__name__}; let it "
                f"inherit from fdi.snn.network.Norm"
            )


def check_labels(network: Network, inputs: Input, labels: np.ndarray) -> None:
    """ValueError unless there are targets for each sample, or for each of its steps."""
    batch, classes = len(inputs), network.readout.units
    steps = (batch, inputs.steps)
    if labels.dtype.kind == "f":
        if labels.shape not in ((batch, classes), (*steps, classes)):
            raise Mistake(
                f"targets of {labels.shape}; they must be {(batch, classes)} or {(*steps, classes)}"
            )
        return
    least = 0 if labels.ndim == 1 else NO_CLASS
    if labels.shape not in ((batch,), steps) or not least <= labels.min() <= labels.max() < classes:
        raise Mistake(f"labels must be {batch} numbers from 0 to {classes - 1}")


def check_input(network: Network, inputs: Input) -> None:
    """ValueError unless the input fits the network."""
    size, batch, steps = math.prod(network.input_shape), len(inputs), inputs.steps
    if math.prod(inputs.shape) != size:
        raise Mistake(
            f"the input has shape {tuple(inputs.shape)}, but the network takes "
            f"{network.input_shape}"
        )
    if batch < 1 or steps < 1:
        raise Mistake(f"the input has {batch} samples of {steps} steps; both must be at least 1")
    if isinstance(inputs, Events):
        units = inputs.units
        if units.size and not _below(units, size):
            raise Mistake(
                f"event units {units.min()} to {units.max()} do not fit into {size} input units"
            )


def _below(units: np.ndarray, size: int) -> bool:
    """Whether all are numbers from 0 to size - 1."""
    if units.dtype == np.int32:  # in one pass: without a sign, negative ones are large
        return units.view(np.uint32).max() < size
    return units.min() >= 0 and units.max() < size
