"""Runs that are stopped, disturbed or damaged, and started again."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from commands import REFERENCE, TINY, process, records, wait_for_epoch
from making import write_shd

from fdi.track import record

ENDLESS = (*TINY, "trainer.epochs=100000")


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Time and content of each file and folder."""
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in (folder, *sorted(folder.rglob("*")))
    }


def test_a_done_run_is_touched_by_nothing_and_refuses_other_data(fdi_run, tmp_path):
    for seed, name in enumerate("ab"):
        (tmp_path / name / "set").mkdir(parents=True)
        rng = np.random.default_rng(seed)
        spikes = [(np.sort(rng.uniform(0, 0.6, 30)), rng.integers(0, 20, 30)) for _ in range(40)]
        for part in ("train", "test"):
            write_shd(tmp_path / name / "set" / f"{part}.h5", spikes, [0, 1] * 20)
    command = ("dataset=hdf5", "model.hidden=4", "trainer.epochs=1", "threads=1", REFERENCE)
    first = fdi_run(*command, "dataset.root=a/set")
    assert first.code == 0, first.err
    ((directory, run),) = records(tmp_path).items()
    before = everything(tmp_path / "results")
    for form in ((), ("-m",)):
        other = fdi_run(*form, *command, "dataset.root=b/set")
        assert (other.code, other.err.count("\n")) == (2, 1)
        assert run.evidence
        assert f"checksum {run.evidence['split']}, but those in b/set have " in other.err
    shutil.copytree("a", "c")  # the same data, elsewhere
    for root in ("a/set", "c/set", "gone"):
        again = fdi_run(*command, f"dataset.root={root}", "name.dataset=hdf5", "dataset.name=set")
        assert (again.code, again.err) == (0, "")
        assert "already done, skipped" in again.out
    assert everything(tmp_path / "results") == before

    record.change(directory, state="interrupted", result=None)
    other = fdi_run(*command, "dataset.root=b/set")
    assert other.code == 2
    assert f"checksum {run.evidence['split']}, but those in b/set" in other.err
    assert "resumed after epoch 1" in fdi_run(*command, "dataset.root=a/set").out
    assert record.whole(directory).result == run.result


def test_what_is_damaged_is_named_and_kept(fdi_run):
    assert fdi_run(*TINY).code == 0
    ((directory, _),) = records(Path("results")).items()
    record.change(directory, state="interrupted", result=None)
    for name in ("checkpoint/last.pt", "run.json"):
        right = (directory / name).read_bytes()
        for content in (b"", b"PK\x03\x04", b"x" * 1000):
            (directory / name).write_bytes(content)
            found = fdi_run(*TINY)
            assert (found.code, found.err.count("\n")) == (2, 1), (name, content)
            assert all(word in found.err for word in (str(directory), name, "delete"))
            assert (directory / name).read_bytes() == content
            assert "delete" in fdi_run("-m", *TINY).out
        (directory / name).write_bytes(right)
    assert fdi_run(*TINY).code == 0


LIMIT = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))"


def test_a_full_disk_is_told_and_in_the_log(tmp_path):
    words = (*TINY, "model.hidden=200", "model.depth=3")  # a checkpoint of megabytes
    child = process(*words, before=LIMIT, cwd=tmp_path)
    _, err = child.communicate()
    assert (child.returncode, err.count("\n")) == (1, 1), err
    assert "File too large" in err
    ((directory, run),) = records(tmp_path).items()
    assert run.state == "failed"
    assert "Traceback" in (directory / "run.log").read_text()


def test_two_processes_do_not_run_one_cell(tmp_path, fdi_run):
    child = process(*ENDLESS, cwd=tmp_path)
    try:
        wait_for_epoch(tmp_path, 1, child)
        second = fdi_run(*ENDLESS)
        assert second.code == 1
        assert f"is being run by process {child.pid}" in second.err
        assert fdi_run(*ENDLESS, "dry_run=true").out.startswith("running")
    finally:
        child.kill()
        child.communicate()
