"""Recordings as spikes: what is written, how it goes on, and what is wrong with recordings."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from making import one_line, write_wave

from fdi.cli.data import main
from fdi.data import cochlea
from fdi.data.cochlea import spikes
from fdi.data.hdf5 import hdf5

pytest.importorskip("soundfile")
RATE = 8000


def write(path: Path, seed: int, rate: int = RATE, seconds: float = 0.03) -> Path:
    samples = np.random.default_rng(seed).normal(size=round(seconds * rate)) / 4
    write_wave(path, samples.clip(-1, 1), rate)
    return path


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """Twenty recordings of two digits by five speakers."""
    for i, who in enumerate(("ann", "bo", "cy", "di", "ed")):
        for digit in ("0", "10"):
            for take in (0, 1):
                name = f"{digit}_{who}_{take}.wav"
                write(tmp_path / "words" / digit / name, hash((i, int(digit), take)) % 2**32)
    return tmp_path / "words"


def toy(sound: np.ndarray, rate: int, seed: int) -> cochlea.Train:
    """A unit for each hundredth of the wave's largest value, at its time; and the seed's."""
    times = np.arange(len(sound)) / rate
    return times, (sound.clip(0, 1) * 100).astype(int) + seed % 500


def toys() -> cochlea.Tool:
    return toy


def fails_after(calls: int):
    """A tool that is interrupted at that call."""
    left = [calls]

    def tool(*given):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return toy(*given)

    return lambda: tool


def test_a_folder_becomes_files_in_the_layout_of_shd(words: Path, tmp_path: Path):
    root, shown = tmp_path / "spikes", []
    spikes(words, root, tool=toys, show=lambda *numbers: shown.append(numbers))
    assert shown == [(n, 20) for n in range(21)]
    assert sorted(path.name for path in root.iterdir()) == ["test.h5", "train.h5"]
    named = []
    for name, n in (("train", 16), ("test", 4)):
        with h5py.File(root / f"{name}.h5") as file:
            assert len(file["labels"]) == len(file["spikes/units"]) == n
            assert [key.decode() for key in file["extra/keys"]] == ["0", "10"]
            names = [name.decode() for name in file["extra/meta_info/name"]]
            assert [*np.bincount(file["extra/speaker"])] == [4] * len(names)
            assert [*np.bincount(file["labels"])] == [n // 2, n // 2]
            assert file["spikes/times"][0][-1] == pytest.approx((240 - 1) / RATE)
            named += names
    assert sorted(named) == ["ann", "bo", "cy", "di", "ed"], "each on one side"
    data = hdf5(
        root=root, train_file="*train*.h5", test_file="*test*.h5", duration=0.03, dt=0.002,
        split="speakers", valid=0.25,
    )  # fmt: skip
    assert [len(split) for split in data.splits.values()] == [12, 4, 4]


def contents(root: Path) -> list[np.ndarray]:
    found = []
    for name in ("train", "test"):
        with h5py.File(root / f"{name}.h5") as file:
            found += [file["labels"][()], *file["spikes/times"], *file["spikes/units"]]
    return found


def test_a_stopped_conversion_goes_on(words: Path, tmp_path: Path, caplog):
    spikes(words, tmp_path / "at_once", tool=toys)
    with pytest.raises(KeyboardInterrupt):
        spikes(words, tmp_path / "stopped", tool=fails_after(7))
    assert not [*(tmp_path / "stopped").glob("*.h5")]
    spikes(words, tmp_path / "stopped", tool=fails_after(13))
    for a, b in zip(contents(tmp_path / "at_once"), contents(tmp_path / "stopped")):
        np.testing.assert_array_equal(a, b)
    spikes(words, tmp_path / "stopped", tool=fails_after(0))
    assert "their spikes are there" in caplog.text
    write(words / "0" / "0_ann_0.wav", 77)
    with one_line("holds other data; give another --root"):
        spikes(words, tmp_path / "stopped", tool=toys)


KILLED = """
import os, sys
from pathlib import Path
from fdi.data.cochlea import spikes

def tool(*given):
    if len([*Path(sys.argv[2]).glob("spikes.partial/[!.]*.npz")]) == 5:
        os.kill(os.getpid(), 9)
    import numpy as np
    return np.zeros(3), np.arange(3)

spikes(Path(sys.argv[1]), Path(sys.argv[2]), tool=lambda: tool)
"""


def test_a_killed_conversion_keeps_what_it_had(words: Path, tmp_path: Path):
    root = tmp_path / "killed"
    ended = subprocess.run([sys.executable, "-c", KILLED, words, root], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert not [*root.glob("*.h5")]
    shown: list[int] = []
    spikes(words, root, tool=toys, show=lambda done, of: shown.append(done))
    assert shown == [*range(5, 21)]


def test_speakers_are_where_the_pattern_says(words: Path, tmp_path: Path, caplog):
    for file in [*words.glob("*/*.wav")]:
        digit, who, take = file.stem.split("_")
        file.rename(file.with_name(f"{digit}-{who}-{take}.wav"))
    spikes(words, tmp_path / "none", tool=toys)
    assert "names of files tell no speakers, so 20 % of each class are tested on" in caplog.text
    with h5py.File(tmp_path / "none" / "train.h5") as file:
        assert "speaker" not in file["extra"]
    spikes(words, tmp_path / "said", speaker="-(.*)-", tool=toys)
    assert "of 5 speakers, tested on" in caplog.text
    for pattern, why in (
        ("_(.*)_", r"speaker = _\(\.\*\)_ finds nobody in the name .*/0/0-ann-0\.wav"),
        ("-(", r"is no regular expression with a group, as in _\(\.\*\)_"),
        ("-.*-", "is no regular expression with a group"),
    ):
        with one_line(why):
            spikes(words, tmp_path / "new", speaker=pattern, tool=toys)


def test_what_is_no_folder_of_recordings_is_one_line(words: Path, tmp_path: Path):
    def refused(why: str, folder: Path = words) -> None:
        with one_line(why):
            spikes(folder, tmp_path / "new", tool=toys)
        assert not (tmp_path / "new").exists()

    (tmp_path / "empty").mkdir()
    refused("no recordings; it must hold a folder for each class", tmp_path / "empty")
    refused("no recordings", tmp_path / "nowhere")
    write(tmp_path / "one" / "yes" / "a.wav", 0)
    refused("all recordings are of class yes; it must hold a folder", tmp_path / "one")
    broken = write(words / "0" / "0_fay_0.wav", 0)
    broken.write_bytes(broken.read_bytes()[:20])
    refused("0_fay_0.wav: cannot be read as sound")
    write(broken, 0, rate=16000)
    refused("16000 samples a second, and the first has 8000; resample")
    write(broken, 0, seconds=0)
    refused("no sound in it; leave it out")


def test_without_the_package_one_line_says_what_to_install(words: Path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "lauscher.audiowaves", None)
    cochlea.lauscher.cache_clear()
    assert main(["spikes", str(words), "--root", str(words / "new")]) == 2
    assert "needs the package lauscher: pip install 'fdi-snn[speech]'" in capsys.readouterr().err
    assert main(["spikes", str(words), "--test", "1.5"]) == 2
    assert "--test 1.5 must be a share" in capsys.readouterr().err


def test_lauscher_as_it_is_compiled(tmp_path: Path):
    """All bits of a channel as its own Python has them, and spikes of the recordings alone."""
    pytest.importorskip("lauscher", reason="the package lauscher is not installed")
    from lauscher.transformations import BushyCell, HairCell

    convert = cochlea.lauscher()
    velocity = 30 * np.random.default_rng(0).normal(size=200)
    hair, bushy = HairCell(), BushyCell()
    released = hair._meddis(velocity, RATE)
    np.testing.assert_array_equal(cochlea._compiled(hair, "_meddis")(velocity, RATE), released)
    arriving = bushy._sample(np.full(200, 0.1), RATE).astype(float)
    fires = cochlea._compiled(bushy, "_lif")
    np.testing.assert_array_equal(fires(arriving, RATE), bushy._lif(arriving, RATE))
    tone = np.sin(2 * np.pi * 1000 * np.arange(1600) / 16000)
    times, units = convert(tone, 16000, 0)
    assert 0 <= times.min() <= times.max() < 0.1
    assert (np.diff(times) >= 0).all()
    assert 0 <= units.min() <= units.max() < cochlea.CHANNELS
    np.testing.assert_array_equal(convert(tone, 16000, 0), (times, units))
