"""The surrogate derivatives of fdi.snn.neuron.SLOPES."""

from __future__ import annotations

from typing import NamedTuple

from fdi.snn.engine.cpu.kernels.simd import absolute, exp, like, select
from fdi.snn.engine.cpu.neuron.equations import slopes
from fdi.snn.neuron import Neuron


class SuperSpike(NamedTuple):
    beta: float


class Triangle(NamedTuple):
    beta: float


class Sigmoid(NamedTuple):
    beta: float


class Boxcar(NamedTuple):
    beta: float


SURROGATES = {
    "superspike": SuperSpike,
    "triangle": Triangle,
    "sigmoid": Sigmoid,
    "boxcar": Boxcar,
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


@slopes(Boxcar)
def boxcar(n, v):
    x = n.beta * absolute(v)
    return select(x + x > like(v, 1), like(v, 0), n.beta)
