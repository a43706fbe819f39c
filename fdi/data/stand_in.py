"""Noise in the form of a data set that is not here, to ask what training on it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fdi.data.cameras import to_frames
from fdi.data.dataset import Dataset, Split, stream
from fdi.data.download import SOURCES
from fdi.data.images import encoding_transform
from fdi.data.inputs import Constant, DataError, steps_in
from fdi.data.poisson import poisson

ENCODED = ("dt", "rate", "tau", "threshold")


def stand_in(name: str, options: Mapping[str, Any], samples: int) -> Dataset:
    """At least `samples` of training: spikes at the published rate, or images of random pixels, in
    the steps and the encoding of the `options` of data set `name`.

    Raises DataError where sources.yaml does not know the form of `name`.
    """
    form = SOURCES[name].form if name in SOURCES else None
    if form is None:
        raise DataError(f"{name}: neither its files are here, nor is their form known")
    dt, classes = float(options["dt"]), int(SOURCES[name].classes)
    size = options.get("size")
    shape = tuple(form["shape"]) if size is None else (form["shape"][0], size, size)
    each = -(-samples // classes)
    if "rate" in form:
        steps = steps_in(options["duration"], dt)
        drawn = poisson(
            shape=shape,
            classes=classes,
            samples=each + 1,
            rate=form["rate"],
            contrast=1.0,
            steps=steps,
            dt=dt,
            data_seed=0,
            valid=0.0,
            test=1 / (each + 1),
            binning=options["binning"],
        )
        return replace(drawn, train=replace(drawn.train, transform=to_frames if size else None))
    labels = np.arange(each * classes) % classes
    pixels = stream(0, "data").integers(256, size=(len(labels), *shape), dtype=np.uint8)
    mean, std, steps = options["mean"], options["std"], options["steps"]
    transform = encoding_transform(
        options["encoding"], **{key: float(options[key]) for key in ENCODED}
    )
    split = Split(Constant(pixels, steps, 1 / (255 * std), -mean / std), labels, transform)
    return Dataset(name, split, split.only(np.arange(0)), split, classes, shape, steps, dt)


def published(name: str, options: Mapping[str, Any]) -> tuple[int, int]:
    """How many samples an epoch of data set `name` trains on, and validates with."""
    train, valid, _ = (
        int(number.replace(",", "")) if number != "-" else 0
        for number in SOURCES[name].samples.split(" / ")
    )
    train = min(train, options.get("max_train") or train)
    held = valid or round(options["valid"] * train)
    return train - (0 if valid else held), held
