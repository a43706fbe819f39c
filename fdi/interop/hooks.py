"""Calibration of networks of other libraries: the input currents of their neurons are read by
hooks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.signal import oaconvolve
from torch import Tensor, nn

from fdi.init.calibrate import ROUNDS, TOLERANCE, Approach, Unreachable
from fdi.interop.impulse import Response
from fdi.interop.neurons import library


@torch.no_grad()
def calibrate_module(
    name: str,
    neuron: nn.Module,
    weights: Sequence[Tensor],
    response: Response,
    sigma_u: float,
    simulate: Callable[[], object],
) -> float:
    """Scale `weights`, all those that reach `neuron`, until the measured spread of its potential is
    sigma_u within 2 %; returns that spread, in units of theta.

        sqrt(mean_j,b Var_t(U_j)) = sigma_u theta,   U = k * I free of reset

    k is the measured `response` of the neuron, I its input current during `simulate()`. Raises
    Unreachable if nothing arrives, or the spread does not settle within 12 simulations.
    """
    approach = Approach()
    for _ in range(ROUNDS):
        spread = _spread(name, neuron, response, simulate)
        if abs(spread / sigma_u - 1) < TOLERANCE:
            return spread
        if not spread > 0:
            raise Unreachable(
                f"{name} gets no input in the batch, so no scale of its weights makes its spread "
                f"sigma_u = {sigma_u}; raise sigma_u, so that the layer below fires, or check the "
                f"batch"
            )
        factor = approach.factor(sigma_u / spread)
        for weight in weights:
            weight.mul_(factor)
    raise Unreachable(
        f"{name}: sigma_u = {sigma_u} is not reached within {ROUNDS} rounds ({spread:.3g}); raise "
        f"alpha or lower sigma_u"
    )


def _spread(
    name: str, neuron: nn.Module, response: Response, simulate: Callable[[], object]
) -> float:
    currents: list[Tensor] = []
    feedback: dict[int, Tensor] = {}  # of each step: snnTorch asks for it more than once
    hooks = [neuron.register_forward_pre_hook(lambda _, inputs: currents.append(inputs[0]))]
    if isinstance(recurrent := getattr(neuron, "recurrent", None), nn.Module):
        hooks.append(
            recurrent.register_forward_hook(
                lambda _, inputs, out: feedback.update({len(currents): out})
            )
        )
    try:
        simulate()
    finally:
        for hook in hooks:
            hook.remove()
    if not currents:
        raise Unreachable(f"{name} is not called when the batch is simulated; check `simulate`")
    current = _over_time(currents, neuron)
    if feedback:
        current = current + _over_time(list(feedback.values()), neuron)
    kernel = response.kernel[: len(current)].reshape(-1, *(1,) * (current.ndim - 1))
    potential = oaconvolve(current, kernel, axes=0)[: len(current)]
    return float(np.sqrt(potential.var(0).mean())) / response.theta


def _over_time(calls: list[Tensor], neuron: nn.Module) -> np.ndarray:
    """[T, ...] from one call with all steps, or from one call per step."""
    steps = calls[0] if len(calls) == 1 else torch.stack(calls)
    if len(calls) == 1 and library(neuron) == "sinabs":  # [B, T, ...], or both in one axis
        if hasattr(neuron, "num_timesteps"):
            steps = steps.unflatten(0, (neuron.batch_size, neuron.num_timesteps))
        steps = steps.swapaxes(0, 1)
    return steps.detach().cpu().numpy()
