"""The surrogate derivatives dS/dU by name: functions of V = U - theta (a tensor) and of their
steepness beta, whose default is the published one.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Derivative = Callable[..., "Tensor"]
SURROGATES: dict[str, Derivative] = {}


def surrogate(function: Derivative) -> Derivative:
    """Decorator: make a function known by its name."""
    SURROGATES[function.__name__] = function
    return function


def derivative_named(name: str) -> Derivative:
    """The surrogate derivative of this name; a dotted one is of a function of the user's own, in a
    module that Python finds.
    """
    if name in SURROGATES:
        return SURROGATES[name]
    module, _, function = name.rpartition(".")
    return getattr(import_module(module), function)


def steepness(name: str) -> float:
    """The published beta of a surrogate; 1 where there is none."""
    if name not in SURROGATES and "." not in name:  # fdi.snn.neuron refuses it
        return 1.0
    beta = inspect.signature(derivative_named(name)).parameters["beta"].default
    return 1.0 if beta is inspect.Parameter.empty else beta


@surrogate
def superspike(v: Tensor, beta: float = 20.0) -> Tensor:
    """1 / (beta |V| + 1)^2 (Zenke & Ganguli 2018; beta: Rossbroich et al. 2022, authors' code)."""
    return 1 / (beta * v.abs() + 1.0) ** 2


@surrogate
def triangle(v: Tensor, beta: float = 1.0) -> Tensor:
    """max(0, 1 - beta |V|) (Esser et al. 2016, Bellec et al. 2018)."""
    return (1 - beta * v.abs()).clamp(min=0)


@surrogate
def sigmoid(v: Tensor, beta: float = 10.0) -> Tensor:
    """beta s (1 - s), s = 1 / (1 + exp(-beta V)) (Zenke & Vogels 2021)."""
    return beta * (beta * v).sigmoid() * (-beta * v).sigmoid()


@surrogate
def gaussian(v: Tensor, beta: float = 2.0) -> Tensor:
    """beta / sqrt(2 pi) exp(-(beta V)^2 / 2) (Yin et al. 2021)."""
    return beta / math.sqrt(2 * math.pi) * (-0.5 * (beta * v) ** 2).exp()


@surrogate
def boxcar(v: Tensor, beta: float = 1.0) -> Tensor:
    """beta where |V| <= 1 / (2 beta), else 0 (Wu et al. 2018, Kaiser et al. 2020)."""
    return (beta * v.abs() <= 0.5).to(v.dtype) * beta


@surrogate
def arctan(v: Tensor, beta: float = 2.0) -> Tensor:
    """beta / 2 / (1 + (pi beta V / 2)^2) (Fang et al. 2021)."""
    return beta / 2 / (1 + (math.pi / 2 * beta * v) ** 2)
