"""Files in the layout of SHD: what is read, and every way in which they can be wrong."""

from __future__ import annotations

import os
import resource
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from fdi.data import hdf5 as hdf5_module
from fdi.data.hdf5 import hdf5
from fdi.data.inputs import DataError, bin_recordings
from fdi.data.speech import shd, ssc

FILES: dict[str, Any] = dict(
    train_file="*train*.h5", test_file="*test*.h5", duration=0.1, dt=0.002, valid=0.25
)


def test_reads_what_was_written(tmp_path: Path, write_shd):
    spikes = [([0.0, 0.004, 0.0041, 0.3], [1, 2, 2, 0]), ([], []), ([0.0505], [4])]
    for part in ("train", "test"):
        write_shd(tmp_path / f"{part}.h5", spikes, [0, 1, 0])
    data = hdf5(root=tmp_path, **FILES | dict(valid=0.0))
    assert (data.shape, data.steps, data.classes) == ((5,), 50, 2)
    dense = data.train.inputs.dense()
    assert np.argwhere(dense).tolist() == [[0, 0, 1], [2, 0, 2], [25, 2, 4]]
    assert (
        hdf5(root=tmp_path, **FILES | dict(valid=0.0, binning="counts")).train.inputs.dense()[
            2, 0, 2
        ]
        == 2
    )
    assert len(data.valid) == 0
    assert data.nu == pytest.approx(3 / (3 * 5 * 0.1))


def test_splits(digits_folder: Path):
    whole = hdf5(root=digits_folder, **FILES)
    assert [len(split) for split in whole.splits.values()] == [15, 5, 4]
    with h5py.File(digits_folder / "toy_train.h5") as file:
        counts = np.array(
            [
                len(np.unique(np.floor(t.astype(float) / 0.002 + 1e-6) * 6 + u))
                for t, u in zip(*file["spikes"].values())
            ]
        )
    assert whole.train.inputs.total() + whole.valid.inputs.total() == counts.sum()
    assert hdf5(root=digits_folder, **FILES, seed=1).checksum != whole.checksum
    subset = hdf5(root=digits_folder, **FILES, max_train=8, max_test=2)
    assert [len(split) for split in subset.splits.values()] == [6, 2, 2]


def test_a_validation_file(digits_folder: Path, write_shd):
    write_shd(digits_folder / "toy_valid.h5", [([0.01], [3])] * 2, [1, 0], keys=2)
    data = hdf5(root=digits_folder, **FILES, valid_file="*valid.h5")
    assert [len(split) for split in data.splits.values()] == [20, 2, 4]
    assert data.valid.labels.tolist() == [1, 0]


def test_shd_and_ssc_use_files_placed_by_hand(digits_folder: Path, write_shd, caplog):
    for name in ("shd", "ssc"):
        for part in ("train", "test"):
            (digits_folder / f"{name}_{part}.h5").write_bytes(
                (digits_folder / f"toy_{part}.h5").read_bytes()
            )
    write_shd(digits_folder / "ssc_valid.h5", [([0.01], [3])] * 2, [1, 0], keys=2)
    digits = shd(root=digits_folder, duration=0.7, dt=0.002, binning="binary", valid=0.25)
    assert (digits.name, digits.shape, digits.nu_paper) == ("shd", (700,), 15.8)
    assert sum("not the official file of shd" in message for message in caplog.messages) == 2
    commands = ssc(root=digits_folder, duration=1.0, dt=0.002, binning="binary")
    assert (commands.name, len(commands.valid), commands.steps) == ("ssc", 2, 500)


def _broken(digits_folder: Path, message: str, **settings) -> None:
    with pytest.raises(DataError, match=message) as error:
        hdf5(root=digits_folder, **FILES | settings)
    assert "\n" not in str(error.value)


def test_empty_truncated_and_foreign_files(digits_folder: Path):
    path = digits_folder / "toy_train.h5"
    whole = path.read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"not HDF5 at all"):
        path.write_bytes(content)
        _broken(
            digits_folder,
            rf"toy_train\.h5: empty, truncated or not HDF5 \({len(content):,} bytes\)",
        )


def test_damage_inside_a_file(digits_folder: Path):
    path = digits_folder / "toy_train.h5"
    whole = bytearray(path.read_bytes())
    place = whole.find(b"GCOL")  # the heap that holds the lists of spikes
    whole[place : place + 4] = b"XXXX"
    path.write_bytes(whole)
    _broken(digits_folder, r"toy_train\.h5: /spikes/units cannot be read, the file is damaged")


def test_wrong_layout(digits_folder: Path, write_shd):
    path = digits_folder / "toy_train.h5"
    with h5py.File(path, "w") as file:
        file["images"] = np.zeros(3)
    _broken(
        digits_folder,
        r"no spikes/times, spikes/units, labels; not in the layout of SHD \(found: images\)",
    )
    with h5py.File(path, "w"):
        pass
    _broken(digits_folder, r"found: nothing")
    write_shd(path, [], [])
    _broken(digits_folder, r"toy_train\.h5: no samples")
    write_shd(path, [([0.1], [1])], [0, 1])
    _broken(digits_folder, r"1 spikes/times, 1 spikes/units, 2 labels; they must be equally many")
    write_shd(path, [([0.1, 0.2], [1]), ([0.1], [1])], [0, 1])
    _broken(digits_folder, "sample 0 has 2 times but 1 units", valid=0.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.5])
def test_times_that_are_no_times(digits_folder: Path, write_shd, bad: float):
    write_shd(digits_folder / "toy_train.h5", [([0.1], [1]), ([0.01, bad], [1, 2])], [0, 1])
    _broken(digits_folder, rf"sample 1 has a spike at {bad} s; times must be finite", valid=0.0)


def test_labels_and_units_out_of_range(digits_folder: Path, write_shd):
    spikes = [([0.01], [1]), ([0.01], [5])]
    _broken(
        digits_folder,
        r"has a spike of unit 5, outside 0\.\.4; is dataset\.channels right",
        channels=5,
    )
    write_shd(digits_folder / "toy_train.h5", spikes, [0, 7], keys=2)
    _broken(digits_folder, r"label 7 of sample 1 is outside 0\.\.1 \(2 classes\)")
    write_shd(digits_folder / "toy_train.h5", spikes, [0, -1])
    _broken(digits_folder, "label -1 of sample 1 is outside")
    write_shd(digits_folder / "toy_train.h5", spikes, [0, 0], keys=2)
    _broken(digits_folder, "no sample of class 1 in the train split", valid=0.0)


def test_settings_that_fit_no_file(digits_folder: Path):
    _broken(
        digits_folder,
        r"0 files fit nothing\*, expected one \(there: toy_test\.h5, toy_train\.h5\)",
        train_file="nothing*",
    )
    _broken(digits_folder, "2 files fit", train_file="*.h5")
    _broken(digits_folder / "nowhere", r"no folder .*nowhere; set dataset\.root=")


def test_spoken_digits(shared: Path):
    data = hdf5(root=shared / "data" / "spoken-digits", **FILES | dict(duration=0.7, valid=0.1))
    assert [len(split) for split in data.splits.values()] == [900, 100, 300]
    assert (data.shape, data.steps, data.classes) == ((700,), 350, 10)
    assert np.bincount(data.valid.labels).tolist() == [10] * 10
    assert data.nu is not None
    assert 11.5 < data.nu < 11.7
    rng, fastest = np.random.default_rng(0), np.inf
    for _ in range(5):
        indices = rng.permutation(900)[:400]
        start = time.perf_counter()
        batch, labels = data.train.batch(indices, rng)
        fastest = min(fastest, time.perf_counter() - start)
    assert fastest < 0.02, "takes 1 ms on an idle core"
    assert len(batch) == len(labels) == 400
    np.testing.assert_array_equal(batch[7:8].dense(), data.train.inputs.take(indices[7:8]).dense())


def _lie(path: Path, lie: str) -> None:  # noqa: C901 # a branch for each lie
    """Make the file at `path` claim what it does not hold."""
    if lie == "fifo":
        path.unlink()
        os.mkfifo(path)
        return
    with h5py.File(path, "a") as file:
        n = len(file["labels"])
        if lie == "label":
            file["labels"][3] = 1_000_000_000
            del file["extra"]
        elif lie == "fraction":
            del file["labels"]
            file["labels"] = np.linspace(0, 1, n)
        elif lie == "matrix":
            del file["labels"]
            file.create_dataset("labels", (60_000, 50_000, 2), dtype="i4", chunks=(10, 10, 2))
        elif lie == "many":
            for name, kind in (("times", np.float16), ("units", np.uint16)):
                del file[f"spikes/{name}"]
                kind = h5py.vlen_dtype(kind)
                file.create_dataset(f"spikes/{name}", (10**8,), dtype=kind, chunks=(1000,))
            del file["labels"]
            file.create_dataset("labels", (10**8,), dtype="i4", chunks=(1000,))
        elif lie == "cube":
            del file["spikes/times"]
            file["spikes/times"] = np.zeros((n, 2, 2))
        elif lie == "words":
            del file["spikes/units"]
            file["spikes/units"] = np.array([b"a"] * n)
        elif lie == "dangling":
            del file["spikes/times"]
            file["spikes/times"] = h5py.SoftLink("/nowhere")
        elif lie == "outside":
            del file["spikes/times"]
            file["spikes/times"] = h5py.ExternalLink("nowhere.h5", "/x")
        elif lie in ("linked", "linked group"):
            what = {"linked": "labels", "linked group": "spikes"}[lie]
            with h5py.File(path.with_name("other.hdf"), "w") as other:
                file.copy(what, other)
            del file[what]
            file[what] = h5py.ExternalLink("other.hdf", what)
        elif lie == "virtual":
            layout = h5py.VirtualLayout((n,), dtype="i4")
            with h5py.File(path.with_name("other.hdf"), "w") as other:
                file.copy("labels", other)
                layout[:] = h5py.VirtualSource(other["labels"])
            del file["labels"]
            file.create_virtual_dataset("labels", layout)
        elif lie == "group":
            del file["labels"]
            file.create_group("labels")
        elif lie == "unit":
            units = h5py.vlen_dtype(np.int64)
            del file["spikes/units"]
            data = file.create_dataset("spikes/units", (n,), dtype=units)
            for i, times in enumerate(file["spikes/times"]):
                data[i] = np.full(len(times), 2**40)
        elif lie == "infinite":
            del file["labels"]
            file["labels"] = np.full(n, 1e300)
        elif lie == "packed":
            packed = dict(dtype=h5py.vlen_dtype(np.float16), chunks=(n,), compression="gzip")
            del file["spikes/times"]
            data = file.create_dataset("spikes/times", (n,), **packed)
            data.id.write_direct_chunk((0,), zlib.compress(b"\x00\x28\x6b\xee" * 4 * n))
        elif lie == "long":
            data = file["spikes/times"]
            place = data.id.get_offset()
            file.close()
            with path.open("r+b") as raw:
                raw.seek(place)
                raw.write(struct.pack("<I", 4_000_000_000))
        elif lie == "milliseconds":
            for i in range(n):
                file["spikes/times"][i] = 1000 + 1000 * file["spikes/times"][i]


@pytest.mark.parametrize(
    ("lie", "line"),
    [
        ("label", r"1,000,000,001 classes \(largest label 1000000000\) but 20 samples"),
        ("fraction", r"labels = 0\.05.* must be a whole number"),
        ("infinite", r"labels = 1e\+300 must be a whole number below 2\^62"),
        ("matrix", r"labels must be a list, its shape is \(60000, 50000, 2\)"),
        ("many", r"says it has 100,000,000 spikes/times in [\d,]+ bytes"),
        ("cube", r"spikes/times must have one list of numbers a sample"),
        ("words", r"spikes/units must have one list of numbers a sample"),
        ("dangling", r"no spikes/times; not in the layout of SHD|cannot be read"),
        ("outside", r"no spikes/times; not in the layout of SHD|cannot be read"),
        ("linked", r"labels lies in another file; copy it into this one"),
        ("linked group", r"spikes/times lies in another file; copy it into this one"),
        ("virtual", r"labels lies in another file; copy it into this one"),
        ("group", r"labels is no data set"),
        ("unit", r"a spike of unit 1,099,511,627,776; at most 1,000,000 units"),
        ("milliseconds", r"0 of 1,000 spikes lie within the duration of 0\.1 s; .* milliseconds"),
        ("fifo", r"not a file"),
        ("long", r"says it has 4,000,000,950 spikes/times in [\d,]+ bytes"),
        ("packed", r"says it has [\d,]+ spikes/times in [\d,]+ bytes"),
    ],
)
def test_a_file_that_lies_is_refused_at_once(digits_folder: Path, lie: str, line: str):
    _lie(digits_folder / "toy_train.h5", lie)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    _broken(digits_folder, line)
    assert time.perf_counter() - started < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 2**20, "KiB"


def test_times_far_beyond_the_trial_are_cut_off(digits_folder: Path, write_shd):
    spikes = [([0.01, 6e4], [1, 2])] * 20
    write_shd(digits_folder / "toy_train.h5", spikes, [0, 1] * 10)
    data = hdf5(root=digits_folder, **FILES)
    assert data.train.inputs.total() == len(data.train)
    far = bin_recordings([(np.array([1e-3, 1e18, 1e300]), np.arange(3))], 5, 1e-3, (3,), "binary")
    assert far.total() == 1


@pytest.mark.parametrize("name", ["/{}/toy_train.h5", "../{}/toy_train.h5", "x/../../*", ""])
def test_files_outside_of_the_root_are_refused(digits_folder: Path, name: str):
    (digits_folder / "root").mkdir()
    name = name.format(str(digits_folder).strip("/") if name[0:1] == "/" else digits_folder.name)
    with pytest.raises(DataError, match=r"is no file within .*; set dataset\.root= to the folder"):
        hdf5(root=digits_folder / "root", **FILES | dict(train_file=name))


@pytest.mark.parametrize("samples", [None, [0, 1, 2], [1, 7, 19], [0, 19]])
def test_blocks_hold_what_single_samples_do(digits_folder, monkeypatch, samples):
    """In whatever blocks, and where most of a block is left out."""
    path = digits_folder / "toy_train.h5"
    chosen = None if samples is None else np.array(samples)
    found = []
    for block in (1, 2, 3, 256):
        monkeypatch.setattr(hdf5_module, "BLOCK", block)
        fresh = path.with_name(f"{block}_{samples}.h5")
        fresh.write_bytes(path.read_bytes())
        events = hdf5_module.read_events(fresh, chosen, (50, 50, 2e-3, "counts"))
        found.append(events.dense(np.uint8))
    assert found[0].any()
    assert all(np.array_equal(other, found[0]) for other in found[1:])
