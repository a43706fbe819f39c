"""The trial of a kernel: a step of a small network beside one of the reference engine. It has
several blocks of everything that a kernel goes through in blocks: steps, samples, sources, targets;
and its data are kept on the device, and drawn from there in another order, as in training.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from fdi.data.inputs import Constant, Events, Frames, Input
from fdi.engine.cuda.choice import RIGHT, WRONG, Case
from fdi.engine.cuda.engine import CudaEngine
from fdi.engine.oracle import OBJECTIVE, compare
from fdi.snn.network import INPUT, Network, Projection
from fdi.snn.neuron import Neuron, Population

TOLERANCE = 1e-5  # of a gradient, over the largest of its projection: sums in another order
STEPS, BATCH, UNITS, CLASSES, DT = 40, 70, 300, 3, 5e-3
DENSITY, SHORT = 0.05, 9
"""Events of an input in a step; steps of the batches that fill programs with several samples."""


def check(case: Case, device: torch.device) -> str | None:
    """What the kernels of a case compute wrong on `device`, in this process."""
    from fdi.engine.cuda.kernels.launch import HELD, PROGRAMS

    engine = CudaEngine(kernels="on")
    # what no program writes is no number, and not what was right before
    torch.utils.deterministic.fill_uninitialized_memory = True  # type: ignore[attr-defined]
    held = range(2, HELD + 1, 2) if case.units else ()  # samples of a program; the last has fewer
    for x in [*inputs(), *(inputs(n * PROGRAMS + 1, SHORT)[0] for n in held)]:
        network, labels = tiny(case), np.arange(len(x)) % CLASSES
        order = np.random.default_rng(2).integers(len(x), size=len(x))
        off = compare(network, x, labels, engine, device, OBJECTIVE, order)
        if off.spikes or not off.total:
            return (
                f"its kernel was tried on this card, and {off.spikes:.0f} of {off.total:.0f} "
                f"spikes were not those of the CPU"
            )
        if not off.gradient <= TOLERANCE:
            return (
                f"its kernel was tried on this card, and a gradient was not that of the CPU, by "
                f"{off.gradient:.1g} of the largest"
            )
    return None


def inputs(batch: int | None = None, steps: int | None = None) -> list[Input]:
    """Of `tiny`: frames, events with and without counts, and the same values in every step."""
    rng, batch, steps = np.random.default_rng(1), batch or BATCH, steps or STEPS
    counts = rng.poisson(DENSITY, (batch, steps, UNITS)).astype(np.uint8)
    values = rng.integers(0, 16, (batch, UNITS)).astype(np.float32) / 16
    rows, units = np.nonzero(counts.reshape(-1, UNITS))
    indptr = np.searchsorted(rows, np.arange(batch * steps + 1))
    events = Events(indptr, units.astype(np.int32), (UNITS,), steps)
    each = counts.reshape(-1, UNITS)[rows, units].astype(np.float32)
    return [events, Frames(counts), replace(events, counts=each), Constant(values, steps)]


def tiny(case: Case) -> Network:
    """A layer of the case above ones without recurrence, one for each channel, of which the first
    drives its last channel; weights are multiples of 1/64, so that sums of spikes are exact in any
    order, and spikes equal or wrong.
    """
    last, units = case.channels - 1, case.units or UNITS
    neuron = Neuron(
        tau_syn=(10e-3, 20e-3)[: case.channels],
        signs=(1, -1)[: case.channels],
        reset=case.reset,
        surrogate=case.surrogate,
        beta=4.0,
    )
    below = tuple(Population(name, (UNITS,), neuron) for name in "ab"[: case.channels])
    sizes = [units] if units < 2 else [units - 2 * units // 3, 2 * units // 3]
    layer = tuple(Population(name, (n,), neuron) for name, n in zip("hi", sizes))
    readout = Population("readout", (CLASSES,), Neuron(spiking=False))
    links = [Projection("h", "readout", (CLASSES, sizes[0]))]
    for channel, p in enumerate(below):
        links.append(Projection(INPUT, p.name, (UNITS, UNITS), channel=channel))
    for p in layer:
        links.append(Projection(INPUT, p.name, (p.units, UNITS)))
        links.append(Projection("a", p.name, (p.units, UNITS), channel=last))
        for channel, source in enumerate(layer if case.units else ()):
            shape, onto = (p.units, source.units), min(channel, last)
            links.append(Projection(source.name, p.name, shape, recurrent=True, channel=onto))
    generator = torch.Generator().manual_seed(0)
    for link in links:
        drawn = torch.randn(link.weight.shape, generator=generator)
        link.weight.data.copy_((drawn * 64 * 5 / link.fan_in**0.5).round() / 64)
    return Network((UNITS,), [below, layer], readout, links, DT)


def _main(device: str, channels: Any, reset: Any, surrogate: Any, units: Any) -> int:
    why = check(Case(int(channels), reset, surrogate, int(units)), torch.device(device))
    if why:
        print(why)
    return WRONG if why else RIGHT


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
