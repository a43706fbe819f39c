"""The surrogate derivatives dS/dU by name: functions of V = U - theta (a tensor) and of their
steepness beta, whose default is the published one.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

Derivative = Callable[..., Any]
SURROGATES: dict[str, Derivative] = {}


def surrogate(function: Derivative) -> Derivative:
    """A decorator that makes a function known by its name."""
    SURROGATES[function.__name__] = function
    return function


def steepness(name: str) -> float:
    """The published beta of a surrogate; 1 where there is none."""
    beta = inspect.signature(SURROGATES[name]).parameters["beta"].default
    return 1.0 if beta is inspect.Parameter.empty else beta


@surrogate
def superspike(v, beta=20.0):
    """1 / (beta |V| + 1)^2 (Zenke & Ganguli 2018; beta: Rossbroich et al. 2022, authors' code)."""
    return 1 / (beta * v.abs() + 1.0) ** 2


@surrogate
def triangle(v, beta=1.0):
    """max(0, 1 - beta |V|) (Esser et al. 2016, Bellec et al. 2018)."""
    return (1 - beta * v.abs()).clamp(min=0)


@surrogate
def sigmoid(v, beta=10.0):
    """beta s (1 - s), s = 1 / (1 + exp(-beta V)) (Zenke & Vogels 2021)."""
    return beta * (beta * v).sigmoid() * (-beta * v).sigmoid()


@surrogate
def gaussian(v, beta=2.0):
    """beta / sqrt(2 pi) exp(-(beta V)^2 / 2) (Yin et al. 2021)."""
    return beta / math.sqrt(2 * math.pi) * (-0.5 * (beta * v) ** 2).exp()


@surrogate
def boxcar(v, beta=1.0):
    """beta where |V| <= 1 / (2 beta), else 0 (Wu et al. 2018, Kaiser et al. 2020)."""
    return (beta * v.abs() <= 0.5).to(v.dtype) * beta


@surrogate
def arctan(v, beta=2.0):
    """beta / 2 / (1 + (pi beta V / 2)^2) (Fang et al. 2021)."""
    return beta / 2 / (1 + (math.pi / 2 * beta * v) ** 2)
