"""Whether a part keeps what its users count on, for tests of one's own: `check` of a neuron, an
initialization, a data set or an engine raises AssertionError with one line where it does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from inspect import signature
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fdi.data.dataset import Dataset, Split, stream
from fdi.data.inputs import Constant, Frames, Input
from fdi.engine import Engine
from fdi.engine.oracle import OBJECTIVE, compare, simulate
from fdi.init.baselines import Kaiming
from fdi.init.strategy import Strategy, draw_weights
from fdi.snn.models import conv, dale, dense
from fdi.snn.network import Activity, Network
from fdi.snn.neuron import KINDS, Neuron
from fdi.testing.neurons import check_neuron

__all__ = ["check"]

SAMPLES, CLASSES, DT, RATE = 8, 3, 2e-3, 20.0
STEPS, STEPS_OF_ENGINE = 50, 24


def check(part: Neuron | Strategy | Engine | Any, engine: Engine | None = None) -> None:
    """`part`: an object, or a class or function that makes one without arguments; for a data set,
    a function of the `seed` of a run alone.

    A neuron: each number that it takes, and what a neuron has in any case, changes what it
    computes; its step has the gradients of finite differences in float64, and the code that is
    derived from its description those of its step, unless the kind has no description; pickled it
    is the same; with an `engine`, trials and gradients of networks of it are those of autograd to
    1e-9, or refused. An initialization: equal seeds draw equal weights and other seeds others, in
    all that it draws, finite and of their sign. A data set: equal seeds give equal data and
    batches, other seeds the same test set; batches have its shape and steps, the labels of their
    samples, finite numbers, and no negative spikes. An engine: the same as for neurons, for each
    kind that fdi has.
    """
    if not isinstance(part, Neuron | Strategy | Engine) and "seed" in signature(part).parameters:
        check_dataset(part)
        return
    made = part if isinstance(part, Neuron | Strategy | Engine) else part()
    if isinstance(made, Neuron):
        check_neuron(made)
        if engine is not None:
            check_engine(engine, made)
    elif isinstance(made, Strategy):
        check_init(made)
    elif isinstance(made, Engine):
        for kind in KINDS.values():
            check_engine(made, kind())
    else:
        what = "a neuron, an initialization, an engine or a function that makes a data set"
        raise TypeError(f"check takes {what}, not {made!r:.80}")


def check_dataset(make: Callable[..., Dataset]) -> None:
    """See `check`; `make` takes the `seed` of a run."""
    data, same, other = make(seed=0), make(seed=0), make(seed=1)
    name = data.name
    assert data.checksum == same.checksum, f"{name}: other data with equal seeds"
    tested = [replace(each, train=each.test, valid=each.test).checksum for each in (data, other)]
    assert tested[0] == tested[1], f"{name}: other data for the test with another seed of the run"
    for part, split in data.splits.items():
        if len(split):
            check_split(f"{name}: a batch of the {part} split", data, split)


def check_split(where: str, data: Dataset, split: Split) -> None:
    """Batches of some samples, in another order than theirs."""
    chosen = np.arange(min(SAMPLES, len(split)))[::-1]
    inputs, labels = split.batch(chosen, stream(0, "noise"))
    assert np.array_equal(labels, split.labels[chosen]), f"{where} has the labels of other samples"
    shape, wanted = (
        (len(inputs), inputs.steps, *inputs.shape),
        (len(chosen), data.steps, *data.shape),
    )
    assert shape == wanted, f"{where} is {shape}, not {wanted}: samples, steps and their shape"
    x = _numbers(inputs)
    assert np.isfinite(x).all(), f"{where} has numbers that are not finite"
    analogue = isinstance(inputs, Constant) or inputs.analogue
    assert analogue or (x >= 0).all(), f"{where} has spikes below 0"
    again = _numbers(split.batch(chosen, stream(0, "noise"))[0])
    assert np.array_equal(x, again), f"{where} is another one with equal random numbers"


def _numbers(inputs: Input) -> np.ndarray:
    return inputs.image(np.float64) if isinstance(inputs, Constant) else inputs.dense(np.float64)


def refuses(call: Callable[[], object], name: str) -> bool:
    """Whether a call is refused, in one line."""
    try:
        call()
    except ValueError as error:
        said = str(error)
    else:
        return False
    assert "\n" not in said, f"{name}: refuses in more than a line"
    return True


def check_engine(engine: Engine, n: Neuron) -> None:
    """Trials and gradients of small networks of the neuron, or one line that refuses them."""
    rng, given = np.random.default_rng(0), (CLASSES, STEPS_OF_ENGINE, DT, n)
    generator = torch.Generator().manual_seed(0)
    for network in (
        dense((9,), *given, hidden=[20, 17], recurrent=True),
        conv((2, 6, 6), *given, filters=[4, 3], kernel=3, padding=1, pool=[2, 1]),
    ):
        name = f"{type(engine).__name__} with neurons of kind {type(n).__name__}"
        for p in network.double().projections:
            p.weight.data.normal_(0, 6 * n.theta / p.fan_in**0.5, generator=generator)
        if refuses(partial(engine.check, network), name):
            continue
        x = Frames(
            (rng.random((SAMPLES, STEPS_OF_ENGINE, *network.input_shape)) < 0.3).astype(np.uint8)
        )
        labels, device = np.arange(SAMPLES) % CLASSES, torch.device(engine.devices[0])
        apart = compare(network, x, labels, engine, device, OBJECTIVE)
        assert apart.total > 0, f"{name}: no spikes, so nothing is compared"
        said = f"{apart.spikes:g} of {apart.total:g} spikes and {apart.gradient:.2g} of a gradient"
        near = apart.spikes == 0 and apart.gradient < 1e-9
        assert near, f"{name}: {said} differ from autograd"
        again = compare(network, x, labels, engine, device, OBJECTIVE)
        assert again == apart, f"{name}: another result the second time"


def check_init(strategy: Strategy) -> None:
    """See `check`; networks that it refuses in one line are left out."""
    networks = (
        lambda: dense((20,), CLASSES, STEPS, DT, hidden=[30, 30], recurrent=True),
        lambda: dale((20,), CLASSES, STEPS, DT, excitatory=24, inhibitory=6),
        lambda: conv((2, 8, 8), CLASSES, STEPS, DT, filters=[4]),
    )
    name, drawn = type(strategy).__name__, 0
    for build in networks:
        draws: list[list[Tensor]] = []

        def weights(seeds: tuple[int, ...], build: Any = build, draws: Any = draws) -> None:
            for seed in seeds:
                network, rng = build(), np.random.default_rng(0)
                spikes = rng.random((SAMPLES, STEPS, *network.input_shape)) < RATE * DT
                x = Frames(spikes.astype(np.uint8))

                def measure(net: Network, x: Frames = x) -> Activity:
                    return simulate(net, x, record=("moments",))

                draw_weights(
                    network, strategy, Kaiming(), nu_input=RATE, analogue=False,
                    measure=measure,
                    generator=torch.Generator().manual_seed(seed),
                )  # fmt: skip
                draws.append([p.weight.detach().clone() for p in network.projections])

        if refuses(partial(weights, (0, 0, 1)), name):
            continue
        drawn += 1
        one, same, other = draws
        for p, a, b, c in zip(build().projections, one, same, other):
            where = f"{name}: the weights of {p.name}"
            assert torch.isfinite(a).all(), f"{where} are not finite"
            assert torch.equal(a, b), f"{where} differ with equal seeds"
            assert not torch.equal(a, c), f"{where} are the same with another seed"
            assert not p.nonnegative or (a >= 0).all(), f"{where} have the wrong sign"
    assert drawn, f"{name} refuses every network"
