"""Recordings as loudness in bands of frequency."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from making import write_wave

from fdi.data.arrays import arrays
from fdi.data.inputs import DataError
from fdi.data.series import SILENCE, labelled_sounds

RATE, DT = 8000, 0.01


def tone(hertz: float, seconds: float = 0.3) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)


def test_a_tone_is_loud_in_the_bands_around_it(tmp_path):
    pytest.importorskip("soundfile")
    tones = {"low": 300.0, "high": 2000.0}
    for label, hertz in tones.items():
        for i in range(10):
            write_wave(tmp_path / label / f"{i}.wav", 0.5 * tone(hertz))
    write_wave(tmp_path / "low" / "0.wav", np.stack([tone(300.0, 0.2), 0 * tone(300.0, 0.2)], 1))
    content = labelled_sounds(tmp_path, DT, None)
    assert content["x"].shape == (20, 30, 40)
    centres = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 4000 / 700), 42)[1:-1] / 2595) - 1)
    steady = 10 ** content["x"][:, 5:15].astype(np.float64)
    for label, power in zip(content["y"], steady):
        assert np.abs(np.argmax(power.mean(0)) - np.abs(centres - tones[label]).argmin()) <= 1
        np.testing.assert_allclose(power.sum(1), 0.5 * 0.5**2, rtol=0.02)
    (short,) = np.flatnonzero((content["x"][:, -5:] == np.log10(SILENCE)).all((1, 2)))
    assert content["y"][short] == "low", "silence follows"
    data = arrays(file=tmp_path, dt=DT, valid=0.2, standardize=True)
    assert (data.classes, data.shape, data.steps) == (2, (40,), 30)
    assert data.said.startswith("arrays: the input is currents")
    cut = arrays(file=tmp_path, dt=DT, valid=0.2, duration=0.1, coding="delta")
    assert (cut.shape, cut.steps) == ((80,), 10)


def test_folders_train_and_test_are_splits(tmp_path):
    pytest.importorskip("soundfile")
    for part, n in (("train", 10), ("test", 2)):
        for label in ("a", "b"):
            for i in range(n):
                write_wave(tmp_path / part / label / f"{i}.wav", 0.1 * (i + 1) * tone(400.0, 0.05))
    data = arrays(file=tmp_path, dt=DT, valid=0.2)
    assert [len(split.labels) for split in data.splits.values()] == [16, 4, 4]


def test_what_cannot_be_read_is_a_line(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="no recordings; it must hold a folder for each label"):
        arrays(file=tmp_path, dt=DT)
    write_wave(tmp_path / "a" / "0.wav", tone(300.0))
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "soundfile", None)
        with pytest.raises(ValueError, match=r"pip install 'fdi-snn\[sound\]'"):
            arrays(file=tmp_path, dt=DT)
    pytest.importorskip("soundfile")
    write_wave(tmp_path / "b" / "0.wav", tone(300.0), rate=16000)
    with pytest.raises(DataError, match=r"0\.wav: 16000 samples a second, and the first has 8000"):
        arrays(file=tmp_path, dt=DT)
    (tmp_path / "b" / "0.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match="cannot be read as sound"):
        arrays(file=tmp_path, dt=DT)
