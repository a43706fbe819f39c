"""A search: the sweeper that `hydra/sweeper` names chooses each cell by what came of others."""

from __future__ import annotations

import logging
import os
from argparse import Namespace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from hydra import initialize_config_module
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from fdi.cli.cells import Cell, common_words, compose_sweep, print_result
from fdi.cli.compose import CONFIG_MODULE, composer, context
from fdi.cli.launch import end_workers_with_us, from_here, not_installed, share, threads_of_a_cell
from fdi.cli.task import run_trial
from fdi.track.directory import run_directory

BEST = "optimization_results.yaml"  # Optuna's, in results/runs
FAILURE_RATE = "max_failure_rate"  # of hydra.sweeper
GRID_FAILED = (
    "hydra/sweeper/sampler=grid cannot end with a trial that failed; leave hydra/sweeper out: "
    "a sweep runs all combinations"
)
NO_TRIAL = "No trials are completed yet."  # Optuna's words
LOUD = ("optuna", "hydra_plugins.hydra_optuna_sweeper")  # loggers; one line a trial is enough


def is_search(arguments: Namespace) -> bool:
    """Whether `hydra/sweeper` is another than Hydra's own, which runs all combinations."""
    with initialize_config_module(CONFIG_MODULE, version_base="1.3"):
        return not compose_sweep(arguments).hydra.sweeper._target_.endswith(".BasicSweeper")


def search(arguments: Namespace) -> None:
    """Run the trials, and show the best: by the validation accuracy of the best epoch.

    A trial that fails does not end the search, unless `hydra.sweeper.max_failure_rate` says so.
    Raises ValueError for what cannot be searched, before anything runs, and if no trial succeeds.
    """
    with initialize_config_module(CONFIG_MODULE, version_base="1.3"):
        _survive_failures(arguments)
        config, compose = compose_sweep(arguments), composer(arguments)
        common = common_words(arguments)
        values = compose.settings(common)
        if problem := _problem(arguments, config, values):
            raise ValueError(problem)
        with read_write(config), open_dict(config):
            gpus = share({values["device"]}, config.hydra.launcher)
        overrides = [*arguments.overrides]
        threads = threads_of_a_cell(config.hydra.launcher)
        if threads is not None and values["threads"] is None:
            overrides.append(f"threads={threads}")
        fixed = (*common, *overrides)
        trial = from_here(partial(run_trial, search=os.getpid(), fixed=fixed, gpus=gpus))
        try:
            sweeper = Plugins.instance().instantiate_sweeper(
                config=config, hydra_context=context(compose), task_function=trial
            )
        except RuntimeError:
            raise ValueError(not_installed(config.hydra)) from None
        end_workers_with_us(config.hydra.launcher)
        for name in LOUD:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            sweeper.sweep(overrides)
        except ValueError as error:
            raise ValueError(str(error).replace(NO_TRIAL, "no trial succeeded")) from None
        except RuntimeError as error:
            raise ValueError(GRID_FAILED if "Study.stop" in str(error) else str(error)) from None
        finally:
            if gpus:
                gpus.end()
        chosen = OmegaConf.load(Path(config.hydra.sweep.dir) / BEST).best_params
        best = tuple(f"{key}={value}" for key, value in chosen.items())
        values = compose.settings([*common, *best])
    print(f"best on validation: {' '.join(best)}")
    print_result(Cell(best, values, run_directory(values)))


def _survive_failures(arguments: Namespace) -> None:
    """Let trials fail, all of them if need be, where the sweeper has a limit that the user has not
    set.
    """
    key = f"hydra.sweeper.{FAILURE_RATE}"
    given = any(word.startswith(f"{key}=") for word in arguments.overrides)
    if not given and FAILURE_RATE in compose_sweep(arguments).hydra.sweeper:
        arguments.overrides.append(f"{key}=1")


def _sqlalchemy_is_too_new() -> bool:
    """Whether both are installed, and Optuna below 3 keeps no study with this SQLAlchemy."""
    try:
        optuna, sqlalchemy = (int(version(p).partition(".")[0]) for p in ("optuna", "sqlalchemy"))
    except PackageNotFoundError:
        return False
    return optuna < 3 and sqlalchemy >= 2


def _problem(arguments: Namespace, config: DictConfig, values: dict) -> str | None:
    """Why there is nothing to search."""
    parsed = OverridesParser.create().parse_overrides(arguments.overrides)
    params = config.hydra.sweeper.get("params") or {}
    if not params and not any(override.is_sweep_override() for override in parsed):
        return "nothing to search; give a key several values, as in 'init.sigma_u=interval(0.2,2)'"
    if config.hydra.sweeper.get("storage") and _sqlalchemy_is_too_new():
        return (
            f"hydra.sweeper.storage = {config.hydra.sweeper.storage}: this sweeper keeps a study "
            f"with SQLAlchemy below 2, and {version('sqlalchemy')} is installed; "
            f"pip install 'fdi-snn[optuna]' 'sqlalchemy<2'"
        )
    if together := next((key for key in params if "+" in key), None):
        return f"hydra.sweeper.params: a search cannot vary {together} jointly; give each one value"
    if values["probe"] == "only" or values["dry_run"]:
        return "a search trains to know what to try next; leave out probe=only and dry_run=true"
    if values["dataset"].get("valid") == 0:
        return "dataset.valid = 0: a search needs a validation split; hold samples out for it"
    return None
