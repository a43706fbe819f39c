"""Sweeps on real launchers: nothing is lost when a cell fails, a worker is killed or a job is
preempted, and nothing is done twice.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from commands import TINY, process, records, wait_for_epoch

from fdi.track.process import alive
from fdi.track.record import look

SMALL = ("engine=reference", "dataset.samples=20", "trainer.batch_size=50")
NEEDS = {
    "local": "hydra_plugins.hydra_joblib_launcher",
    "isolated": "hydra_plugins.hydra_submitit_launcher",
    "ray": "ray",
}


def start(folder: Path, launcher: str, *overrides: str) -> subprocess.Popen:
    pytest.importorskip(NEEDS[launcher])
    return process("-m", f"hydra/launcher={launcher}", *SMALL, *overrides, cwd=folder)


def finish(child: subprocess.Popen) -> tuple[int, str, str]:
    out, err = child.communicate(timeout=200)
    return child.returncode, out, err


def running(folder: Path, epoch: int, child: subprocess.Popen) -> tuple[Path, int]:
    """Directory and process of a cell that is past `epoch`."""
    cell = wait_for_epoch(folder, epoch, child)
    return cell, int((cell / ".lock").read_text().split()[1])


def ended(folder: Path) -> list[Path]:
    return [directory for directory, run in records(folder).items() if run.ended]


def changed(folder: Path) -> list[int]:
    """When each record was written."""
    return [path.stat().st_mtime_ns for path in sorted(folder.rglob("run.json"))]


def descendants(pid: int) -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                yield (child := int(path.parent.name))
                yield from descendants(child)


@pytest.mark.parametrize(
    "launcher",
    [
        "local",
        pytest.param("isolated", marks=pytest.mark.slow),
        pytest.param("ray", marks=pytest.mark.slow),
    ],
)
def test_a_sweep_with_a_cell_that_fails(tmp_path, launcher):
    code, out, err = finish(
        start(
            tmp_path,
            launcher,
            "trainer.epochs=1",
            "init=kaiming,fluct",
            "model=dense,dale",
            "model.hidden=8",
            "model.excitatory=8",
        )
    )
    assert code == 1, err
    assert out.splitlines()[-1] == "4 cells: 3 done, 1 refused"  # Dale's law forbids kaiming
    assert len(ended(tmp_path)) == 3
    assert "init=kaiming" not in err
    assert len(re.findall("dale kaiming .*seed=0  refused: init=kaiming", out)) == 1
    (refused,) = tmp_path.glob("results/runs/randman/dale/kaiming/*")
    assert look(refused).state == "refused"
    run = records(tmp_path)[ended(tmp_path)[0]]
    assert run.origin["threads"] == 1
    assert run.origin["command"].startswith("fdi-run ")
    assert {"engine=reference", "model=dale", "init=fluct"} <= {*run.words}
    assert "epoch 1/1" in (ended(tmp_path)[0] / "output.log").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "options"),
    [
        ("local", ("hydra.launcher.n_jobs=2",)),
        ("isolated", ()),
        ("ray", ()),
    ],
)
def test_a_killed_worker_loses_no_other_cell_and_its_own_resumes(tmp_path, launcher, options):
    sweep = ("seed=range(3)", "trainer.epochs=30", "model.hidden=8", *options)
    child = start(tmp_path, launcher, *sweep)
    killed, pid = running(tmp_path, 3, child)
    os.kill(pid, signal.SIGKILL)
    code, out, err = finish(child)
    assert code == 0, err
    assert "3 cells: 3 done" in out.splitlines()
    assert "resumed after epoch" in (killed / "output.log").read_text()
    assert all(
        len((cell / "metrics.csv").read_text().splitlines()) == 31 for cell in ended(tmp_path)
    )
    before = changed(tmp_path)
    code, out, _ = finish(start(tmp_path, launcher, *sweep))
    assert (code, out.splitlines()[0]) == (0, "3 of 3 already done, skipped")
    assert changed(tmp_path) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "sent"),
    [("local", signal.SIGKILL), ("local", signal.SIGTERM), ("isolated", signal.SIGTERM)],
)
def test_no_process_outlives_its_sweep(tmp_path, launcher, sent):
    """Nor does a worker that waits for a cell: with `local` one of two has none."""
    options = ("hydra.launcher.n_jobs=2",) if launcher == "local" else ()
    sweep = ("seed=0", "trainer.epochs=100", "model.hidden=8", *options)
    child = start(tmp_path, launcher, *sweep)
    _, pid = running(tmp_path, 3, child)
    others = set(descendants(child.pid))
    assert pid in others
    child.send_signal(sent)
    _, err = child.communicate(timeout=30)
    assert child.returncode == (-sent if sent == signal.SIGKILL else 130), err
    end = time.monotonic() + 10
    while left := [pid for pid in others if alive(pid)]:
        assert time.monotonic() < end, left
        time.sleep(0.1)
    assert finish(start(tmp_path, launcher, *sweep))[0] == 0
    (cell,) = ended(tmp_path)
    assert "resumed after epoch" in (cell / "output.log").read_text()


SLOW = """
import time
from pathlib import Path

import torch


class Slow(torch.optim.SGD):
    def step(self, closure=None):
        time.sleep(0.1 * Path("slow").exists())
        return super().step(closure)
"""


def test_ctrl_c_ends_a_sweep_with_a_summary_and_the_same_command_goes_on(fdi_run, tmp_path):
    (tmp_path / "conf" / "optimizer").mkdir(parents=True)
    (tmp_path / "conf" / "optimizer" / "slow.yaml").write_text("_target_: slow.Slow\nlr: 0.01\n")
    (tmp_path / "conf" / "slow.py").write_text(SLOW)
    (tmp_path / "slow").touch()
    words = ("-m", "--config-dir", "conf", "seed=0,1", *TINY, "optimizer=slow", "trainer.epochs=40")
    child = process(*words, cwd=tmp_path)
    begun = wait_for_epoch(tmp_path, 2, child)
    child.send_signal(signal.SIGINT)
    code, out, err = finish(child)
    (tmp_path / "slow").unlink()
    assert (code, err) == (
        130,
        "fdi-run: interrupted; the same command resumes where it stopped\n",
    )
    assert out.splitlines()[-1] == "2 cells: 1 interrupted, 1 not run yet"
    assert list(records(tmp_path)) == [begun], "a cell without an epoch leaves nothing"
    assert fdi_run(*words, "dry_run=true").out.startswith("interrupted ")
    found = fdi_run(*words)
    assert (found.code, "2 cells: 2 done" in found.out) == (0, True), found.err
    assert "resumed after epoch" in (begun / "output.log").read_text()


def test_a_cell_that_is_interrupted_before_its_first_epoch_leaves_nothing(fdi_run, tmp_path):
    (tmp_path / "conf" / "init").mkdir(parents=True)
    (tmp_path / "conf" / "init" / "pressed.yaml").write_text("_target_: pressed.pressed\n")
    code = "def pressed():\n    raise KeyboardInterrupt\n"
    (tmp_path / "conf" / "pressed.py").write_text(code)
    words = ("-m", "--config-dir", "conf", "seed=0,1", *TINY)
    found = fdi_run(*words, "init=fluct,pressed")
    lines = found.out.splitlines()
    assert (found.code, lines[-1]) == (130, "4 cells: 1 done, 1 interrupted, 2 not run yet")
    assert len(lines) < 10, "a row for what is done, and none for what has not begun"
    assert [path.name for path in tmp_path.glob("results/runs/randman/dense/*")] == ["fluct"]


def test_folders_that_another_process_removed_meanwhile_hide_no_message(fdi_run, monkeypatch):
    right = Path.iterdir

    def gone(folder):
        if "results" in folder.parts:
            raise FileNotFoundError(2, "No such file or directory", str(folder))
        return right(folder)

    monkeypatch.setattr(Path, "iterdir", gone)
    monkeypatch.setattr(Path, "rmdir", gone)
    found = fdi_run("dataset=hdf5", "dataset.root=missing")
    assert (found.code, found.err.partition(";")[0]) == (2, "fdi-run: no folder missing")


@pytest.mark.slow
def test_a_preempted_job_is_queued_again_and_resumes(tmp_path):
    """The signal that SLURM sends, through the local executor of submitit, which queues the job
    again in the same way.
    """
    child = start(tmp_path, "isolated", "seed=0", "trainer.epochs=60", "model.hidden=8")
    cell, pid = running(tmp_path, 3, child)
    os.kill(pid, signal.SIGUSR2)
    code, _, err = finish(child)
    assert code == 0, err
    assert "resumed after epoch" in (cell / "output.log").read_text()
    assert len(ended(tmp_path)) == 1
    assert any(
        "Requeued job" in file.read_text() for file in tmp_path.glob("results/submitit/*/*_log.*")
    )
    assert len((cell / "metrics.csv").read_text().splitlines()) == 61
