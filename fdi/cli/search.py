"""A search: Optuna chooses the values of each trial by what came of earlier ones. A trial is an
ordinary cell, which any launcher runs.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.utils import instantiate
from omegaconf import DictConfig

from fdi.cli.cells import (
    Cell,
    common_words,
    compose_cell,
    compose_sweep,
    leave_nothing,
)
from fdi.cli.compose import composed, parsed, source, values_of
from fdi.cli.launch import launch
from fdi.cli.task import FAILED, REFUSED, check_done, complain, print_result, run_cell
from fdi.config.metric import of_result
from fdi.track.record import finished, look

OURS = "fdi.cli.search.search"
MISSING = "hydra/sweeper=optuna needs Optuna 4 or later: pip install 'fdi-snn[optuna]'"


def is_search(arguments: Namespace) -> bool:
    """Whether `hydra/sweeper` is another than Hydra's own, which runs all combinations."""
    return not compose_sweep(arguments).hydra.sweeper._target_.endswith(".BasicSweeper")


def search(arguments: Namespace) -> None:
    """Run the trials, hydra.sweeper.n_jobs at a time, and show the best: by the accuracy, or what
    else runs are judged by, of the best epoch on validation.

    A trial that is refused or fails does not end the search. Raises ValueError for what cannot be
    searched, before anything runs, and if no trial succeeds.
    """
    optuna = _optuna()
    begin, node = source(arguments), compose_sweep(arguments).hydra.sweeper
    if node._target_ != OURS:
        raise ValueError(f"hydra/sweeper: {node._target_} is none of fdi's; give optuna")
    fixed, sweeps = _split(arguments, node)
    values = values_of(begin, common_words(arguments))
    if problem := _problem(sweeps, values):
        raise ValueError(problem)
    space = {word.get_key_element(): _distribution(optuna, word) for word in sweeps}
    study = _study(optuna, node)
    if study.direction != optuna.study.StudyDirection.MAXIMIZE:
        raise ValueError(f"{node.storage} holds a study that minimizes; give another study_name")
    told = 0
    while told < node.n_trials:
        trials = [study.ask(space) for _ in range(min(node.n_jobs, node.n_trials - told))]
        cells = {}
        for told, trial in enumerate(trials, told + 1):  # noqa: B020 # counts on
            label = f"trial {told}/{node.n_trials}  {' '.join(_words(trial.params))}"
            cells[label] = _cell(begin, [*fixed, *_words(trial.params)], label)
        for trial, accuracy in zip(trials, _run(arguments, cells)):
            fail = optuna.trial.TrialState.FAIL if accuracy is None else None
            study.tell(trial, accuracy, state=fail)
    try:
        best = study.best_trial
    except ValueError:
        raise ValueError("no trial succeeded") from None
    print(f"best on validation: {' '.join(_words(best.params))}")
    print_result(compose_cell(begin, (*fixed, *_words(best.params))))


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise ValueError(MISSING) from None
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)  # one line a trial is enough
    return optuna


def _split(arguments: Namespace, node: DictConfig) -> tuple[list[str], list[Override]]:
    """The overrides with one value, and those that the search chooses, of the command line and of
    hydra.sweeper.params.
    """
    given = [parsed(word) for word in arguments.overrides]
    params = node.get("params") or {}
    if together := next((key for key in params if "+" in key), None):
        raise ValueError(
            f"hydra.sweeper.params: a search cannot vary {together} jointly; give each one value"
        )
    keys = {word.key_or_group for word in given}
    written = [parsed(f"{key}={values}") for key, values in params.items() if key not in keys]
    words = [*written, *given]
    fixed = [str(word.input_line) for word in words if not word.is_sweep_override()]
    return fixed, [word for word in words if word.is_sweep_override()]


def _problem(sweeps: Sequence[Override], values: dict[str, Any]) -> str | None:
    if not sweeps:
        return "nothing to search; give a key several values, as in 'init.sigma_u=interval(0.2,2)'"
    if values["probe"] == "only" or values["dry_run"]:
        return "a search trains to know what to try next; leave out probe=only and dry_run=true"
    if values["dataset"].get("valid") == 0:
        return "dataset.valid = 0: a search needs a validation split; hold samples out for it"
    return None


def _distribution(optuna: Any, word: Override) -> Any:
    """int(interval(1,5)) draws whole numbers."""
    value: Any = word.value()
    if not isinstance(value, IntervalSweep):
        return optuna.distributions.CategoricalDistribution([*word.sweep_string_iterator()])
    whole = isinstance(value.start, int) and isinstance(value.end, int)
    kinds = optuna.distributions
    kind = kinds.IntDistribution if whole else kinds.FloatDistribution
    return kind(value.start, value.end, log="log" in value.tags)


def _study(optuna: Any, node: DictConfig) -> Any:
    sampler = instantiate(node.sampler)
    try:
        return optuna.create_study(
            storage=node.storage,
            study_name=node.study_name,
            sampler=sampler,
            direction="maximize",
            load_if_exists=True,
        )
    except Exception as error:  # of SQLAlchemy, of a driver, or of Optuna for an older file
        line = " ".join(str(error).split())
        raise ValueError(f"hydra.sweeper.storage = {node.storage}: {line}") from None


def _words(params: dict[str, Any]) -> list[str]:
    return [f"{key}={value}" for key, value in params.items()]


def _cell(begin: str, words: Sequence[str], label: str) -> Cell | None:
    """The cell of a trial; None, and a line, where its values are refused."""
    composed(begin, words)  # a key that there is not ends the search
    try:
        cell = compose_cell(begin, words)
        if finished(cell.directory, cell.values["probe"]):
            check_done(cell.config, cell.directory)
        return cell
    except ValueError as error:
        complain(f"{label}  failed: {error}", REFUSED)
        return None


def _run(arguments: Namespace, cells: dict[str, Cell | None]) -> list[float | None]:
    """Run what is not finished; a line for each trial, and what it reached on validation, the
    higher the better, None where it failed.
    """
    every = {cell.directory: cell for cell in cells.values() if cell}.values()
    new = [cell for cell in every if not cell.directory.exists()]
    if left := [cell for cell in every if not finished(cell.directory, cell.values["probe"])]:
        launch(arguments, left, run_cell)
    found = [_ended(label, cell) for label, cell in cells.items()]
    for cell in new:
        if look(cell.directory).refused:
            leave_nothing(cell)
    return found


def _ended(label: str, cell: Cell | None) -> float | None:
    """Say what came of a trial; returns what it reached on validation, the higher the better."""
    if cell is None:
        return None
    run = look(cell.directory)
    result = run.result
    metric = of_result(result or {})
    reached = result.get(metric.key("valid_accuracy_best")) if result else None
    if result is None:
        complain(f"{label}  failed: {run.reason or run.state}", FAILED)
    elif reached is None:
        complain(f"{label}  failed: it has no validation split", REFUSED)
    else:
        print(f"{label}  valid {metric.text(reached)}  {result['seconds']:.0f} s", flush=True)
    return None if reached is None else metric.sign * reached
