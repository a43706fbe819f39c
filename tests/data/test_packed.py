"""Data packed on disk are the same data, in less memory."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from making import one_line

import fdi
from fdi.cli.data import main
from fdi.data import packed
from fdi.data.arrays import arrays
from fdi.data.dataset import Dataset
from fdi.data.hdf5 import hdf5
from fdi.data.inputs import Chosen, Mapped
from fdi.data.series import ts

RNG = np.random.default_rng(0)
Y = np.repeat([0, 1, 2], 20)
X = RNG.random((60, 9, 5)) < 0.1
OWNERS = np.sort(RNG.integers(0, 60, 2000))
EVENTS = {
    "samples": OWNERS[OWNERS % 7 != 3],  # some samples have none, and the last
    "times": RNG.random(2000)[OWNERS % 7 != 3] * 0.05,
    "units": RNG.integers(0, 24, 2000)[OWNERS % 7 != 3],
    "shape": np.array([2, 3, 4]),
}
FILES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "0 and 1": ({"x": X.astype(np.uint8), "y": Y}, {}),
    "words, a test set": (
        {"x": X, "y": Y.astype(str), "x_test": X[::4], "y_test": Y[::4].astype(str)},
        {},
    ),
    "several in a step": ({"x": X * RNG.poisson(2.0, X.shape), "y": Y}, {"kind": "spikes"}),
    "maps": ({"a": X.reshape(60, 9, 1, 1, 5), "b": Y, "c": Y}, {"names": {"x": "a", "y": "b"}}),
    "events": (EVENTS | {"y": Y}, {}),
    "counts": (EVENTS | {"y": Y}, {"binning": "counts", "duration": 0.04, "dt": 0.004}),
    "a test set of events": (
        EVENTS
        | {"y": Y}
        | {f"{k}_test": v for k, v in EVENTS.items() if k != "shape"}
        | {"y_test": Y[::-1]},
        {},
    ),
    "of each step": ({"x": X, "y": np.repeat(Y[:, None], 9, axis=1)}, {}),
}


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    """So that there are several."""
    monkeypatch.setattr(packed, "BYTES", 8 * 5 * 9 * 7)
    monkeypatch.setattr(packed, "BLOCK", 11)
    monkeypatch.setattr(packed, "SPIKES", 100)


def words_of(options: Mapping[str, Any]) -> list[str]:
    names = ", ".join(f"{k}: {v}" for k, v in options.get("names", {}).items())
    return [f"{key}={value}" for key, value in options.items() if key != "names"] + (
        [f"names={{{names}}}"] if names else []
    )


def pack(file: Path, *words: str) -> Path:
    assert main(["pack", str(file), *words]) == 0
    return Path(f"{file}.packed")


def mapped(folder: Path, seed: int = 0, **options: Any) -> Dataset:
    given = {key: value for key, value in options.items() if key in ("binning", "duration")}
    data = arrays(file=folder, dt=options.get("dt", 0.002), **given, seed=seed)
    for split in data.splits.values():
        assert isinstance(split.inputs, Chosen)
        assert isinstance(split.inputs.table, Mapped)
        assert split.inputs.table.units.dtype == np.int32
    return data


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("which", FILES)
def test_a_packed_file_gives_the_same_data_mapped(which, compressed, tmp_path):
    content, options = FILES[which]
    file = tmp_path / "mine.npz"
    (np.savez_compressed if compressed else np.savez)(file, **content)
    folder = pack(file, *words_of(options))
    whole = arrays(file=file, **{"dt": 0.002, **options})
    for seed in (0, 1):
        data = mapped(folder, seed, **options)
        assert (data.checksum == whole.checksum) == (seed == 0)
        assert (data.shape, data.classes, data.steps) == (whole.shape, 3, whole.steps)
        assert data.nu == pytest.approx(whole.nu, rel=0.2 * seed + 1e-9)
    assert {path.name for path in folder.rglob("*")} - {"test"} == {
        *("train", "y.npy", "indptr", "units", "counts", "about.json")
    }


def test_whatever_else_has_spikes_is_packed(tmp_path, digits_folder, monkeypatch):
    table = pd.DataFrame(X.reshape(60 * 9, 5).astype(int))
    table.insert(0, "label", np.repeat(Y, 9))
    table.insert(0, "sample", np.repeat(np.arange(60), 9))
    table.to_csv(tmp_path / "mine.csv", index=False)
    plain = arrays(file=tmp_path / "mine.csv", dt=0.002)
    assert mapped(pack(tmp_path / "mine.csv")).checksum == plain.checksum

    np.savez(tmp_path / "mine.npz", x=X - 0.5, y=Y)
    plain = arrays(file=tmp_path / "mine.npz", dt=0.002, coding="delta")
    assert mapped(pack(tmp_path / "mine.npz", "coding=delta")).checksum == plain.checksum

    head = "@classLabel true a b\n@data\n"
    series = "".join(f"{i},{-i},0,{i * i % 7}:{'ab'[i % 2]}\n" for i in range(40))
    for part in ("TRAIN", "TEST"):
        (tmp_path / f"Mine_{part}.ts").write_text(head + series)
    plain = ts(file=tmp_path / "Mine_TRAIN.ts", duration=0.1, dt=0.01)
    folder = pack(tmp_path / "Mine_TRAIN.ts", "duration=0.1", "dt=0.01")
    assert mapped(folder, dt=0.01).checksum == plain.checksum

    monkeypatch.setenv("FDI_CACHE", str(tmp_path / "cache"))
    asked: dict[str, Any] = {"duration": 0.1, "dt": 0.01, "binning": "counts"}
    files: dict[str, Any] = {"train_file": "toy_train.h5", "test_file": "toy_test.h5"}
    plain = hdf5(root=digits_folder, **files, **asked)
    out = tmp_path / "packed"
    given = words_of({**files, **asked})
    assert main(["pack", str(digits_folder), "--out", str(out), *given, "dataset=hdf5"]) == 0
    assert mapped(out, **asked).checksum == plain.checksum


@pytest.mark.parametrize("which", ["0 and 1", "counts", "a test set of events"])
@pytest.mark.parametrize("after", [1, 3, 9])
def test_a_pack_that_was_stopped_goes_on(which, after, tmp_path, monkeypatch, capsys):
    content, options = FILES[which]
    file, seen = tmp_path / "mine.npz", []
    np.savez(file, **content)

    def update(_: Any, task: Any, completed: int) -> None:
        seen.append((task, completed))
        if len(seen) == after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("rich.progress.Progress.update", update)
        assert main(["pack", str(file), *words_of(options)]) == 130
        assert capsys.readouterr().err == "fdi-data: interrupted\n"
        folder = Path(f"{file}.packed")
        with one_line(r"mine.npz.packed was not packed to its end; give the same fdi-data pack"):
            mapped(folder, **options)
        for table in folder.glob("*/units"):
            with table.open("ab") as units:
                units.write(b"half of a part")
        pack(file, *words_of(options))
    assert len(set(seen)) >= len(seen) - 2, "nothing twice, but that a part has ended"
    whole = arrays(file=file, **{"dt": 0.002, **options})
    assert mapped(folder, **options).checksum == whole.checksum
    pack(file, *words_of(options))
    assert mapped(folder, **options).checksum == whole.checksum, "packed again, it stays"


def test_a_run_and_its_bits_are_those_of_the_file(tmp_path):
    file = tmp_path / "mine.npz"
    np.savez(file, x=X, y=Y)
    words = ["dataset=arrays", "model.hidden=8", "threads=1", "trainer.epochs=2"]
    runs = [
        fdi.run(*words, f"dataset.file={path}", results=tmp_path) for path in (file, pack(file))
    ]
    numbers = [run.metrics.drop(columns=["seconds"], errors="ignore") for run in runs]
    assert numbers[0]["train/loss"].equals(numbers[1]["train/loss"])


def refused(capsys, *words: str | Path) -> str:
    capsys.readouterr()
    assert main(["pack", *map(str, words)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


@pytest.mark.parametrize(
    ("content", "words", "why"),
    [
        ({"x": X - 0.5, "y": Y}, [], "holds currents, and only spikes are packed"),
        ({"x": X - 0.5, "y": Y}, ["max_test=3"], "holds numbers, and only spikes are packed"),
        ({"x": X * 2, "y": Y}, [], "whole numbers up to 2; say what they are"),
        ({"x": X[:50], "y": Y}, [], "50 samples but 60 labels"),
        ({"x": X}, [], "no y; give the label of each sample"),
        (EVENTS | {"samples": EVENTS["samples"][::-1], "y": Y}, [], "must ascend; sort the events"),
        (EVENTS | {"times": EVENTS["times"][1:], "y": Y}, [], "must have an entry for each spike"),
        (EVENTS | {"units": EVENTS["units"] + 1, "y": Y}, [], "is outside 0..23"),
        (EVENTS | {"y": Y, "z": Y}, [], "no use for z"),
        (EVENTS | {"times": EVENTS["times"] * np.nan, "y": Y}, [], "must be finite"),
        (EVENTS | {"units": EVENTS["units"].astype(str), "y": Y}, [], "list of whole numbers"),
        ({"x": np.array(3), "y": Y}, [], "must be (samples, T, units)"),
        ({"y": Y}, [], "give x, or samples, times, units"),
        ({"x": X, "y": Y}, ["colour=blue"], "colour"),
        ({"x": X, "y": Y}, ["names={x: X}"], "dataset.names has X; there is x, y"),
        ({"x": X, "y": Y}, ["valid=0.2"], "validation sets are drawn by runs"),
    ],
)
def test_what_cannot_be_packed_is_refused_in_one_line(content, words, why, tmp_path, capsys):
    np.savez(tmp_path / "mine.npz", **content)
    assert why in refused(capsys, tmp_path / "mine.npz", *words)


def test_nothing_but_a_pack_of_the_same_data_is_written_over(tmp_path, digits_folder, capsys):
    file, folder = tmp_path / "mine.npz", tmp_path / "mine.npz.packed"
    assert "mine.npz: no such file or folder" in refused(capsys, file)
    file.touch()
    assert "mine.npz: cannot be read as arrays" in refused(capsys, file)
    np.savez(file, x=X, y=Y)
    before = file.read_bytes()
    assert "File exists" in refused(capsys, file, "--out", file)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis").touch()
    assert "full holds other data" in refused(capsys, file, "--out", tmp_path / "full")
    pack(file)
    assert "packed holds other data" in refused(capsys, file, "dt=0.001")
    assert "packed holds other data" in refused(capsys, folder, "--out", folder)
    assert file.read_bytes() == before
    np.savez(file, x=~X, y=Y)
    assert "packed holds other data; delete it, or name" in refused(capsys, file)
    assert "made anew for each batch" in refused(
        capsys, digits_folder, "drop=0.5", "train_file=toy_train.h5", "test_file=toy_test.h5"
    )
    assert not list(tmp_path.glob("**/.*")), "nothing is left of what was refused"
    assert list((tmp_path / "full").iterdir()) == [tmp_path / "full" / "thesis"]


def test_a_full_disk_is_said_and_a_pack_goes_on_when_there_is_room(tmp_path):
    file = tmp_path / "mine.npz"
    np.savez(file, x=np.tile(X, (40, 20, 1)), y=np.tile(Y, 40))
    limited = "import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (%d, r.RLIM_INFINITY)); "
    for size in (2**18, 2**21):
        code = limited % size + f"from fdi.cli.data import main; main(['pack', {str(file)!r}])"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert "File too large" in done.stderr
        assert done.stderr.count("\n") == 1
    folder = pack(file)
    assert mapped(folder).checksum == arrays(file=file, dt=0.002).checksum


def test_other_options_and_damage_are_named(tmp_path):
    file = tmp_path / "mine.npz"
    np.savez(file, x=X, y=Y)
    folder = pack(file)
    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({"dt": 0.001}, r"dataset.dt = 0.001: .* was packed with 0.002"),
        ({"kind": "currents"}, r"dataset.kind = currents: .* was packed with spikes"),
        ({"duration": 1.0}, r"dataset.duration = 1.0: .* was packed with 0.018"),
        ({"names": {"x": "a"}}, r"dataset.names = "),
        ({"standardize": True}, "spikes are neither standardized"),
    )
    for options, words in wrong:
        with one_line(words):
            arrays(file=folder, **{"dt": 0.002, **options})
    for name in ("units", "y.npy"):
        table = folder / "train" / name
        content = bytearray(table.read_bytes())
        content[-1] ^= 1
        table.write_bytes(content)
        with one_line(f"{name}.* was changed.*delete it and pack the data again"):
            arrays(file=folder, dt=0.002)


LIMITED = """
import resource, sys, time
resource.setrlimit(resource.RLIMIT_DATA, (int(sys.argv[1]),) * 2)
import fdi
from fdi.data import hdf5
from fdi.data.inputs import Events
if sys.argv[4] == "copied":
    mapped = hdf5.mapped
    def copied(*given):
        table = mapped(*given)
        return Events(table.indptr.copy(), table.units.copy(), table.shape, table.steps)
    hdf5.mapped = copied
begin = time.perf_counter()
words = ["dataset=arrays", "model.hidden=4", "threads=1", "trainer.epochs=1", "probe=none"]
words += ["trainer.batch_size=50", "homeostasis=none"]
run = fdi.run(*words, f"dataset.file={sys.argv[2]}", results=sys.argv[3])
print(time.perf_counter() - begin, run.result["train_loss_last"])
"""
GB = 2**30


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_four_gigabytes_of_events_are_packed_and_run_in_one(tmp_path, monkeypatch):
    """RLIMIT_DATA counts what a process owns, not what it maps; 17 GB of disk are needed."""
    monkeypatch.undo()
    samples, each, pixels = 4000, 270_000, 60_000
    file, spikes = tmp_path / "large.npz", np.arange(each)
    make = {
        "samples": lambda i: np.full(each, i, np.uint16),
        "times": lambda i: (spikes * (0.199 / each)).astype(np.float16),
        "units": lambda i: ((spikes * 10_007 + i * i) % pixels).astype(np.uint16),
    }
    with zipfile.ZipFile(file, "w") as out:
        for key, of in make.items():
            with out.open(f"{key}.npy", "w", force_zip64=True) as member:
                header = {"descr": of(0).dtype.str, "fortran_order": False}
                header["shape"] = (samples * each,)
                np.lib.format.write_array_header_2_0(member, header)
                for i in range(samples):
                    member.write(of(i).data)
        for key, array in {"y": np.arange(samples) % 2, "shape": np.array([pixels])}.items():
            with out.open(f"{key}.npy", "w") as member:
                np.lib.format.write_array(member, array)
    code = f"import resource; resource.setrlimit(resource.RLIMIT_DATA, ({GB},) * 2)\n"
    code += f"from fdi.cli.data import main; assert not main(['pack', {str(file)!r}])"
    subprocess.run([sys.executable, "-c", code], check=True)
    file.unlink()
    folder = Path(f"{file}.packed")
    assert (folder / "train/units").stat().st_size > 4 * GB

    def run(limit: int, how: str) -> tuple[float, float]:
        words = [str(limit), str(folder), str(tmp_path / how), how]
        told = subprocess.check_output([sys.executable, "-c", LIMITED, *words], text=True)
        seconds, loss = map(float, told.splitlines()[-1].split())
        return seconds, loss

    (mapped, loss), (copied, same) = run(GB, "mapped"), run(64 * GB, "copied")
    shutil.rmtree(folder)  # pytest keeps what it has
    assert loss == same
    assert mapped < 1.3 * copied, (mapped, copied)
