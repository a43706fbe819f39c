"""Data files that are damaged, are no files or lead out of their folder: one line each."""

from __future__ import annotations

import io
import os
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from making import one_line

from fdi.data.arrays import arrays
from fdi.data.download import SOURCES, Archive, Listed, ensure, hex_digest
from fdi.data.images import read_idx
from fdi.data.inputs import DataError
from fdi.data.series import read_ts

Y = np.arange(20) % 2
X = np.ones((20, 10, 5))
EVENTS: dict[str, Any] = {
    "samples": np.arange(20),
    "times": np.zeros(20),
    "units": np.arange(20) % 5,
    "y": Y,
}


def packed(path: Path, place: int = 0, value: int = 0, **members: bytes) -> Path:
    """A zip file, with another byte at a place of its only entry and of the list of entries."""
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    if place:
        changed = bytearray(path.read_bytes())
        changed[place] = changed[changed.find(b"PK\x01\x02") + place + 2] = value
        path.write_bytes(changed)
    return path


HOSTILE = {
    "no array": lambda p: packed(p, x=b"123", y=b"1"),
    "a pickle": lambda p: np.savez(p, x=np.array([{}]), y=Y),
    "encrypted": lambda p: packed(p, 6, 1, x=b"123"),
    "another sum": lambda p: packed(p, 14, 1, x=b"123"),
    "a pipe": lambda p: os.mkfifo(p),
    "a label of 1e9": lambda p: np.savez(p, x=X, y=np.where(Y, 10**9, 0)),
    "the largest label": lambda p: np.savez(p, x=X, y=np.where(Y, 2**63 - 1, 0)),
    "a unit of 1e15": lambda p: np.savez(p, **EVENTS | {"units": np.where(Y, 10**15, 0)}),
    "a spike in 1e300 s": lambda p: np.savez(p, **EVENTS | {"times": np.where(Y, 1e300, 0.0)}),
    "times of text": lambda p: np.savez(p, **EVENTS | {"times": np.array(["a"] * 20)}),
    "a shape of 2^80": lambda p: np.savez(p, **EVENTS, shape=np.array([2**40, 2**40])),
    "a shape of nan": lambda p: np.savez(p, **EVENTS, shape=np.array([1.5, np.nan])),
    "a negative shape": lambda p: np.savez(p, **EVENTS, shape=np.array([-5, -1])),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_arrays(what, tmp_path):
    HOSTILE[what](path := tmp_path / "x.npz")
    with one_line(".", DataError):
        arrays(file=path, dt=1e-3)


def test_a_file_that_is_not_there_is_not_called_damaged(tmp_path):
    with one_line("none.npz: no such file$", DataError):
        arrays(file=tmp_path / "none.npz", dt=1e-3)


@pytest.mark.parametrize("header", [(0x803, 5, 2, 2), (0x8FF, 4, 2, 2), (0x801, 16)])
def test_mnist(header, tmp_path):
    pytest.importorskip("torchvision")
    words = struct.pack(f">{len(header)}I", *header)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(words + bytes(16))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, 4) + bytes(4))
    with one_line("-ubyte", DataError):
        read_idx(tmp_path, "train")


def test_series_and_images_that_are_no_files(tmp_path):
    pytest.importorskip("torchvision")
    os.mkfifo(tmp_path / "x_TRAIN.ts")
    with one_line("not a file"):
        read_ts(tmp_path / "x_TRAIN.ts")
    os.mkfifo(tmp_path / "train-images-idx3-ubyte")
    with one_line("not a file"):
        read_idx(tmp_path, "train")


def tar(path: Path, kind: bytes = tarfile.REGTYPE, link: str = "", name: str = "c") -> Path:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, link
    entry.size = 1 if kind == tarfile.REGTYPE else 0
    with tarfile.open(path, "w:gz") as file:
        file.addfile(tarfile.TarInfo("other"))
        file.addfile(entry, io.BytesIO(b"1") if entry.size else None)
    return path


ARCHIVES = {
    "out of the folder": ("c.tar.gz", lambda p: tar(p, name="../evil"), "outside the destination"),
    "a link out": ("c.tar.gz", lambda p: tar(p, tarfile.SYMTYPE, "/etc"), "absolute path"),
    "a link up": ("c.tar.gz", lambda p: tar(p, tarfile.SYMTYPE, "../.."), "outside the dest"),
    "a link": ("c.tar.gz", lambda p: tar(p, tarfile.SYMTYPE, "other"), "holds no c"),
    "a link to nothing": ("c.tar.gz", lambda p: tar(p, tarfile.LNKTYPE, "no"), "not found"),
    "a device": ("c.tar.gz", lambda p: tar(p, tarfile.CHRTYPE), "special file"),
    "a pipe": ("c.tar.gz", lambda p: tar(p, tarfile.FIFOTYPE), "special file"),
    "no gzip": ("c.gz", lambda p: p.write_bytes(b"hello"), "Not a gzipped file"),
    "no tar": ("c.tar.gz", lambda p: p.write_bytes(b"hello"), "could not be opened"),
    "encrypted": ("c.zip", lambda p: packed(p, 6, 1, c=b"123"), "password required"),
    "another sum": ("c.zip", lambda p: packed(p, 14, 1, c=b"123"), "Bad CRC-32"),
    "itself a pipe": ("c.gz", os.mkfifo, "is not a file"),
}


@pytest.mark.parametrize("what", ARCHIVES)
def test_archives(what, tmp_path, monkeypatch):
    name, make, line = ARCHIVES[what]
    (root := tmp_path / "root").mkdir()
    make(path := root / name)
    archive = Archive(
        name, "c", "http://127.0.0.1:9/c", hex_digest(path) if path.is_file() else "none"
    )
    monkeypatch.setitem(SOURCES, "mine", Listed("1", "1", "1", "mine", (archive,)))
    with one_line(line):
        ensure("mine", root)
    assert [path.name for path in tmp_path.rglob("*")] == ["root", name]
