"""Recordings of sound: loudness in bands of frequency, a number for each step."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fdi.config import Mistake
from fdi.data.dataset import keep
from fdi.data.inputs import DataError, intact, steps_in

BANDS = 40
WINDOW = 25e-3  # s, at least two steps
SILENCE = 1e-10  # mean square of a wave between -1 and 1: the lowest that counts
SUFFIXES = (".wav", ".flac", ".ogg")
LAYOUT = (
    "a folder for each label, with files .wav, .flac or .ogg, in FOLDER or in FOLDER/train and test"
)


@keep
def recordings(folder: Path, dt: float, duration: float | None) -> dict[str, np.ndarray]:
    """x (samples, T, 40) and y, and with `_test` if there is a folder `test`, by the names of
    fdi.data.arrays: `folder`/LABEL/NAME.wav, or `folder`/train and test with these.

        x = log10(max(P_j, 1e-10)),   P_j = sum_f w_j(f) |F(f)|^2

    F: Fourier transform of a Hann window that ends with the step; P of a full-scale sine is 0.5. w:
    triangles, equally wide on the mel scale 2595 log10(1 + f / 700 Hz), up to half of the sampling
    rate. `duration` in s cuts longer recordings and adds silence to shorter ones, None: the longest
    of training. Several channels are averaged. Raises DataError.
    """
    parts = {"": folder / "train", "_test": folder / "test"}
    if not all(part.is_dir() for part in parts.values()):
        parts = {"": folder}
    content, rate, steps = {}, 0, 0 if duration is None else steps_in(duration, dt)
    for end, place in parts.items():
        files = sorted(f for f in place.glob("*/*") if f.suffix.lower() in SUFFIXES)
        if not files:
            raise DataError(f"{place}: no recordings; it must hold {LAYOUT}")
        waves = []
        for file in files:
            wave, of = _read(file)
            if of != (rate := rate or of):
                raise DataError(
                    f"{file}: {of} samples a second, and the first has {rate}; resample"
                )
            waves.append(wave)
        steps = steps or max(1, round(max(map(len, waves)) / rate / dt))
        content[f"x{end}"] = np.stack([_bands(wave, rate, dt, steps) for wave in waves])
        content[f"y{end}"] = np.array([file.parent.name for file in files])
    return content


def _read(file: Path) -> tuple[np.ndarray, int]:
    """The mean of its channels, -1 to 1, and samples per second."""
    try:
        import soundfile
    except ImportError:
        raise Mistake("sound needs the package soundfile: pip install 'fdi-snn[sound]'") from None
    with intact(file, "cannot be read as sound", "convert it to .wav"):
        wave, rate = soundfile.read(file, always_2d=True)
    return wave.mean(1), rate


def _bands(wave: np.ndarray, rate: int, dt: float, steps: int) -> np.ndarray:
    ends = np.round(np.arange(1, steps + 1) * dt * rate).astype(int)
    window = max(2, round(max(WINDOW, 2 * dt) * rate))
    padded = np.pad(wave[: ends[-1]], (window, max(0, ends[-1] - len(wave))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[ends]
    taper = np.hanning(window)
    size = 4 << window.bit_length()  # fine enough for the narrowest band
    power = np.abs(np.fft.rfft(frames * taper, size)) ** 2 * 2 / size / np.square(taper).sum()
    mel = np.linspace(0, 2595 * np.log10(1 + rate / 1400), BANDS + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    f = np.fft.rfftfreq(size, 1 / rate)
    rises = (f - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falls = (edges[2:, None] - f) / np.diff(edges)[1:, None]
    bands = power @ np.clip(np.minimum(rises, falls), 0, None).T
    return np.log10(np.maximum(bands, SILENCE)).astype(np.float32)
