from __future__ import annotations

import subprocess
import sys

import pytest

from fdi.track.files import atomic, read_json, write_json, write_status
from fdi.track.lock import Busy, lock
from fdi.track.metrics import Metrics


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})

    def fail():
        with atomic(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert read_json(path) == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_a_broken_json_reads_as_none(tmp_path):
    (tmp_path / "a.json").write_text('{"a"')
    assert read_json(tmp_path / "a.json") is None
    assert read_json(tmp_path / "missing.json") is None


def test_metrics_reopened_drop_what_came_after_the_checkpoint(tmp_path):
    path = tmp_path / "metrics.csv"
    metrics = Metrics(path, 0)
    for epoch in (1, 2, 3):
        metrics.append({"epoch": epoch, "train/loss": epoch / 3})
    path.write_text(path.read_text() + "4,0.")
    again = Metrics(path, 2)
    again.append({"epoch": 3, "train/loss": 0.5})
    assert path.read_text() == f"epoch,train/loss\n1,{1 / 3}\n2,{2 / 3}\n3,0.5\n"
    assert Metrics(path, 0).header is None
    assert path.read_text() == ""


def test_a_second_process_is_told_who_holds_the_cell(tmp_path):
    script = (
        "import sys; from pathlib import Path; from fdi.track.lock import lock; from "
        "fdi.track.files import write_status\n"
        "with lock(Path(sys.argv[1])):\n"
        "    write_status(Path(sys.argv[1]), 'running'); print('held', flush=True); "
        "sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Busy, match=f"run by process {holder.pid} on "), lock(tmp_path):
            pass
        holder.kill()
    with lock(tmp_path):
        write_status(tmp_path, "done")
