"""The index saves reading, and is never believed over the files."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from pathlib import Path

import pandas as pd
import pytest
from fdi.analysis.index import place

from fdi.analysis import collect, metrics, probes
from fdi.analysis.collect import runs
from fdi.analysis.metrics import accuracies
from fdi.analysis.results import own
from fdi.cli.status import groups, states


@pytest.fixture
def results(write_run, tmp_path, later) -> Path:
    for seed in range(3):
        write_run("fluct", seed, 0.5 + seed / 10, curve=[0.2, 0.4, 0.6])
    write_run("kaiming", 0, None, status={"state": "failed", "epoch": 1, "error": "nan"})
    for path in tmp_path.rglob("init.json"):
        path.unlink()
    (next(tmp_path.rglob("seed=0-*")) / "init.json").write_text('[{"population": "h1", "nu": 1}]')
    return tmp_path


def everything(results: Path) -> list:
    mine = own(results)
    paths = [path for group in groups(results, []) for path in group.cells]
    curves = {path: list(values) for path, values in accuracies(mine.runs, results)}
    return [mine.runs.to_csv(), mine.probe.to_csv(), curves, states(results, paths)]


def test_with_and_without_it_the_tables_are_the_same(results, monkeypatch):
    first = everything(results)
    assert place(results).exists()
    for module, name in (
        (collect, "read_flat"),
        (collect, "_outcome"),
        (metrics, "_task_accuracies"),
        (probes, "read_probe"),
    ):
        monkeypatch.setattr(module, name, lambda *_: pytest.fail("read again"))
    assert everything(results) == first
    monkeypatch.undo()
    place(results).unlink()
    assert everything(results) == first


def test_a_changed_file_counts(results):
    before = everything(results)
    path = next(results.glob("runs/*/*/fluct/seed=1-*")) / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"test_accuracy_last": 0.125}))
    assert runs(results)["test_accuracy_last"].tolist()[:3] == [0.5, 0.125, 0.7]
    assert everything(results) != before


def test_a_change_in_place_counts_that_leaves_size_and_time(results):
    before = everything(results)
    path = next(results.glob("runs/*/*/fluct/seed=1-*")) / "result.json"
    about = path.stat()
    path.write_text(path.read_text().replace("0.6,", "0.1,", 1))
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert path.stat()[:9] == about[:9], "mode, inode, size and time are as they were"
    assert runs(results)["test_accuracy_last"].tolist()[:3] == [0.5, 0.1, 0.7]
    assert everything(results) != before


def test_a_file_that_is_young_is_read_again(results, later, monkeypatch):
    monkeypatch.setattr("fdi.analysis.index.time.time", later)
    path = next(results.glob("runs/*/*/fluct/seed=1-*")) / "result.json"
    text = path.read_text()
    for accuracy in ("0.61", "0.62", "0.63"):  # of equal size, maybe within one tick of the clock
        path.write_text(text.replace("0.6,", f"{accuracy},", 1))
        assert runs(results)["test_accuracy_last"].tolist()[1] == float(accuracy)


def test_a_run_that_is_gone_is_forgotten(results):
    everything(results)
    path = next(results.glob("runs/*/*/fluct/seed=1-*"))
    path.rename(results / "elsewhere")
    assert len(runs(results)) == 3
    with sqlite3.connect(place(results)) as database:
        kept = {run for (run,) in database.execute("SELECT run FROM entries")}
    database.close()
    assert str(path.relative_to(results)) not in kept
    assert len(kept) == 3


@pytest.mark.parametrize("damage", ["noise", "empty", "folder", "old", "bits"])
def test_a_damaged_one_harms_nothing(results, damage):
    first = everything(results)
    path = place(results)
    content = bytearray(path.read_bytes())
    if damage == "bits":
        at = content.index(b'"test_accuracy_last": 0.6') + len('"test_accuracy_last": 0.')
        content[at] ^= 1
        path.write_bytes(content)
    elif damage == "old":
        with sqlite3.connect(path) as database:
            database.execute("PRAGMA user_version = 1")
        database.close()
    else:
        path.unlink()
        if damage == "folder":
            path.mkdir()
        else:
            path.write_bytes(b"" if damage == "empty" else b"no database" * 1000)
    assert everything(results) == first


def test_where_somebody_else_writes_it_is_left_alone(results):
    first = everything(results)
    database = sqlite3.connect(place(results), isolation_level=None)
    database.execute("BEGIN EXCLUSIVE")
    assert everything(results) == first
    database.execute("ROLLBACK")
    database.close()


def test_one_that_comes_with_results_is_not_read(results):
    """A view that calls itself would be computed for minutes."""
    first = everything(results)
    beside = results / ".index.sqlite"
    shutil.copy(place(results), beside)
    with sqlite3.connect(beside) as database:
        database.execute("UPDATE entries SET content = '<script>', checksum = 0")
        database.execute("DROP TABLE texts")
        database.execute(
            "CREATE VIEW texts AS WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n "
            "FROM t) SELECT n AS number, n AS text FROM t"
        )
    database.close()
    written = beside.read_bytes()
    assert everything(results) == first
    place(results).unlink()
    assert everything(results) == first
    assert beside.read_bytes() == written


def test_without_a_folder_for_it_there_is_none(results, monkeypatch):
    first = everything(results)
    monkeypatch.setattr(os, "getuid", lambda: results.stat().st_uid + 1)
    with pytest.raises(OSError, match="FDI_CACHE"):
        place(results)
    assert everything(results) == first


def test_no_runs_no_index(tmp_path):
    assert isinstance(runs(tmp_path), pd.DataFrame)
    assert not list(tmp_path.iterdir())
