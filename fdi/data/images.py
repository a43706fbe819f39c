"""Image sets as constant currents or spikes; the images stay uint8 until a batch is made."""

from __future__ import annotations

import io
import pickle
import warnings
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from fdi.config.parts import Count, Fraction, Positive, Share, TimeConstant, TimeStep
from fdi.data.dataset import Dataset, Split, Transform, apart, divide, drawn, keep, stream
from fdi.data.download import SOURCES, ensure, hex_digest
from fdi.data.inputs import (
    Constant,
    DataError,
    Events,
    Input,
    binned,
    class_labels,
    intact,
    log,
    needs,
    reading_data,
)


def shift_and_mirror(
    images: Constant,
    rng: np.random.Generator,
    *,
    crop: int | None,
    flip: float | None,
    encode: Transform | None = None,
) -> Input:
    """Each image [C, H, W] cut out of itself with a black border of `crop` pixels, at a place of
    its own, and mirrored left to right with probability `flip`, as torchvision's RandomCrop with
    padding and RandomHorizontalFlip; then as `encode` makes it.
    """
    values, n = images.values, len(images)
    height, width = images.shape[-2:]
    if crop:
        edge = [(0, 0)] * (values.ndim - 2) + [(crop, crop)] * 2
        padded = np.pad(values, edge)
        down, right = rng.integers(2 * crop + 1, size=(2, n))
        places = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(-2, -1))
        values = places[np.arange(n), ..., down, right, :, :]
    if flip:
        mirrored = (rng.random(n) < flip).reshape(-1, *(1,) * (values.ndim - 1))
        values = np.where(mirrored, values[..., ::-1], values)
    augmented = replace(images, values=values)
    return augmented if encode is None else encode(augmented, rng)


RECONSTRUCT = np.empty(0).__reduce__()[0]  # what numpy's own pickles call, wherever it lives
MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")


class _Numbers(pickle.Unpickler):
    """Unpickles numpy arrays, bytes, text, lists and dicts, and refuses all else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        if module in MULTIARRAY and name == "_reconstruct":
            return RECONSTRUCT
        if (module, name) == ("_codecs", "encode"):  # bytes, as Python 3 writes them for Python 2
            return lambda text, encoding: text.encode("latin1")
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is no data")

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it names an object outside of the file")


def read_batch(path: Path) -> tuple[np.ndarray, list[int]]:
    """Images uint8 [n, 3, 32, 32] and labels of one batch. Raises DataError."""
    with intact(path, "cut short or not a batch of CIFAR-10"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy warns of its own pickles of 2009
        content = _Numbers(io.BytesIO(path.read_bytes()), encoding="latin1").load()
        data, labels = content["data"], content["labels"]
        if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (3072,):
            raise ValueError("data is no uint8 array of n x 3072")
        if not all(isinstance(label, int) for label in labels):
            raise ValueError("a label is no integer")
    return data.reshape(-1, 3, 32, 32), list(labels)


Labelled = tuple[np.ndarray, np.ndarray]  # images, labels int64 [B]


@keep
def read_cifar(folder: Path, check: bool = True) -> tuple[Labelled, Labelled]:
    """Training and test images of the Python batches in `folder`. Without `check` files that are
    not the official ones, and fewer of them, are read with a warning.
    """
    official = SOURCES["cifar10"].archives[0].files
    paths = {name: folder / name for name in official}
    there = [name for name, path in paths.items() if path.is_file()]
    if "test_batch" not in there or len(there) < 2:
        raise DataError(
            f"{folder}: needs test_batch and at least one data_batch, has "
            f"{', '.join(there) or 'neither'}"
        )
    sums = {name: hex_digest(paths[name]) for name in there}
    wrong = [name for name, md5 in official.items() if sums.get(name) != md5]
    if wrong:
        line = f"{folder}: {', '.join(wrong)} missing or not the official files of CIFAR-10 (md5)"
        if check:
            raise DataError(f"{line}; get them again, or set dataset.check=false")
        log.warning("%s", line)
    batches = {name: _checked(paths[name], *read_batch(paths[name])) for name in there}
    test = batches.pop("test_batch")
    images, labels = (np.concatenate(arrays) for arrays in zip(*batches.values()))
    return (images, labels), test


@keep
def read_idx(folder: Path, prefix: str) -> Labelled:
    """The images and labels `prefix`-images-idx3-ubyte and `prefix`-labels-idx1-ubyte of MNIST's
    format.
    """
    with needs("torchvision"):
        from torchvision.datasets.mnist import read_image_file, read_label_file
    paths = [folder / f"{prefix}-{kind}" for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")]
    arrays = []
    for path, read in zip(paths, (read_image_file, read_label_file)):
        with intact(path, "cut short or not in MNIST's format"):
            arrays.append(read(str(path)).numpy())
    return _checked(paths[1], arrays[0][:, None], arrays[1])


@keep
def read_digits() -> Labelled:
    """The 8 x 8 digits that come with scikit-learn; grey levels 0..16 stretched to 0..255. Its file
    is read without it: the import takes a second and a half, in each run and each worker.
    """
    package = find_spec("sklearn")
    with needs("sklearn"):
        if package is None or package.origin is None:
            raise ModuleNotFoundError("No module named 'sklearn'")
    file = Path(package.origin).with_name("datasets") / "data" / "digits.csv.gz"
    with reading_data(str(file)):
        table = np.loadtxt(file, delimiter=",")  # a row of 64 levels and the digit
    images = table[:, :-1].reshape(-1, 1, 8, 8) * (255 / 16)
    return np.rint(images).astype(np.uint8), table[:, -1].astype(np.int64)


def _checked(path: Path, images: np.ndarray, given: ArrayLike) -> Labelled:
    labels = class_labels(f"{path}: label", np.asarray(given), 10)
    if len(images) != len(labels):
        raise DataError(f"{path}: {len(images)} images but {len(labels)} labels")
    return np.ascontiguousarray(images), labels


def encoding_transform(
    encoding: str, *, dt: float, rate: float, tau: float, threshold: float
) -> Transform | None:
    """What turns batches of images into spikes; None for `encoding` "constant".

    "poisson": `rate` (Hz) of a white pixel. "latency": `tau` (s) and `threshold` (0..1) of
    `latency_spikes`.
    """
    if encoding == "constant":
        return None
    if encoding == "latency":
        return partial(latency_spikes, steps_tau=tau / dt, threshold=threshold)
    if rate * dt > 1:
        raise DataError(f"rate = {rate} Hz must be at most one spike in a step of dt = {dt} s")
    return partial(poisson_spikes, probability=rate * dt)


def poisson_spikes(images: Constant, rng: np.random.Generator, *, probability: float) -> Events:
    """In each step pixel x of 0..1 spikes with probability `probability` x, rounded to 2^-16."""
    thresholds = np.rint(_intensity(images) * probability * 65536).astype(np.uint32)
    counts, units = [], []
    for threshold in thresholds:
        spikes = (
            rng.integers(65536, size=(images.steps, len(threshold)), dtype=np.uint16) < threshold
        )
        counts.append(np.count_nonzero(spikes, axis=1))
        units.append(np.nonzero(spikes)[1])
    indptr = np.concatenate([[0], np.cumsum(np.concatenate(counts, dtype=np.int64))])
    return Events(indptr, np.concatenate(units).astype(np.int32), images.shape, images.steps)


def latency_spikes(
    images: Constant, rng: np.random.Generator, *, steps_tau: float, threshold: float
) -> Events:
    """Pixel x of 0..1 spikes once, at t = tau log(x/(x - threshold)), if x > threshold and t lies
    within the trial.

    The time a leaky integrator with `tau` needs to reach `threshold` under a constant drive x
    (stork's current2firing_time).
    """
    intensity = _intensity(images)
    samples, units = np.nonzero(intensity > threshold)
    x = intensity[samples, units]
    steps = np.floor(steps_tau * np.log(x / (x - threshold))).astype(np.int64)
    inside = steps < images.steps
    return binned(
        samples[inside],
        steps[inside],
        units[inside],
        (len(images), images.steps),
        images.shape,
        "binary",
    )


def _intensity(images: Constant) -> np.ndarray:
    """Grey levels 0..255 as 0..1, float64 [B, units]."""
    return images.values.reshape(len(images), -1) / 255.0


Encoding = Literal["constant", "poisson", "latency"]


def images(
    *,
    collection: Literal["cifar10", "mnist", "fashion_mnist"],
    root: str | Path,
    steps: Count,
    dt: TimeStep,
    mean: float,
    std: Positive,
    encoding: Encoding = "constant",
    rate: Positive = 50.0,
    tau: TimeConstant = 50e-3,
    threshold: Fraction = 0.2,
    valid: Share = 0.1,
    max_train: Count | None = None,
    max_test: Count | None = None,
    crop: Count | None = None,
    flip: Share | None = None,
    check: bool = True,
    seed: int = 0,
) -> Dataset:
    """A `collection` of images with a training and a test set, read by torchvision.

    "constant": the current (x - mean)/std of pixel x of 0..1 in every step. "poisson": spikes at
    `rate` x (Hz). "latency": one spike at tau log(x/(x - threshold)) seconds. `valid`: share of the
    training set held out, stratified, drawn with `seed`. `crop`, `flip`: of training images, see
    `shift_and_mirror`. `check`: refuse batches of CIFAR-10 that are not the official ones.
    """
    folder = ensure(collection, root)
    if collection == "cifar10":
        train, test = read_cifar(folder / "cifar-10-batches-py", check)
    else:
        raw = folder / {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}[collection] / "raw"
        train, test = read_idx(raw, "train"), read_idx(raw, "t10k")
    samples = apart(train[1], test[1], valid, seed, max_train, max_test)
    transform = encoding_transform(encoding, dt=dt, rate=rate, tau=tau, threshold=threshold)
    currents = steps, 1 / (255 * std), -mean / std
    first, last = (Split(Constant(x, *currents), y, transform) for x, y in (train, test))
    augment = partial(shift_and_mirror, crop=crop, flip=flip, encode=transform)
    learned = augment if crop or flip else transform
    return drawn(collection, first, last, samples, 10, dt, transform=learned)


def digits(
    *,
    steps: Count,
    dt: TimeStep,
    encoding: Encoding = "constant",
    mean: float = 0.5,
    std: Positive = 0.5,
    rate: Positive = 50.0,
    tau: TimeConstant = 50e-3,
    threshold: Fraction = 0.2,
    valid: Share = 0.1,
    test: Fraction = 0.2,
    max_train: Count | None = None,
    seed: int = 0,
) -> Dataset:
    """The 1,797 real 8 x 8 digits that come with scikit-learn; `valid` and `test` are shares of
    all, the rest as in `images`.
    """
    values, labels = read_digits()
    samples = divide(labels, valid, test, stream(0, "test"), seed, max_train)
    transform = encoding_transform(encoding, dt=dt, rate=rate, tau=tau, threshold=threshold)
    whole = Split(Constant(values, steps, 1 / (255 * std), -mean / std), labels, transform)
    return drawn("digits", whole, whole, samples, 10, dt)
