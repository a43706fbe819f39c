"""Mirrors of the learning curves: they hold what metrics.csv holds, and are closed when a run
fails.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from making import SMALL, one_line

import fdi
from fdi.track import mirrors

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
from typing import Any
from fdi.track.mirrors import Mirror, wandb
config, probe, rows, result = json.loads(sys.argv[1])
with wandb(config, Path("seed=3-0123abcd").absolute(), 0, tags=["mine"]) as log:
    mirror = Mirror([log])
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
        with mirrors.wandb(CONFIG | changes, cell, 0):
            return wandb.options["group"]

    assert group().startswith("randman/dense/fluct/")
    assert group(seed=7) == group(seed=8)
    assert group(init={"sigma_u": 0.5}) != group(init={"sigma_u": 1.0})
    assert group(threads=1) == group(threads=2)


def test_wandb_has_tags_and_note_is_finished_and_goes_on_under_the_id_of_the_run(wandb, cell):
    said = CONFIG | {"tags": ["draft"], "note": "as in May"}
    with mirrors.wandb(said, cell, 0, tags=["mine"]) as log:
        mirror = mirrors.Mirror([log])
        mirror.row(ROWS[0])
        mirror.result(RESULT)
    assert (wandb.options["id"], wandb.options["resume"]) == ("0123abcd", "allow")
    assert wandb.options["tags"] == ["randman", "dense", "fluct", "depth", "mine", "draft"]
    assert wandb.options["notes"] == "as in May"
    last = {"epoch": 2, "result/epochs": 2, "result/test_accuracy_last": 0.25}
    assert (wandb.rows, wandb.ends) == ([ROWS[0], last], [0])


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_wandb_is_finished_on_failure(wandb, cell, failure):
    def fail() -> None:
        with mirrors.wandb(CONFIG, cell, 0):
            raise failure

    with pytest.raises(failure):
        fail()
    assert wandb.ends == [1]


def test_wandb_without_an_account_is_one_line(wandb, cell):
    with one_line(r"no API key configured; without an account: logger\.wandb\.mode=offline"):
        mirrors.wandb(CONFIG, cell, 0, mode="online").__enter__()


def test_tensorboard_has_all_rows_the_initial_state_and_the_result_of_a_run(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = fdi.run(**SMALL | {"trainer.epochs": 3}, logger="tensorboard", results=tmp_path)
    events = EventAccumulator(str(run.directory / "tensorboard"))
    events.Reload()
    for key, column in run.metrics.set_index("epoch").select_dtypes("number").items():
        found = {event.step: event.value for event in events.Scalars(str(key))}
        assert found == pytest.approx(column.to_dict(), rel=1e-6), key
    for key, value in (run.result or {}).items():
        if isinstance(value, int | float):
            (event,) = events.Scalars(f"result/{key}")
            assert (event.step, event.value) == (3, pytest.approx(value, rel=1e-6)), key
    assert [event.step for event in events.Scalars("init/sigma/h1")] == [0]


@pytest.mark.parametrize(
    ("mirror", "name", "module"),
    [
        (mirrors.wandb, "wandb", "wandb"),
        (mirrors.tensorboard, "tensorboard", "torch.utils.tensorboard"),
    ],
)
def test_a_missing_package_is_one_line_with_the_remedy(tmp_path, mirror, name, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    needed = rf"logger={name} needs the package {name}: pip install 'fdi-snn\[{name}\]'"
    with one_line(needed):
        mirror({}, tmp_path, 0).__enter__()


LINES = """
import json
from contextlib import contextmanager

@contextmanager
def lines(config, directory, epoch, *, name="told.txt"):
    with (directory / name).open("a") as file:
        yield lambda values, epoch: print(epoch, *values, file=file)
        print("closed", file=file)

def nothing(config, directory, epoch, *, name):
    return None
"""


def test_several_loggers_are_told_the_same_and_one_of_ones_own_needs_no_class(tmp_path):
    pytest.importorskip("tensorboard")
    conf = tmp_path / "mine"
    (conf / "logger").mkdir(parents=True)
    (conf / "my_lines.py").write_text(LINES)
    (conf / "logger" / "lines.yaml").write_text(
        "lines: {_target_: my_lines.lines, name: told.txt}\n"
    )
    mine: dict[str, Any] = {"config_dir": conf, "results": tmp_path, **SMALL, "trainer.epochs": 2}
    chosen = "logger=[lines,tensorboard]"
    run = fdi.run(chosen, "logger.lines.name=said.txt", **mine)
    said = (run.directory / "said.txt").read_text().splitlines()
    assert [line.split()[0] for line in said if "init/" not in line] == ["1", "2", "2", "closed"]
    assert sum("init/sigma/" in line for line in said) == len(run.network.hidden) + 1
    assert [*(run.directory / "tensorboard").iterdir()]
    again = fdi.run(**mine)
    assert again.directory == run.directory, "loggers are no part of what a run is"
    with one_line(r"logger\.lines\._target_ = my_lines\.nothing makes no logger; let it be a"):
        fdi.run(chosen, "logger.lines._target_=my_lines.nothing", **mine | {"seed": 1})
