"""The old file or the new one; and what is none is not waited for."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from making import one_line

from fdi.track.files import (
    LARGEST,
    METRICS,
    RUN,
    atomic,
    make_directory,
    parse_json,
    printable,
    read,
    write_json,
)


@pytest.fixture
def full() -> Iterator[None]:
    """A disk on which a file has room for a KB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})

    def fail() -> None:
        with atomic(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert parse_json(path) == {"a": 1}
    assert names(tmp_path) == ["a.json"]


def test_a_full_disk_leaves_the_old_file(tmp_path, full):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(OSError, match="File too large"):
        write_json(path, ["b"] * 1000)
    assert parse_json(path) == {"a": 1}
    assert names(tmp_path) == ["a.json"]


def test_half_written_files_of_killed_processes_are_cleaned_up(tmp_path):
    make_directory(tmp_path)
    left = [f".{RUN}.123-ab", f".{METRICS}.4-cd", "checkpoint/.last.pt.4567-ef"]
    for name in (*left, ".mine.1"):
        (tmp_path / name).write_text("half")
    make_directory(tmp_path)
    assert names(tmp_path) == [".mine.1", "checkpoint"]
    assert names(tmp_path / "checkpoint") == []


@pytest.mark.parametrize("text", ["", '{"a"', "[" * 10**5, "9" * 5000, "\0"])
def test_what_is_no_json_is_one_line_that_names_the_file(tmp_path, text):
    path = tmp_path / "a.json"
    assert parse_json(path) is None
    path.write_text(text)
    with one_line(f"^{path}: "):
        parse_json(path)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(LARGEST + 1)


NO_TEXT: dict[str, Any] = {
    "not a file": os.mkfifo,
    "too large": sparse,
    "not text": lambda path: path.write_bytes(b"\xff"),
}


@pytest.mark.parametrize("said", NO_TEXT)
def test_what_is_no_file_of_text_is_neither_waited_for_nor_read(tmp_path, said):
    NO_TEXT[said](tmp_path / "a")
    with one_line(said):
        read(tmp_path / "a")


def test_a_terminal_has_nothing_to_obey():
    assert printable("a\nb\x1b[31m\udcff") == "a\\nb\\x1b[31m\\udcff"
