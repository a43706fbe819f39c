"""Mirrors of the learning curves: they hold what metrics.csv holds, and are closed when a run
fails.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from fdi.track import mlflow_mirror, tensorboard_mirror, wandb_mirror

CONFIG = {
    "name": {"dataset": "randman", "model": "dense", "init": "fluct", "experiment": "depth"},
    "seed": 3,
    "engine": {},
    "identity": {"exclude": ["name", "identity", "threads"]},
}
PROBE = {
    "population": "h1",
    "target_sigma_u": None,
    "theory_sigma_u": 0.5,
    "free_sigma": 0.6,
    "sigma": 0.4,
    "rate": 9.0,
    "grad": 0.1,
}
ROWS = [{"epoch": epoch, "phase": "task", "valid/accuracy": epoch / 10} for epoch in (1, 2)]
RESULT = {"epochs": 2, "test_accuracy_last": 0.25}

WRITE = """
import json, sys
from pathlib import Path
from fdi.track.wandb_mirror import wandb_mirror
config, probe, rows, result = json.loads(sys.argv[1])
with wandb_mirror(config, Path("seed=3-0123abcd").absolute(), 0, tags=["mine"]) as mirror:
    mirror.probe([probe])
    for row in rows:
        mirror.row(row)
    mirror.result(result)
import wandb
assert not wandb.env.error_reporting_enabled()
"""


@pytest.mark.slow  # it starts wandb's own process
def test_wandb_offline_needs_no_account(tmp_path):
    pytest.importorskip("wandb")
    (tmp_path / "seed=3-0123abcd").mkdir()
    given = json.dumps([CONFIG, PROBE, ROWS, RESULT])
    written = subprocess.run(
        [sys.executable, "-c", WRITE, given], cwd=tmp_path, capture_output=True, text=True
    )
    assert (written.returncode, written.stderr) == (0, "")
    (file,) = tmp_path.glob("seed=3-0123abcd/wandb/offline-run-*-0123abcd/run-0123abcd.wandb")
    content = file.read_bytes()
    assert all(
        word in content
        for word in (
            b"valid/accuracy",
            b"randman/dense/fluct/seed=3",
            b"mine",
            b"depth",
            b"result/test_accuracy_last",
            b"init/sigma/h1",
        )
    )


class FakeWandb:
    """Stands in for the module and for its run, and notes what is asked of it."""

    Error = type("Error", (Exception,), {})

    def __init__(self):
        self.options, self.ends, self.rows = {}, [], []

    def init(self, **options):
        if options["mode"] == "online":
            raise self.Error("no API key configured")
        self.options = options
        return self

    def Settings(self, **_):
        return None

    def define_metric(self, *_, **__):
        pass

    def log(self, row):
        self.rows.append(row)

    def finish(self, exit_code=0):
        self.ends.append(exit_code)


@pytest.fixture
def cell(tmp_path) -> Path:
    (folder := tmp_path / "seed=3-0123abcd").mkdir()
    return folder


@pytest.fixture
def wandb(monkeypatch) -> FakeWandb:
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    return fake


def test_groups_of_wandb_hold_seeds_and_do_not_mix_configurations(wandb, cell):
    def group(**changes):
        with wandb_mirror.wandb_mirror(CONFIG | changes, cell, 0):
            return wandb.options["group"]

    assert group().startswith("randman/dense/fluct/")
    assert group(seed=7) == group(seed=8)
    assert group(init={"sigma_u": 0.5}) != group(init={"sigma_u": 1.0})
    assert group(threads=1) == group(threads=2)


def test_mirrors_have_the_tags_and_the_note_of_a_run(wandb, cell):
    said = CONFIG | {"tags": ["draft"], "note": "as in May"}
    with wandb_mirror.wandb_mirror(said, cell, 0, tags=["mine"]):
        assert wandb.options["tags"] == ["randman", "dense", "fluct", "depth", "mine", "draft"]
        assert wandb.options["notes"] == "as in May"


def test_wandb_is_finished_and_goes_on_under_the_id_of_the_run(wandb, cell):
    with wandb_mirror.wandb_mirror(CONFIG, cell, 0) as mirror:
        mirror.row(ROWS[0])
        mirror.result(RESULT)
    assert wandb.options["id"] == "0123abcd"
    assert wandb.options["resume"] == "allow"
    last = {"epoch": 2, "result/epochs": 2, "result/test_accuracy_last": 0.25}
    assert (wandb.rows, wandb.ends) == ([ROWS[0], last], [0])


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_wandb_is_finished_on_failure(wandb, cell, failure):
    def fail() -> None:
        with wandb_mirror.wandb_mirror(CONFIG, cell, 0):
            raise failure

    with pytest.raises(failure):
        fail()
    assert wandb.ends == [1]


def test_wandb_without_an_account_is_one_line(wandb, cell):
    with pytest.raises(
        ValueError, match=r"no API key configured; without an account: logger\.mirror\.mode=offline"
    ):
        wandb_mirror.wandb_mirror(CONFIG, cell, 0, mode="online").__enter__()


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    with tensorboard_mirror.tensorboard_mirror(CONFIG, tmp_path, 0) as mirror:
        mirror.probe([PROBE])
        for row in ROWS:
            mirror.row(row)
        mirror.result(RESULT)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(event.step, round(event.value, 3)) for event in events.Scalars("valid/accuracy")] == [
        (1, 0.1),
        (2, 0.2),
    ]
    assert [event.step for event in events.Scalars("result/test_accuracy_last")] == [2]
    assert [event.step for event in events.Scalars("init/sigma/h1")] == [0]


def test_tensorboard_has_a_table_of_hyper_parameters(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    config = CONFIG | {"optimizer": {"lr": 0.5}, "threads": 4, "scheduler": None}
    with tensorboard_mirror.tensorboard_mirror(config, tmp_path, 0) as mirror:
        mirror.result(RESULT)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    written = events.PluginTagToContent("hparams")
    start = HParamsPluginData.FromString(written["_hparams_/session_start_info"])
    parameters = {
        key: value.number_value for key, value in start.session_start_info.hparams.items()
    }
    assert parameters == {"seed": 3, "optimizer.lr": 0.5}
    shown = HParamsPluginData.FromString(written["_hparams_/experiment"]).experiment.metric_infos
    assert {info.name.tag for info in shown} == {"result/epochs", "result/test_accuracy_last"}


@pytest.fixture
def mlflow_runs(tmp_path):
    """Writes rows from an epoch on, and the runs that MLflow then has, the first one first."""
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    config = CONFIG | {"optimizer": {"lr": 0.5}, "paths": {"results": str(tmp_path)}}
    config |= {"identity": {"exclude": ["threads", "paths"]}}

    def write(cell, rows, epoch=0, fail=False):
        with mlflow_mirror.mlflow_mirror(config, cell, epoch) as mirror:
            mirror.probe([PROBE])
            for row in rows:
                mirror.row(row)
            if fail:
                raise RuntimeError
            mirror.result(RESULT)

    def found():
        client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
        place = client.get_experiment_by_name("fdi").experiment_id
        runs = client.search_runs([place], order_by=["start_time"])
        curves = [client.get_metric_history(run.info.run_id, "valid/accuracy") for run in runs]
        return runs, [[(point.step, point.value) for point in curve] for curve in curves]

    return write, found


@pytest.mark.filterwarnings("ignore")  # of mlflow, about its database
def test_mlflow_goes_on_in_its_curves_and_tells_a_failure(mlflow_runs, cell):
    write, found = mlflow_runs
    with pytest.raises(RuntimeError):
        write(cell, ROWS[:1], fail=True)
    ((run,), _) = found()
    assert run.info.status == "FAILED"
    write(cell, [ROWS[1] | {"grad/input->h1": 0.5}], epoch=1)
    ((run,), (curve,)) = found()
    assert (run.info.status, run.info.run_name) == ("FINISHED", "randman/dense/fluct/seed=3")
    assert run.data.params == {"seed": "3", "optimizer.lr": "0.5"}
    assert run.data.tags["fdi.run"] == cell.name
    assert curve == [(1, 0.1), (2, 0.2)]
    assert run.data.metrics["init/sigma/h1"] == 0.4
    assert run.data.metrics["grad/input to h1"] == 0.5
    assert run.data.metrics["result/test_accuracy_last"] == 0.25


OTHERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a folder": (Path.mkdir, "is not a file; move it away"),
    "a pipe": (os.mkfifo, "is not a file; move it away"),
    "a link": (lambda path: path.symlink_to("/nowhere/x.db"), "is not a file; move it away"),
    "text": (lambda path: path.write_text("hello" * 999), "file is not a database"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("what", OTHERS)
def test_what_stands_in_for_the_database_of_mlflow_is_one_line(mlflow_runs, cell, tmp_path, what):
    make, line = OTHERS[what]
    make(tmp_path / "mlflow.db")
    with pytest.raises(ValueError, match=line) as caught:
        mlflow_runs[0](cell, ROWS)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.filterwarnings("ignore")
def test_a_database_of_something_else_is_one_line(mlflow_runs, cell, tmp_path, capfd):
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        database.execute("CREATE TABLE alembic_version(version_num TEXT)")
        database.execute("INSERT INTO alembic_version VALUES ('nonsense')")
        database.commit()
    with pytest.raises(ValueError, match=r"^logger=mlflow: .*nonsense") as caught:
        mlflow_runs[0](cell, ROWS)
    assert len(str(caught.value).splitlines()) == 1
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("mirror", "name", "module"),
    [
        (wandb_mirror.wandb_mirror, "wandb", "wandb"),
        (tensorboard_mirror.tensorboard_mirror, "tensorboard", "torch.utils.tensorboard"),
        (mlflow_mirror.mlflow_mirror, "mlflow", "mlflow"),
    ],
)
def test_a_missing_package_is_one_line_with_the_remedy(tmp_path, mirror, name, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    needed = rf"logger={name} needs the package {name}: pip install 'fdi-snn\[{name}\]'"
    with pytest.raises(ValueError, match=needed):
        mirror({}, tmp_path, 0).__enter__()
