"""A configuration becomes objects: data, network, initialization, engine, optimizer, schedule,
phases; together they are the `RunContext` of a run.
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf

from fdi.config import Mistake
from fdi.config.identity import contents
from fdi.config.own_code import ours
from fdi.config.parts import SURROGATE, choose, nodes, resolve, role, spelt
from fdi.data.dataset import SMALL, Dataset, keep, stream
from fdi.data.inputs import reading_data
from fdi.data.targets import NO_CLASS, ONE_HOT, change_within_samples, one_hot
from fdi.engine import Engine
from fdi.init.named import named
from fdi.init.strategy import Strategy, rate_of_equal_spread
from fdi.init.verdict import Training
from fdi.snn.network import Network, draw_time_constants
from fdi.snn.neuron import Neuron
from fdi.snn.objective import EVERY, MEANS, CrossEntropy, Loss, LowerBound, UpperBound
from fdi.track.evidence import fingerprint
from fdi.train.optimizers import KINDS, fuse, parameter_groups
from fdi.train.rules import SMORMS3
from fdi.train.trainer import Phase, Schedule, Trainer, phases

_THREADS = torch.get_num_threads()


def dataset(config: DictConfig) -> Dataset:
    """The data, downloaded if need be; what fdi generates once for runs of one seed. Errors are one
    line that names the data set.
    """

    def read(what: str = "") -> Dataset:
        data: Dataset = made(config, "dataset", seed=config.seed)
        return data

    with reading_data(f"dataset = {config.name.dataset}"):
        node = contents(config.dataset)
        named = {"root", "file"} & node.keys() or fingerprint(node)
        if named or not ours(node["_target_"]):
            return read()
        return keep(read, SMALL)(json.dumps([node, config.seed]))


def device(config: DictConfig) -> torch.device:
    """The device that holds weights and activity."""
    chosen = torch.device(config.device)
    if chosen.type == "cuda" and (chosen.index or 0) >= (count := torch.cuda.device_count()):
        raise Mistake(
            f"device = {config.device}: PyTorch finds {count} CUDA devices here; use device=cpu, "
            f"or install a PyTorch that fits your driver"
        )
    return chosen


def network(
    config: DictConfig, data: Dataset, stored: Mapping[str, torch.Tensor] | None = None
) -> Network:
    """The architecture with its time constants, on the CPU. Weights are drawn there, so that a seed
    means the same weights on every device. Raises ValueError, before they take memory, where its
    weights do not have the names and shapes of those `stored`.
    """
    hidden = neuron(config)
    form = {"input_shape": data.shape, "classes": data.classes, "steps": data.steps, "dt": data.dt}
    if stored is not None:
        # code of the user's own may need numbers, which there are none of on this device
        with suppress(RuntimeError), torch.device("meta"):
            made(config, "model", neuron=hidden, **form).check_weights(stored)
    try:
        built = made(config, "model", neuron=hidden, **form)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "allocate" not in str(error):
            raise
        reason = str(error).rpartition("DefaultCPUAllocator: ")[2]
        raise Mistake(f"the network does not fit into memory ({reason})") from error
    draw_time_constants(built, stream(config.seed, "time constants"))
    return built


def neuron(config: DictConfig) -> Neuron:
    """The neuron of the hidden layers."""
    name = str(config.neuron.get("surrogate"))
    if "." in name:  # from then on Python finds the user's own module
        resolve(SURROGATE, name, [Path(f) for f in config.paths.modules])
    return _of_kind(made(config, "neuron"), Neuron, config, "neuron")


def strategy(config: DictConfig) -> Strategy:
    """The initialization of the hidden layers."""
    return _of_kind(made(config, "init"), Strategy, config, "init")


def _of_kind(part: Any, kind: type, config: DictConfig, key: str) -> Any:
    """The `part` that was made for `key`. Raises fdi.Mistake for one that is of another kind."""
    if isinstance(part, kind):
        return part
    raise Mistake(
        f"{key}._target_ = {config[key]._target_} makes no {kind.__name__}; let it inherit from "
        f"{kind.__module__}.{kind.__name__}"
    )


def engine(config: DictConfig) -> Engine:
    """The engine of a run. Sums of torch depend on its threads, so it has one, but in an engine
    whose identity they belong to.
    """
    name, target = config.engine.name, config.engine._target_
    kind: Any = resolve("engine", target, [Path(f) for f in config.paths.modules])
    if not (isinstance(kind, type) and issubclass(kind, Engine)):
        raise Mistake(
            f"engine._target_ = {target} is no engine; let it inherit from fdi.engine.Engine"
        )
    if not kind.runs_on(config.device):
        raise Mistake(
            f"engine={name} does not run on device={config.device}; use engine=auto, or device="
            f"{' or '.join(kind.devices)}"
        )
    torch.set_num_threads(config.threads if "threads" in config.engine.decides else 1)
    takes = inspect.signature(kind).parameters
    return made(config, "engine", **{"threads": threads(config)} if "threads" in takes else {})


def threads(config: DictConfig) -> int:
    """The threads of a run: as many as torch offers, unless the number is given."""
    return _THREADS if config.threads is None else config.threads


def input_rate(data: Dataset, net: Network) -> float:
    """nu of the input in Hz: measured on the training set; for images, currents and counts the rate
    that spreads the potential as much as they do.
    """
    if data.nu == 0:
        raise Mistake("no training sample has a spike; check the data")
    if data.nu is not None:
        return data.nu
    first = net.hidden[0].neuron
    if first.tau_shape is not None:
        raise Mistake(
            f"neuron.tau_shape = {first.tau_shape:g}: an analogue input has another rate for each "
            f"time constant; give it as spikes: dataset.encoding=poisson, or dataset.coding=delta"
        )
    return rate_of_equal_spread(data.blocks(), first, data.dt)


def made(config: DictConfig, key: str, *given: Any, **arguments: Any) -> Any:
    """What the `_target_` of the node `key` returns for `given`, its own keys and `arguments`.
    Raises ValueError for keys that it does not take.
    """
    settings = contents(OmegaConf.select(config, key))
    name = settings.pop("_target_")
    for besides in role(key).besides:
        settings.pop(besides, None)
    target = resolve(key, name, [Path(f) for f in config.paths.modules])
    if lacking := getattr(target, "__abstractmethods__", ()):
        raise Mistake(f"{key}._target_ = {name} lacks {', '.join(sorted(lacking))}")
    try:
        inspect.signature(target).bind(*given, **settings, **arguments)
    except TypeError as error:
        keys = ", ".join(arguments)
        besides = f"; besides the keys of the configuration it gets {keys}" if keys else ""
        raise Mistake(f"{key}._target_ = {name}: {error}{besides}") from None
    return target(*given, **settings, **arguments)


def optimizer(config: DictConfig, net: Network) -> torch.optim.Optimizer:
    """The optimizer of all that is trained. One that asks for the loss several times a step is
    refused.
    """
    lr = config.optimizer.get("lr")
    steps = {kind: config.trainer.get(f"lr_{kind}") for kind in KINDS}
    if config.trainer.get("lr_relative") and lr is None:
        raise ValueError("trainer.lr_relative = true: this optimizer has no step size lr")
    return optimizer_of(config, parameter_groups(net, lr, steps, frozen(config, net)))


def frozen(config: DictConfig, net: Network) -> list[str]:
    """The populations whose incoming weights do not learn."""
    hidden = [population.name for population in net.hidden]
    known = {name: [name] for name in (*hidden, net.readout.name)} | {"hidden": hidden}
    given = config.trainer.get("frozen", ())
    for name in given:
        if name not in known:
            raise Mistake(f"trainer.frozen: no population {name}; {choose(name, known)}")
    chosen = {each for name in given for each in known[name]}
    if len(chosen) == len(hidden) + 1:
        raise Mistake("trainer.frozen: nothing is left to learn; leave a population out")
    return sorted(chosen)


def optimizer_of(config: DictConfig, weights: Any) -> torch.optim.Optimizer:
    """That of any weights, tensors or groups of them."""
    chosen = made(config, "optimizer", weights)
    closure = inspect.signature(chosen.step).parameters.get("closure")
    if closure is not None and closure.default is closure.empty:
        raise Mistake(
            f"optimizer._target_ = {config.optimizer._target_} asks for the loss several times a "
            f"step; choose one that takes gradients alone"
        )
    return fuse(chosen)


def training_words(config: DictConfig) -> Training:
    """What a configuration says of its training in words, whatever its data."""
    return training_of(optimizer_of(config, [torch.nn.Parameter(torch.zeros(1))]))


def training_of(optimizer: torch.optim.Optimizer) -> Training:
    """The words for an optimizer, and its least effective floor at its precision."""
    name, options = type(optimizer).__name__.lower(), optimizer.defaults
    lr, eps = options.get("lr"), options.get("eps")
    if isinstance(eps, int | float) and not isinstance(eps, bool):
        least = None
        if isinstance(optimizer, SMORMS3):
            least = math.sqrt(torch.finfo(optimizer.precision).tiny)
        return Training(f"{name} with eps={eps:g}", "lower optimizer.eps", least)
    known = f" with lr={lr:g}" if isinstance(lr, int | float) else ""
    return Training(name + known, "take optimizer=adam_atan2, which has no eps")


def schedule(config: DictConfig, net: Network, data: Dataset) -> Schedule | None:
    """The schedule of the learning rate, or None. It is first tried on another optimizer, so that
    what torch refuses is refused before training.
    """
    if config.scheduler is None:
        return None
    target = config.scheduler._target_
    epoch = {}
    if target == "torch.optim.lr_scheduler.OneCycleLR" and not config.scheduler.get("total_steps"):
        epoch = {"steps_per_epoch": -(-len(data.train) // config.trainer.batch_size)}
    make = partial(made, config, "scheduler", **epoch)
    try:
        make(optimizer(config, net))
    except Mistake:
        raise
    except (TypeError, ValueError) as error:
        raise Mistake(f"scheduler._target_ = {target}: {error}") from None
    return Schedule(make)


def loss(config: DictConfig, data: Dataset | None = None) -> Loss:
    """What the readout is compared by, in training on `data`; without them, with labels as they
    are and all classes alike. A run of before there were others has cross-entropy.
    """
    given = {key: config.trainer.get(key) for key in ("label_smoothing", "class_weights")}
    given = {key: value for key, value in given.items() if value and data}
    cross_entropy = f"{CrossEntropy.__module__}.{CrossEntropy.__name__}"
    if config.get("objective", {}).get("_target_", cross_entropy) == cross_entropy:
        if "class_weights" in given and data:
            given["class_weights"] = class_weights(given["class_weights"], data)
        return CrossEntropy(**given)
    for key, value in given.items():
        raise Mistake(f"trainer.{key} = {value} is of objective=cross_entropy; leave it out")
    return _of_kind(made(config, "objective"), Loss, config, "objective")


def class_weights(said: Any, data: Dataset) -> tuple[float, ...]:
    """One for each class: those that are `said`, or of "balanced" n / (K n_k)."""
    if data.numbers:  # which check_targets refuses
        return ()
    if said == "balanced":
        labels = data.train.labels
        counts = np.bincount(labels[labels != NO_CLASS], minlength=data.classes)
        return tuple((counts.sum() / (data.classes * np.maximum(counts, 1))).tolist())
    plain = list(said) if isinstance(said, Sequence) and not isinstance(said, str) else []
    numbers = [w for w in plain if isinstance(w, int | float) and w >= 0]
    if len(numbers) != len(plain) or len(plain) != data.classes or not any(numbers):
        raise Mistake(
            f"trainer.class_weights = {spelt(said)} must be balanced, or {data.classes} numbers, "
            f"one for each class, not all 0"
        )
    return tuple(map(float, numbers))


def check_targets(config: DictConfig, data: Dataset) -> None:
    """Raises fdi.Mistake where the objective does not compare what the data have as targets."""
    wanted, y, readout = loss(config, data).classes, data.train.labels, config.trainer.readout
    classes = not data.numbers
    if wanted is not None and wanted is not classes:
        has, choice = ("classes", "cross_entropy") if classes else ("numbers", "mean_square")
        hint = ONE_HOT if one_hot(y) else f"choose objective={choice}"
        raise Mistake(
            f"objective._target_ = {config.objective._target_}: the targets of these data are "
            f"{has}; {hint}"
        )
    if y.ndim == (2 if classes else 3) and readout != EVERY:
        two = classes and any(change_within_samples(each.labels) for each in data.splits.values())
        if two or not (classes or readout == "last"):
            raise Mistake(
                f"trainer.readout = {readout}: the targets of these data differ from step to step; "
                f"choose trainer.readout=every"
            )


def bound(config: DictConfig, side: str, duration: float, net: Network) -> Any:
    """The upper or the lower bound of a trial of `duration` s, None where its strength is 0."""
    node = config.homeostasis[side]
    if not node.strength:
        return None
    layers, known = node.get("layers", []), [population.name for population in net.hidden]
    for name in layers:
        if name not in known:
            raise Mistake(f"homeostasis.{side}.layers: no population {name}; {choose(name, known)}")
    strength_and_limit = (node.strength, node.rate * duration)
    kind, usual = (UpperBound, "channel") if side == "upper" else (LowerBound, "neuron")
    axes = MEANS[node.get("over", usual)]  # a run of before says no such keys
    return kind(*strength_and_limit, axes=axes, norm=node.get("norm", 2), layers=tuple(layers))


def training_phases(config: DictConfig, data: Dataset, net: Network) -> list[Phase]:
    """The phases of training. Bounds are rates in Hz; a trial has rate x duration spikes."""
    patience = config.trainer.patience
    if patience is not None and not len(data.valid):
        raise Mistake(
            f"trainer.patience = {patience} waits for a better epoch on validation, and there is "
            f"no validation split; hold samples out with dataset.valid, or set "
            f"trainer.patience=null"
        )
    bounds, duration = config.homeostasis, data.steps * data.dt
    return phases(
        epochs=config.trainer.epochs,
        readout=config.trainer.readout,
        upper=bound(config, "upper", duration, net),
        lower=bound(config, "lower", duration, net),
        prime_epochs=bounds.prime_epochs,
        joint=bounds.joint,
        fresh_optimizer=bounds.fresh_optimizer,
        patience=patience,
        stop_at_loss=config.trainer.stop_at_loss,
        loss=loss(config, data),
    )


def trainer(config: DictConfig, data: Dataset, net: Network, engine: Engine) -> Trainer:
    """What trains the network, with its optimizer and its schedule."""
    size, clip = config.trainer.batch_size, config.trainer.clip
    trains, rule = optimizer(config, net), schedule(config, net, data)
    return Trainer(net, engine, trains, size, config.seed, rule, clip)


@contextmanager
def mirror(
    config: DictConfig, values: Mapping[str, Any], directory: Path, epoch: int
) -> Iterator[Any]:
    """Where the learning curves go besides metrics.csv: the open loggers of the run with these
    `values` as one, None without any; `epoch`: the last one that they have.
    """
    keys = [key for key, node in nodes("logger", config.logger).items() if node is not None]
    if not keys:
        yield None
        return
    from fdi.track.mirrors import Mirror  # only where there are loggers

    given, logs = (deepcopy(dict(values)), directory, epoch), []
    with ExitStack() as opened:
        for key in keys:
            opens = made(config, key, *given)
            log = opened.enter_context(opens) if hasattr(opens, "__enter__") else None
            if not callable(log):
                raise Mistake(
                    f"{key}._target_ = {OmegaConf.select(config, key)._target_} makes no logger; "
                    f"let it be a context manager that yields a function log(values, epoch)"
                )
            logs.append(log)
        yield Mirror(logs)


@dataclass(frozen=True)
class RunContext:
    """The objects of one run, what else its training asks for, and the `values` of its whole
    configuration, for its record. `view` (fdi.cli.terminal.Terminal) shows it; `new_network` makes
    one like `network` before its weights are drawn, on the CPU; `strategy` draws the hidden layers,
    and `readout` the last one; `loss`: what it is judged by; `tested`: whether on the test set;
    `bits`: of its weights after training.
    """

    values: Mapping[str, Any]
    directory: Path
    view: Any
    data: Dataset
    device: torch.device
    network: Network
    new_network: Callable[[], Network]
    engine: Engine
    trainer: Trainer
    phases: list[Phase]
    strategy: Strategy
    readout: Strategy
    loss: Loss
    name: Mapping[str, Any]
    threads: int
    probe: str
    probe_every: int
    tested: bool
    bits: int | None

    @property
    def updates(self) -> int:
        """Of an epoch."""
        return -(-len(self.data.train) // self.trainer.batch_size)


def run_context(
    config: DictConfig,
    values: Mapping[str, Any],
    directory: Path,
    view: Any,
    data: Dataset,
    device: torch.device,
    net: Network,
    engine: Engine,
) -> RunContext:
    """What is trained, with what trains it; `values`: those of the whole configuration."""
    hidden = strategy(config)
    name, same = config.readout_init, config.readout_init == "same" or hidden.takes_readout()
    return RunContext(
        values=values,
        directory=directory,
        view=view,
        data=data,
        device=device,
        network=net,
        new_network=partial(network, config, data),
        engine=engine,
        trainer=trainer(config, data, net, engine),
        phases=training_phases(config, data, net),
        strategy=hidden,
        readout=hidden if same else named({"normal": "kaiming"}.get(name, name)),
        loss=loss(config),
        name=config.name,
        threads=threads(config),
        probe=config.probe,
        probe_every=config.get("probe_every", 0),
        tested=config.trainer.get("test", True),
        bits=config.get("quantize"),
    )
