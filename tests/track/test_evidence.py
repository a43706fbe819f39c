"""What the numbers of a run depend on besides its configuration, and of two runs whether it is the
same.
"""

from __future__ import annotations

import os

import pytest
import torch
from making import EVIDENCE

from fdi.config.identity import NUMERICS
from fdi.track import record
from fdi.track.evidence import (
    GENERATED,
    data_of,
    fingerprint,
    origin,
    other_owner,
    other_than_before,
    resumed,
    same,
)

OWN = EVIDENCE | {"code": {"init": "ab", "model": "cd"}}


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        (EVIDENCE, EVIDENCE, True),
        (OWN, OWN | {"split": "other", "files": "other"}, True),
        (EVIDENCE, EVIDENCE | {"data": "0123"}, False),
        (EVIDENCE, EVIDENCE | {"numerics": "1, 2 after epoch 3"}, False),
        (EVIDENCE, OWN, False),
        (OWN, OWN | {"code": {"model": "cd"}}, False),
        (EVIDENCE, None, False),
        (None, None, False),
        (EVIDENCE, EVIDENCE | {"numerics": None}, False),
        (EVIDENCE | {"data": None}, EVIDENCE | {"data": None}, False),
    ],
)
def test_two_pieces_of_evidence_are_the_same_if_both_are_known(one, other, said):
    assert same(one, other) is same(other, one) is said


def test_the_data_are_the_content_of_their_files_and_not_the_place(tmp_path):
    for folder in ("here", "there"):
        (tmp_path / folder / "deep").mkdir(parents=True)
        (tmp_path / folder / "deep" / "a").write_text("1")
    here, there = ({"root": str(tmp_path / folder), "seed": 1} for folder in ("here", "there"))
    known = data_of(here)
    assert known == data_of(there)
    os.utime(tmp_path / "here" / "deep" / "a", ns=(1, 1))
    assert data_of(here) == known
    (tmp_path / "here" / "deep" / "a").write_text("2")
    assert data_of(here) != known
    assert data_of({"root": str(tmp_path / "nowhere")}) == data_of({"units": 20}) == GENERATED


def test_of_a_folder_only_the_files_that_keys_name_are_data(tmp_path):
    for name in ("train.h5", "test.h5", "notes.txt"):
        (tmp_path / name).write_text(name)
    dataset = {"root": str(tmp_path), "train_file": "*train*.h5", "test_file": "test.h5"}
    known = data_of(dataset)
    (tmp_path / "notes.txt").write_text("more")
    assert data_of(dataset) == known
    (tmp_path / "train.h5").write_text("more")
    assert data_of(dataset) != known


def test_files_that_any_key_names_belong_to_the_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("root/a", "other/b", "c", "word/d"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    dataset = {"root": "root", "train_file": "../other/b", "table": "c", "name": "word"}
    dataset |= {"folder": f"{tmp_path}/other"}
    for known in (data_of, fingerprint):
        before = known(dataset)
        for name in ("root/a", "other/b", "c"):
            (tmp_path / name).write_text((tmp_path / name).read_text() + "1")
            after = known(dataset)
            assert after != before or (known, name) == (data_of, "root/a"), (
                "train_file names others"
            )
            before = after
        (tmp_path / "word" / "d").write_text((tmp_path / "word" / "d").read_text() + "1")
        assert known(dataset) == before, "a name is no folder"
    assert fingerprint({"table": "nowhere"}) is None


def test_a_run_that_goes_on_with_other_numerics_names_all_of_them():
    first = EVIDENCE | {"numerics": NUMERICS - 1}
    second = resumed(first, 3)
    assert second["numerics"] == f"{NUMERICS - 1}, {NUMERICS} after epoch 3"
    assert resumed(second, 5) == second
    assert resumed(EVIDENCE | {"numerics": NUMERICS}, 3)["numerics"] == NUMERICS


def test_a_setting_of_a_library_that_adds_up_is_among_the_instructions(monkeypatch, tmp_path):
    begun = record.Run(evidence=EVIDENCE, origin=origin(torch.device("cpu"), 1))
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    now = origin(torch.device("cpu"), 1)
    assert ", MKL_CBWR=COMPATIBLE" in now["instructions"]
    assert "MKL_CBWR=COMPATIBLE" in (other_than_before(tmp_path, begun, now) or "")


@pytest.mark.parametrize(
    ("numerics", "epoch", "goes_on"),
    [
        ("1, 2 after epoch 3", 3, True),
        ("1, 2 after epoch 3, 3 after epoch 3", 3, True),
        ("1, 2 after epoch 3", 2, True),
        ("1, 2 after epoch 3", 4, False),
        ("12, 2 after epoch 3", 3, False),
        ("2", 3, False),
    ],
)
def test_a_record_may_say_of_other_numerics_before_its_next_checkpoint(numerics, epoch, goes_on):
    one, other = ({"place": "a", "evidence": EVIDENCE | {"numerics": n}} for n in (numerics, 1))
    assert (other_owner(one, other, epoch) is None) is goes_on


def test_what_a_run_goes_on_with_and_did_not_begin_with_is_told(tmp_path):
    now = origin(torch.device("cpu"), 1)
    begun = record.Run(evidence=EVIDENCE | {"numerics": NUMERICS}, origin=now)
    assert other_than_before(tmp_path, begun, now) is None
    assert other_than_before(tmp_path, record.Run(), now) is None
    then = now | {"instructions": "\x1b[2JZ80", "torch": "2.0.0", "commit": "0123abc"}
    other = record.Run(evidence=EVIDENCE | {"numerics": 0}, origin=then)
    line = other_than_before(tmp_path, other, now) or ""
    assert f"CPU instructions \\x1b[2JZ80, now {now['instructions']}" in line
    assert f"torch 2.0.0, now {now['torch']}" in line
    assert f"fdi commit 0123abc, now {now['commit']}" in line
    assert f"numerics 0, now {NUMERICS}" in line
