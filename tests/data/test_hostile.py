"""Data files that lie about their sizes, are no files or are damaged: one line, and no memory."""

from __future__ import annotations

import os
import resource
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fdi.data import inputs
from fdi.data.arrays import arrays
from fdi.data.images import read_idx
from fdi.data.inputs import DataError, readable
from fdi.data.series import read_ts

Y = np.arange(20) % 2
X = np.ones((20, 10, 5))
EVENTS: dict[str, Any] = {
    "samples": np.arange(20),
    "times": np.zeros(20),
    "units": np.arange(20) % 5,
    "y": Y,
}


def packed(path: Path, method: int = zipfile.ZIP_STORED, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


def npy(shape: str, content: bytes = b"", kind: str = "<f4") -> bytes:
    """An array whose header says `shape`."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + content


def damaged(path: Path, place: int, value: int) -> Path:
    """A packed file with another byte at a place of its only entry, and of the list of entries."""
    packed(path, zipfile.ZIP_DEFLATED, x=npy("(20, 10, 5)", bytes(4000)))
    content = bytearray(path.read_bytes())
    content[place] = content[content.find(b"PK\x01\x02") + place + 2] = value
    path.write_bytes(content)
    return path


HOSTILE = {
    "1e12 samples": lambda p: packed(p, x=npy("(1000000000000, 10, 5)")),
    "an overflow": lambda p: packed(p, x=npy("(4294967296, 4294967296, 5)")),
    "negative": lambda p: packed(p, x=npy("(-1, 10, 5)")),
    "a long header": lambda p: packed(p, x=b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31)),
    "no array": lambda p: packed(p, x=b"123", y=b"1"),
    "a pickle": lambda p: packed(p, x=npy("(1,)", b"cos\nsystem\n.", "|O")),
    "encrypted": lambda p: damaged(p, 6, 1),
    "an unknown method": lambda p: damaged(p, 8, 99),
    "a pipe": lambda p: os.mkfifo(p),
    "a device": lambda p: p.symlink_to("/dev/zero"),
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
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError) as caught, readable("dataset = arrays"):
        arrays(file=path, dt=1e-3)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**17  # KiB
    assert len(str(caught.value).splitlines()) == 1


def test_what_does_not_fit_into_memory_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "_free_memory", lambda: 10**6)
    path = packed(
        tmp_path / "x.npz", zipfile.ZIP_DEFLATED, x=npy("(20, 500, 500)", bytes(2 * 10**7))
    )
    assert path.stat().st_size < 10**5
    with pytest.raises(DataError, match=r"20,000,128 bytes when unpacked, and 1,000,000 of memory"):
        arrays(file=path, dt=1e-3)
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.ts", b"0" * 10**7)
    with pytest.raises(DataError, match="10,000,000 bytes when unpacked"):
        read_ts(tmp_path / "x.zip", "a.ts")


@pytest.mark.parametrize("header", [
        (0x803, 2**31, 2**31, 2**31), (0x803, 2**32 - 1, 1, 1), (0x803, 4, 0, 0), (0x803, 5, 2, 2),
        (0xE03, 4, 2, 2), (0x8FF, 4, 2, 2), (0x1F8B0803, 4, 2, 2), (0x801, 16),
    ],
)  # fmt: skip
def test_mnist(header, tmp_path):
    pytest.importorskip("torchvision")
    words = struct.pack(f">{len(header)}I", *header)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(words + bytes(16))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, 4) + bytes(4))
    with pytest.raises(DataError) as caught:
        read_idx(tmp_path, "train")
    assert len(str(caught.value).splitlines()) == 1


def test_series_and_images_that_are_no_files(tmp_path):
    pytest.importorskip("torchvision")
    os.mkfifo(tmp_path / "x_TRAIN.ts")
    with pytest.raises(DataError, match="not a file"):
        read_ts(tmp_path / "x_TRAIN.ts")
    os.mkfifo(tmp_path / "train-images-idx3-ubyte")
    with pytest.raises(DataError, match="not a file"):
        read_idx(tmp_path, "train")
