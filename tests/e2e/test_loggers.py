"""Whole runs as the readers of their loggers find them: all rows of metrics.csv, the result, and
the configuration.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from commands import REFERENCE, SMALL, process, records

from fdi.track.mlflow_mirror import named


@pytest.fixture
def cell(tmp_path):
    """The folder of a run that one of the loggers has followed."""

    def run(logger: str) -> Path:
        child = process(f"logger={logger}", "trainer.epochs=3", *SMALL[:2], REFERENCE, cwd=tmp_path)
        _, errors = child.communicate()
        assert (child.returncode, errors) == (0, "")
        (directory,) = records(tmp_path / "results")
        return directory

    return run


def curves(cell: Path) -> dict[str, list[tuple[int, float]]]:
    table = pd.read_csv(cell / "metrics.csv").set_index("epoch").select_dtypes("number")
    return {str(key): list(column.items()) for key, column in table.items()}


def numbers(cell: Path) -> dict[str, float]:
    result = records(cell)[cell].result or {}
    return {f"result/{key}": x for key, x in result.items() if isinstance(x, int | float)}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of mlflow, about its database
def test_mlflow_reads_a_whole_run(cell, tmp_path):
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    directory = cell("mlflow")
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/results/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("fdi").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["model.hidden"] == "8"
    assert run.data.tags["fdi.run"] == directory.name
    for key, expected in curves(directory).items():
        history = client.get_metric_history(run.info.run_id, named(key))
        assert [(point.step, point.value) for point in history] == expected, key
    assert numbers(directory).items() <= run.data.metrics.items()


@pytest.mark.slow
def test_tensorboard_reads_a_whole_run(cell):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    directory = cell("tensorboard")
    events = EventAccumulator(str(directory / "tensorboard"))
    events.Reload()
    for key, expected in curves(directory).items():
        assert [event.step for event in events.Scalars(key)] == [epoch for epoch, _ in expected]
        values = [event.value for event in events.Scalars(key)]
        assert values == pytest.approx([value for _, value in expected], rel=1e-6), key
    for key, value in numbers(directory).items():
        assert events.Scalars(key)[-1].value == pytest.approx(value, rel=1e-6), key
    written = events.PluginTagToContent("hparams")
    start = HParamsPluginData.FromString(written["_hparams_/session_start_info"])
    parameters = start.session_start_info.hparams
    assert parameters["model.hidden"].number_value == 8
    assert parameters["optimizer.lr"].number_value > 0
    shown = HParamsPluginData.FromString(written["_hparams_/experiment"]).experiment.metric_infos
    assert {info.name.tag for info in shown} == numbers(directory).keys()
