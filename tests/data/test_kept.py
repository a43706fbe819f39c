"""Data are read once by a process, however many runs it does, and no run can change another's."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from making import SHD, write_shd

from fdi.data import dataset
from fdi.data.hdf5 import hdf5


def test_other_seeds_read_nothing(digits_folder: Path):
    first, *others = (hdf5(root=digits_folder, **SHD, seed=seed) for seed in (0, 1, 2, 0))
    for data in others:
        assert data.train.inputs.table is data.valid.inputs.table is first.train.inputs.table
        assert data.test.inputs.table is first.test.inputs.table
    assert len({data.checksum for data in others}) == 3
    assert others[-1].checksum == first.checksum


def test_files_that_change_are_read_again_and_other_settings_too(digits_folder: Path):
    before = hdf5(root=digits_folder, **SHD)
    write_shd(digits_folder / "toy_test.h5", [([0.01], [5]), ([0.02], [3])], [0, 1], keys=2)
    after = hdf5(root=digits_folder, **SHD)
    assert after.train.inputs.table is before.train.inputs.table
    assert len(after.test) == 2
    assert after.checksum != before.checksum
    assert hdf5(root=digits_folder, **SHD, binning="counts").train.inputs.counts is not None


def test_nobody_can_write_to_what_is_kept():
    made = dataset.keep(lambda n: (np.arange(n), [np.arange(n)]))
    numbers, _ = made(3)
    with pytest.raises(ValueError, match="read-only"):
        numbers[0] = 1
    assert made(3)[0] is numbers


def test_what_was_used_longest_ago_goes_first():
    calls: list[int] = []

    @dataset.keep
    def make(i: int) -> np.ndarray:
        calls.append(i)
        return np.zeros(dataset.KEPT // 2, np.uint8)

    for i in (1, 2, 1, 3, 1, 2):
        make(i)
    assert calls == [1, 2, 3, 2]
    dataset._kept.clear()


def test_a_folder_counts_with_all_its_files(tmp_path: Path):
    made = dataset.keep(lambda folder: sorted(os.listdir(folder)))
    assert made(tmp_path) == []
    (tmp_path / "new").write_text("1")
    assert made(tmp_path) == ["new"]


def test_what_is_too_large_is_not_kept_and_takes_no_others_place(monkeypatch):
    monkeypatch.setattr(dataset, "KEPT", 80)
    made = dataset.keep(lambda n: np.arange(n))
    small = made(4)
    assert made(11) is not made(11)
    assert made(4) is small
