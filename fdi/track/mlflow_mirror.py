"""A copy of a run for MLflow; csv and json files stay the truth. mlflow is imported only here."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fdi.config.cache import alone
from fdi.track.mirror import Mirror, leaves, numbers, remarks

MISSING = "logger=mlflow needs the package mlflow: pip install 'fdi-snn[mlflow]'"
TAG = "fdi.run"
NOTE = "mlflow.note.content"  # what MLflow shows as the description of a run
LONGEST = 500  # characters of a parameter


@contextmanager
def mlflow_mirror(
    config: dict[str, Any],
    directory: Path,
    epoch: int,
    *,
    tracking_uri: str | None = None,
    experiment: str = "fdi",
) -> Iterator[Mirror]:
    """Open a new run, or where this one resumes the last that has its directory's name as a tag, so
    that it goes on in its curves; it is closed however the block ends.

    `tracking_uri`: a server or store; None: the database mlflow.db in the folder of the results.
    Raises ValueError if mlflow is missing or refuses, or that database is a link.
    """
    try:
        from mlflow import MlflowClient
        from mlflow.entities import Metric
    except ImportError:
        raise ValueError(MISSING) from None
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)  # an error is raised as well
    results = Path(config["paths"]["results"]).absolute()
    database = results / "mlflow.db"
    try:
        results.mkdir(parents=True, exist_ok=True)
        with alone(results / ".mlflow.lock"):  # two that make its tables trip over each other
            # a link in somebody's results may lead anywhere
            other = database.is_symlink() or (database.exists() and not database.is_file())
            if other and tracking_uri is None:
                raise ValueError(f"{database} is not a file; move it away")
            client = MlflowClient(tracking_uri or f"sqlite:///{database}")
            run = _run(client, config, directory, epoch, experiment)
    except Exception as error:  # its own, of SQLAlchemy, of Alembic and of the drivers of databases
        raise ValueError(f"logger=mlflow: {' '.join(str(error).split())}") from None

    def log(values: dict[str, Any], step: int) -> None:
        now = int(1000 * time.time())
        shown = numbers(values).items()
        metrics = [Metric(named(key), float(value), now, step) for key, value in shown]
        client.log_batch(run, metrics=metrics)

    try:
        yield Mirror(log)
    except BaseException:
        client.set_terminated(run, "FAILED")
        raise
    client.set_terminated(run)


def _run(client: Any, config: dict[str, Any], directory: Path, epoch: int, experiment: str) -> str:
    """The id of the run, with its parameters."""
    from mlflow.entities import Param

    group = client.get_experiment_by_name(experiment)
    place = group.experiment_id if group else client.create_experiment(experiment)
    said = {NOTE if key == "note" else key: text for key, text in remarks(config).items()}
    before = client.search_runs([place], f"tags.`{TAG}` = '{directory.name}'", max_results=1)
    if epoch and before:  # the last one comes first
        run = before[0].info.run_id
        client.update_run(run, "RUNNING")
        for key, value in said.items():
            client.set_tag(run, key, value)
        return run
    labels = {key: str(config["name"][key]) for key in ("dataset", "model", "init", "experiment")}
    name = "/".join([*list(labels.values())[:3], directory.name.rpartition("-")[0]])
    tags = {TAG: directory.name, **labels, **said}
    run = client.create_run(place, tags=tags, run_name=name).info.run_id
    parameters = [Param(named(key), str(value)[:LONGEST]) for key, value in leaves(config).items()]
    client.log_batch(run, params=parameters[:100])  # it takes no more at a time
    client.log_batch(run, params=parameters[100:])
    return run


def named(key: str) -> str:
    """The key, in the characters that MLflow takes: grad/input to h1 for grad/input->h1."""
    return re.sub(r"[^\w.\- :/]", "_", key.replace("->", " to "))
