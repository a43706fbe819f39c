"""Data that other libraries have put on this machine are found where they are."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from fdi.data import download
from fdi.data.dataset import stamps
from fdi.data.speech import shd


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path: Path) -> None:
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "FDI_MIRROR"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)


def recordings(folder: Path, write_shd) -> None:
    folder.mkdir(parents=True)
    spikes = [([0.001 * i, 0.01], [i % 7, 3]) for i in range(40)]
    for part in ("train", "test"):
        write_shd(folder / f"shd_{part}.h5", spikes, [i % 20 for i in range(40)], keys=20)


@pytest.mark.parametrize("place", ["SHD", "."])
def test_the_folder_that_tonic_was_given_is_the_folder_of_the_data(
    place, tmp_path, write_shd, caplog
):
    recordings(tmp_path / "data" / place, write_shd)
    root = tmp_path / "data" / "shd"
    assert download.ensure("shd", root) == root
    assert (root / "shd_train.h5").resolve() == (
        tmp_path / "data" / place / "shd_train.h5"
    ).resolve()
    assert f"{root / 'shd_train.h5'} is a link to" in caplog.text
    before = stamps(root)
    os.utime(tmp_path / "data" / place / "shd_train.h5", (1, 1))
    assert stamps(root) != before  # a change there is seen


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cifar10", "cifar-10-batches-py/data_batch_1"),
        ("mnist", "MNIST/raw/train-images-idx3-ubyte"),
        ("fashion_mnist", "FashionMNIST/raw/train-images-idx3-ubyte"),
        ("nmnist", "NMNIST/Train/0/00001.bin"),
        ("dvs_gesture", "DVSGesture/ibmGestureTrain/user01_led/0.npy"),
    ],
)
def test_folders_of_torchvision_and_tonic_are_found(name, content, tmp_path):
    file = tmp_path / "data" / content
    file.parent.mkdir(parents=True)
    file.write_bytes(b"2")
    for archive in download.SOURCES[name].archives:
        if not (tmp_path / "data" / archive.content).exists():
            (tmp_path / "data" / archive.content).mkdir(parents=True)
    root = download.ensure(name, tmp_path / "data" / name)
    assert (root / content).read_bytes() == b"2"


def test_a_snapshot_of_the_hugging_face_hub_is_read(tmp_path, write_shd, monkeypatch):
    """Files there are links to blobs."""
    hub = tmp_path / "hf" / "hub" / "datasets--lab--speech"
    recordings(hub / "blobs", write_shd)
    snapshot = hub / "snapshots" / "0123abcd"
    snapshot.mkdir(parents=True)
    for part in ("train", "test"):
        (snapshot / f"shd_{part}.h5").symlink_to(Path("..", "..", "blobs", f"shd_{part}.h5"))
    root = tmp_path / "data" / "shd"
    data = shd(root=root, duration=0.04, dt=0.002, binning="binary", valid=0.5)
    assert (len(data.train), len(data.test)) == (20, 40)
    assert np.bincount(data.test.labels).tolist() == [2] * 20
    assert download.present("shd", root)
