"""Time series in the .ts format of the UCR and UEA archives, as spikes or currents; Japanese Vowels
is the one that fdi knows where to get. And recordings of sound: loudness in bands of frequency, a
number for each step.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from fdi.config import Mistake
from fdi.config.parts import Count, Duration, Positive, Share, TimeStep
from fdi.data.dataset import Dataset, Split, apart, drawn, keep
from fdi.data.download import SOURCES, ensure
from fdi.data.inputs import DataError, Events, Frames, binned, intact, steps_in

Coding = Literal["delta", "current"]
Series = tuple[tuple[np.ndarray, ...], tuple[str, ...]]  # float64 [values, dimensions]; labels
FLAGS = {"timestamps": "series with times of their own are", "targetlabel": "regression is"}


def japanese_vowels(
    *,
    root: str | Path,
    duration: Duration,
    dt: TimeStep,
    coding: Coding = "delta",
    threshold: Positive = 0.25,
    valid: Share = 0.1,
    max_train: Count | None = None,
    max_test: Count | None = None,
    seed: int = 0,
) -> Dataset:
    """Nine speakers who say two vowels: 270 and 370 recordings as 12 LPC cepstrum coefficients in 7
    to 29 frames (Kudo, Toyama & Shimbo 1999). Arguments as of `ts`.
    """
    options = {key: value for key, value in locals().items() if key != "root"}
    (wheel,) = SOURCES["japanese_vowels"].archives
    file = (
        ensure("japanese_vowels", root)
        / wheel.content
        / "aeon/datasets/data/JapaneseVowels/JapaneseVowels_TRAIN.ts"
    )
    return ts(file=file, name="japanese_vowels", **options)


def ts(
    *,
    file: str | Path,
    duration: Duration,
    dt: TimeStep,
    test_file: str | Path | None = None,
    coding: Coding = "delta",
    threshold: Positive = 0.25,
    valid: Share = 0.1,
    max_train: Count | None = None,
    max_test: Count | None = None,
    name: str = "ts",
    seed: int = 0,
) -> Dataset:
    """The training set in `file` and the test set in `test_file` (None: the file of that name with
    TEST in place of TRAIN), each in the .ts format.

    `duration` (s): the trial, which the longest series of the training set fills; shorter ones end
    earlier, longer ones are cut off. Values between two given ones are interpolated. Each dimension
    is taken in units of its standard deviation around its mean, both of the training set.
    `coding`: "delta" makes spikes where a value has moved by `threshold` of these units, see
    `delta_spikes`; "current" hands the values over as currents, 0 after the end of a series.
    """
    train = Path(file).expanduser()
    if test_file is None and "TRAIN" not in train.name:
        raise DataError(f"dataset.file = {file}: no TRAIN in its name; give dataset.test_file")
    test = train.with_name(train.name.replace("TRAIN", "TEST"))
    if test_file is not None:
        test = Path(test_file).expanduser()
    learning, testing = _unzipped(train, "file"), _unzipped(test, "test_file")
    steps = steps_in(duration, dt)
    classes = sorted({*learning[1], *testing[1]}, key=by_number)
    dimensions = {each.shape[1] for series, _ in (learning, testing) for each in series}
    if len(dimensions) > 1:
        raise DataError(
            f"{name}: series of {sorted(dimensions)} dimensions; all must have equally many"
        )
    longest = max(len(each) for each in learning[0])
    everything = np.concatenate(learning[0])
    mean, deviation = np.nanmean(everything, axis=0), np.nanstd(everything, axis=0)
    deviation[deviation == 0] = 1.0

    def whole(series: tuple[np.ndarray, ...], named: tuple[str, ...]) -> Split:
        labels = np.array([classes.index(label) for label in named], dtype=np.int64)
        scaled = [(each - mean) / deviation for each in series]
        values, lengths = stretched(scaled, longest, steps, len(mean))
        if coding == "current":
            return Split(Frames(values.astype(np.float32), currents=True), labels)
        return Split(delta_spikes(values, lengths, threshold), labels)

    first, second = whole(*learning), whole(*testing)
    samples = apart(first.labels, second.labels, valid, seed, max_train, max_test)
    return drawn(name, first, second, samples, len(classes), dt)


def _unzipped(path: Path, key: str) -> Series:
    """The series of a file, which may lie in a zip archive, as if that were a folder."""
    archive = next(filter(Path.is_file, path.parents), None)
    if not (archive or path.exists()):
        raise DataError(f"dataset.{key} = {path}: no such file; say where it is")
    return read_ts(archive, str(path.relative_to(archive))) if archive else read_ts(path)


def stretched(
    series: list[np.ndarray], longest: int, steps: int, dimensions: int
) -> tuple[np.ndarray, np.ndarray]:
    """Series [values, dimensions] as [B, steps, dimensions], linear between values, and how many
    steps each lasts; `longest` values fill the trial. Missing values are interpolated, too; behind
    the end there are zeros.
    """
    values = np.zeros((len(series), steps, dimensions))
    lengths = np.array([min(steps, round(len(each) * steps / longest)) for each in series], int)
    for each, length, out in zip(series, lengths, values):
        at = (np.arange(length) + 0.5) * longest / steps - 0.5  # in values
        for d, column in enumerate(each.T):
            known = np.flatnonzero(np.isfinite(column))
            if len(known):
                out[:length, d] = np.interp(at, known, column[known])
    return values, lengths


def delta_spikes(values: np.ndarray, lengths: np.ndarray, threshold: float) -> Events:
    """Delta modulation of `values` [B, T, D], each sample for its number of steps: 2 D units, those
    of dimension d are 2 d (up) and 2 d + 1 (down).

        x - r >= theta: a spike up, r + theta;   x - r <= -theta: a spike down, r - theta

    At most one spike a step. The reference r starts from 0, the mean of the training set, and not
    from the first value, so that the spikes so far always add up to the value within theta: what
    tells speakers apart is the level of a coefficient, not only its changes.
    """
    samples, steps, dimensions = values.shape
    reference = np.zeros((samples, dimensions))
    at: list[np.ndarray] = []
    for t in range(steps):
        off = values[:, t] - reference
        spikes = np.sign(off) * (np.abs(off) >= threshold) * (t < lengths)[:, None]
        reference += threshold * spikes
        b, d = np.nonzero(spikes)
        at.append(np.stack([b, np.full(len(b), t), 2 * d + (spikes[b, d] < 0)]))
    b, t_, units = np.concatenate(at, axis=1)
    return binned(b, t_, units, (samples, steps), (2 * dimensions,), "binary")


@keep
def read_ts(path: Path, member: str | None = None) -> Series:
    """The series and their labels, in the order of the file; NaN where the file has a ?.

    `member`: the file in the zip archive `path`. Raises DataError for what cannot be read: series
    with times, regression, and lines that do not fit the header.
    """
    where = path if member is None else f"{path}: {member}"
    with intact(path, f"{member or 'it'} cannot be read"):
        if member is None:
            text = path.read_text(encoding="utf-8", errors="replace")
        else:
            with zipfile.ZipFile(path) as packed:
                text = packed.read(member).decode()
    lines = iter(text.splitlines())
    header = _header(where, lines)
    series, labels = [], []
    for number, line in enumerate(filter(str.strip, lines), 1):
        *dimensions, label = line.strip().split(":")
        if not dimensions or not label.strip() or label.strip() == "?":
            raise DataError(f"{where}: series {number} has no label behind a colon")
        series.append(_columns(where, number, dimensions))
        labels.append(label.strip())
    if not series:
        raise DataError(f"{where}: no series behind @data")
    known = header.get("classlabel", [])[1:]
    if known and (unknown := set(labels) - set(known)):
        raise DataError(f"{where}: label {min(unknown)} is none of @classLabel: {', '.join(known)}")
    return tuple(series), tuple(labels)


def _header(where: object, lines: Iterator[str]) -> dict[str, list[str]]:
    """Words behind each @key, in lower case, up to @data. Raises DataError without @data."""
    header: dict[str, list[str]] = {}
    for line in lines:
        key, *words = line.split() or [""]
        if key.lower() == "@data":
            break
        if key.startswith("@"):
            header[key[1:].lower()] = words
    else:
        raise DataError(f"{where}: no line @data; is it a .ts file of the UCR or UEA archive?")
    for key, what in FLAGS.items():
        if header.get(key, ["false"])[:1] == ["true"]:
            raise DataError(
                f"{where}: @{key} true, and {what} not read; write it without, or as .npz"
            )
    if header.get("classlabel", ["true"])[:1] == ["false"]:
        raise DataError(f"{where}: @classLabel false; fdi needs labels of classes")
    return header


def _columns(where: object, number: int, dimensions: Iterable[str]) -> np.ndarray:
    """[values, dimensions]"""
    try:
        columns = [
            np.array([np.nan if v.strip() == "?" else float(v) for v in row.split(",")])
            for row in dimensions
        ]
    except ValueError as error:
        raise DataError(
            f"{where}: series {number} has a value that is no number ({error})"
        ) from None
    if len({len(column) for column in columns}) > 1:
        lengths = ", ".join(str(len(column)) for column in columns)
        raise DataError(f"{where}: the dimensions of series {number} have {lengths} values")
    return np.stack(columns, axis=1)


def by_number(label: str) -> tuple[float, str]:
    """Labels 1, 2, 10 in this order, and words in that of the alphabet behind them."""
    try:
        return float(label), label
    except ValueError:
        return np.inf, label


BANDS = 40
WINDOW = 25e-3  # s, at least two steps
SILENCE = 1e-10  # mean square of a wave between -1 and 1: the lowest that counts
SUFFIXES = (".wav", ".flac", ".ogg")
LAYOUT = (
    "a folder for each label, with files .wav, .flac or .ogg, in FOLDER or in FOLDER/train and test"
)


@keep
def labelled_sounds(folder: Path, dt: float, duration: float | None) -> dict[str, np.ndarray]:
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
        read = [*sounds(place, rate)]
        if not read:
            raise DataError(f"{place}: no recordings; it must hold {LAYOUT}")
        files, waves, (rate, *_) = zip(*read)
        steps = steps or max(1, round(max(map(len, waves)) / rate / dt))
        content[f"x{end}"] = np.stack([_bands(wave, rate, dt, steps) for wave in waves])
        content[f"y{end}"] = np.array([file.parent.name for file in files])
    return content


def sounds(folder: Path, rate: int = 0) -> Iterator[tuple[Path, np.ndarray, int]]:
    """The recordings in `folder`/LABEL, each as of `sound`. Raises DataError unless all have `rate`
    samples a second, 0: those of the first.
    """
    for file in sorted(f for f in folder.glob("*/*") if f.suffix.lower() in SUFFIXES):
        wave, hz = sound(file)
        if hz != (rate := rate or hz):
            raise DataError(f"{file}: {hz} samples a second, and the first has {rate}; resample")
        yield file, wave, rate


def sound(file: Path) -> tuple[np.ndarray, int]:
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
