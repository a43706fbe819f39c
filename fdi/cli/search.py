"""A search: the sweeper that `hydra/sweeper` chooses draws its cells, by what came of others."""

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

from fdi.cli.cells import Cell, common_words, compose_sweep
from fdi.cli.compose import CONFIG_MODULE, composer
from fdi.cli.gpus import share
from fdi.cli.inside import context
from fdi.cli.launch import end_workers_with_us, from_here, not_installed, threads_of_a_cell
from fdi.cli.summary import print_result
from fdi.cli.task import run_trial
from fdi.track.directory import run_directory

BEST = "optimization_results.yaml"  # Optuna's, in results/runs
FAILURES = "hydra.sweeper.max_failure_rate"
GRID = (
    "hydra/sweeper/sampler=grid cannot end with a trial that failed; leave hydra/sweeper out: "
    "a sweep runs all combinations"
)
NONE = "No trials are completed yet."  # Optuna's words


def is_search(arguments: Namespace) -> bool:
    """Whether `hydra/sweeper` is another one than Hydra's own, which runs all combinations."""
    with initialize_config_module(CONFIG_MODULE, version_base="1.3"):
        return not compose_sweep(arguments).hydra.sweeper._target_.endswith(".BasicSweeper")


def search(arguments: Namespace) -> None:
    """Run the trials, and show the best: by the validation accuracy of the best epoch.

    A trial that fails does not end the search, unless `hydra.sweeper.max_failure_rate` says so.
    Raises ValueError for what cannot be searched, before anything runs, and if no trial succeeds.
    """
    with initialize_config_module(CONFIG_MODULE, version_base="1.3"):
        if not any(word.startswith(f"{FAILURES}=") for word in arguments.overrides) and (
            FAILURES.rpartition(".")[2] in compose_sweep(arguments).hydra.sweeper
        ):
            arguments.overrides.append(f"{FAILURES}=1")
        config, compose = compose_sweep(arguments), composer(arguments)
        fixed = common_words(arguments)
        values = compose.settings(fixed)
        if problem := _problem(arguments, config, values):
            raise ValueError(problem)
        with read_write(config), open_dict(config):
            gpus = share({values["device"]}, config.hydra.launcher)
        words = [*arguments.overrides]
        threads = threads_of_a_cell(config.hydra.launcher)
        if threads is not None and values["threads"] is None:
            words.append(f"threads={threads}")
        trial = from_here(partial(run_trial, search=os.getpid(), fixed=(*fixed, *words), gpus=gpus))
        try:
            sweeper = Plugins.instance().instantiate_sweeper(
                config=config, hydra_context=context(compose), task_function=trial
            )
        except RuntimeError:
            raise ValueError(not_installed(config.hydra)) from None
        end_workers_with_us(config.hydra.launcher)
        for name in (
            "optuna",
            "hydra_plugins.hydra_optuna_sweeper",
        ):  # one line per trial is enough
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            sweeper.sweep(words)
        except ValueError as error:
            raise ValueError(str(error).replace(NONE, "no trial succeeded")) from None
        except RuntimeError as error:
            raise ValueError(GRID if "Study.stop" in str(error) else str(error)) from None
        finally:
            if gpus:
                gpus.end()
        best = OmegaConf.load(Path(config.hydra.sweep.dir) / BEST)
        drawn = tuple(f"{key}={value}" for key, value in best.best_params.items())
        values = compose.settings([*fixed, *drawn])
    print(f"best on validation: {' '.join(drawn)}")
    print_result(Cell(drawn, values, run_directory(values)))


def _sqlalchemy() -> int:
    """The major version that is installed; 0: none, or a sweeper that does not mind."""
    try:
        mind = int(version("optuna").partition(".")[0]) < 3
        return int(version("sqlalchemy").partition(".")[0]) if mind else 0
    except PackageNotFoundError:
        return 0


def _problem(arguments: Namespace, config: DictConfig, values: dict) -> str | None:
    """Why there is nothing to search."""
    parsed = OverridesParser.create().parse_overrides(arguments.overrides)
    params = config.hydra.sweeper.get("params") or {}
    if not params and not any(override.is_sweep_override() for override in parsed):
        return "nothing to search; give a key several values, as in 'init.sigma_u=interval(0.2,2)'"
    if config.hydra.sweeper.get("storage") and _sqlalchemy() >= 2:
        return (
            f"hydra.sweeper.storage = {config.hydra.sweeper.storage}: this sweeper keeps a study "
            f"with SQLAlchemy below 2, and {version('sqlalchemy')} is installed; "
            f"pip install 'fdi-snn[optuna]' 'sqlalchemy<2'"
        )
    if joint := next((key for key in params if "+" in key), None):
        return (
            f"hydra.sweeper.params: a search cannot vary {joint} together; give one value of each"
        )
    if values["probe"] == "only" or values["dry_run"]:
        return "a search trains to know what to try next; leave out probe=only and dry_run=true"
    if values["dataset"].get("valid") == 0:
        return "dataset.valid = 0: a search needs a validation split; hold samples out for it"
    return None
