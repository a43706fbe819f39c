"""Tables of large files: written once, mapped by all, and never believed when they are damaged."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from making import SHD, write_shd

from fdi.data import dataset, hdf5
from fdi.data.inputs import Chosen, DataError, bin_recordings


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("FDI_CACHE", str(tmp_path / "cache"))
    hdf5._say.cache_clear()
    return tmp_path / "cache" / "data"


@pytest.fixture(autouse=True)
def large_files(digits_folder: Path) -> None:
    for path in digits_folder.iterdir():
        os.truncate(path, hdf5.LARGE)  # with zeros at the end


def load(folder: Path, **options: Any) -> dataset.Dataset:
    """As another process does, which has read nothing yet."""
    dataset._kept.clear()
    return hdf5.hdf5(root=folder, **{**SHD, **options})


def content(data: dataset.Dataset) -> str:
    """The checksum as that of data in memory was."""
    digest = hashlib.blake2b(digest_size=8)
    for split in data.splits.values():
        events = split.inputs.take(np.arange(len(split)))
        arrays = [events.indptr, events.units, *([] if events.counts is None else [events.counts])]
        for array in (*arrays, split.labels):
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def is_mapped(table: Any) -> bool:
    """Whether its numbers lie on disk."""
    return isinstance(table.units.base, np.memmap)


@pytest.mark.parametrize("binning", ["binary", "counts"])
def test_the_next_process_maps_what_the_first_has_written(
    digits_folder, monkeypatch, home, binning
):
    first = load(digits_folder, binning=binning)
    monkeypatch.setenv("FDI_CACHE", "/dev/null")
    alone = load(digits_folder, binning=binning)
    assert first.checksum == alone.checksum == content(alone)
    monkeypatch.setenv("FDI_CACHE", str(home.parent))
    files = [path for path in home.rglob("*") if path.suffix != ".lock"]
    written = [(path.stat().st_ino, path.stat().st_mtime_ns) for path in files]
    second = load(digits_folder, binning=binning)
    assert {path for path in home.rglob("*") if path.suffix != ".lock"} == {*files}
    assert [(path.stat().st_ino, path.stat().st_mtime_ns) for path in files] == written
    assert second.checksum == alone.checksum == content(second)
    assert second.nu == alone.nu
    chosen = second.train.inputs
    assert isinstance(chosen, Chosen)
    assert is_mapped(chosen.table)
    assert not chosen.table.units.flags.writeable
    order = np.array([3, 0, 7, 3])
    for split, other in ((second.train, alone.train), (second.test, alone.test)):
        batch, labels = split.batch(order % len(split), np.random.default_rng(0))
        expected, known = other.batch(order % len(other), np.random.default_rng(0))
        np.testing.assert_array_equal(batch.dense(), expected.dense())
        np.testing.assert_array_equal(labels, known)
        assert type(batch) is type(expected)


def test_each_view_and_each_seed_has_its_own(digits_folder):
    seen = {
        load(digits_folder, **{key: value}).checksum
        for key, value in (("seed", 0), ("seed", 1), ("binning", "counts"), ("dt", 0.004))
    }
    assert len(seen) == 4


def test_a_file_that_changes_is_read_again(digits_folder):
    before = load(digits_folder)
    path = digits_folder / "toy_test.h5"
    write_shd(path, [([0.01], [5]), ([0.02], [3])], [0, 1], keys=2)
    os.truncate(path, hdf5.LARGE)
    after = load(digits_folder)
    assert len(after.test) == 2
    assert after.checksum != before.checksum
    assert after.checksum == content(after)


@pytest.mark.parametrize("file", ["units", "indptr", "about.json"])
@pytest.mark.parametrize("damage", ["short", "long", "empty", "gone", "0xFF", "a bit"])
def test_a_damaged_table_is_written_again(digits_folder, home, file, damage):
    before = load(digits_folder)
    (folder,) = home.glob("toy_train-*")
    path = folder / file
    whole = path.read_bytes()
    path.unlink()
    changed = {
        "short": whole[:-2],
        "long": whole + b"x",
        "empty": b"",
        "0xFF": b"\xff" * len(whole),
        "a bit": whole[:-1] + bytes([whole[-1] ^ 1]),
    }
    if damage in changed:
        path.write_bytes(changed[damage])
    after = load(digits_folder)
    assert isinstance(after.train.inputs, Chosen)
    assert is_mapped(after.train.inputs.table)
    assert content(after) == before.checksum
    assert path.read_bytes() == whole


def test_a_full_disk_leaves_nothing_and_costs_a_line(digits_folder, home, monkeypatch, caplog):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    data = load(digits_folder)
    assert content(load(digits_folder)) == data.checksum == content(data)
    assert [path for path in home.iterdir() if path.is_dir()] == []
    lines = [record.getMessage() for record in caplog.records]
    assert sorted(line.split(":")[0] for line in lines) == [
        str(digits_folder / f"toy_{name}.h5") for name in ("test", "train")
    ]
    assert "not kept for other runs" in lines[0]


@pytest.mark.parametrize("size", [hdf5.LARGE, dataset.KEPT + 1])
def test_without_a_folder_the_data_stay_in_memory(digits_folder, monkeypatch, caplog, size):
    """Those of the samples alone where the file is too large to be kept."""
    kept = load(digits_folder).checksum
    monkeypatch.setenv("FDI_CACHE", "/dev/null")
    os.truncate(digits_folder / "toy_train.h5", size)
    data = load(digits_folder)
    assert data.checksum == kept == content(data)
    assert "set FDI_CACHE" in caplog.text


def test_data_that_are_refused_leave_nothing(digits_folder, home):
    with pytest.raises(DataError, match="outside 0"):
        load(digits_folder, channels=3)
    assert not list(home.glob("*train*/*"))
    assert not list(home.glob(".toy_train-*-*"))


def test_processes_that_start_together_write_one(digits_folder, monkeypatch):
    path, written, parts = digits_folder / "toy_train.h5", [], hdf5.parts

    def read() -> Any:
        written.append(1)
        return parts(path, None, (6, 50, 0.002, "binary"))

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: hdf5.saved(path, (6,), read), range(4)))
    assert len(written) == 1
    assert all(is_mapped(table) for table in made)


def test_chosen_samples_are_those_that_are_taken():
    rng = np.random.default_rng(0)
    recordings = [(rng.uniform(0, 0.1, n), rng.integers(0, 7, n)) for n in rng.integers(0, 300, 40)]
    for binning in ("binary", "counts"):
        table = bin_recordings(recordings, 10, 0.01, (7,), binning)
        samples, some = rng.permutation(40)[:25], np.array([4, 1])
        chosen, taken = Chosen(table, samples), table.take(samples)
        assert len(chosen) == len(taken)
        assert (chosen.total(), chosen.mean()) == (taken.total(), taken.mean())
        np.testing.assert_array_equal(chosen[3:9].dense(), taken[3:9].dense())
        np.testing.assert_array_equal(chosen.take(some).dense(), taken.take(some).dense())
        np.testing.assert_array_equal(chosen.offsets(some)[0], taken.take(some).indptr)
        np.testing.assert_array_equal(chosen.indptr, taken.indptr)
        np.testing.assert_array_equal(chosen.dense(), taken.dense())
