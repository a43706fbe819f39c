"""The same training in fdi and in stork, the library of Rossbroich et al. 2022, in float64:

    python scripts/twin.py init=kaiming model.depth=3 homeostasis=prime_joint optimizer.lr=0.05

Words as of fdi-run, for `dense`, `conv` and `dale` networks of LIF neurons with SMORMS3. Both have
the same samples, order of batches, weights and bounds, in the units of each, and each trains by its
own code. Prints a row per epoch, and ends with 1 where a loss or a rate differs by more than 1e-9
of its size. With `--perturbed 1e-15` the other training is fdi's, too, from weights that differ by
this share, at random: how far rounding alone parts two trainings.

stork (https://github.com/fmi-basel/stork at 258a2d6; the package of that name in the index is
another one) and what it imports must be importable.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor

from fdi.cli.cells import compose_cells
from fdi.cli.run import parse
from fdi.config import Mistake
from fdi.config.identity import plain
from fdi.data.dataset import Dataset, stream
from fdi.engine.reference import ReferenceEngine
from fdi.runner import build
from fdi.runner.training import initial_network
from fdi.snn.network import Network, Projection
from fdi.snn.neuron import Population
from fdi.snn.objective import ActivityBound
from fdi.train.trainer import Phase, Progress, Trainer

NEAR = 1e-9
SHARED = ("train/task", "train/regularizer", "train/accuracy")
Row = dict[str, float]
"""Of an epoch of training: `task` and `regularizer` of the loss, `accuracy`, and
`rate/<population>` in Hz.
"""


def main(words: Sequence[str] = sys.argv[1:]) -> int:
    parser = ArgumentParser(allow_abbrev=False)
    parser.add_argument("--perturbed", type=float, metavar="SHARE")
    parser.add_argument("words", nargs="*", metavar="WORD")
    given = parser.parse_intermixed_args(words)
    name = "stork" if given.perturbed is None else "perturbed"
    if name == "stork" and find_spec("stork") is None:
        raise Mistake("stork is not importable; put it and what it imports on PYTHONPATH")
    torch.set_num_threads(1)
    (cell,) = compose_cells(parse(["engine=reference", *given.words]))
    ours, theirs = both(cell.config, given.perturbed)
    worst = 0.0
    for number, (a, b) in enumerate(zip(ours, theirs, strict=True), 1):
        off = difference(a, b)
        worst = max(worst, off)
        for library, row in (("fdi", a), (name, b)):
            rates = ", ".join(f"{n[5:]} {row[n]:.3g} Hz" for n in row if n.startswith("rate/"))
            said = f"{library} {row['task']:.6f}, {row['accuracy']:.1%}, bounds"
            print(f"epoch {number}: {said} {row['regularizer']:.3g}, {rates}", flush=True)
        print(f"         largest difference {off:.1e}")
    print(f"largest difference {worst:.1e} of {len(ours)} epochs")
    return int(worst > NEAR)


def difference(ours: Row, theirs: Row) -> float:
    """The largest of a row, as a share of the larger number, or of 1 if that is smaller."""
    return max(
        abs(value - theirs[name]) / max(1.0, abs(value), abs(theirs[name]))
        for name, value in ours.items()
    )


def both(config: DictConfig, perturbed: float | None = None) -> tuple[list[Row], Iterable[Row]]:
    """The epochs of the training that `config` describes, in fdi and, as they come, in stork, or in
    fdi from `perturbed` weights.
    """
    data = build.dataset(config)
    if len(data.train) % config.trainer.batch_size:
        raise Mistake(
            f"trainer.batch_size = {config.trainer.batch_size} must divide the {len(data.train)} "
            f"training samples: stork weighs all batches alike"
        )
    network = build.network(config, data)
    device, engine = torch.device("cpu"), ReferenceEngine()
    context = build.run_context(config, plain(config), Path(), None, data, device, network, engine)
    phases = context.phases
    network.load_weights(initial_network(context)[0].weights())
    network.double()
    weights = {name: weight.clone() for name, weight in network.weights().items()}
    ours = in_fdi(config, data, network, phases)
    if perturbed is None:
        return ours, in_stork(config, data, network, weights, phases)
    noise = torch.Generator().manual_seed(0)
    for weight in weights.values():
        weight *= 1 + perturbed * torch.randn(weight.shape, generator=noise, dtype=weight.dtype)
    network.load_weights(weights)
    return ours, in_fdi(config, data, network, phases)


def in_fdi(config: DictConfig, data: Dataset, network: Network, phases: list[Phase]) -> list[Row]:
    """The epochs of a training of the network."""
    rows: list[Row] = []
    Trainer(
        network,
        ReferenceEngine(),
        build.optimizer(config, network),
        batch_size=config.trainer.batch_size,
        seed=config.seed,
    ).fit(
        data.train,
        data.valid,
        phases,
        Progress(),
        duration=data.steps * data.dt,
        on_epoch=lambda row: rows.append(
            {
                name.removeprefix("train/"): value
                for name, value in row.items()
                if name in SHARED or name.startswith("rate/")
            }
        ),
    )
    return rows


def in_stork(
    config: DictConfig,
    data: Dataset,
    network: Network,
    weights: Mapping[str, Tensor],
    phases: Sequence[Phase],
) -> Iterator[Row]:
    """The same epochs in stork, from `weights` by the name of a projection."""
    import stork

    model, groups = _model(config, data, network, phases[0])
    generator = _Generator(config, data, groups)
    model.configure(
        model.input_group,
        model.output_group,
        loss_stack=stork.loss_stacks.MaxOverTimeCrossEntropy(),
        generator=generator,
        optimizer=stork.optimizers.SMORMS3,
        optimizer_kwargs=dict(lr=config.optimizer.lr, eps=config.optimizer.eps),
        time_step=data.dt,
    )
    model.double()
    names = _order(network)
    with torch.no_grad():
        for connection, name in zip(model.connections, names, strict=True):
            connection.op.weight.copy_(weights[name])
    for phase in phases:
        bounded = phase.objective.upper or phase.objective.lower
        if not bounded:
            model.remove_regularizers()
        for generator.epoch in range(phase.epochs):
            step = model.train_epoch if phase.objective.task_weight else model.regtrain_epoch
            task, regularizer, accuracy = step("train")
            rates = {f"rate/{name}": rate for name, rate in generator.rates().items()}
            bounds = regularizer if bounded else 0.0
            yield {"task": task, "regularizer": bounds, "accuracy": accuracy, **rates}


class _Generator:
    """Batches in the order of fdi, and the spikes that they cause."""

    def __init__(self, config: DictConfig, data: Dataset, groups: Mapping[str, Any]) -> None:
        self.seed, self.size = config.seed, config.trainer.batch_size
        self.data, self.groups, self.epoch = data, groups, 0
        self.counts: dict[str, float] = {}

    def configure(self, *given: Any, **named: Any) -> None:
        """stork tells its generators the size of a batch and the like."""

    def prepare_data(self, split: str) -> None:
        """stork asks for it before each epoch."""

    def __call__(self, split: str, shuffle: bool = True) -> Iterator[tuple[Tensor, Tensor]]:
        train = self.data.train
        self.counts = dict.fromkeys(self.groups, 0.0)
        order = stream(self.seed, "order", self.epoch).permutation(len(train))
        for i, start in enumerate(range(0, len(order), self.size)):
            noise = stream(self.seed, "noise", self.epoch, i)
            inputs, labels = train.batch(order[start : start + self.size], noise)
            x = torch.tensor(np.moveaxis(inputs.dense(), 0, 1), dtype=torch.float64)
            yield x, torch.tensor(labels)
            for name, group in self.groups.items():
                spikes = group.get_out_sequence().detach()
                self.counts[name] += float(spikes.sum()) / spikes[0, 0].numel()

    def rates(self) -> dict[str, float]:
        """In Hz, of the last epoch."""
        seconds = len(self.data.train) * self.data.steps * self.data.dt
        return {name: count / seconds for name, count in self.counts.items()}


def _model(
    config: DictConfig, data: Dataset, network: Network, phase: Phase
) -> tuple[Any, dict[str, Any]]:
    """The network of stork without its weights, and its groups by the names of fdi's."""
    import stork
    from stork.models import RecurrentSpikingModel
    from stork.nodes import InputGroup, ReadoutGroup

    kind = config.model._target_.rpartition(".")[2]
    neuron, readout = config.neuron, network.readout.neuron
    stork.activations.SuperSpike.beta = network.hidden[0].neuron.beta
    flat = len(data.shape) == 1
    shape = data.shape[0] if flat else data.shape
    model = RecurrentSpikingModel(
        config.trainer.batch_size, data.steps, shape, torch.device("cpu"), torch.float64
    )
    below = model.add_group(InputGroup(shape))
    model.input_group = below
    groups: dict[str, Any] = {}
    options = dict(
        tau_mem=neuron.tau_mem, tau_syn=neuron.tau_syn, activation=stork.activations.SuperSpike
    )
    for layer in network.layers:
        hidden = layer[0]
        afferents = network.afferents(hidden.name)
        given: dict[str, Any] = dict(
            name=hidden.name,
            model=model,
            input_group=below,
            recurrent=any(each.recurrent for each in afferents),
            regs=_bounds(phase, hidden),
        )
        if kind == "dale":
            tau_inh = config.model.tau_inh
            inner = [
                dict(
                    tau_mem=each.neuron.tau_mem,
                    tau_exc=neuron.tau_syn,
                    tau_inh=tau_inh,
                    activation=stork.activations.SuperSpike,
                )
                for each in layer
            ]
            ratio = hidden.units / layer[1].units
            built = stork.layers.DalianLayer(
                size=hidden.units,
                ei_ratio=ratio,
                exc_neuron_kwargs=inner[0],
                inh_neuron_kwargs=inner[1],
                **given,
            )
        elif kind == "conv":
            built = _convolution(afferents, hidden.shape, given, options)
        else:
            built = stork.layers.Layer(size=hidden.units, neuron_kwargs=options, **given)
        groups |= zip((population.name for population in layer), built.neurons)
        below = built.output_group
        if kind == "conv" and hidden.pool > 1:
            below = model.add_group(stork.nodes.MaxPool2d(below, kernel_size=hidden.pool))
    last = model.add_group(
        ReadoutGroup(
            data.classes,
            tau_mem=readout.tau_mem,
            tau_syn=readout.tau_syn[0],
            initial_state=config.model.readout_u_init,
        )
    )
    model.output_group = last
    model.add_connection(stork.connections.Connection(below, last, flatten_input=kind == "conv"))
    return model, groups


def _convolution(
    afferents: Sequence[Projection], shape: tuple[int, ...], given: Any, options: Any
) -> Any:
    import stork

    first = afferents[0]
    edge = max((each.weight.shape[-1] for each in afferents if each.recurrent), default=0)
    two = len(shape) == 3
    return stork.layers.ConvLayer(
        nb_filters=shape[0],
        kernel_size=first.weight.shape[-1],
        stride=first.stride,
        padding=first.padding,
        connection_class=stork.connections.Conv2dConnection
        if two
        else stork.connections.ConvConnection,
        recurrent_connection_kwargs=dict(kernel_size=edge, padding=edge // 2),
        neuron_kwargs=options,
        **given,
    )


def _bounds(phase: Phase, population: Population) -> list[Any]:
    """In spikes a trial, as both libraries have them; a bound on a map is one on its mean."""
    from stork import regularizers

    found = []
    for side in ("lower", "upper"):
        bound: ActivityBound | None = getattr(phase.objective, side)
        if bound is None or not bound.holds_for(population.name):
            continue
        kind = getattr(regularizers, f"{side.capitalize()}BoundL{bound.norm}")
        dims = tuple(range(-bound.averaged(len(population.shape)), 0)) or False
        found.append(kind(bound.strength, bound.threshold, dims=dims))
    return found


def _order(network: Network) -> list[str]:
    """Names of projections in the order in which stork makes its connections."""
    names = []
    for layer in network.layers:
        if len(layer) == 1:
            names += [each.name for each in network.afferents(layer[0].name)]
            continue
        e, i = (population.name for population in layer)
        source = next(each.source for each in network.afferents(e) if not each.recurrent)
        inner = [f"{i}->{i}", f"{i}->{e}", f"{e}->{i}", f"{e}->{e}"]
        names += [f"{source}->{e}", f"{source}->{i}", *inner]
    return [*names, *(each.name for each in network.afferents(network.readout.name))]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Mistake as error:
        sys.exit(f"twin: {error}")
