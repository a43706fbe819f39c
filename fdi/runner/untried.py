"""A device of PyTorch on which fdi has never run: it is compared with the CPU before it trains."""

from __future__ import annotations

import torch

from fdi.engine.cuda import trial
from fdi.runner.context import RunContext
from fdi.runner.initial import batch
from fdi.snn.network import Network

SAMPLES = 4


def compare(context: RunContext, initial: Network, device: torch.device) -> None:
    """Says how many spikes and which part of a gradient of a training step from the `initial` state
    differ on `device`. Raises ValueError if these are more than rounding explains.
    """
    inputs, labels = batch(context)
    found = trial.compare(
        initial, inputs[:SAMPLES], labels[:SAMPLES], context.engine, device, trial.OBJECTIVE
    )
    told = (
        f"{found.spikes:.0f} of {found.total:.0f} spikes differ from those of the CPU, and a "
        f"gradient by {found.gradient:.1g} of the largest"
    )
    spikes, gradient = trial.ROUNDED
    if not (found.spikes <= spikes * found.total and found.gradient <= gradient):
        raise ValueError(f"device = {context.config.device}: {told}; use device=cpu")
    context.view.say(f"fdi has never run on such a device; tried here, {told}")
