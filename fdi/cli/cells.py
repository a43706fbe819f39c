"""The cells of a command: which runs it asks for, where they are kept, what tells them apart, what
came of those that are done, and what one that came to nothing leaves behind.
"""

from __future__ import annotations

import shutil
from argparse import Namespace
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Glob, Override
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fdi.cli.compose import (
    composed,
    explain,
    fitting,
    interpolating,
    is_hydras,
    lacking,
    matching,
    parsed,
    source,
)
from fdi.config import Mistake
from fdi.config.identity import LABELS
from fdi.config.settings import settings
from fdi.track.files import METRICS
from fdi.track.process import holder
from fdi.track.record import finished, place


@dataclass(frozen=True)
class Cell:
    """One run: the overrides that single it out, without Hydra's own; its values, its directory."""

    overrides: tuple[str, ...]
    values: dict[str, Any]
    directory: Path

    @property
    def config(self) -> DictConfig:
        """The values with dots between keys."""
        return OmegaConf.create(self.values, flags={"struct": True})


def compose_cells(arguments: Namespace) -> list[Cell]:
    """The cells of the parsed command line `arguments`, in its order, each once and its
    configuration checked.

    With --multirun: the product of the sweeps on the command line and in `hydra.sweeper.params`,
    the command line winning. A key with a dot in it counts for the cells that have it (kaiming has
    no sigma_u), and at least one must, unless the key is the experiment's and the option is not.
    Raises ValueError, one line.
    """
    begin = source(arguments)
    if not arguments.multirun:
        cell = compose_cell(begin, arguments.overrides)
        if not arguments.cfg:
            _refuse_one_of_many(begin, arguments.overrides)
            _refuse_for_one(arguments.overrides)
        return [cell]
    every = list(combinations(arguments))
    if not every:
        raise ValueError("the sweep has no cells; give each of its keys a value")
    refuse_unknown(arguments, every)
    kept = dict.fromkeys(fitting(begin, overrides) for overrides in every)
    cells = (compose_cell(begin, overrides) for overrides in kept)
    return [*{cell.directory: cell for cell in cells}.values()]


def compose_cell(source: str, overrides: Sequence[str]) -> Cell:
    """The run of these words, checked. Raises ValueError, one line."""
    config = composed(source, overrides)
    if word := next((w for w in overrides if w.lstrip("+~").startswith("identity")), None):
        raise ValueError(
            f"{word}: which keys tell runs apart is the same for all runs; leave it out, or give "
            f"a run another name by name.dataset=NAME, name.model=NAME or name.init=NAME"
        )
    try:
        with interpolating(config):
            values = settings(config)
    except OmegaConfBaseException as error:
        raise ValueError(explain(error)) from None
    own = tuple(word for word in overrides if not is_hydras(word))
    return Cell(own, values, place(values))


def compose_sweep(arguments: Namespace) -> DictConfig:
    """What the cells of a sweep have in common, with Hydra's own node: what overrides with one
    value give, as far as the default options have their keys.
    """
    several = [word for word in arguments.overrides if parsed(word).is_sweep_override()]
    if word := next(filter(is_hydras, several), None):
        raise ValueError(f"{word} has several values; all cells of a sweep have the same")
    given = [word for word in arguments.overrides if word not in several]
    return composed(begin := source(arguments), fitting(begin, given))


def refuse_unknown(arguments: Namespace, every: Sequence[Sequence[str]]) -> None:
    """Raises ValueError for a key that no cell has, unless the key is the experiment's and the
    option is not.
    """
    begin = source(arguments)
    lacks = [lacking(begin, overrides) for overrides in every]
    unknown = set.intersection(*lacks)
    given = {key_of(word) for word in arguments.overrides}
    for key in unknown:
        if key in given or key.split(".")[0] not in given:
            rest = lacks[-1] - {key}
            compose_cell(begin, [word for word in every[-1] if key_of(word) not in rest])


def combinations(arguments: Namespace) -> Iterator[list[str]]:
    """The overrides of each cell. Keys of `hydra.sweeper.params` joined by + vary together, as in
    dataset+model: shd+dense,digits+conv.
    """
    params = _swept(compose_sweep(arguments))
    command = [parsed(word) for word in arguments.overrides]
    given = {override.key_or_group for override in command}
    joint = [together(key, values, given) for key, values in params.items() if "+" in key]
    independent = [parsed(f"{key}={values}") for key, values in params.items() if "+" not in key]
    begin = source(arguments)
    words = {w.get_key_element(): _for_each_value(w, begin) for w in [*independent, *command]}
    for overrides in product(*words.values()):
        for combination in product(*joint):
            yield [*(override for row in combination for override in row), *overrides]


def _swept(config: DictConfig) -> dict[str, str]:
    """The keys of an experiment and their values; one with an empty text is left alone."""
    params = config.hydra.sweeper.get("params") or {}
    return {str(key): values for key, values in params.items() if values}


def _for_each_value(override: Override, begin: str) -> list[str]:
    """One override for each of the values."""
    if isinstance(override.value(), Glob):
        values = matching(begin, override)
    elif not override.is_sweep_override():
        values = [override.get_value_element_as_str()]
    elif override.is_discrete_sweep():
        values = [*override.sweep_string_iterator()]
    else:
        raise ValueError(
            f"{override.input_line} names no values; a sweep needs them, as in "
            f"{override.key_or_group}=1,2"
        )
    return [f"{override.get_key_element()}={value}" for value in values]


def together(keys: str, values: str, given: Collection[str] = ()) -> list[tuple[str, ...]]:
    """The rows of a joint sweep, each once, without the keys that are `given`."""
    rows = (zip(keys.split("+"), row.strip().split("+")) for row in values.split(","))
    return list(
        dict.fromkeys(
            tuple(f"{key}={value}" for key, value in row if key not in given) for row in rows
        )
    )


def key_of(word: str) -> str:
    """That of an override."""
    return word.partition("=")[0]


def _refuse_one_of_many(begin: str, overrides: Sequence[str]) -> None:
    """An experiment is a sweep; without -m each of its values must be given, but for keys that the
    chosen options lack.
    """
    params = _swept(composed(begin, overrides))
    given = {*map(key_of, overrides)}
    given |= lacking(begin, [*overrides, *(f"{k}=" for k in params if "." in k and "+" not in k)])
    sweep = [
        f"{key}={values}" for key, values in params.items() if not given.issuperset(key.split("+"))
    ]
    if sweep:
        raise ValueError(
            f"the experiment is a sweep over {' '.join(sweep)}; add -m to run all of it "
            f"(dry_run=true shows what it costs, budget=laptop is a small version of it), or give "
            f"one value of each"
        )


def _refuse_for_one(overrides: Sequence[str]) -> None:
    for word in filter(is_hydras, overrides):
        if not word.startswith("hydra.searchpath="):
            raise ValueError(f"{word} is for sweeps; add -m, or leave it out")


def tuned_epochs(source: str, words: Sequence[str]) -> int:
    """Those of the same data set and network without the experiment."""
    choices = composed(source, words).hydra.runtime.choices
    kept = [word for word in words if key_of(word) not in ("experiment", "init", "seed")]
    given = {key_of(word) for word in kept}
    kept += [f"{key}={choices[key]}" for key in ("dataset", "model") if key not in given]
    return int(composed(source, fitting(source, kept)).trainer.epochs)


SHORTENED = "experiment={experiment} trains {epochs} that conf/tuned gives (budget={budget})"


def shortened(source: str, cells: Iterable[Cell]) -> str:
    """How many epochs an experiment trains of those that its networks have without it, as in 15 of
    the 50 epochs; "" where there are not fewer.
    """
    kinds = {
        (values["name"]["dataset"], values["name"]["model"], values["trainer"]["epochs"]): cell
        for cell in cells
        if (values := cell.values)["name"]["experiment"]
    }
    every = {(own, tuned_epochs(source, cell.overrides)) for (*_, own), cell in kinds.items()}
    if not (fewer := [(own, tuned) for own, tuned in every if own < tuned]):
        return ""
    own, tuned = (" to ".join(map(str, sorted({min(each), max(each)}))) for each in zip(*fewer))
    return f"{own} of the {tuned} epochs"


def varied(cells: Iterable[Sequence[str]]) -> list[str]:
    """Keys that take more than one value, or that some cells lack, among the overrides of each of
    several cells.
    """
    every = [*cells]
    same = set(every[0]).intersection(*every[1:])
    return [*dict.fromkeys(key_of(w) for overrides in every for w in overrides if w not in same)]


def label(cell: Cell, keys: Sequence[str]) -> str:
    """The init, the other values of `keys`, and the seed: fluct model.depth=3 seed=0."""
    names = [str(cell.values["name"][key]) for key in LABELS if key in keys or key == "init"]
    others = chosen(cell, [key for key in keys if key not in (*LABELS, "seed")])
    return " ".join([*names, *others, f"seed={cell.values['seed']}"])


def chosen(cell: Cell, keys: Sequence[str]) -> list[str]:
    """The overrides of the cell with these keys."""
    return [word for word in cell.overrides if key_of(word) in keys]


def make_folder(cell: Cell) -> None:
    """Make that of a cell. Raises Mistake where the results cannot be written."""
    try:
        cell.directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        results = cell.values["paths"]["results"]
        raise Mistake(f"paths.results = {results} cannot be written: {error.strerror}") from error


def leave_nothing(cell: Cell) -> None:
    """Remove the folder of a cell that ended before its first epoch, and the folders above that are
    empty then.
    """
    if (cell.directory / METRICS).exists() or holder(cell.directory):  # another may have begun it
        return
    if finished(cell.directory, cell.values["probe"]):
        return
    shutil.rmtree(cell.directory, ignore_errors=True)
    results = Path(cell.values["paths"]["results"])
    for folder in cell.directory.parents:
        if not folder.is_relative_to(results):
            return
        try:
            folder.rmdir()
        except OSError:  # not empty, or another process removed it
            return
