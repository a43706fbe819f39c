"""The commands as functions: they compose, check, resume and record as `fdi-run` does, and a call
and the command with the same words are the same run.

Words are those of the command line, "dataset=shd"; keywords are their values in Python, seed=3 or
**{"model.depth": 3}. Raises fdi.Mistake, with the line that the command would print, for mistakes
that a user can correct.
"""

from __future__ import annotations

import re
import threading
import warnings
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from fdi.analysis import collect
from fdi.analysis.collect import Runs, checked
from fdi.analysis.results import EXAMPLE, read_curves
from fdi.cli.cells import Cell, compose_cells, compose_sweep, leave_nothing
from fdi.cli.compose import explain, forget, quoted
from fdi.cli.recipe_result import Recipe
from fdi.cli.sweep import run_sweep
from fdi.cli.task import measured_state
from fdi.cli.terminal import Terminal
from fdi.cli.tune import run_tuned
from fdi.config import Mistake
from fdi.config.parts import spelt
from fdi.data.arrays import Data, content, hash_arrays
from fdi.data.inputs import Kind
from fdi.init.verdict import remarks, verdict
from fdi.track.files import atomic

if TYPE_CHECKING:
    from fdi.runner.trained import Trained


PLAIN = re.compile(r"(?!(null|true|false|nan|inf)$)[a-z_/][\w./:+-]*", re.IGNORECASE)
_ONE_AT_A_TIME = threading.RLock()


def words(values: Mapping[str, Any]) -> list[str]:
    """key=value for each of `values`; a list is one value."""
    return [f"{key}={text(value)}" for key, value in values.items()]


def sweep_words(values: Mapping[str, Any]) -> list[str]:
    """key=value,value,... for each of `values`, where a list, a range or an array holds several.
    Raises fdi.Mistake for one that is empty.
    """
    overrides = []
    for key, value in values.items():
        several = list(value) if isinstance(value, Iterable) and not _one(value) else [value]
        if not several:
            raise Mistake(f"{key} has no values; give at least one")
        overrides.append(f"{key}={','.join(map(text, several))}")
    return overrides


def text(value: Any) -> str:
    """A value as Hydra reads it: `spelt`, with a text in quotes unless it is a plain word."""
    return spelt(value, _word)


def _word(value: Any) -> str:
    if isinstance(value, np.generic) and not isinstance(value, str):
        return text(value.item())
    word = str(value)
    return word if PLAIN.fullmatch(word) else quoted(word)


def _one(value: Any) -> bool:
    return isinstance(value, str | bytes | Mapping)


Folder = str | Path
Value = str | int | float | bool | np.generic | Mapping[str, Any] | Iterable[Any] | None


def run(
    *overrides: str,
    results: Folder | None = None,
    config_dir: Folder | None = None,
    data: Data | None = None,
    kind: Kind | None = None,
    **values: Any,
) -> Trained:
    """Train the run that these words describe, resume it if it was stopped, or load it if it is
    done; returns it with its network after the last epoch.

        fdi.run("dataset=randman", "init=fluct", seed=3).result["test_accuracy_last"]

    `results`: the folder it is kept in, "results" unless given. `config_dir`: a folder with options
    of your own; restart Python after a change of code in it. `data`: inputs and labels, (x, y) or
    (x, y, x_test, y_test), or one or two data sets of torch or tonic, see fdi.data.arrays.content;
    they are kept below `results`. `kind` of x: spikes, counts, currents or images; None: what is
    certain, see fdi.data.arrays.arrays. Raises fdi.Mistake, fdi.train.trainer.Diverged where the
    loss is not finite, and fdi.track.process.Busy while another process works on the run.
    """
    cell = _cell([*_stored(data, kind, results), *overrides, *words(values)], results, config_dir)
    if cell.values["probe"] == "only":
        raise Mistake("probe = only trains nothing; use fdi.probe")
    _train(cell, Terminal())
    from fdi.runner.trained import load

    return load(cell.directory, modules=cell.values["paths"]["modules"])


def probe(
    *overrides: str,
    results: Folder | None = None,
    config_dir: Folder | None = None,
    data: Data | None = None,
    kind: Kind | None = None,
    **values: Any,
) -> pd.DataFrame:
    """The initial state of a network, a row per population and one for the readout: the columns of
    init.json, and `verdict`, how it compares with its target. Nothing is trained.

        fdi.probe("model.depth=3", init="kaiming")[["population", "free_sigma", "rate", "verdict"]]

    Potentials in units of theta, rates in Hz. Prints advice, as the command does. `results`,
    `config_dir`, `data`, `kind` and errors as in `fdi.run`.
    """
    given = [*_stored(data, kind, results), *overrides, *words(values), "probe=only"]
    cell = _cell(given, results, config_dir)
    _train(cell, _Quiet())
    from fdi.runner.build import training_words

    rows = measured_state(cell.directory)
    print(*remarks(rows, cell.values["name"]["init"], training_words(cell.config)), sep="\n")
    table = pd.DataFrame([row | {"verdict": verdict(row)} for row in rows])
    return table.astype({key: float for key in table if table[key].isna().any()})


def sweep(
    *overrides: str,
    results: Folder | None = None,
    config_dir: Folder | None = None,
    data: Data | None = None,
    kind: Kind | None = None,
    **values: Value,
) -> pd.DataFrame:
    """Run all combinations of the values; returns one row per run, as `fdi.results` does, in the
    order of the combinations. Runs that are done are not run again, others resume where they
    stopped.

        fdi.sweep("hydra/launcher=local", init=["kaiming", "fluct"], seed=range(5))

    A list, a range or an array holds several values; a list of lists several lists. A run that
    fails, or whose values are refused, does not stop the others: its `state` is failed or refused,
    and `error` says why. `results`, `config_dir`, `data`, `kind` and errors as in `fdi.run`.
    """
    given = [*_stored(data, kind, results), *overrides, *sweep_words(values)]
    arguments = _arguments(given, results, config_dir, multirun=True)
    with _as_the_command():
        if compose_sweep(arguments).tune:
            cells = run_tuned(arguments)[1]
        elif (cells := compose_cells(arguments))[0].values["dry_run"]:
            cells = []
        else:
            run_sweep(arguments, cells)
        if not cells:
            raise Mistake("dry_run = true is for fdi-run; leave it out")
    table = collect.alike(collect.runs(Path(cells[0].values["paths"]["results"])))
    places = {path: place for place, path in enumerate(table["path"])}
    mine = [places[path] for path in (str(cell.directory) for cell in cells) if path in places]
    return table.iloc[mine].reset_index(drop=True)


def of_words(
    *overrides: str,
    results: Folder | None = None,
    config_dir: Folder | None = None,
    data: Data | None = None,
    kind: Kind | None = None,
    **values: Any,
) -> Recipe:
    """What `fdi-run experiment=recipe` finds for these words."""
    from fdi.cli.recipe import run_recipe

    given = [*_stored(data, kind, results), *overrides, *sweep_words(values)]
    arguments = _arguments(["experiment=recipe", *given], results, config_dir, multirun=True)
    with _as_the_command():
        found = run_recipe(arguments)[1]
    if found is None:
        raise Mistake("dry_run = true is for fdi-run; leave it out")
    return found


def results(folder: Folder = "results") -> pd.DataFrame:
    """The runs below `folder`, one row per run: its path, state, accuracies (0 to 1), rates (Hz),
    and each key of its config; the columns are those of fdi.analysis.collect, those of several
    types as text. Raises fdi.Mistake where there are none.
    """
    table = collect.runs(Path(folder))
    if table.empty:
        raise Mistake(f"no runs in {Path(folder) / 'runs'}; make some: {EXAMPLE}")
    return collect.alike(table)


def curves(runs: Runs) -> pd.DataFrame:
    """The learning curves of rows of `fdi.results`, a row per run and epoch: the keys that identify
    the run, and the columns of metrics.csv.
    """
    return read_curves(checked(runs))


class _Quiet(Terminal):
    """Leaves the table of the initial state to whoever asked for it."""

    def probe(self, *_: Any) -> None:
        pass


def _stored(data: Data | None, kind: Kind | None, results: Folder | None) -> list[str]:
    """The words that name `data`, kept in a file of the folder of results that is called after its
    content.
    """
    declared = [f"dataset.kind={kind}"] if kind else []
    if data is None:
        return declared
    arrays = content(data, kind)
    path = Path(results or "results") / "data" / f"{hash_arrays(arrays)}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type] # its own names are none
    return ["dataset=arrays", f"dataset.file={text(path)}", *declared]


def _cell(overrides: Sequence[str], results: Folder | None, config_dir: Folder | None) -> Cell:
    with _as_the_command():
        (cell,) = compose_cells(_arguments(overrides, results, config_dir, multirun=False))
        if cell.values["dry_run"]:
            raise Mistake("dry_run = true is for fdi-run; leave it out")
        return cell


def _train(cell: Cell, view: Terminal) -> None:
    from fdi.runner.story import execute

    new = not cell.directory.exists()
    try:
        with _as_the_command():
            execute(cell.values, cell.directory, view, cell.overrides)
    except ValueError:
        if new:
            leave_nothing(cell)
        raise


def _arguments(
    overrides: Sequence[str], results: Folder | None, config_dir: Folder | None, multirun: bool
) -> Namespace:
    """As Hydra parses them from a command line."""
    for override in overrides:
        if not isinstance(override, str):
            raise Mistake(f"{override!r} must be a word such as 'dataset=randman'")
    if config_dir is not None or any("searchpath" in override for override in overrides):
        forget()  # files of one's own may have changed; those of fdi did not
    place = [] if results is None else [f"paths.results={text(results)}"]
    return Namespace(
        overrides=[*overrides, *place],
        multirun=multirun,
        cfg=None,
        config_dir=None if config_dir is None else str(config_dir),
    )


@contextmanager
def _as_the_command() -> Iterator[None]:
    """Turns errors of composing into the line that the command prints; torch keeps its number of
    threads. Threads take turns.
    """
    import torch

    with _ONE_AT_A_TIME:
        threads = torch.get_num_threads()
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "\n'hydra/launcher/ray' is validated")
                yield
        except (HydraException, OmegaConfBaseException, ValueError, OSError) as error:
            raise Mistake(explain(error)) from None
        finally:
            torch.set_num_threads(threads)
