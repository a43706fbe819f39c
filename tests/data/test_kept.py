"""Data are read once by a process, however many runs it does, and no run can change another's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from fdi.data import dataset, randman
from fdi.data.hdf5 import hdf5

FILES: dict[str, Any] = dict(
    train_file="*train*.h5", test_file="*test*.h5", duration=0.1, dt=0.002, valid=0.25
)


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dataset, "_kept", type(dataset._kept)())


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the HDF5 files that were opened."""
    names, opening = [], h5py.File

    def counted(path: Path, mode: str):
        names.append(Path(path).name)
        return opening(path, mode)

    monkeypatch.setattr("fdi.data.hdf5.h5py.File", counted)
    return names


def test_other_seeds_read_nothing(digits_folder: Path, opened: list[str]):
    first = hdf5(root=digits_folder, **FILES)
    read = len(opened)
    others = [hdf5(root=digits_folder, **FILES, seed=seed) for seed in (1, 2, 0)]
    assert read
    assert len(opened) == read
    assert len({data.checksum for data in others}) == 3
    assert others[-1].checksum == first.checksum


def test_files_that_change_are_read_again(digits_folder: Path, opened: list[str], write_shd):
    before = hdf5(root=digits_folder, **FILES)
    opened.clear()
    write_shd(digits_folder / "toy_test.h5", [([0.01], [5]), ([0.02], [3])], [0, 1], keys=2)
    after = hdf5(root=digits_folder, **FILES)
    assert set(opened) == {"toy_test.h5"}
    assert len(after.test) == 2
    assert after.checksum != before.checksum


def test_other_settings_read_again(digits_folder: Path, opened: list[str]):
    hdf5(root=digits_folder, **FILES)
    opened.clear()
    counts = hdf5(root=digits_folder, **FILES, binning="counts")
    assert opened
    assert counts.train.inputs.counts is not None


def test_few_samples_are_read_alone(digits_folder: Path, monkeypatch: pytest.MonkeyPatch):
    whole = hdf5(root=digits_folder, **FILES, max_train=8, max_test=2)
    monkeypatch.setattr(dataset, "MOST", 10)  # bytes: nothing fits
    assert hdf5(root=digits_folder, **FILES, max_train=8, max_test=2).checksum == whole.checksum
    assert hdf5(root=digits_folder, **FILES).checksum != whole.checksum
    assert not dataset._kept


def test_nobody_can_write_to_what_is_kept():
    made = dataset.keep(lambda n: (np.arange(n), [np.arange(n)]))
    numbers, _ = made(3)
    with pytest.raises(ValueError, match="read-only"):
        numbers[0] = 1
    assert made(3)[0] is numbers


def test_what_was_used_longest_ago_goes_first(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dataset, "MOST", 800)  # bytes: two arrays of 50 numbers
    calls: list[int] = []

    @dataset.keep
    def make(i: int) -> np.ndarray:
        calls.append(i)
        return np.zeros(50)

    for i in (1, 2, 1, 3, 1, 2):
        make(i)
    assert calls == [1, 2, 3, 2]


def test_a_folder_counts_with_all_its_files(tmp_path: Path):
    made = dataset.keep(lambda folder: sorted(os.listdir(folder)))
    assert made(tmp_path) == []
    (tmp_path / "new").write_text("1")
    assert made(tmp_path) == ["new"]


def test_randman_is_generated_once(monkeypatch: pytest.MonkeyPatch):
    small: dict[str, Any] = dict(
        classes=2, units=3, spikes=1, manifold_dim=1, alpha=1, samples=20, steps=10
    )
    small |= dict(dt=1e-3, active=0.5, manifold_seed=1, valid=0.2, test=0.2)
    first = randman.randman(**small, seed=1)
    monkeypatch.setattr(randman, "manifold", None)
    assert randman.randman(**small, seed=1).checksum == first.checksum
    assert randman.randman(**small, seed=2).checksum != first.checksum
