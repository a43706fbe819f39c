"""Event cameras: the path from events to frames, protocols of training and test, damaged
recordings.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from making import one_line

from fdi.data.cameras import crop, crop_to_frames, dvs_gesture, middle, nmnist, to_frames
from fdi.data.dataset import Dataset
from fdi.data.inputs import Events, Frames, binned

GESTURE: dict[str, Any] = dict(duration=0.1, dt=0.002, valid=0.0)
DIGITS: dict[str, Any] = dict(duration=0.3, dt=0.002, valid=0.0)


def _bin(path: Path, events: list[tuple[int, int, int, int]]) -> None:
    """x, y, polarity and time in us, in N-MNIST's 5-byte records."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"".join(
            bytes([x, y, (p << 7) | (t >> 16), (t >> 8) & 255, t & 255]) for x, y, p, t in events
        )
    )


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """One training and one test recording per digit."""
    for part in ("Train", "Test"):
        for digit in range(10):
            _bin(
                tmp_path / "NMNIST" / part / str(digit) / "00001.bin",
                [(digit, 3, 1, 1000), (5, 6, 0, 101_500), (5, 6, 0, 400_000)],
            )
    return tmp_path


def test_nmnist(digits: Path, caplog):
    data = nmnist(root=digits, **DIGITS)
    assert (data.shape, data.steps, data.classes) == ((2, 34, 34), 150, 10)
    assert (len(data.train), len(data.test)) == (10, 10)
    assert "10 of 60000 training recordings" in caplog.text
    for sample, label in enumerate(data.train.labels):
        assert np.argwhere(data.train.inputs.dense()[:, sample]).tolist() == [
            [0, 1, 3, label],
            [50, 0, 6, 5],
        ]


def test_damaged_nmnist(digits: Path):
    path = digits / "NMNIST" / "Train" / "4" / "00001.bin"
    for content, message in [
        (b"", "0 bytes"),
        (path.read_bytes()[:-2], "13 bytes are not a whole number of 5-byte events"),
    ]:
        path.write_bytes(content)
        with one_line(rf"Train/4/00001\.bin: {message}"):
            nmnist(root=digits, **DIGITS)
    _bin(path, [(40, 3, 1, 1000)])
    with one_line(r"00001\.bin: x = 40 is outside 0\.\.33"):
        nmnist(root=digits, **DIGITS)
    path.unlink()
    with one_line("nmnist: no sample of class 4 in the train split"):
        nmnist(root=digits, **DIGITS)
    shutil.rmtree(digits / "NMNIST" / "Train")
    (digits / "NMNIST" / "Train").mkdir()
    with one_line("Train: no recordings"):
        nmnist(root=digits, **DIGITS)


@pytest.fixture
def gestures(tmp_path: Path) -> Path:
    """One recording per gesture and split, 400 ms, of which tonic keeps x, y, polarity and time in
    ms.
    """
    rng = np.random.default_rng(0)
    for part in ("Train", "Test"):
        folder = tmp_path / "DVSGesture" / f"ibmGesture{part}" / "user01_led"
        folder.mkdir(parents=True)
        for label in range(11):
            events = np.stack(
                [
                    *rng.integers(0, 128, (2, 4000)),
                    rng.integers(0, 2, 4000),
                    7 + np.sort(rng.integers(0, 400, 4000)),
                ],
                axis=1,
            )
            np.save(folder / f"{label}.npy", events)
    return tmp_path


def gesture(root: Path, **options: Any) -> Dataset:
    return dvs_gesture(root=root, **GESTURE | options)


def test_gestures_are_thinned_downscaled_and_cropped(gestures: Path):
    data = gesture(gestures)
    assert (data.shape, data.steps, data.classes, data.nu_paper) == ((2, 32, 32), 50, 11, 9.2)
    batch, labels = data.train.batch(np.arange(11), np.random.default_rng(0))
    assert isinstance(batch, Frames)
    assert (batch.values.shape, batch.values.dtype) == ((11, 50, 2, 32, 32), np.uint8)
    assert sorted(labels) == list(range(11))
    assert batch.total() == pytest.approx(11 * 4000 * 0.25 * 0.5, rel=0.05), (
        "a quarter of the time, half of the events"
    )
    assert data.nu == pytest.approx(4000 * 0.5 / 0.4 / 2048, rel=0.05)
    everything = gesture(gestures, duration=0.4, drop=0.0)
    whole, labels = everything.train.batch(np.arange(11), np.random.default_rng(0))
    events = np.load(gestures / "DVSGesture/ibmGestureTrain/user01_led/3.npy")
    expected = np.zeros((200, 2, 32, 32))
    np.add.at(
        expected,
        (
            (events[:, 3] - events[:, 3].min()) // 2,
            events[:, 2],
            events[:, 1] // 4,
            events[:, 0] // 4,
        ),
        1,
    )
    np.testing.assert_array_equal(whole.values[labels.tolist().index(3)], expected)


def test_protocols_of_train_and_test(gestures: Path):
    def twice(split) -> bool:
        first, second = (
            split.batch(np.arange(5), np.random.default_rng(seed))[0].values for seed in (0, 1)
        )
        return np.array_equal(first, second)

    fixed, paper = gesture(gestures), gesture(gestures, test_protocol="paper")
    assert (twice(fixed.train), twice(fixed.test), twice(paper.test)) == (False, True, False)
    again = gesture(gestures, seed=1)
    assert np.array_equal(fixed.test.inputs.units, again.test.inputs.units)
    assert fixed.test.inputs.total() == pytest.approx(11 * 500, rel=0.1), "thinned as in training"
    binary = gesture(gestures, size=8, binning="binary")
    assert binary.train.batch(np.arange(4), np.random.default_rng(0))[0].values.max() == 1


def test_damaged_gestures(gestures: Path):
    path = gestures / "DVSGesture" / "ibmGestureTrain" / "user01_led" / "3.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:900])
    with one_line(r"3\.npy: cut short or not a recording"):
        gesture(gestures)
    np.save(path, np.array([[128, 0, 0, 5]]))
    with one_line(r"3\.npy: x = 128 is outside 0\.\.127"):
        gesture(gestures)
    np.save(path, np.zeros((0, 4), dtype=np.int64))
    with one_line(r"3\.npy: no events"):
        gesture(gestures)
    path.rename(path.with_name("wave.npy"))
    with one_line("DVSGesture: not laid out as tonic expects"):
        gesture(gestures)
    with one_line("size = 33 must divide 128"):
        gesture(gestures, size=33)
    with one_line(r"duration = 30\.0 s is longer than any recording"):
        gesture(gestures, duration=30.0)


def test_recordings_as_the_camera_wrote_them_are_passed_over(gestures: Path):
    """IBM's archive has .aedat files; tonic's has, in the same folders, what is cut from them."""
    before = gesture(gestures)
    folder = gestures / "DVSGesture" / "ibmGestureTrain"
    (folder / "user02_led").mkdir()
    for name in ("user01_led/3.aedat", "user02_led/0.aedat"):
        (folder / name).write_bytes(b"#!AER-DAT3.1\r\n#!END-HEADER\r\n" + bytes(64))
    (folder / "user01_led/3_labels.csv").write_text("class,startTime_usec,endTime_usec\n")
    after = gesture(gestures)
    assert np.array_equal(after.train.inputs.units, before.train.inputs.units)
    assert np.array_equal(after.train.labels, before.train.labels)


def _recordings() -> Events:
    """Two recordings of 30 and 4 steps, one spike in each step, in a table of 40."""
    samples, steps = np.repeat([0, 1], [30, 4]), np.concatenate([np.arange(30), np.arange(4)])
    return binned(samples, steps, steps % 3, (2, 40), (3,), "counts")


def test_crops():
    events, rng = _recordings(), np.random.default_rng(0)
    assert middle(events, 10).tolist() == [10, 0]
    part = crop(events, np.array([10, 0]), 10, 0.0, "counts", rng)
    assert np.argwhere(part.dense()[:, 0]).tolist() == [[t, (t + 10) % 3] for t in range(10)]
    assert part.dense()[:, 1].sum() == 4
    starts = {
        crop_to_frames(events, rng, steps=28, drop=0.0, binning="counts").values[0, 0].argmax()
        for _ in range(40)
    }
    assert starts == {0, 1, 2}, "steps 0, 1 and 2 are all drawn, no later one"
    np.testing.assert_array_equal(to_frames(part).dense(), part.dense())


def test_real_nmnist(shared: Path):
    data = nmnist(root=shared / "data" / "nmnist-subset", **DIGITS | dict(valid=0.1))
    assert [len(split) for split in data.splits.values()] == [180, 20, 56]
    assert np.bincount(data.valid.labels).tolist() == [2] * 10
    assert data.nu == pytest.approx(5.9, abs=0.3)
