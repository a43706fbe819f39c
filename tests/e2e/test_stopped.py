"""Runs that are stopped, disturbed or damaged, and started again."""

from __future__ import annotations

import errno
import json
import shutil
import signal
from pathlib import Path

import h5py
import numpy as np
import pytest
from commands import REFERENCE, SMALL, process, wait_for_epoch


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Time and content of each file and folder."""
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in (folder, *sorted(folder.rglob("*")))
    }


def write_spikes(folder: Path, seed: int) -> None:
    """Files of two classes in the layout of SHD."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for name in ("train", "test"):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            float_array = h5py.vlen_dtype(np.dtype("float32"))
            units = h5py.vlen_dtype(np.dtype("int64"))
            times = file.create_dataset("spikes/times", (40,), float_array)
            places = file.create_dataset("spikes/units", (40,), units)
            for i in range(40):
                times[i] = np.sort(rng.uniform(0, 0.6, 30)).astype(np.float32)
                places[i] = rng.integers(0, 20, 30)
            file["labels"] = np.arange(40) % 2


def rows(folder: Path) -> list[list[str]]:
    """metrics.csv without the columns that hold seconds."""
    (file,) = folder.rglob("metrics.csv")
    header, *body = [line.split(",") for line in file.read_text().splitlines()]
    kept = [i for i, name in enumerate(header) if not name.startswith("seconds")]
    return [[line[i] for i in kept] for line in (header, *body)]


@pytest.mark.parametrize(
    ("stop", "code", "engine", "epochs"),
    [
        (signal.SIGKILL, -9, "cpu", 40),
        pytest.param(signal.SIGINT, 130, "reference", 8, marks=pytest.mark.slow),
    ],
)
def test_stopped_and_started_again_gives_the_same_numbers(
    tmp_path, fdi_run, stop, code, engine, epochs
):
    command = (*SMALL, f"engine={engine}", f"trainer.epochs={epochs}")
    child = process(*command, "paths.results=stopped", cwd=tmp_path)
    wait_for_epoch(tmp_path / "stopped", 3, child)
    child.send_signal(stop)
    child.communicate()
    assert child.returncode == code
    assert fdi_run(*command, "paths.results=stopped", "dry_run=true").out.startswith(
        "interrupted  "
    )
    resumed = fdi_run(*command, "paths.results=stopped")
    assert "resumed after epoch" in resumed.out
    assert fdi_run(*command, "paths.results=whole").code == 0
    assert len(rows(tmp_path / "whole")) == epochs + 1
    assert rows(tmp_path / "stopped") == rows(tmp_path / "whole")
    results = [
        json.loads(next((tmp_path / name).rglob("result.json")).read_text())
        for name in ("stopped", "whole")
    ]
    assert results[0].pop("seconds") > 0
    assert results[1].pop("seconds") > 0
    assert results[0] == results[1]


def test_a_done_run_is_touched_by_nothing_and_refuses_other_data(fdi_run, tmp_path, monkeypatch):
    write_spikes(tmp_path / "a" / "set", 1)
    write_spikes(tmp_path / "b" / "set", 2)
    command = ("dataset=hdf5", "model.hidden=4", "trainer.epochs=1", "threads=1", REFERENCE)
    first = fdi_run(*command, "dataset.root=a/set")
    assert first.code == 0, first.err
    (directory,) = tmp_path.glob("results/runs/hdf5/dense/fluct/seed=0-*")
    before = everything(tmp_path / "results")

    for form in ((), ("-m",)):
        other = fdi_run(*form, *command, "dataset.root=b/set")
        assert other.code == 2
        (line,) = other.err.splitlines()
        known = json.loads((directory / "record.json").read_text())["data_checksum"]
        assert f"checksum {known}, but those in b/set have " in line
        assert "name.dataset=" in line
    shutil.copytree("a", "c")  # the same data, elsewhere
    for root in ("a/set", "c/set", "gone"):
        again = fdi_run(*command, f"dataset.root={root}", "name.dataset=hdf5", "dataset.name=set")
        assert (again.code, again.err) == (0, "")
        assert "already done, skipped" in again.out
    assert everything(tmp_path / "results") == before

    (directory / "result.json").write_text("")
    other = fdi_run(*command, "dataset.root=b/set")
    assert other.code == 2
    assert f"checksum {known}, but those in b/set" in other.err
    mended = fdi_run(*command, "dataset.root=a/set")
    assert (mended.code, mended.err) == (0, "")
    assert "resumed after epoch 1" in mended.out
    result = json.loads((directory / "result.json").read_text())
    assert result == json.loads(before[str(directory / "result.json")][1])


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"x" * 1000])
def test_a_damaged_checkpoint_is_named_and_kept(fdi_run, tmp_path, content):
    command = (*SMALL, REFERENCE)
    assert fdi_run(*command).code == 0
    (directory,) = tmp_path.glob("results/runs/randman/dense/fluct/seed=0-*")
    (directory / "result.json").unlink()
    (directory / "checkpoint/last.pt").write_bytes(content)
    found = fdi_run(*command)
    assert found.code == 2
    (line,) = found.err.splitlines()
    assert "checkpoint/last.pt is damaged" in line
    assert "delete it" in line
    assert (directory / "checkpoint/last.pt").read_bytes() == content


def test_a_full_disk_is_told_and_in_the_log(fdi_run, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("fdi.runner.training.save_checkpoint", full)
    found = fdi_run(*SMALL, REFERENCE)
    assert found.code == 1
    (line,) = found.err.splitlines()
    assert "No space left on device" in line
    (directory,) = tmp_path.glob("results/runs/randman/dense/fluct/seed=0-*")
    assert json.loads((directory / "status.json").read_text())["state"] == "failed"
    assert "Traceback" in (directory / "run.log").read_text()
    assert not (directory / ".reserve").exists()


@pytest.mark.slow
def test_a_run_whose_folder_moves_away_stops_and_is_never_done(tmp_path, fdi_run):
    command = (*SMALL, REFERENCE, "trainer.epochs=100000")
    child = process(*command, cwd=tmp_path)
    wait_for_epoch(tmp_path, 3, child)
    (tmp_path / "results").rename(tmp_path / "moved")
    _, err = child.communicate(timeout=60)
    assert child.returncode == 1
    assert "was moved, deleted or changed while the run was going on" in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "results").exists()
    assert fdi_run(*command, "paths.results=moved", "dry_run=true").out.startswith("interrupted")


PRESSED = "import os; press = lambda *_: os.kill(os.getpid(), SIGINT)\n"
AS_IT_ENDS = {
    "result.json is written": (
        "import fdi.runner.story as story; write = story.write_json\n"
        "story.write_json = lambda *_: (write(*_), press())",
        130,
    ),
    "the table is printed": (
        "import fdi.cli.run as run; command = run._command\n"
        "run._command = lambda: (command(), press())[0]",
        130,
    ),
    "it exits": (
        "import atexit, fdi.cli.run as run; command = run._command\n"
        "run._command = lambda: (command(), atexit.register(press))[0]",
        0,
    ),
    "Python ends": ("class Last: __del__ = press\nlast = Last()", 0),
}


OFTEN = ("the table is printed",)


@pytest.mark.parametrize(
    "moment",
    [pytest.param(m, marks=() if m in OFTEN else pytest.mark.slow) for m in AS_IT_ENDS],
)
def test_ctrl_c_as_a_run_ends_has_an_exit_code_and_loses_nothing(tmp_path, fdi_run, moment):
    before, code = AS_IT_ENDS[moment]
    child = process(*SMALL, REFERENCE, before=PRESSED + before, cwd=tmp_path)
    out, err = child.communicate()
    assert child.returncode == code, err
    lines = ["fdi-run: interrupted; the same command resumes where it stopped"] if code else []
    assert err.splitlines() == lines
    assert "runs/randman/dense/" in out.splitlines()[-1]
    assert "already done" in fdi_run(*SMALL, REFERENCE).out


def test_two_processes_do_not_run_one_cell(tmp_path, fdi_run):
    command = (*SMALL, REFERENCE, "trainer.epochs=100000")
    child = process(*command, cwd=tmp_path)
    try:
        wait_for_epoch(tmp_path, 1, child)
        second = fdi_run(*command)
        assert second.code == 1
        assert f"is being run by process {child.pid}" in second.err
        assert fdi_run(*command, "dry_run=true").out.startswith("running")
    finally:
        child.kill()
        child.communicate()


def test_equal_ids_are_no_proof(fdi_run, tmp_path, monkeypatch):
    """Two configurations whose ids are the same, as if these had no digits."""
    monkeypatch.setattr("fdi.config.identity.DIGITS", 0)
    first = fdi_run(*SMALL, REFERENCE, "optimizer.lr=0.001")
    second = fdi_run(*SMALL, REFERENCE, "optimizer.lr=0.01")
    assert (first.code, second.code) == (0, 0)
    assert "already done, skipped" not in second.out
    assert len(list(tmp_path.glob("results/runs/*/*/*/*/result.json"))) == 2
    for lr in ("0.001", "0.01"):
        assert "already done, skipped" in fdi_run(*SMALL, REFERENCE, f"optimizer.lr={lr}").out
