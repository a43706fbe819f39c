"""Recordings of speech as spikes in the layout of SHD, by `lauscher`, with which SHD and SSC were
made (Cramer et al. 2022): a cochlea of 700 channels, hair cells and bushy cells.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache, lru_cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fdi.config import Mistake
from fdi.config.metric import in_percent
from fdi.data.dataset import speakers_apart, train_valid
from fdi.data.inputs import DataError, log
from fdi.data.series import by_number, sound, sounds

CHANNELS = 700
LEAST = 16_000  # samples a second; the hair cells take steps of two, unstable below 9,080 samples
SLOT = 0.1  # s: silence follows up to a multiple, so that many recordings share their cochlea
NAMES = (r"speaker-(\w+?)_", r"^([0-9a-f]+)_nohash", r"^\d+_(.+)_\d+$")
"""Where names of files have the speaker: as SHD, Speech Commands and the Free Spoken Digit Dataset
have it, the first group of a regular expression.
"""

Train = tuple[np.ndarray, np.ndarray]
"""Times in s, and units."""
Tool = Callable[[np.ndarray, int, int], Train]
"""Makes spikes of a wave, its samples a second, and a seed."""


class LabelledFile(NamedTuple):
    """A file, its class, and a checksum of what its spikes follow from."""

    file: Path
    label: str
    key: str


def spikes(
    folder: Path,
    root: Path,
    *,
    speaker: str | None = None,
    test: float = 0.2,
    workers: int = 1,
    tool: Callable[[], Tool] | None = None,
    show: Callable[[int, int], None] = lambda done, of: None,
) -> None:
    """Write `root`/train.h5 and test.h5 with the spikes of the recordings `folder`/LABEL/NAME.wav.

    Tested on: the share `test` of the speakers, whom the first group of the regular expression
    `speaker` finds in the names of files (None: one of NAMES), or of each class where names do not
    tell them. Spikes depend on their recording alone, and are kept in `root`/spikes.partial until
    all are there: the same call goes on where it was stopped. `show` is told how many are done, of
    how many. Raises Mistake without `tool` and lauscher, DataError for recordings that do not fit,
    and where files of others are in the way.
    """
    tool = tool or lauscher
    tool()  # or say at once what is not installed
    recordings = found(folder)
    whose = speakers(recordings, speaker)
    classes = sorted({each.label for each in recordings}, key=by_number)
    labels = np.array([classes.index(each.label) for each in recordings])
    if whose is None:
        said = f"names of files tell no speakers, so {in_percent(test)} of each class are tested on"
        parts = train_valid(labels, test, 0)
    else:
        parts = speakers_apart(labels, whose, test, 0)
        said = f"of {len({*whose})} speakers, tested on {', '.join(sorted({*whose[parts[1]]}))}"
    log.warning("%s: %d recordings, %d classes; %s", folder, len(labels), len(classes), said)
    of = [each[1:] for each in recordings], None if whose is None else whose.tolist(), test
    made = _checksum(repr(of).encode())
    places = [root / f"{name}.h5" for name in ("train", "test")]
    there = [_made(place) for place in places if place.exists()]
    if there == [made, made]:
        log.warning("%s: their spikes are there", root)
        return
    if {*there} - {made}:
        raise DataError(f"{root}: holds other data; give another --root, or delete its files .h5")
    kept = root / "spikes.partial"
    kept.mkdir(parents=True, exist_ok=True)
    left = [each for each in recordings if not _file(kept, each).exists()]
    show(done := len(recordings) - len(left), len(recordings))
    for number, _ in enumerate(_converted(left, kept, tool, workers), done + 1):
        show(number, len(recordings))
    for place, chosen in zip(places, parts):
        trains = [np.load(_file(kept, recordings[i])) for i in chosen]
        whom = None if whose is None else whose[chosen]
        _write(place, trains, labels[chosen], whom, classes, made)
    shutil.rmtree(kept)


def found(folder: Path) -> list[LabelledFile]:
    """The recordings, of at least two labels, which all have equally many samples a second."""
    recordings = []
    for file, wave, rate in sounds(folder):
        if not wave.any():
            raise DataError(f"{file}: no sound in it; leave it out")
        key = _checksum(f"lauscher 1 {LEAST} {SLOT} {rate}".encode() + wave.tobytes())
        recordings.append(LabelledFile(file, file.parent.name, key))
    labels = {each.label for each in recordings}
    if len(labels) < 2:
        what = f"all recordings are of class {min(labels)}" if labels else "no recordings"
        raise DataError(f"{folder}: {what}; it must hold a folder for each class, with files .wav")
    return recordings


def speakers(recordings: Sequence[LabelledFile], pattern: str | None) -> np.ndarray | None:
    """Who speaks in each [n]; None where no pattern is given, and none of NAMES fits all, or there
    is one speaker alone.
    """
    for each in NAMES if pattern is None else (pattern,):
        try:
            matches = [re.search(each, recording.file.stem) for recording in recordings]
            names = [match and match[1] for match in matches]
        except (re.error, IndexError) as error:
            raise DataError(
                f"speaker = {pattern} is no regular expression with a group, as in _(.*)_ ({error})"
            ) from None
        if all(names) and len({*names}) > 1:
            return np.array(names)
        if pattern is not None:
            other = [recording.file for recording, name in zip(recordings, names) if not name]
            why = f"finds nobody in the name {other[0]}" if other else "finds one speaker alone"
            raise DataError(f"speaker = {pattern} {why}")
    return None


def _checksum(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _file(kept: Path, recording: LabelledFile) -> Path:
    return kept / f"{recording.key}.npz"


def _made(place: Path) -> str:
    """From what a file was made, by its checksum; "" for a file of others."""
    import h5py

    try:
        with h5py.File(place, "r") as file:
            return str(file.attrs.get("made_from", ""))
    except OSError:
        return ""


def _converted(
    left: Sequence[LabelledFile], kept: Path, tool: Callable[[], Tool], workers: int
) -> Iterator[None]:
    """Convert the recordings, neighbours in length one after the other."""
    convert = partial(_convert, kept, tool)
    left = sorted(left, key=lambda each: each.file.stat().st_size)
    if workers == 1 or not left:
        yield from map(convert, left)
        return
    pool = ProcessPoolExecutor(
        workers, get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_IGN)
    )
    try:
        for ended in as_completed([pool.submit(convert, each) for each in left]):
            yield ended.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _convert(kept: Path, tool: Callable[[], Tool], recording: LabelledFile) -> None:
    times, units = tool()(*sound(recording.file), int(recording.key[:8], 16))
    place = _file(kept, recording)
    scratch = place.with_name(f".{os.getpid()}.npz")
    np.savez(scratch, times=times.astype(np.float32), units=units.astype(np.uint16))
    os.replace(scratch, place)


def _write(
    place: Path,
    trains: Sequence[Mapping[str, np.ndarray]],
    labels: np.ndarray,
    whose: np.ndarray | None,
    classes: Sequence[str],
    made: str,
) -> None:
    """A file in the layout of SHD, in place as a whole."""
    import h5py

    scratch = place.with_name(f".{place.name}")
    with h5py.File(scratch, "w") as file:
        for name, kind in (("times", np.float32), ("units", np.uint16)):
            lists = file.create_dataset(f"spikes/{name}", len(trains), h5py.vlen_dtype(kind))
            for i, train in enumerate(trains):
                lists[i] = train[name]
        file["labels"] = labels.astype(np.uint16)
        file["extra/keys"] = [name.encode() for name in classes]
        if whose is not None:
            names, numbers = np.unique(whose, return_inverse=True)
            file["extra/speaker"] = numbers.astype(np.uint16)
            file["extra/meta_info/name"] = [name.encode() for name in names]
        file.attrs["made_from"] = made
    os.replace(scratch, place)


@cache
def lauscher() -> Tool:
    """That of Cramer et al. 2022, whose hair cells and bushy cells are compiled here, which takes
    some seconds and changes no bit; one channel of the cochlea after the other, in little memory.

    Its hair cells take steps of two samples, 2 / rate, of an equation with a rate constant of
    9,080 / s: recordings below LEAST are resampled to it. Raises Mistake where it is not installed.
    """
    try:
        from lauscher.audiowaves import MonoAudioWave
        from lauscher.transformations import (
            BasilarMembrane,
            BushyCell,
            HairCell,
            HanningWindow,
            RmsNormalizer,
        )
    except ImportError:
        raise Mistake("this needs the package lauscher: pip install 'fdi-snn[speech]'") from None
    from numba import types
    from numba.extending import overload
    from scipy.signal import resample_poly

    @overload(np.max)
    def of_list(values):  # type: ignore[no-untyped-def]  # hair cells ask for that of two numbers
        return (lambda values: max(values)) if isinstance(values, types.List) else None

    membrane, hair, bushy = BasilarMembrane(CHANNELS), HairCell(), BushyCell()
    releases, fires = _compiled(hair, "_meddis"), _compiled(bushy, "_lif")

    @lru_cache(1)
    def responses(samples: int, rate: int) -> np.ndarray:
        """[channels, frequencies]"""
        omega = 2 * np.pi * np.linspace(1, rate, samples)
        return np.stack([membrane._v(omega, place) for place in membrane.ch])

    def convert(wave: np.ndarray, rate: int, seed: int) -> Train:
        if rate < LEAST:
            wave, rate = resample_poly(wave, LEAST, rate), LEAST
        sound = MonoAudioWave(wave, rate).transform(RmsNormalizer(0.3)).transform(HanningWindow())
        slot = round(SLOT * rate)
        padded = np.pad(sound.samples, (0, -len(wave) % slot))
        half, samples = rate // 2, len(padded) // 2 + 1
        spectrum, times, units = np.fft.fft(padded)[:samples], [], []
        np.random.seed(seed)  # noqa: NPY002  # what lauscher draws from
        for unit, response in enumerate(responses(samples, half)):
            released = releases(np.real(np.fft.ifft(response * spectrum)), half)
            at = np.flatnonzero(fires(bushy._sample(released, half), half)) / half
            times.append(at[at < len(wave) / rate])
            units.append(np.full(len(times[-1]), unit))
        order = np.argsort(every := np.concatenate(times), kind="stable")
        return every[order], np.concatenate(units)[order]

    return convert


def _compiled(model: Any, method: str) -> Callable[..., np.ndarray]:
    """A method of lauscher's by Numba, with the constants of `model`."""
    from numba import njit

    constants = namedtuple("constants", vars(model))(**vars(model))
    return partial(njit(getattr(type(model), method)), constants)
