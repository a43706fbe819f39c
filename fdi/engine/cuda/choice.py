"""What this engine computes, which layers kernels do, and why plain torch computes the others.

Before a kernel first works on a card it computes a small network, whose numbers must be those of
the reference engine on the CPU. That happens in a process of its own, since a kernel that reads or
writes elsewhere takes the process with it, and before the run opens the card, which may let in one
process at a time. What was found is kept beside the kernels that Triton compiles
(TRITON_CACHE_DIR), by the versions, the card and the sources that it belongs to.
"""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch

from fdi.engine.checks import Computes
from fdi.engine.cuda import fused
from fdi.snn.network import INPUT, Network, Norm, Projection
from fdi.snn.neuron import Neuron, Population, Reset, Surrogate

COMPUTES = Computes(
    "cuda",
    kinds=(Neuron,),
    resets=("zero", "subtract"),
    surrogates=("superspike", "triangle", "sigmoid", "gaussian", "boxcar"),
    norms=(Norm,),
)
LONGEST = 300  # s
COMMAND = [sys.executable, "-m", "fdi.engine.cuda.trial"]
RIGHT, WRONG = 0, 3  # exit codes of the process
SOURCES = Path(__file__).parent
EXCLUSIVE = (
    "its kernel could not be tried: this card lets in one process at a time, and another holds it "
    "(nvidia-smi -c DEFAULT lets in several)"
)


class Case(NamedTuple):
    """What decides which kernels compute a layer; `units` of a recurrent one, else 0."""

    channels: int
    reset: Reset
    surrogate: Surrogate
    units: int


def _case(layer: Sequence[Population], recurrent: bool) -> Case:
    """What the kernels of a layer are compiled for."""
    neuron = layer[0].neuron
    units = sum(p.units for p in layer) if recurrent else 0
    return Case(len(neuron.tau_syn), neuron.reset, neuron.surrogate, units)


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


def refusal(
    network: Network,
    layer: tuple[Population, ...],
    kernels: str,
    device: torch.device | None = None,
) -> str | None:
    """Why plain torch computes the layer on `device`, or where the network is; None if not."""
    if kernels == "off":
        return "engine.kernels = off"
    links, weight = recurrent(network, layer), network.projections[0].weight
    device = device or weight.device
    if why := fused.refusal(layer, links, weight.dtype, device):
        return why
    if kernels == "on" or not _tried(device):
        return None
    cases = {_case(group, bool(links)) for group in ([layer] if links else zip(layer))}
    card = torch.device(device.type, device.index or 0)  # "cuda" is "cuda:0", and tried once
    return next(filter(None, (doubt(each, card) for each in cases)), None)


def _tried(device: torch.device) -> bool:
    """Whether kernels are tried before they are used: on a card, not in Triton's interpreter."""
    return device.type == "cuda"


def recurrent(network: Network, layer: tuple[Population, ...]) -> list[Projection]:
    """The projections within the layer."""
    return [
        projection
        for p in layer
        for projection in network.afferents(p.name)
        if projection.recurrent
    ]


@cache
def doubt(case: Case, device: torch.device) -> str | None:
    """Why the kernels of a case do not compute on `device`, None if they may."""
    kept = _folder(device) / "-".join(map(str, case))
    try:
        return kept.read_text() or None
    except OSError:
        pass
    command = [*COMMAND, str(device), *map(str, case)]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST)
    except subprocess.TimeoutExpired:
        return f"its kernel was tried on this card, and not done after {LONGEST} s"
    if ended.returncode not in (RIGHT, WRONG) and ended.returncode >= 0:
        if "busy or unavailable" in ended.stderr:
            return EXCLUSIVE
        return f"its kernel was tried on this card, and failed: {last_words(ended.stderr)}"
    why = ended.stdout.strip()
    if ended.returncode < 0:
        name = signal.Signals(-ended.returncode).name
        why = f"its kernel was tried on this card, and killed its process ({name})"
    try:  # what is found out once stays so; a full card, above, does not
        kept.parent.mkdir(parents=True, exist_ok=True)
        new = kept.with_name(f"{kept.name}.{os.getpid()}")
        new.write_text(why)
        new.replace(kept)
    except OSError:
        pass
    return why or None


def last_words(stderr: str) -> str:
    """Of a process that failed: the error, without the advice that torch appends to it."""
    lines = stderr.strip().splitlines() or ["without a word"]
    return next((x for x in reversed(lines) if re.match(r"[\w.]+: ", x)), lines[-1])[:160]


def _folder(device: torch.device) -> Path:
    from triton import __version__, knobs

    card = ""  # its name and capability open no context on it
    if device.type == "cuda":
        card = f"{torch.cuda.get_device_name(device)} {torch.cuda.get_device_capability(device)}"
    given = [torch.__version__, str(torch.version.cuda), __version__, device.type, card]
    digest = hashlib.sha256("\n".join(given).encode())
    for file in sorted(SOURCES.rglob("*.py")):
        digest.update(file.read_bytes())
    return Path(knobs.cache.dir) / f"fdi-{digest.hexdigest()[:16]}"
