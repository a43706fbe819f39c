"""Which files the data of a run are known by."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from fdi.data.kept import stamps
from fdi.track.directory import fingerprint


def test_files_that_any_key_names_belong_to_the_data(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("root/a", "other/b", "c", "word/d"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    dataset: dict[str, Any] = {
        "root": "root",
        "train_file": "../other/b",
        "table": "c",
        "name": "word",
    }
    dataset |= {"folder": f"{tmp_path}/other", "valid": 0.1}
    before = fingerprint(dataset)
    for name in ("root/a", "other/b", "c"):
        (tmp_path / name).write_text("12")
        after = fingerprint(dataset)
        assert after != before
        before = after
    (tmp_path / "word" / "d").write_text("12")
    assert fingerprint(dataset) == before, "a name is no folder"
    assert fingerprint({"table": "c"}) not in (None, before)
    assert fingerprint({"table": "nowhere"}) is None


def test_stamps_of_a_root_alone_are_those_of_before(tmp_path: Path):
    (tmp_path / "a").write_text("1")
    (name, *numbers), *_ = stamps(tmp_path)
    line = f"{name!r} {' '.join(map(str, numbers))}"
    known = hashlib.blake2b(line.encode(), digest_size=8).hexdigest()
    assert fingerprint({"root": str(tmp_path), "train_file": "a"}) == known
