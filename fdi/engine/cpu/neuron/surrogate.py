"""The surrogate derivatives of fdi.snn.surrogate."""

from __future__ import annotations

import math
from typing import NamedTuple

from fdi.engine.cpu.kernels.simd import absolute, exp, like, select
from fdi.engine.cpu.neuron.equations import slopes
from fdi.snn.neuron import Neuron


class SuperSpike(NamedTuple):
    beta: float


class Triangle(NamedTuple):
    beta: float


class Sigmoid(NamedTuple):
    beta: float


class Gaussian(NamedTuple):
    """`peak`: beta / sqrt(2 pi)."""

    beta: float
    peak: float


class Boxcar(NamedTuple):
    beta: float


class Arctan(NamedTuple):
    """`peak`: beta / 2; `width`: pi beta / 2."""

    peak: float
    width: float


SURROGATES = {
    "superspike": SuperSpike,
    "triangle": Triangle,
    "sigmoid": Sigmoid,
    "gaussian": lambda beta: Gaussian(beta, beta / math.sqrt(2 * math.pi)),
    "boxcar": Boxcar,
    "arctan": lambda beta: Arctan(beta / 2, math.pi / 2 * beta),
}


def constants(n: Neuron, dt: float) -> tuple:
    return SURROGATES[n.surrogate](n.beta)


@slopes(SuperSpike)
def superspike(n, v):
    x = n.beta * absolute(v) + like(v, 1)
    return like(v, 1) / (x * x)


@slopes(Triangle)
def triangle(n, v):
    x = like(v, 1) - n.beta * absolute(v)
    return select(x > like(v, 0), x, like(v, 0))


@slopes(Sigmoid)
def sigmoid(n, v):
    x = exp(like(v, 0) - n.beta * absolute(v))
    y = like(v, 1) + x
    return n.beta * x / (y * y)


@slopes(Gaussian)
def gaussian(n, v):
    x = n.beta * v
    return n.peak * exp(like(v, 0) - x * x / like(v, 2))


@slopes(Boxcar)
def boxcar(n, v):
    x = n.beta * absolute(v)
    return select(x + x > like(v, 1), like(v, 0), n.beta)


@slopes(Arctan)
def arctan(n, v):
    x = n.width * v
    return n.peak / (like(v, 1) + x * x)
