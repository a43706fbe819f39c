"""Image sets: read as they are, complete or not, damaged or not."""

from __future__ import annotations

import pickle
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from making import one_line

from fdi.data.dataset import Dataset
from fdi.data.images import digits, images
from fdi.data.inputs import Constant, Events

VIEW: dict[str, Any] = dict(steps=20, dt=0.002, mean=0.5, std=0.5)


def _batch(path: Path, labels: list[int], n: int | None = None) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (n or len(labels), 3072), dtype=np.uint8)
    path.write_bytes(pickle.dumps({"data": pixels, "labels": labels}, protocol=2))  # as they are


@pytest.fixture
def cifar(tmp_path: Path) -> Path:
    """Two training batches of 20 and a test batch of 10 random images in CIFAR-10's layout."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name, repeats in (("data_batch_1", 2), ("data_batch_2", 2), ("test_batch", 1)):
        _batch(folder / name, list(range(10)) * repeats)
    return tmp_path


def read(folder: Path, **options: Any) -> Dataset:
    return images(collection="cifar10", root=folder, check=False, **VIEW | options)


def test_cifar10_is_a_constant_current(cifar: Path, caplog):
    data = read(cifar, valid=0.25)
    assert "not the official files of CIFAR-10" in caplog.text
    assert [len(split) for split in data.splits.values()] == [30, 10, 10]
    batch, labels = data.test.batch(np.arange(3), np.random.default_rng(0))
    assert isinstance(batch, Constant)
    assert batch.values.dtype == np.uint8
    assert batch.shape == (3, 32, 32)
    with (cifar / "cifar-10-batches-py" / "test_batch").open("rb") as file:
        raw = pickle.load(file)
    np.testing.assert_allclose(
        batch.image(), (raw["data"][:3].reshape(-1, 3, 32, 32) / 255 - 0.5) / 0.5, atol=1e-6
    )
    assert labels.tolist() == [0, 1, 2]
    assert data.nu is None
    assert data.mean_square == pytest.approx(1 / 3, abs=0.01), "uniform over -1..1"


def test_encodings_and_subsets(cifar: Path):
    spikes = read(cifar, valid=0.25, encoding="poisson", rate=100.0)
    batch, _ = spikes.train.batch(np.arange(5), np.random.default_rng(0))
    assert isinstance(batch, Events)
    assert spikes.nu == pytest.approx(50, rel=0.02)
    assert spikes.mean_square is None
    once, _ = read(cifar, valid=0.25, encoding="latency").train.batch(
        np.arange(5), np.random.default_rng(0)
    )
    assert once.dense().sum(axis=0).max() == 1
    small = read(cifar, valid=0.5, max_train=20, max_test=10)
    assert [len(split) for split in small.splits.values()] == [10, 10, 10]
    with one_line(
        r"valid = 0\.25 of 20 samples is 5, fewer than the 10 classes; raise it or max_train"
    ):
        read(cifar, valid=0.25, max_train=20)


def test_damaged_cifar(cifar: Path):
    folder = cifar / "cifar-10-batches-py"
    second = folder / "data_batch_2"
    whole = second.read_bytes()
    for content in (whole[:1000], b"", b"no pickle"):
        second.write_bytes(content)
        with one_line(r"data_batch_2: cut short or not a batch of CIFAR-10 \(\w+.*\); delete it"):
            read(cifar)
    _batch(second, [0] * 10, n=9)
    with one_line("data_batch_2: 9 images but 10 labels"):
        read(cifar)
    _batch(second, [11] * 10)
    with one_line(r"data_batch_2: label = 11 is outside 0\.\.9"):
        read(cifar)
    (folder / "test_batch").unlink()
    with one_line("needs test_batch and at least one data_batch, has data_batch_1, data_batch_2"):
        read(cifar)


def test_a_batch_that_is_a_program_is_not_run(cifar: Path, tmp_path: Path):
    class Program:
        def __reduce__(self):
            return Path.touch, (tmp_path / "owned",)

    first = cifar / "cifar-10-batches-py" / "data_batch_1"
    first.write_bytes(pickle.dumps({"data": Program(), "labels": [0]}))
    with one_line(r"data_batch_1: cut short .* which is no data"):
        read(cifar)
    assert not (tmp_path / "owned").exists()


def test_batches_that_are_not_the_official_ones_are_refused(cifar: Path):
    with one_line(r"data_batch_3, .* not the official .* dataset.check=false"):
        images(collection="cifar10", root=cifar, **VIEW)


def _idx(folder: Path, prefix: str, n: int) -> np.ndarray:
    pixels = np.random.default_rng(1).integers(0, 256, (n, 28, 28), dtype=np.uint8)
    (folder / f"{prefix}-images-idx3-ubyte").write_bytes(
        struct.pack(">4i", 0x803, n, 28, 28) + pixels.tobytes()
    )
    (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(
        struct.pack(">2i", 0x801, n) + bytes(i % 10 for i in range(n))
    )
    return pixels


PIXELS: dict[str, Any] = dict(mean=0.1307, std=0.3081)


@pytest.mark.parametrize(
    ("collection", "name"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST")]
)
def test_mnist(tmp_path: Path, collection: Literal["mnist", "fashion_mnist"], name: str):
    folder = tmp_path / name / "raw"
    folder.mkdir(parents=True)
    _idx(folder, "train", 40)
    pixels = _idx(folder, "t10k", 10)
    data = images(collection=collection, root=tmp_path, **VIEW | PIXELS, valid=0.25)
    assert [len(split) for split in data.splits.values()] == [30, 10, 10]
    np.testing.assert_allclose(
        data.test.inputs.image()[:, 0], (pixels / 255 - 0.1307) / 0.3081, atol=1e-5
    )
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:5000])
    with one_line(r"train-images-idx3-ubyte: cut short or not in MNIST's format"):
        images(collection=collection, root=tmp_path, **VIEW)


def test_digits():
    first, second = digits(**VIEW), digits(**VIEW, seed=1)
    assert sum(len(split) for split in first.splits.values()) == 1797
    assert first.shape == (1, 8, 8)
    np.testing.assert_array_equal(first.test.labels, second.test.labels)
    assert first.checksum != second.checksum
    assert first.train.inputs.values.max() == 255


def test_real_cifar_subset(shared: Path, caplog):
    data = read(shared / "data" / "cifar10-subset", valid=0.1)
    assert [len(split) for split in data.splits.values()] == [2700, 300, 1000]
    assert np.bincount(data.valid.labels).tolist() == [30] * 10
    assert data.mean_square is not None
    assert 0.2 < data.mean_square < 0.3
    assert "data_batch_5" in caplog.text


def test_the_digits_are_those_of_scikit_learn_which_is_not_imported():
    code = """if True:
        import sys
        import numpy as np
        from fdi.data.images import read_digits
        images, labels = read_digits()
        assert "sklearn" not in sys.modules
        from sklearn.datasets import load_digits
        digits = load_digits()
        np.testing.assert_array_equal(images[:, 0], np.rint(digits.images * (255 / 16)))
        np.testing.assert_array_equal(labels, digits.target)
        """
    subprocess.run([sys.executable, "-c", code], check=True)
