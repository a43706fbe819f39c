"""Synaptic currents of one or two channels."""

from __future__ import annotations

from typing import NamedTuple

from fdi.engine.cpu.kernels.simd import load, store
from fdi.engine.cpu.neuron.equations import receives, sends_back
from fdi.snn.neuron import Neuron


class One(NamedTuple):
    """`gain`: sign (1 - beta_m)."""

    gain: float
    beta_s: float


class Two(NamedTuple):
    gain_0: float
    gain_1: float
    beta_0: float
    beta_1: float


def constants(n: Neuron, dt: float) -> One | Two:
    beta_m, betas = n.decays(dt)
    gains = [sign * (1 - beta_m) for sign in n.signs]
    return (One if len(betas) == 1 else Two)(*gains, *betas)


@receives(One)
def receive_one(n, currents, at, pace):
    i = load(currents, (at,))
    store(currents, (at,), n.beta_s * i)
    return n.gain * i


@sends_back(One)
def send_back_one(n, gd, g, now, later, pace):
    store(g, (now,), n.beta_s * load(g, (later,)) + n.gain * gd)


@receives(Two)
def receive_two(n, currents, at, pace):
    i_0, i_1 = load(currents, (at,)), load(currents, (at + pace,))
    store(currents, (at,), n.beta_0 * i_0)
    store(currents, (at + pace,), n.beta_1 * i_1)
    return n.gain_0 * i_0 + n.gain_1 * i_1


@sends_back(Two)
def send_back_two(n, gd, g, now, later, pace):
    store(g, (now,), n.beta_0 * load(g, (later,)) + n.gain_0 * gd)
    store(g, (now + pace,), n.beta_1 * load(g, (later + pace,)) + n.gain_1 * gd)
