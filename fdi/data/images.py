"""Image sets as constant currents or spikes; the images stay uint8 until a batch is made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from fdi.config.ranges import Count, Fraction, Positive, Share, TimeConstant, TimeStep
from fdi.data.dataset import Dataset, Split, Transform
from fdi.data.download import ensure
from fdi.data.encode import encoding_transform
from fdi.data.image_augment import image_augmentation, then
from fdi.data.image_files import Samples, read_cifar, read_digits, read_idx
from fdi.data.inputs import Constant
from fdi.data.seeding import stream
from fdi.data.splits import divide, subset, train_valid

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
    fdi.data.image_augment. `check`: refuse batches of CIFAR-10 that are not the official ones.
    """
    folder = ensure(collection, root)
    if collection == "cifar10":
        train, test = read_cifar(folder / "cifar-10-batches-py", check)
    else:
        raw = folder / {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}[collection] / "raw"
        train, test = read_idx(raw, "train"), read_idx(raw, "t10k")
    chosen, held = train_valid(train[1], valid, seed, max_train=max_train)
    tested = subset(test[1], max_test, stream(0, "test"))
    parts = [_pick(train, chosen), _pick(train, held), _pick(test, tested)]
    transform = encoding_transform(encoding, dt=dt, rate=rate, tau=tau, threshold=threshold)
    augment = image_augmentation(crop, flip)
    return _dataset(collection, parts, steps, dt, mean, std, transform, augment)


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
    samples = read_digits()
    parts = [
        _pick(samples, chosen)
        for chosen in divide(samples[1], valid, test, stream(0, "test"), seed, max_train)
    ]
    transform = encoding_transform(encoding, dt=dt, rate=rate, tau=tau, threshold=threshold)
    return _dataset("digits", parts, steps, dt, mean, std, transform)


def _dataset(
    name: str,
    parts: list[Samples],
    steps: Count,
    dt: TimeStep,
    mean: float,
    std: float,
    transform: Transform | None,
    augment: Transform | None = None,
) -> Dataset:
    train, held, tested = (
        Split(Constant(values, steps, 1 / (255 * std), -mean / std), labels, transform)
        for values, labels in parts
    )
    return Dataset(
        name,
        replace(train, transform=then(augment, transform)),
        held,
        tested,
        classes=10,
        shape=train.inputs.shape,
        steps=steps,
        dt=dt,
    )


def _pick(samples: Samples, chosen: np.ndarray) -> Samples:
    return samples[0][chosen], samples[1][chosen]
