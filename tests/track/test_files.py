from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fdi.config.identity import NUMERICS
from fdi.track.files import (
    RESULT,
    STATUS,
    atomic,
    parse_json,
    parse_yaml,
    printable,
    read_json,
    reserved,
    write_json,
    write_status,
)
from fdi.track.record import Metrics, instructions, other_than_before
from fdi.track.state import Busy, lock, overrides, progress, read_result


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


def test_a_file_is_on_disk_before_it_has_its_name_and_its_name_before_the_write_returns(
    tmp_path, monkeypatch
):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(
        os, "fsync", lambda fd: calls.append(os.readlink(f"/proc/self/fd/{fd}")) or fsync(fd)
    )
    monkeypatch.setattr(os, "replace", lambda a, b: calls.append("replace") or replace(a, b))
    write_json(tmp_path / "a.json", {})
    temporary, *others = calls
    assert temporary.startswith(f"{tmp_path}/.a.json.{os.getpid()}-")
    assert others == ["replace", str(tmp_path)]


def test_half_written_files_of_killed_processes_are_cleaned_up(tmp_path):
    (tmp_path / "checkpoint").mkdir()
    left = [tmp_path / ".result.json.123", tmp_path / "checkpoint" / ".last.pt.4567"]
    for path in (*left, tmp_path / ".mine.1"):
        path.write_text("half")
    with lock(tmp_path):
        assert not any(path.exists() for path in left)
    assert (tmp_path / ".mine.1").exists()


@pytest.mark.parametrize(
    "text", ["", "null", "{}", "[1]", '{"test_accuracy_last": 0.', "[" * 10**5, "9" * 5000, "\0"]
)
def test_what_is_no_result_is_broken_and_not_done(tmp_path, text):
    write_status(tmp_path, "done")
    (tmp_path / RESULT).write_text(text)
    with pytest.raises(ValueError, match=r"result\.json"):
        read_result(tmp_path)
    assert progress(tmp_path)["state"] == "broken"


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / STATUS)
    with pytest.raises(ValueError, match="not a file"):
        parse_json(tmp_path / STATUS)


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
        "a: &a {x: 1}\nb: {<<: *a}\n",
        "a: " + "[" * 1000,
        "a: " + "[" * 10**6,
        "a:\n\tb: 1\n",
    ],
)
def test_yaml_that_stands_for_more_than_it_says_is_refused(text):
    with pytest.raises(ValueError, match=r"\w"):
        parse_yaml(text)


@pytest.mark.parametrize("text", ["", "a: 1", "- 1", "- &a [x]\n- *a", "- {", "[" * 10**6])
def test_no_command_from_broken_overrides(tmp_path, text):
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "overrides.yaml").write_text(text)
    assert overrides(tmp_path) is None


def test_a_terminal_has_nothing_to_obey():
    assert printable("a\nb\x1b[31m\udcff") == "a\\nb\\x1b[31m\\udcff"


def test_the_reserve_is_there_until_it_is_freed(tmp_path):
    path = tmp_path / ".reserve"
    with reserved(path) as free:
        assert path.stat().st_blocks * 512 >= 2**16
        free()
        assert not path.exists()
    with reserved(path):
        pass
    assert not path.exists()


def test_on_a_full_disk_no_reserve_is_left(tmp_path, monkeypatch):
    def full(path: Path, content: bytes) -> int:
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"), reserved(tmp_path / ".reserve"):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("harm", ["delete", "move", "truncate", "replace"])
def test_metrics_that_are_not_in_their_place_any_more_stop_the_run(tmp_path, harm):
    folder = tmp_path / "run"
    folder.mkdir()
    path = folder / "metrics.csv"
    metrics = Metrics(path, 0)
    metrics.append({"epoch": 1, "loss": 0.5})
    if harm == "delete":
        path.unlink()
    elif harm == "move":
        folder.rename(tmp_path / "moved")
    elif harm == "truncate":
        path.write_text("")
    else:
        write_json(path, "epoch,loss")
    for call in (lambda: metrics.append({"epoch": 2, "loss": 0.4}), metrics.sync, metrics.check):
        with pytest.raises(OSError, match=r"metrics\.csv was moved, deleted or changed"):
            call()
    assert path.exists() == (harm in ("truncate", "replace"))


@pytest.mark.parametrize("rows", ["", "1,0.5\n", "1,0.5\n3,0.4\n", "1,0.5\n2,0.4", "1\n\0"])
def test_a_run_does_not_go_on_with_missing_rows(tmp_path, rows):
    path = tmp_path / "metrics.csv"
    path.write_text(f"epoch,loss\n{rows}")
    with pytest.raises(ValueError, match=r"not all of the 2 epochs"):
        Metrics(path, 2)
    assert path.read_text() == f"epoch,loss\n{rows}"


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
        "import sys; from pathlib import Path; from fdi.track.state import lock; from "
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


@pytest.mark.parametrize("content", ["", "{"])
def test_a_broken_result_is_named_once(tmp_path, content):
    (tmp_path / "result.json").write_text(content)
    found = progress(tmp_path)
    assert found["state"] == "broken"
    assert found["error"].startswith("result.json: Expecting" if content else "result.json: empty")


@pytest.mark.parametrize(
    "row", ["2,nope", "2,task,0.5,x", "2,task,0.5", "3,task,0.5,0.1", "2,task,0.5,0.1,0.2"]
)
def test_a_row_that_is_none_is_not_gone_on_from(tmp_path, row):
    path = tmp_path / "metrics.csv"
    path.write_text(f"epoch,phase,loss,accuracy\n1,task,0.5,0.1\n{row}\n")
    with pytest.raises(ValueError, match="not all of the 2 epochs"):
        Metrics(path, 2)
    assert Metrics(path, 1).header == ["epoch", "phase", "loss", "accuracy"]


def test_what_a_run_goes_on_with_and_did_not_begin_with_is_told(tmp_path):
    def told() -> str | None:
        return other_than_before(tmp_path, torch.device("cpu"), 1)

    assert told() is None
    write_json(tmp_path / "record.json", {"instructions": instructions()})
    assert told() is None
    write_json(
        tmp_path / "record.json",
        {"instructions": "\x1b[2JZ80", "torch": "2.0.0", "commit": "0123abc", "numerics": 0},
    )
    line = told()
    assert line is not None
    assert "CPU instructions \\x1b[2JZ80, now " in line
    assert f"torch 2.0.0, now {torch.__version__}" in line
    assert "fdi commit 0123abc, now " in line
    assert f"numerics 0, now {NUMERICS}" in line
    assert line.isprintable()
