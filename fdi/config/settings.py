"""The values of a run, and the figure of its experiment: composed by Hydra, checked, what is auto
decided.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

from hydra.core.hydra_config import HydraConfig
from omegaconf import MISSING, DictConfig, OmegaConf

from fdi.config import Mistake, parts
from fdi.config.identity import device_kind, own_folders, plain
from fdi.config.parts import (
    OPTIONAL,
    ROLES,
    Count,
    Index,
    NotNegative,
    Positive,
    Range,
    choose,
    spelt,
)

DERIVED = ("bounds", "instead", "layers", "recurrent")
"""Columns made of several keys that are not called as one: fdi.analysis.derived."""
SCALES = ("auto", "linear", "log", "names")


@dataclass
class Figure:
    """A quantity over `x`, a key of the config or one of DERIVED, with a colour for each
    initialization and from light to dark for the values of `shade`.

    docs/howto/figure.md says what each key means.
    """

    x: str = MISSING
    title: str = ""
    about: str = ""
    needs: str = ""
    place: float = 50
    question: str = ""
    quantities: list[str] = field(default_factory=lambda: ["accuracy"])
    panels: list[str] = field(default_factory=list)
    pages: str = ""
    shade: str = "init.sigma_u"
    only: dict[str, Any] = field(default_factory=dict)
    longest: str = ""
    least: Annotated[int, Range(least=2)] = 2
    usual: bool = False
    best: bool = False
    label: str = ""
    legend: str = ""
    scale: str = field(default="auto", metadata={"choices": SCALES})
    columns: Count = 2
    height: Annotated[float, Range(least=0.5)] = 1.4
    names: dict[str, Any] = field(default_factory=dict)


@dataclass
class Tune:
    """What is chosen for each arm of a comparison before it is made: `key`, by validation accuracy
    with `seeds` of its own, among `values`, which go on by the same factor where the best one is at
    an end, at most `extend` times; together with the values of `beside`, written as in
    hydra.sweeper.params (null: of nothing).

    All are trained for 1 / `short` of the epochs; the `keep` best go on to the end.
    """

    key: str = MISSING
    values: list[float] = MISSING
    beside: dict[str, str] | None = field(default_factory=dict)
    seeds: list[int] = MISSING
    extend: Index = 2
    short: Count = 5
    keep: Count = 3


@dataclass
class Zoo:
    """Random networks that initializations are compared on: how many, drawn by which seed, and from
    what. `kinds`: name -> {share, draw}; `draw`: key -> values, written as in a sweep, or
    interval(low,high), int(interval(...)) for whole numbers, tag(log,interval(...)) evenly in
    their logarithm; those of a kind come before those of all.
    """

    seed: Index = 0
    networks: Count = 100
    kinds: dict[str, Any] = MISSING
    draw: dict[str, str] = field(default_factory=dict)


@dataclass
class Recipe:
    """How a change is looked for that makes a network learn, for the cost of `budget` trainings,
    with `seeds` of its own: the step from the initialization `init`; then lower floors `eps`; then
    `others`, kind -> what it changes, both written as in Tune.beside.
    """

    budget: Annotated[float, Range(least=1.0)] = 4.0
    seeds: list[int] = MISSING
    init: str = MISSING
    eps: dict[str, str] = field(default_factory=dict)
    others: dict[str, Any] = field(default_factory=dict)


READOUT_INITS = ("normal", "fluct", "xavier", "pytorch", "orthogonal")
"""With its default values; normal is W ~ N(0, 1 / fan_in), the gain of 1 of init=kaiming."""


def _one_of(*choices: str) -> Any:
    return field(default=MISSING, metadata={"choices": choices})


@dataclass
class Bound:
    strength: NotNegative = MISSING
    rate: NotNegative = MISSING
    norm: Annotated[int, Range(least=1, most=2)] = MISSING
    layers: list[str] = MISSING
    over: str = _one_of("neuron", "channel", "population")


@dataclass
class Homeostasis:
    joint: bool = MISSING
    prime_epochs: Index = MISSING
    fresh_optimizer: bool = MISSING
    upper: Bound = field(default_factory=Bound)
    lower: Bound = field(default_factory=Bound)


@dataclass
class Trainer:
    epochs: Count = MISSING
    batch_size: Count = MISSING
    readout: str = _one_of("max", "mean", "last", "every")
    patience: Count | None = MISSING
    stop_at_loss: NotNegative | None = MISSING
    clip: Positive | None = MISSING
    label_smoothing: NotNegative | None = MISSING
    class_weights: Any = MISSING
    lr_recurrent: Positive | None = MISSING
    lr_readout: Positive | None = MISSING
    lr_norm: Positive | None = MISSING
    lr_tau: Positive | None = MISSING
    lr_relative: bool = MISSING
    frozen: list[str] = MISSING
    test: bool = MISSING


@dataclass
class Paths:
    results: str = MISSING
    data: str = MISSING
    modules: list[str] = MISSING
    code: list[str] = MISSING


@dataclass
class Name:
    dataset: str = MISSING
    model: str = MISSING
    init: str = MISSING
    experiment: str | None = MISSING


@dataclass
class Identity:
    exclude: list[str] = MISSING
    neutral: dict[str, Any] = MISSING


@dataclass
class Config:
    """All keys of a run. `dataset`, `model`, `neuron`, `init`, `objective` and `optimizer` hold a
    `_target_` and its keyword arguments; `scheduler` does, or is None, and `logger` holds any
    number of such, each by a name.
    """

    name: Name = field(default_factory=Name)
    dataset: Any = MISSING
    model: Any = MISSING
    neuron: Any = MISSING
    init: Any = MISSING
    objective: Any = MISSING
    optimizer: Any = MISSING
    scheduler: Any = MISSING
    homeostasis: Homeostasis = field(default_factory=Homeostasis)
    trainer: Trainer = field(default_factory=Trainer)
    engine: Any = MISSING
    logger: dict[str, Any] = field(default_factory=dict)
    paths: Paths = field(default_factory=Paths)
    identity: Identity = field(default_factory=Identity)
    figure: Figure | None = MISSING
    tune: Tune | None = MISSING
    zoo: Zoo | None = MISSING
    recipe: Recipe | None = MISSING
    seed: Index = MISSING
    readout_init: str = _one_of("same", *READOUT_INITS)
    device: str = _one_of("cpu", "cuda", "auto")
    threads: Count | None = MISSING
    probe: str = _one_of("before", "only", "none")
    probe_every: Index = MISSING
    quantize: Annotated[int, Range(least=2, most=16)] | None = MISSING
    tags: list[str] = MISSING
    note: str | None = MISSING
    dry_run: bool = MISSING
    take_over: bool = MISSING


def check_values(schema: type, values: Mapping[str, Any], path: str = "") -> None:
    """Raises ValueError, one line, for a key that the dataclass `schema` lacks or that is missing,
    and for a value that its hints, or the `choices` of its fields, do not admit.
    """
    hints, known = parts.hints_of(schema), parts.parameters(schema)
    for key in values:  # in their order, so that the same mistake gets the same line
        if key not in hints:
            raise Mistake(f"{path}{key}: no such key; {choose(key, hints)}")
    for entry in fields(schema):
        key = f"{path}{entry.name}"
        if entry.name not in values:
            raise Mistake(f"{key} is missing")
        value, hint, kind = values[entry.name], hints[entry.name], known[entry.name]
        nested = next(filter(is_dataclass, (hint, *get_args(hint))), None)
        choices = entry.metadata.get("choices")
        if isinstance(nested, type) and isinstance(value, Mapping):
            check_values(nested, value, f"{key}.")
        elif choices and value not in choices:
            raise Mistake(f"{key} = {spelt(value)} is unknown; {choose(spelt(value), choices)}")
        elif not kind.admits(value):
            raise Mistake(parts.wrong(key, value, kind))


def _refuse_impossible(values: Any, path: str = "") -> None:
    """Raises ValueError for what no key may have, at any depth: missing, escaped interpolations,
    infinite and nan, too big for an int64.
    """
    for key, value in values.items() if isinstance(values, Mapping) else enumerate(values):
        here = f"{path}.{key}" if path else str(key)
        wrong = ""
        if isinstance(value, Mapping | list):
            _refuse_impossible(value, here)
        elif value == "???":
            wrong = "must be given a value"
        elif isinstance(value, str) and "${" in value:
            wrong = "must not contain ${, which would be read as another key later"
        elif isinstance(value, float) and not math.isfinite(value):
            wrong = "must be a finite number"
        elif isinstance(value, int) and abs(value) >= 2**63:
            wrong = "must be below 2^63"
        if wrong:
            raise Mistake(f"{here} = {value} {wrong}")


def check_part(path: str, node: Any, folders: Sequence[Path] = ()) -> None:
    """Raises ValueError, one line, for a `_target_` that is none, and for a keyword argument that
    it does not know, or a value of one, by its signature; `folders`: see fdi.config.parts.
    """
    if not isinstance(node, Mapping) or not isinstance(node.get("_target_"), str):
        raise Mistake(
            f"{path} = {spelt(node)} must have a _target_: the function or class to call with the "
            f"other keys"
        )
    known, closed = parts.options(path, node["_target_"], folders)
    for key, value in node.items():
        if key == "_target_":
            continue
        if str(key).startswith("_"):
            raise Mistake(
                f"{path}.{key}: no such key; of the keys with a _ in front there is only _target_"
            )
        if key in known and not known[key].admits(value):
            raise Mistake(parts.wrong(f"{path}.{key}", value, known[key]))
        if path in ("neuron", "model") and parts.no_tau(str(key), value):
            raise Mistake(parts.wrong_tau(f"{path}.{key}", value))
        if key not in known and closed:
            takes = choose(str(key), known) if known else f"{node['_target_']} takes none"
            raise Mistake(f"{path}.{key}: no such key; {takes}")
        if f"{path}.{key}" == parts.SURROGATE and "." in str(value):
            parts.options(parts.SURROGATE, str(value), folders)


LONGEST_NAME = 100  # bytes


def settings(config: DictConfig) -> dict[str, Any]:
    """The values of a run: checked, what is auto decided, interpolations resolved, without
    Hydra's own node and `figure`, `tune` and `zoo` of its experiment.

    `config`: as Hydra composed it, with HydraConfig set. Raises ValueError, one line, for a value
    out of range or of a wrong type.
    """
    hydra: Any = HydraConfig.instance().cfg
    if hydra:
        _check_hydra(hydra.hydra)
    values = plain(config, own_folders(hydra))
    _refuse_impossible(values)
    device = {"device": device_kind(values["device"])} if "device" in values else {}
    check_values(Config, values | device)
    if isinstance(values["engine"], Mapping):
        _check_engine(values["engine"], values["device"])
    modules = [Path(folder) for folder in values["paths"]["modules"]]
    for key in ROLES:
        for place, node in parts.nodes(key, values[key]).items():
            if node is not None or key not in OPTIONAL:
                check_part(place, node, modules)
    _check_rates(values)
    _check_places(values)
    if values["figure"] is not None:
        _check_figure(values["figure"], values)
    del values["figure"]  # fdi.figures reads it where it was written, so that one may change it
    del values["tune"], values["zoo"]  # of a comparison, not of its runs
    return values


def _check_hydra(node: DictConfig) -> None:
    """Raises ValueError for another sweeper, and numbers that a launcher cannot work with."""
    if not node.sweeper._target_.endswith(".BasicSweeper"):
        raise Mistake("hydra/sweeper: fdi runs all combinations itself; leave it out")
    sizes = ("n_jobs", "cpus_per_task", "batch_size")
    for key in ("sweeper.max_batch_size", *(f"launcher.{size}" for size in sizes)):
        value = OmegaConf.select(node, key)
        every = (None, -1) if key == "launcher.n_jobs" else (None, "auto")
        if value not in every and not (str(value).isdecimal() and int(value) >= 1):
            raise Mistake(f"hydra.{key} = {value} must be at least 1" + ", or -1" * (-1 in every))


def _check_engine(node: Mapping[str, Any], device: Any) -> None:
    """Raises ValueError where the choice of an engine is none."""
    if "among" in node:
        raise Mistake(
            f"engine.among: none of {spelt(node['among'])} computes this on device={device}"
        )
    ours = parts.option("engine", str(node.get("name"))).get("_target_")
    if ours and ours != node.get("_target_"):
        raise Mistake(
            f"engine.name = {node['name']} is that of {ours}; give yours a name of its own"
        )


def _check_rates(values: Mapping[str, Any]) -> None:
    """Raises ValueError for a rate above one spike a step."""
    dataset, nu = values["dataset"], values["init"].get("nu")
    if not (dt := dataset.get("dt")) or dataset.get("binning") == "counts":
        return
    for source, rate in nu.items() if isinstance(nu, Mapping) else [("", nu)]:
        if isinstance(rate, int | float) and rate * dt > 1:
            key = f"init.nu.{source}" if source else "init.nu"
            raise Mistake(
                f"{key} = {rate} Hz is more than one spike in a step of dataset.dt = {dt} s; at "
                f"most {1 / dt:g}"
            )


def _check_places(values: Mapping[str, Any]) -> None:
    """Raises ValueError for names that are none of folders, and files that are not there."""
    for key, name in values["name"].items():
        if name is None:
            continue
        inside = not set(name.split("/")) & {"", ".", ".."}  # of the folder that it is in
        if not inside or not name.isprintable() or len(name.encode()) > LONGEST_NAME:
            raise Mistake(
                f"name.{key} = {name!r} must be a name for a folder: not empty, without .. and "
                f"control characters, at most {LONGEST_NAME} bytes"
            )
    for place in values["paths"]["code"]:
        if not Path(place).exists():
            raise Mistake(f"paths.code: there is no {place}")
    if not values["paths"]["results"]:
        raise Mistake("paths.results is empty; give the folder for runs and figures")


def _check_figure(figure: Mapping[str, Any], groups: Iterable[str]) -> None:
    """Raises ValueError for a key that a figure names and that none of the `groups` has."""
    known = {*groups, *DERIVED}
    for option in ("x", "shade", "pages", "longest", "panels", "only", "names"):
        named = figure[option]
        for key in filter(None, [named] if isinstance(named, str) else named):
            if (group := key.partition(".")[0]) not in known:
                raise Mistake(
                    f"figure.{option}: {key} is no key of the config; {choose(group, known)}"
                )
