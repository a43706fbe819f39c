"""Which files the data of a run are known by."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from fdi.track.directory import apart, fingerprint, source

from fdi.config.identity import NUMERICS
from fdi.data.dataset import stamps


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
    (name, *numbers, _), *_ = stamps(tmp_path)
    line = f"{name!r} {' '.join(map(str, numbers))}"
    known = hashlib.blake2b(line.encode(), digest_size=8).hexdigest()
    assert fingerprint({"root": str(tmp_path), "train_file": "a"}) == known


def test_the_source_is_the_content_and_not_the_place(tmp_path: Path):
    for folder in ("here", "there"):
        (tmp_path / folder / "deep").mkdir(parents=True)
        (tmp_path / folder / "deep" / "a").write_text("1")
    here, there = ({"root": str(tmp_path / folder), "seed": 1} for folder in ("here", "there"))
    known = source(here)
    assert known is not None
    assert known == source(there)
    os.utime(tmp_path / "here" / "deep" / "a", ns=(1, 1))
    assert source(here) == known
    (tmp_path / "here" / "deep" / "a").write_text("2")
    assert source(here) != known
    assert source({"root": str(tmp_path / "nowhere")}) is None
    assert source({"units": 20}) is None


def test_of_a_folder_only_the_files_that_keys_name_are_the_source(tmp_path: Path):
    for name in ("train.h5", "test.h5", "notes.txt"):
        (tmp_path / name).write_text(name)
    data = {"root": str(tmp_path), "train_file": "*train*.h5", "test_file": "test.h5"}
    known = source(data)
    (tmp_path / "notes.txt").write_text("more")
    assert source(data) == known
    (tmp_path / "train.h5").write_text("more")
    assert source(data) != known


def test_runs_of_other_data_are_told_before_new_ones_start(tmp_path: Path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").write_text("1")
    config: dict[str, dict[str, Any]] = {
        "dataset": {"_target_": "fdi.data.hdf5.hdf5", "root": str(tmp_path / "data")},
        "paths": {"modules": []},
    }
    folder = tmp_path / "runs"
    for seed, known in enumerate([source(config["dataset"]), "91bc" * 4, None]):
        (folder / f"seed={seed}-0").mkdir(parents=True)
        record = {"numerics": NUMERICS, "run": {"data_source": known, "code": {}}}
        (folder / f"seed={seed}-0" / "record.json").write_text(json.dumps(record))
        (folder / f"seed={seed}-0" / "result.json").write_text("{}")
    (line,) = apart(folder, config)
    assert line.endswith(
        "1 finished run of other data; tables and figures keep them apart from the new ones"
    )
    (folder / "seed=1-0" / "result.json").unlink()
    assert apart(folder, config) == []
