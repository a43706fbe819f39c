"""Files in the layout of SHD: what is read, and every way in which they can be wrong."""

from __future__ import annotations

import gzip
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from making import SHD, one_line, write_shd

from fdi.data.dataset import speakers_apart
from fdi.data.hdf5 import hdf5, lists, read_header
from fdi.data.inputs import bin_recordings
from fdi.data.speech import shd, ssc


def test_reads_what_was_written(tmp_path: Path):
    spikes = [([0.0, 0.004, 0.0041, 0.3], [1, 2, 2, 0]), ([], []), ([0.0505], [4])]
    for part in ("train", "test"):
        write_shd(tmp_path / f"{part}.h5", spikes, [0, 1, 0])
    data = hdf5(root=tmp_path, **SHD | dict(valid=0.0))
    assert (data.shape, data.steps, data.classes) == ((5,), 50, 2)
    dense = data.train.inputs.dense()
    assert np.argwhere(dense).tolist() == [[0, 0, 1], [2, 0, 2], [25, 2, 4]]
    assert (
        hdf5(root=tmp_path, **SHD | dict(valid=0.0, binning="counts")).train.inputs.dense()[2, 0, 2]
        == 2
    )
    assert len(data.valid) == 0
    assert data.nu == pytest.approx(3 / (3 * 5 * 0.1))


def test_splits(digits_folder: Path):
    whole = hdf5(root=digits_folder, **SHD)
    assert [len(split) for split in whole.splits.values()] == [15, 5, 4]
    with h5py.File(digits_folder / "toy_train.h5") as file:
        counts = np.array(
            [
                len(np.unique(np.floor(t.astype(float) / 0.002 + 1e-6) * 6 + u))
                for t, u in zip(*file["spikes"].values())
            ]
        )
    assert whole.train.inputs.total() + whole.valid.inputs.total() == counts.sum()
    assert hdf5(root=digits_folder, **SHD, seed=1).checksum != whole.checksum
    subset = hdf5(root=digits_folder, **SHD, max_train=8, max_test=2)
    assert [len(split) for split in subset.splits.values()] == [6, 2, 2]


def test_a_validation_file(digits_folder: Path):
    write_shd(digits_folder / "toy_valid.h5", [([0.01], [3])] * 2, [1, 0], keys=2)
    data = hdf5(root=digits_folder, **SHD, valid_file="*valid.h5")
    assert [len(split) for split in data.splits.values()] == [20, 2, 4]
    assert data.valid.labels.tolist() == [1, 0]


def test_shd_and_ssc_use_files_placed_by_hand(digits_folder: Path):
    for name in ("shd", "ssc"):
        for part in ("train", "test"):
            (digits_folder / f"{name}_{part}.h5").write_bytes(
                (digits_folder / f"toy_{part}.h5").read_bytes()
            )
    write_shd(digits_folder / "ssc_valid.h5", [([0.01], [3])] * 2, [1, 0], keys=2)
    digits = shd(root=digits_folder, duration=0.7, dt=0.002, binning="binary", valid=0.25)
    assert (digits.name, digits.shape, digits.nu_paper) == ("shd", (700,), 15.8)
    commands = ssc(root=digits_folder, duration=1.0, dt=0.002, binning="binary")
    assert (commands.name, len(commands.valid), commands.steps) == ("ssc", 2, 500)


def _spoken_by(folder: Path, speakers: list[int]) -> None:
    with h5py.File(folder / "toy_train.h5", "a") as file:
        file["extra/speaker"] = np.array(speakers, np.uint16)


BY_SPEAKERS = SHD | dict(split="speakers", valid=0.2)


def test_validation_by_speakers_holds_whole_speakers_out(digits_folder: Path):
    whose = np.repeat([0, 3, 4, 7, 9], 4)
    _spoken_by(digits_folder, whose.tolist())
    path, held = digits_folder / "toy_train.h5", set()
    for seed in range(6):
        data = hdf5(root=digits_folder, **BY_SPEAKERS, seed=seed)
        assert [len(split) for split in data.splits.values()] == [16, 4, 4]
        train, valid = speakers_apart(read_header(path)[0], whose, 0.2, seed)
        assert not {*whose[train]} & {*whose[valid]}
        np.testing.assert_array_equal(data.valid.labels, read_header(path)[0][valid])
        held |= {*whose[valid]}
    assert len(held) > 1, "the seed of a run decides who validates"
    several = hdf5(root=digits_folder, **BY_SPEAKERS | dict(valid=0.4))
    assert len(several.valid) == 8
    assert len(hdf5(root=digits_folder, **BY_SPEAKERS | dict(valid=0.0)).valid) == 0


def test_speakers_that_cannot_be_held_out_are_one_line(digits_folder: Path):
    _broken(digits_folder, "no extra/speaker, so nobody knows whose samples", split="speakers")
    _spoken_by(digits_folder, [0] * 20)
    _broken(digits_folder, "1 of 1 speakers out leaves no sample for training", split="speakers")
    with h5py.File(digits_folder / "toy_train.h5", "a") as file:
        file["extra/speaker"][...] = [0, 1] * 10
    _broken(digits_folder, "no sample of class [01] for training", split="speakers")
    given = dict(split="speakers", valid_file="*test.h5")
    _broken(digits_folder, "but toy_test.h5 validates; leave one of them out", **given)
    with h5py.File(digits_folder / "toy_train.h5", "a") as file:
        del file["extra/speaker"]
        file["extra/speaker"] = [0, 1]
    _broken(digits_folder, "2 extra/speaker for 20 labels", split="speakers")


def test_shd_packed_as_other_loaders_have_it(digits_folder: Path):
    for part in ("train", "test"):
        packed = gzip.compress((digits_folder / f"toy_{part}.h5").read_bytes())
        (digits_folder / f"shd_{part}.h5.gz").write_bytes(packed)
        (digits_folder / f"toy_{part}.h5").unlink()
    given: Any = dict(duration=0.7, dt=0.002, binning="binary", valid=0.25)
    assert len(shd(root=digits_folder, **given).test) == 4
    assert (digits_folder / "shd_train.h5.gz").exists()
    (digits_folder / "shd_train.h5").unlink()
    (digits_folder / "shd_train.h5.gz").write_bytes(packed[:-9])
    with one_line("shd_train.h5.gz: cannot be unpacked"):
        shd(root=digits_folder, **given)
    assert not (digits_folder / "shd_train.h5").exists()
    with one_line("0 files fit shd_train.h5, expected one .*; unpack those in .gz, as with gunzip"):
        hdf5(root=digits_folder, **SHD | dict(train_file="shd_train.h5"))


def _broken(digits_folder: Path, message: str, **settings) -> None:
    with one_line(message):
        hdf5(root=digits_folder, **SHD | settings)


def test_empty_truncated_and_foreign_files(digits_folder: Path):
    path = digits_folder / "toy_train.h5"
    whole = path.read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"not HDF5 at all"):
        path.write_bytes(content)
        _broken(
            digits_folder,
            r"toy_train\.h5: empty, damaged or not HDF5 \(OSError: .*\); delete it and",
        )


def test_damage_inside_a_file(digits_folder: Path):
    path = digits_folder / "toy_train.h5"
    whole = bytearray(path.read_bytes())
    place = whole.find(b"GCOL")  # the heap that holds the lists of spikes
    whole[place : place + 4] = b"XXXX"
    path.write_bytes(whole)
    _broken(digits_folder, r"toy_train\.h5: empty, damaged or not HDF5 \(OSError: .* heap")


def test_wrong_layout(digits_folder: Path):
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
    _broken(digits_folder, r"labels: no samples")
    write_shd(path, [([0.1], [1])], [0, 1])
    _broken(digits_folder, r"1 spikes/times, 1 spikes/units, 2 labels; they must be equally many")
    write_shd(path, [([0.1, 0.2], [1]), ([0.1], [1])], [0, 1])
    _broken(digits_folder, "sample 0 has 2 times but 1 units", valid=0.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.5])
def test_times_that_are_no_times(digits_folder: Path, bad: float):
    write_shd(digits_folder / "toy_train.h5", [([0.1], [1]), ([0.01, bad], [1, 2])], [0, 1])
    _broken(digits_folder, rf"sample 1: time = {bad} s must be finite", valid=0.0)


def test_labels_and_units_out_of_range(digits_folder: Path):
    spikes = [([0.01], [1]), ([0.01], [5])]
    _broken(
        digits_folder,
        r"unit = 5 is outside 0\.\.4; is dataset\.channels right",
        channels=5,
    )
    write_shd(digits_folder / "toy_train.h5", spikes, [0, 7], keys=2)
    _broken(digits_folder, r"labels = 7 is outside 0\.\.1;")
    write_shd(digits_folder / "toy_train.h5", spikes, [0, -1])
    _broken(digits_folder, "labels = -1 is outside")
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
    data = hdf5(root=shared / "data" / "spoken-digits", **SHD | dict(duration=0.7, valid=0.1))
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


def _units_of_2_40(file: h5py.File) -> None:
    data = file.create_dataset("spikes/units", (20,), dtype=h5py.vlen_dtype(np.int64))
    for i, units in enumerate(file["old"]):
        data[i] = np.full(len(units), 2**40)


def _milliseconds(file: h5py.File) -> None:
    data = file.create_dataset("spikes/times", (20,), dtype=h5py.vlen_dtype(np.float64))
    for i, times in enumerate(file["old"]):
        data[i] = 1000 + 1000 * times.astype(float)


WRONG: dict[str, tuple[str, Any, str]] = {
    "a label of 1e9": (
        "labels",
        [0] * 19 + [10**9],
        r"labels = 1000000000 is outside 0\.\.19; labels count from 0, and each class needs",
    ),
    "fractions": ("labels", np.linspace(0, 1, 20), r"labels = 0\.05.* must be a whole number"),
    "too large": ("labels", np.full(20, 1e300), r"labels = 1e\+300 must be a whole number below"),
    "a matrix": ("labels", np.zeros((20, 2, 2), int), r"labels must be .* int64 \(20, 2, 2\)"),
    "a cube": ("spikes/times", np.zeros((20, 2, 2)), "sample 0 has 2 times but "),
    "words": (
        "spikes/units",
        np.array([b"a"] * 20),
        "unit of sample 0 must be a list of whole numbers",
    ),
    "a link to nowhere": ("spikes/times", h5py.SoftLink("/x"), "no spikes/times; not in the lay"),
    "a file nowhere": ("labels", h5py.ExternalLink("no.h5", "/x"), "no labels; not in the layout"),
    "a group": (
        "labels",
        lambda file: file.create_group("labels"),
        "0 labels; they must be equally many",
    ),
    "units": ("spikes/units", _units_of_2_40, "a spike of unit 1,099,511,627,776; at most"),
    "ms": ("spikes/times", _milliseconds, r"0 of 1,000 spikes lie within .* 0\.1 s; .* millisec"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_list_of_spikes_or_labels(digits_folder: Path, what: str):
    name, value, line = WRONG[what]
    with h5py.File(digits_folder / "toy_train.h5", "a") as file:
        file.pop("extra", None)
        file.move(name, "old")
        if callable(value):
            value(file)
        else:
            file[name] = value
    _broken(digits_folder, line)


def test_links_to_other_files_are_followed(digits_folder: Path):
    before = hdf5(root=digits_folder, **SHD).checksum
    with h5py.File(digits_folder / "toy_train.h5", "a") as file:
        with h5py.File(digits_folder / "other.hdf", "w") as other:
            for name in ("labels", "spikes"):
                file.copy(name, other)
                del file[name]
        layout = h5py.VirtualLayout((20,), dtype="i4")
        layout[:] = h5py.VirtualSource("other.hdf", "labels", (20,))
        file.create_virtual_dataset("labels", layout)
        file["spikes"] = h5py.ExternalLink("other.hdf", "spikes")
    assert hdf5(root=digits_folder, **SHD).checksum == before


def test_times_far_beyond_the_trial_are_cut_off(digits_folder: Path):
    spikes = [([0.01, 6e4], [1, 2])] * 20
    write_shd(digits_folder / "toy_train.h5", spikes, [0, 1] * 10)
    data = hdf5(root=digits_folder, **SHD)
    assert data.train.inputs.total() == len(data.train)
    far = bin_recordings([(np.array([1e-3, 1e18, 1e300]), np.arange(3))], 5, 1e-3, (3,), "binary")
    assert far.total() == 1


@pytest.mark.parametrize("name", ["/{}/toy_train.h5", "../{}/toy_train.h5", "x/../../*", ""])
def test_files_outside_of_the_root_are_refused(digits_folder: Path, name: str):
    (digits_folder / "root").mkdir()
    name = name.format(str(digits_folder).strip("/") if name[0:1] == "/" else digits_folder.name)
    with one_line(r"is no file within .*; set dataset\.root= to the folder"):
        hdf5(root=digits_folder / "root", **SHD | dict(train_file=name))


@pytest.mark.parametrize("samples", [range(600), range(1, 600, 2), [0, 599], [1, 7, 9]])
def test_blocks_hold_what_single_samples_do(tmp_path, samples):
    """Also where most of a block is left out."""
    spikes = [([0.01] * (i % 3), [i] * (i % 3)) for i in range(600)]
    with h5py.File(write_shd(tmp_path / "many.h5", spikes, [0] * 600)) as file:
        units = [found.tolist() for found in lists(file["spikes/units"], samples)]
    assert units == [spikes[i][1] for i in samples]
