"""A network as the engine computes it: maps from the input up to the last convolution, if it has
any, and dense layers above them; and what is kept for it between calls. Its input comes as sparse
events, or as dense values whose current torch computes for the whole batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from queue import Empty, SimpleQueue
from typing import Any, Literal, NamedTuple
from weakref import finalize, ref

import numpy as np
import torch

from fdi.data.inputs import Constant, Frames, Input
from fdi.engine.checks import check_parts, refused
from fdi.engine.cpu import conv_layout, dense_layout, norm
from fdi.engine.cpu.conv_plan import map_layers
from fdi.engine.cpu.dense_layout import Parameters
from fdi.engine.cpu.frames import listed
from fdi.engine.cpu.loss import LossTerms, loss_terms
from fdi.engine.cpu.memory import KEPT, PASSED, Gradient, Tables, Work, allocate, size
from fdi.engine.cpu.neurons import (
    COMPUTES,
    DifferentNeurons,
    Layers,
    Neurons,
    as_learned,
    in_numbers,
    kind,
    remembered,
)
from fdi.snn.network import Network
from fdi.snn.objective import Objective


class Signal(NamedTuple):
    """`indptr` [B T + 1], `units` and `counts` as in Events, and `values` [B, 0, 1 or T, input
    units]: what is not sparse.
    """

    indptr: np.ndarray
    units: np.ndarray
    counts: np.ndarray
    values: np.ndarray


def signal(
    network: Network, inputs: Input, dtype: np.dtype, dense_from: float, whole: bool
) -> Signal:
    """The input as a Signal with the precision of the weights.

    `dense_from`: share of non-zero numbers from which frames are kept as they are; all are if they
    are kept `whole`.
    """
    size, batch, steps = math.prod(network.input_shape), len(inputs), inputs.steps
    if isinstance(inputs, Constant):
        return _silent(batch, steps, inputs.image(dtype.type).reshape(batch, 1, size))
    if isinstance(inputs, Frames):
        values = inputs.values.reshape(batch, steps, size)
        lists = None if whole else listed(values, dtype, dense_from)
        if lists is None:
            return _silent(batch, steps, values.astype(dtype, "C"))
        return Signal(*lists, np.empty((batch, 0, size), dtype))
    units = np.require(inputs.units, np.int32, ("C", "W"))
    counts = (
        np.empty(0, dtype)
        if inputs.counts is None
        else np.require(inputs.counts, dtype, ("C", "W"))
    )
    return Signal(
        np.require(inputs.indptr, np.int64, ("C", "W")),
        units,
        counts,
        np.empty((batch, 0, size), dtype),
    )


def _silent(batch: int, steps: int, values: np.ndarray) -> Signal:
    return Signal(
        np.zeros(batch * steps + 1, dtype=np.int64),
        np.empty(0, dtype=np.int32),
        np.empty(0, values.dtype),
        values,
    )


_DENSE_FROM = 0.45
"""Share of non-zero numbers from which frames are kept dense, see `signal`; maps: never."""

_FEWEST, _MOST = 8, 32
"""Chunks that a batch with enough samples is cut into, so that threads have something to share."""

_WORTH = 64
"""How often the events of a chunk must touch each number of the first layer's weights for a table
of gradients of its own, which is cleared and added.
"""


def structure(network: Network) -> tuple[Any, ...]:
    """What a Program is made from; with another one it is another network."""
    links, norms = tuple(network.projections), tuple(network.norms.items())
    leaks, options = tuple(network.leaks.keys()), (tuple(network.biases.keys()), network.dropout)
    parts = network.input_shape, network.dt, network.delay, tuple(network.layers), network.readout
    return (*parts, links, norms, leaks, options)


class Program:
    """Where weights, gradients and scratch memory of a network lie. Raises ValueError, one line,
    for a network that these kernels do not compute.
    """

    def __init__(self, network: Network) -> None:
        check_parts(network, COMPUTES)
        first, *others = (kind(p.neuron, network.dt) for layer in network.layers for p in layer)
        if any(
            type(a) is not type(b)
            for other in others
            for a, b in zip((first, *first), (other, *other))
        ):
            what = "hidden layers of one kind of neuron, reset and surrogate"
            raise refused("cpu", f"computes {what}, of which all or none learn tau_mem")
        if map_layers(network) and remembered(network):
            what = "neurons whose threshold adapts in fully connected layers only"
            raise refused("cpu", f"computes {what}")
        self._network, self.structure = ref(network), structure(network)
        self.maps = conv_layout.lay_out(network) if map_layers(network) else None
        self.layout = dense_layout.lay_out(network, self.maps)
        self.places = norm.normed_layers(network, self.layout, self.maps)
        self.block = 1 if self.maps or self.places else dense_layout.BLOCK
        self.dense_from = math.inf if self.maps else _DENSE_FROM
        self._names = {p: f"projections.{i}.weight" for i, p in enumerate(network.projections)}
        self._neurons: tuple = (), None
        self._loss: tuple = (), None

    @property
    def network(self) -> Network:
        """Kept by who computes it, not here: engines live longer than networks."""
        network = self._network()
        assert network is not None
        return network

    def shapes(self, steps: int, span: int, gradients: bool) -> dict[str, tuple[int, ...]]:
        """The shape of each part of the scratch memory."""
        block = self.in_step(steps, span, gradients)
        parts = dense_layout.shapes(self.layout.plan, steps, span, gradients, block)
        if self.maps:
            parts |= conv_layout.shapes(self.maps.plan, steps, span, gradients)
        return parts | self._of_turns(steps, gradients) if self.places else parts

    def in_step(self, steps: int, span: int, gradients: bool) -> int:
        """Samples of a block. With windows of time no more than `block`, for the same sums."""
        if self.block == 1 or not gradients or span < steps:
            return self.block
        layers = self.layout.plan.layers[:-1]
        recurrent = (layers["units"] - layers["recurrent_from"]) * layers["width"]
        return self.block * (2 if recurrent.max() >= dense_layout.WIDE else 1)

    def _of_turns(self, steps: int, gradients: bool) -> dict[str, tuple[int, ...]]:
        """What differs where layers take turns: scratch memory is that of one layer.

        `received`: X of each layer, of one at a time without gradients; `spread`: mean and 1 /
        sqrt(var + eps) of layer norm in each step, and of the layer that goes back the means a and
        b; `back`: gI of one layer; `sums` of channels.
        """
        sizes, widest = [p.places * p.width for p in self.places], max(p.width for p in self.places)
        longest, rest = max(sizes), max(0, steps - 2)
        parts: dict[str, tuple[int, ...]] = dict(
            received=(rest * (sum(sizes) if gradients else longest),),
            spread=(2 * rest * (len(sizes) + 1),),
            back=((steps + 1) * longest * gradients,),
            sums=(2 * widest,),
            saved=(0,), adjoints=(0,),
        )  # fmt: skip
        if self.maps:
            layers, states = self.maps.plan.layers, self.maps.plan.states
            size, pooled = int(layers["size"].max()), int(layers["pooled"].max())
            ring = int((np.maximum(layers["ring"], 2) * layers["guarded"]).max())
            parts |= dict(
                map_potentials=((steps + 1) * size,),
                above=(steps * pooled * gradients,),
                map_adjoints=(ring * gradients,),
                map_gu=((1 + states) * size * gradients,),
                map_saved=(0,),
            )  # fmt: skip
        return parts

    def chunk(self, batch: int, events: float) -> int:
        """Samples of a chunk of a batch with so many events; threads have no say."""
        few, many = -(-batch // _FEWEST), -(-batch // _MOST)
        if self.maps:  # a map costs more than its gradients
            return max(1, min(few, max(4, many)))
        if not events:
            return max(self.block, few)
        touched = events / batch * int(self.layout.plan.layers["width"][0])
        least = max(many, _WORTH * self.layout.table_size / touched)
        return max(self.block, min(few, math.ceil(least / self.block) * self.block))

    def parameters(self, dtype: torch.dtype) -> Parameters:
        """The neurons and weights as they are now."""
        size, extent = self.layout.table_size, max(1, self.layout.natural_size)
        tables, natural = torch.zeros(size, dtype=dtype), torch.zeros(extent, dtype=dtype)
        if self.maps:
            conv_layout.pack(self.maps, tables, natural)
        flat, turned = tables.numpy(), natural.numpy()
        dense_layout.pack(self.layout, flat, turned)
        return Parameters(self.layout.plan, *self.neurons(flat.dtype), flat, turned)

    def neurons(
        self, dtype: np.dtype
    ) -> tuple[Neurons | DifferentNeurons, Neurons | DifferentNeurons]:
        """Those of the dense layers and those of the maps as they are now (twice the same if there
        is one kind of layer), counted again only where that is news.
        """
        network = self.network
        layers, readout, dt = as_learned(network), network.readout.neuron, network.dt
        if self._neurons[0] != (now := (dtype, dt, layers, readout)):
            maps = list(self.maps.plan.layers["padded"]) if self.maps else []
            widths, n = [*maps, *self.layout.plan.layers["width"][:-1]], len(maps)
            parts = [
                in_numbers(layers[i:j], widths[i:j], readout, dt, dtype)
                for i, j in ((n, len(layers)), (0, n))
                if i < j
            ]
            self._neurons = now, (parts[0], parts[-1])
        return self._neurons[1]

    def loss(self, objective: Objective, samples: int, dtype: np.dtype) -> LossTerms:
        """The objective in numbers, counted again only where that is news."""
        if self._loss[0] != (now := (objective, samples, dtype)):
            self._loss = now, loss_terms(objective, self.network, samples, dtype)
        return self._loss[1]

    def drive(self, values: np.ndarray, tables: np.ndarray) -> np.ndarray:
        """The dense current of the first layer that `values` cause."""
        if self.maps:
            return conv_layout.drive(self.maps, values, tables)
        return dense_layout.drive(self.layout, values, tables)

    def gradients(
        self, layers: Layers, tables: np.ndarray, values: np.ndarray, d_current: np.ndarray
    ) -> Iterator[Gradient]:
        """Those of all weights and leaks, from gradients laid out like the tables, and of `drive`;
        `layers`: `as_learned` in the forward pass.
        """
        if values.size and self.maps:
            conv_layout.drive_gradient(self.maps, values, d_current, tables)
        elif values.size:
            dense_layout.drive_gradient(self.layout, values, d_current, tables)
        unpacked = [dense_layout.unpack(self.layout, tables)]
        if self.maps:
            unpacked.append(conv_layout.unpack(self.maps, torch.from_numpy(tables)))
        for projection, gradient in chain(*unpacked):
            yield Gradient(self._names[projection], projection.weight, gradient)
        yield from self._of_leaks(layers, tables)

    def _of_leaks(self, layers: Layers, tables: np.ndarray) -> Iterator[Gradient]:
        """Of what is learned of tau_mem, see neuron_equations.learn."""
        if not self.network.leaks:
            return
        maps = list(self.maps.plan.layers["learned_at"]) if self.maps else []
        starts = [*maps, *self.layout.plan.layers["learned_at"][:-1]]
        for layer, at in zip(layers, starts):
            for p in layer if at >= 0 else ():
                total = tables[at : at + p.shape[0]].sum(dtype=np.float64)
                beta_m, _ = p.neuron.decays(self.network.dt)
                leak, at = self.network.leaks[p.name], at + p.shape[0]
                yield Gradient(f"leaks.{p.name}", leak, leak.new_tensor(beta_m * total))


_KINDS = 8
"""Kinds of scratch memory that wait to be handed out again."""


class Memory:
    """Memory that was touched before is faster than fresh memory, so it is handed out again."""

    def __init__(self, network: Network) -> None:
        self.program = Program(network)
        self._free: dict[tuple, SimpleQueue[Work]] = {}
        self._tables: dict[np.dtype, Tables] = {}
        self._size: tuple[tuple | None, int] = None, 0

    def span(
        self,
        steps: int,
        dtype: np.dtype,
        threads: int,
        windows: int | Literal["auto"],
        memory: float,
    ) -> int:
        """Steps of a window of time; see CpuEngine. ValueError if no number of windows fits into
        `memory` GiB.
        """
        if windows != "auto":
            return -(-steps // windows)
        spans = sorted({-(-steps // n) for n in range(1, steps + 1)}, reverse=True)
        gib = {
            span: threads * size(self.program.shapes(steps, span, True), dtype) / 2**30
            for span in spans
        }
        span = next((span for span in spans if gib[span] <= memory), None)
        if span is None:
            raise ValueError(
                f"{steps} steps of this network need {min(gib.values()):.3g} GiB with {threads} "
                f"threads, more than engine.memory = "
                f"{memory:g} GiB; raise engine.memory, or lower threads"
            )
        return span

    def check(self, steps: int, dtype: np.dtype, batch: int, chunk: int, memory: float) -> None:
        """ValueError if a training step of a `batch` whose layers take turns does not fit into
        `memory` GiB.
        """
        chunks, shapes = -(-batch // chunk), self.program.shapes(steps, steps, True)
        gib = chunks * size(shapes, dtype, chunk) / 2**30
        if gib > memory:
            raise ValueError(
                f"a batch of {batch} samples of this network with normalization needs {gib:.3g} "
                f"GiB, more than engine.memory = {memory:g} GiB; raise engine.memory, or lower "
                f"trainer.batch_size"
            )

    @contextmanager
    def work(
        self, steps: int, span: int, gradients: bool, dtype: np.dtype, samples: int = 1
    ) -> Iterator[Work]:
        """Scratch memory that nobody else uses meanwhile, for trials of `steps` in windows of
        `span`, with or without a backward pass, and for all `samples` of a chunk at once if layers
        take turns.
        """
        samples = samples if self.program.places else 1
        work, free = self._take(steps, span, gradients, dtype, samples, KEPT)
        try:
            yield work
        finally:
            free.put(work)

    def keep(
        self,
        owner: object,
        steps: int,
        span: int,
        dtype: np.dtype,
        chunk: int,
        group: int,
        groups: int,
        gib: float,
    ) -> tuple[Work, ...]:
        """Memory for each of the `groups` of so many chunks that has what their blocks, or samples
        if layers take turns, leave for the backward pass, as long as its `owner` lives; none if
        that is more than `gib` GiB.
        """
        parts: tuple[str, ...] = KEPT
        some = chunk
        if not self.program.places:
            parts, some = PASSED, group * -(-chunk // self.program.in_step(steps, span, True))
        wanted = steps, span, True, dtype, some, parts
        known, extent = self._size
        if known != wanted:
            extent = size(self.program.shapes(steps, span, True), dtype, some, parts)
            self._size = wanted, extent
        if groups * extent > gib * 2**30:
            return ()
        given = [self._take(*wanted) for _ in range(groups)]
        for work, free in given:
            finalize(owner, free.put, work)
        return tuple(work for work, _ in given)

    def _take(
        self,
        steps: int,
        span: int,
        gradients: bool,
        dtype: np.dtype,
        samples: int,
        kept: tuple[str, ...],
    ) -> tuple[Work, SimpleQueue[Work]]:
        """Memory, and where it goes when it is not needed any more."""
        key = steps, span, gradients, dtype, samples, kept
        free = self._free.setdefault(key, SimpleQueue())
        if len(self._free) > _KINDS:  # trials of many lengths, of which this may be the last
            self._free.pop(next(iter(self._free)), None)
        try:
            return free.get_nowait(), free
        except Empty:
            shapes = self.program.shapes(steps, span, gradients)
            windows = -(-steps // span) if gradients else 1
            block = self.program.in_step(steps, span, gradients)
            extents = dict(steps=steps, span=span, windows=windows, block=block)
            extents |= dict(gradual=gradients, later=kept == PASSED)
            return allocate(shapes, dtype, samples, kept, **extents), free

    def tables(self, dtype: np.dtype) -> Tables:
        """Tables of gradients, each of the size of the network's."""
        if dtype not in self._tables:
            self._tables[dtype] = Tables(self.program.layout.table_size, dtype)
        return self._tables[dtype]
