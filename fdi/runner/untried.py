"""A device of PyTorch on which fdi has never run: it is compared with the CPU before it trains."""

from __future__ import annotations

from fdi.engine.cuda import trial
from fdi.runner.context import RunContext
from fdi.runner.initial import batch
from fdi.snn.network import Network

COMPARED = 4


def compare(context: RunContext, initial: Network) -> None:
    """Says how many spikes, and by how much a gradient, of a training step from the `initial` state
    differ on the device of the run. Raises ValueError if rounding does not explain it.
    """
    inputs, labels = batch(context)
    x, y, engine = inputs[:COMPARED], labels[:SAMPLES], context.engine
    off = trial.compare(initial, x, y, engine, context.device, trial.OBJECTIVE)
    words = (
        f"{off.spikes:.0f} of {off.total:.0f} spikes differ from those of the CPU, and a "
        f"gradient by {off.gradient:.1g} of the largest"
    )
    spikes, gradient = trial.ROUNDED
    if not (off.spikes <= spikes * off.total and off.gradient <= gradient):
        raise ValueError(f"device = {context.config.device}: {words}; use device=cpu")
    context.view.say(f"fdi has never run on such a device; tried here, {words}")
