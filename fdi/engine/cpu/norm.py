"""Normalization of what arrives at a layer: X' = gain (X - mean) / sqrt(var + eps) + bias.

Kernels see X of one sample and step at a time, [places, width]: one place and padded units of a
dense layer, or the places of a map and its padded channels. Mean and variance over a batch come
from those of its chunks, so that no thread waits for another while it computes: see batch.Turns.

gX = (gain gX' - a - Xhat b) / sqrt(var + eps) with Xhat = (X - mean) / sqrt(var + eps), where a
and b are the means of gain gX' and of gain gX' Xhat over all that share the statistics.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from fdi.config import Mistake
from fdi.engine.checks import refused
from fdi.engine.cpu.conv_plan import ConvLayout
from fdi.engine.cpu.dense_layout import Layout
from fdi.engine.cpu.kernels.jit import inlined, jit
from fdi.engine.cpu.kernels.simd import Vector, entry, fill, lanes, like, load, store
from fdi.engine.cpu.memory import Gradient
from fdi.snn.network import EPS, Network, Norm

if TYPE_CHECKING:
    from fdi.engine.cpu.memory import Work

NONE, TDBN, BNTT, LAYER = range(4)
KINDS = {"tdbn": TDBN, "bntt": BNTT, "layer": LAYER}
MEAN, INVERSE, GAIN, BIAS, A, B = range(6)  # 1 / sqrt(var + eps) is INVERSE


class Normal(NamedTuple):
    """The normalization of the hidden layer number `layer`; NONE passes X on as it is.

    `received_at`: numbers of one step before those of the layer. Of the numbers that share
    statistics, a channel has `by_step` in a step before the next, and `by_sample` in a sample.
    `rows` [1 or steps of bntt, 6, width]: what the names above say, of layer norm only GAIN and
    BIAS. `notes` [chunks, 1 or steps, 2, width]: mean and sum of squared deviations of X, or going
    back sums of gX' and of gX' Xhat.
    """

    layer: int
    kind: int
    places: int
    width: int
    channels: int
    received_at: int
    by_step: int
    by_sample: int
    rows: np.ndarray
    notes: np.ndarray


@inlined
def _row(normal: Normal, t: int) -> int:
    return t if normal.kind == BNTT else 0


@inlined
def _own(normal: Normal, layer: int, t: int, work: Work) -> int:
    """Where layer norm keeps two numbers of a sample for step t of a `layer`."""
    w = work.at[0]
    return w.spread + 2 * (layer * (w.steps - 2) + t)


@inlined
def _statistics(
    normal: Normal, t: int, own: int, numbers: np.ndarray, j: int
) -> tuple[Vector, Vector]:
    """(mean, 1 / sqrt(var + eps)) of the channels from j on in step t."""
    row = _row(normal, t)
    mean, inverse = load(normal.rows, (row, MEAN, j)), load(normal.rows, (row, INVERSE, j))
    if normal.kind == LAYER:
        mean, inverse = fill(entry(numbers, own)), fill(entry(numbers, own + 1))
    return mean, inverse


@inlined
def _total(normal: Normal, numbers: np.ndarray, at: int) -> float:
    """Sum over the channels in a row of numbers."""
    total = numbers[at] - numbers[at]
    for c in range(normal.channels):
        total += numbers[at + c]
    return total


@jit
def note(normal: Normal, chunk: int, before: int, t: int, x: int, work: Work) -> None:
    """Takes X of step t at `x` into the statistics of its chunk, which are those of `before`
    numbers so far, by the update of Chan et al. (1979); or of the sample, by layer norm.
    """
    numbers, width, places, scratch = work.numbers, normal.width, normal.places, work.at[0].sums
    row, real = _row(normal, t), numbers.dtype.type
    if normal.kind == TDBN or normal.kind == BNTT:
        share = real(places / (before + places))
        n, part, weight = fill(real(places)), fill(share), fill(real(before) * share)
        for j in range(0, width, lanes(numbers)):
            mean = like(n, 0)
            for i in range(x + j, x + j + places * width, width):
                mean = mean + load(numbers, (i,))
            mean, spread = mean / n, like(n, 0)
            for i in range(x + j, x + j + places * width, width):
                rest = load(numbers, (i,)) - mean
                spread = spread + rest * rest
            old = load(normal.notes, (chunk, row, 0, j))
            step = mean - old
            store(normal.notes, (chunk, row, 0, j), old + step * part)
            spread = load(normal.notes, (chunk, row, 1, j)) + spread + step * step * weight
            store(normal.notes, (chunk, row, 1, j), spread)
    elif normal.kind == LAYER:
        count, own = real(places * normal.channels), _own(normal, normal.layer, t, work)
        _sum_deviations(normal, numbers, x, real(0), False, scratch)
        numbers[own] = _total(normal, numbers, scratch) / count
        _sum_deviations(normal, numbers, x, numbers[own], True, scratch)
        var = _total(normal, numbers, scratch) / count
        numbers[own + 1] = real(1) / real(math.sqrt(var + real(EPS)))


@inlined
def _sum_deviations(
    normal: Normal, numbers: np.ndarray, x: int, mean: float, squared: bool, to: int
) -> None:
    """numbers[to ...] = sum of X - mean over the places, or of its square, for each channel."""
    width, middle = normal.width, fill(mean)
    for j in range(0, width, lanes(numbers)):
        total = like(middle, 0)
        for i in range(x + j, x + j + normal.places * width, width):
            rest = load(numbers, (i,)) - middle
            total = total + (rest * rest if squared else rest)
        store(numbers, (to + j,), total)


@inlined
def add_normalized(normal: Normal, t: int, x: int, to: int, places: int, work: Work) -> None:
    """numbers[to ...] += X' of step t of so many places that follow each other."""
    numbers, width, own = work.numbers, normal.width, _own(normal, normal.layer, t, work)
    row = _row(normal, t)
    for j in range(0, width, lanes(numbers)):
        mean, inverse = _statistics(normal, t, own, numbers, j)
        gain, bias = load(normal.rows, (row, GAIN, j)), load(normal.rows, (row, BIAS, j))
        for i in range(j, j + places * width, width):
            hat = (load(numbers, (x + i,)) - mean) * inverse
            store(numbers, (to + i,), load(numbers, (to + i,)) + (gain * hat + bias))


@jit
def note_back(normal: Normal, layers: int, chunk: int, t: int, x: int, g: int, work: Work) -> None:
    """Takes gX' of step t at `g`, for X at `x`, into the sums of its chunk; layer norm keeps a and
    b of the sample, behind what it keeps of the hidden `layers`.
    """
    numbers, width, sums = work.numbers, normal.width, work.at[0].sums
    row, own = _row(normal, t), _own(normal, normal.layer, t, work)
    if normal.kind == NONE:
        return
    for j in range(0, width, lanes(numbers)):
        mean, inverse = _statistics(normal, t, own, numbers, j)
        plain, weighted = like(mean, 0), like(mean, 0)
        for i in range(j, j + normal.places * width, width):
            back = load(numbers, (g + i,))
            plain = plain + back
            weighted = weighted + back * ((load(numbers, (x + i,)) - mean) * inverse)
        to, gain = (chunk, row, 0, j), load(normal.rows, (row, GAIN, j))
        store(normal.notes, to, load(normal.notes, to) + plain)
        to = (chunk, row, 1, j)
        store(normal.notes, to, load(normal.notes, to) + weighted)
        store(numbers, (sums + j,), gain * plain)
        store(numbers, (sums + width + j,), gain * weighted)
    if normal.kind == LAYER:
        count = numbers.dtype.type(normal.places * normal.channels)
        behind = _own(normal, layers, t, work)
        numbers[behind] = _total(normal, numbers, sums) / count
        numbers[behind + 1] = _total(normal, numbers, sums + width) / count


@jit
def through_norm(normal: Normal, layers: int, t: int, x: int, g: int, work: Work) -> None:
    """X of step t at `x` becomes gX, for gX' at `g`."""
    numbers, width, row = work.numbers, normal.width, _row(normal, t)
    own, behind = _own(normal, normal.layer, t, work), _own(normal, layers, t, work)
    for j in range(0, width, lanes(numbers)):
        mean, inverse = _statistics(normal, t, own, numbers, j)
        gain = load(normal.rows, (row, GAIN, j))
        a, b = load(normal.rows, (row, A, j)), load(normal.rows, (row, B, j))
        if normal.kind == LAYER:
            a, b = fill(entry(numbers, behind)), fill(entry(numbers, behind + 1))
        for i in range(j, j + normal.places * width, width):
            hat = (load(numbers, (x + i,)) - mean) * inverse
            back = gain * load(numbers, (g + i,)) - a - hat * b
            store(numbers, (x + i,), inverse * back)


class Normed(NamedTuple):
    """A hidden layer, with its norm if it has one, as a batch finds it; see Normal."""

    name: str
    norm: Norm | None
    places: int
    width: int
    channels: int

    def check(self, steps: int, batch: int, learn: bool) -> None:
        """ValueError for a trial, or a batch, that the norm has no gain or no variance for."""
        if self.norm is not None and steps > 0:
            self.norm.check_steps(steps)
            if learn:
                self.norm.check(batch)
            if self.norm.kind == "tdbn" and steps * batch * self.places == 1:
                raise Mistake("model.norm=tdbn: one sample of one step has no variance")

    def normal(self, layer: int, at: int, steps: int, chunks: int, dtype: np.dtype) -> Normal:
        """Before X is known."""
        kind = KINDS[self.norm.kind] if self.norm else NONE
        own = steps if kind == BNTT else 1
        rows = np.zeros((own, 6, self.width), dtype)
        rows[:, [INVERSE, GAIN]] = 1
        if self.norm:
            rows[:, GAIN] = 0  # of what is padded
            rows[:, GAIN, : self.channels] = self._of_channels(self.norm.gain, own)
        if self.norm and self.norm.bias is not None:
            rows[:, BIAS, : self.channels] = self._of_channels(self.norm.bias, own)
        notes = np.zeros((chunks, own, 2, self.width), dtype)
        by_step, by_sample = self.places * (own == 1), self.places * (steps if own == 1 else 1)
        return Normal(
            layer, kind, self.places, self.width, self.channels, at, by_step, by_sample, rows, notes
        )

    def settle(self, normal: Normal, samples: np.ndarray, steps: int, learn: bool) -> bool:
        """Mean and variance of a batch from those of its chunks of so many `samples`, or the
        running ones, which follow if the network is to `learn`; `notes` are ready to go back.
        Whether they depend on the batch.
        """
        norm = self.norm
        if norm is None or normal.kind == LAYER:
            return True
        counts = samples * (self.places * (1 if normal.kind == BNTT else steps))
        means, spreads = np.moveaxis(normal.notes.astype(np.float64), 2, 0)
        total, weights = counts.sum(), counts[:, None, None]
        mean = (weights * means).sum(0) / total
        var = (spreads + weights * (means - mean) ** 2).sum(0) / total
        if learn:
            unbiased = var * (total / max(1, total - 1))
            norm.follow(self._flat(mean, norm.mean), self._flat(unbiased, norm.var))
        elif norm.batches:
            mean, var = np.zeros_like(mean), np.ones_like(var)
            mean[:, : self.channels] = self._of_channels(norm.mean, len(mean))
            var[:, : self.channels] = self._of_channels(norm.var, len(var))
        normal.rows[:, MEAN], normal.rows[:, INVERSE] = mean, 1 / np.sqrt(var + EPS)
        normal.notes[:] = 0
        return learn or not norm.batches

    def differentiate(
        self, normal: Normal, samples: int, steps: int, dependent: bool
    ) -> list[Gradient]:
        """The gradients of gain and bias from the sums of the chunks; sets a and b, if mean and
        variance are `dependent` on the batch.
        """
        if self.norm is None:
            return []
        plain, weighted = normal.notes.sum(0, dtype=np.float64).swapaxes(0, 1)
        if dependent:
            count = max(1, samples * self.places * (1 if normal.kind == BNTT else steps))
            normal.rows[:, A] = normal.rows[:, GAIN] * plain / count
            normal.rows[:, B] = normal.rows[:, GAIN] * weighted / count
        sums = {"gain": weighted, "bias": plain}
        return [
            Gradient(f"norms.{self.name}.{name}", parameter, self._flat(sums[name], parameter))
            for name, parameter in self.norm.named_parameters()
        ]

    def _of_channels(self, values: torch.Tensor, rows: int) -> np.ndarray:
        return values.detach().numpy().reshape(rows, self.channels)

    def _flat(self, rows: np.ndarray, like: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(rows[:, : self.channels].reshape(-1)).to(like.dtype)


def normed_layers(network: Network, layout: Layout, maps: ConvLayout | None) -> tuple[Normed, ...]:
    """Of each hidden layer; none of a network without normalization. ValueError for a norm of
    another class than Norm, for recurrence and for two populations in a layer.
    """
    if not network.norms:
        return ()
    for name, norm in network.norms.items():
        if type(norm) is not Norm or norm.kind not in KINDS:
            what = f"normalization ({norm.kind}, of population {name})"
            raise refused("cpu", f"does not compute {what}")
    for link in network.projections:
        if link.recurrent or link.channel:
            what = "normalization in a network with recurrence or two synaptic channels"
            raise refused("cpu", f"does not compute {what} ({link.name})")
    layers: list[Normed] = []
    norms, depth = dict(network.norms.items()), len(maps.plan.layers) if maps else 0
    for i, layer in enumerate(network.layers):
        if len(layer) > 1 or len(layer[0].neuron.tau_syn) > 1:
            what = "normalization in layers of one population with one synaptic channel"
            raise refused("cpu", f"computes {what}, not with {layer[-1].name}")
        (p,) = layer
        if maps and i < depth:
            width, channels = int(maps.plan.layers[i]["padded"]), p.shape[0]
        else:
            width, channels = int(layout.plan.layers[i - depth]["width"]), p.units
        layers.append(Normed(p.name, norms.get(p.name), p.units // channels, width, channels))
    return tuple(layers)
