"""The neurons that the engine computes, as numbers for kernels."""

from __future__ import annotations

import hashlib
from collections import namedtuple
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import replace
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np

from fdi.config import Mistake
from fdi.engine.checks import Computes, refused
from fdi.engine.cpu import neuron_equations
from fdi.engine.cpu.neuron_equations import (
    SURROGATES,
    Kind,
    Learning,
    reset_constants,
    surrogate_constants,
    synapse_constants,
)
from fdi.engine.derived import NEVER, constants_of, derived
from fdi.snn.network import Network, Norm
from fdi.snn.neuron import Neuron, Population

COMPUTES = Computes("cpu", ("zero", "subtract", "constant"), tuple(SURROGATES), norms=(Norm,))


class Neurons(NamedTuple):
    """`kind`: of all hidden neurons, for its types; `constants` [layers]: records of what it
    names, and u_init; `readout`: those of the readout.
    """

    kind: Kind
    constants: np.ndarray
    readout: np.ndarray


class DifferentNeurons(NamedTuple):
    """The same where neurons of a layer differ; `own`: what `kind` names for each, or for each
    channel of a map, a row [widths of the layers] of every constant.
    """

    kind: Kind
    constants: np.ndarray
    readout: np.ndarray
    own: np.ndarray


def states(network: Network) -> int:
    """Variables of a hidden neuron besides its potential and currents."""
    return network.hidden[0].neuron.STATES


def remembered(network: Network) -> int:
    """Variables of the state that the way back wants to see."""
    kind_of_first: Any = type(network.hidden[0].neuron)
    return derived(kind_of_first).remembered


@cache
def _dynamics(described: Any) -> Any:
    """The class of the constants of a kind of neuron, to which the functions of kernels are
    registered; kernels are kept by its name, which says what is computed.
    """
    derivation = derived(described)
    code, constants = derivation.code, derivation.constants
    digest = hashlib.sha256("\n".join([code, *constants]).encode()).hexdigest()[:16]
    name = f"{described.__name__}_{digest}"
    if name in globals():  # of a class that was imported again
        return globals()[name]
    made: Any = namedtuple(name, [f"c{i}" for i in range(len(constants))], module=__name__)  # type: ignore[misc]
    globals()[name] = made  # where pickle finds it
    functions = vars(neuron_equations) | {"NEVER": NEVER}
    exec(compile(code, f"<{name}>", "exec"), functions)
    for stub, register in neuron_equations.REGISTERS.items():
        register(made)(functions[stub])
    return made


def dynamics(n: Neuron, dt: float) -> tuple:
    described: Any = type(n)
    return _dynamics(described)(*constants_of(n, dt))


def kind(n: Neuron, dt: float) -> Kind:
    described: Any = type(n)
    name = described.__name__.lower()
    try:
        learns = derived(described).learns
    except Mistake as mistake:
        raise refused("cpu", f"does not compute neurons of kind {name}, {mistake}") from None
    if n.learn_tau and not learns:
        what = f"neurons of kind {name} that learn tau_mem, which does more there than leak"
        raise refused("cpu", f"does not compute {what}")
    parts = (dynamics, synapse_constants, reset_constants, surrogate_constants)
    return (Learning if n.learn_tau else Kind)(*(part(n, dt) for part in parts))


Layers = list[tuple[Population, ...]]


def as_learned(network: Network) -> Layers:
    """The hidden layers, with the time constants that training has come to."""
    if not network.leaks:
        return [*network.layers]
    taus = network.learned()
    return [tuple(_with_tau(p, taus.get(p.name)) for p in layer) for layer in network.layers]


def _with_tau(p: Population, tau_mem: float | None) -> Population:
    if tau_mem is None:
        return p
    neuron = copy(p.neuron)
    # what is learned may leave the range that a configuration has, so nothing is checked again
    object.__setattr__(neuron, "tau_mem", tau_mem)
    return replace(p, neuron=neuron)


def in_numbers(
    layers: Sequence[tuple[Population, ...]],
    widths: Sequence[int],
    readout: Neuron,
    dt: float,
    dtype: np.dtype,
) -> Neurons | DifferentNeurons:
    """The neurons of hidden layers with the precision of their weights; `widths`: units of each
    layer, or channels of a map, padded.
    """
    hidden = [kind(layer[0].neuron, dt) for layer in layers]
    records = [_named(k) | {"u_init": layer[0].neuron.u_init} for k, layer in zip(hidden, layers)]
    said = _named(synapse_constants(readout, dt)) | {"beta_m": readout.decays(dt)[0]}
    alike = Neurons(
        type(hidden[0])(*(_rounded(part, dtype) for part in hidden[0])),
        _records(records, dtype),
        _records([said | {"u_init": readout.u_init}], dtype),
    )
    if all(p.taus is None and p.neuron == layer[0].neuron for layer in layers for p in layer):
        return alike
    return DifferentNeurons(*alike, _own(layers, widths, dt).astype(dtype, "C"))


def _own(layers: Sequence[tuple[Population, ...]], widths: Sequence[int], dt: float) -> np.ndarray:
    rows = []
    for layer, width in zip(layers, widths):
        own = np.hstack([_constants(p, dt) for p in layer])
        rows.append(np.pad(own, ((0, 0), (0, width - own.shape[1])), mode="edge"))
    return np.hstack(rows)


@lru_cache(maxsize=64)
def _constants(population: Population, dt: float) -> np.ndarray:
    """[constants, units], or [constants, channels] of a map."""
    constants = np.array([list(_flat(kind(n, dt))) for n in population.neurons]).T
    return np.broadcast_to(constants, (len(constants), population.shape[0]))


def _flat(part: tuple[Any, ...]) -> Iterator[float]:
    for value in part:
        yield from _flat(value) if isinstance(value, tuple) else (value,)


def _named(part: Any) -> dict[str, float]:
    """The constants in a nested named tuple by name."""
    named: dict[str, float] = {}
    for name, value in zip(part._fields, part):
        named |= _named(value) if isinstance(value, tuple) else {name: value}
    return named


def _rounded(part: tuple[Any, ...], dtype: np.dtype) -> tuple[Any, ...]:
    return type(part)(
        *(
            _rounded(value, dtype) if isinstance(value, tuple) else dtype.type(value)
            for value in part
        )
    )


def _records(rows: list[dict[str, float]], dtype: np.dtype) -> np.ndarray:
    return np.array([tuple(row.values()) for row in rows], [(name, dtype) for name in rows[0]])


def check_layer(layer: tuple[Population, ...]) -> None:
    same = {replace(p.neuron, tau_mem=layer[0].neuron.tau_mem) for p in layer}
    names = ", ".join(p.name for p in layer)
    if len(layer) > 2 or len(same) > 1 or len(layer[0].neuron.tau_syn) > 2:
        what = "layers of one or two populations, equal but for tau_mem, of at most two channels"
        raise refused("cpu", f"computes {what}, not {names}")
