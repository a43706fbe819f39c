"""Which weights of a network of another library reach which neuron."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from fdi.interop.neurons import library

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)
_RESHAPING = ("Identity", "Flatten", "Unflatten")
_OPAQUE = ("LinearRecurrentContainer", "ElementWiseRecurrentContainer")


@dataclass(frozen=True)
class Weights:
    """A weight tensor on its way to a neuron. `autapses`: False if a neuron's weight onto itself is
    to stay 0.
    """

    name: str
    weight: Tensor
    bias: Tensor | None = None
    recurrent: bool = False
    autapses: bool = True
    note: str = ""

    @property
    def fan_in(self) -> int:
        return self.weight[0].numel() - (not self.autapses)


Population = tuple[list[Weights], str | None, nn.Module | None, str]
"""Afferent weights with the name of their neuron, the neuron, and ""; or one layer with None, None,
and why it has no neuron.
"""


def populations(module: nn.Module) -> Iterator[Population]:
    """Of the layers and neurons of a network, in the order of registration."""
    waiting: Weights | None = None
    for name, child in _leaves(module):
        kind = type(child).__name__
        if library(child):
            own = list(_own_weights(name, child))
            if waiting and any(not w.recurrent for w in own):
                yield [waiting], None, None, f"{name} ({kind}) has input weights of its own"
            elif waiting:
                own.insert(0, waiting)
            if own:
                yield own, name, child, ""
            waiting = None
        elif isinstance(child, _LAYERS):
            if waiting:
                yield [waiting], None, None, f"{name} ({kind}) follows, not a neuron"
            waiting = Weights(name, child.weight, child.bias)
        elif waiting and ("Pool" in kind or "Dropout" in kind):
            waiting = replace(waiting, note=f"the theory does not count {name} ({kind})")
        elif waiting and "Norm" in kind:
            reason = f"{name} ({kind}) follows, which sets the spread of the potential by itself"
            warnings.warn(f"fdi.interop: {waiting.name} is not changed: {reason}", stacklevel=4)
            yield [waiting], None, None, reason
            waiting = None
        elif waiting and kind not in _RESHAPING:
            yield [waiting], None, None, f"{name} ({kind}) follows, not a neuron"
            waiting = None
    if waiting:
        yield [waiting], None, None, "no neuron follows"


def _leaves(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Layers, neurons and other modules that are not just containers of such, in the order of
    registration.
    """
    children = list(module.named_children())
    if (
        not children
        or library(module)
        or isinstance(module, _LAYERS)
        or type(module).__name__ in _OPAQUE
    ):
        yield name, module
        return
    for child_name, child in children:
        yield from _leaves(child, f"{name}.{child_name}" if name else child_name)


def _own_weights(name: str, neuron: Any) -> Iterator[Weights]:
    """Weights inside a neuron: `recurrent` in snnTorch, `input_weights` and `recurrent_weights` in
    Norse.
    """
    layer = getattr(neuron, "recurrent", None)
    if isinstance(layer, _LAYERS):
        yield Weights(f"{name}.recurrent", layer.weight, layer.bias, recurrent=True)
    if hasattr(neuron, "recurrent_weights"):
        yield Weights(f"{name}.input_weights", neuron.input_weights)
        yield Weights(
            f"{name}.recurrent_weights",
            neuron.recurrent_weights,
            recurrent=True,
            autapses=neuron.autapses,
        )
