"""Augmentation of images in training: another cut-out and its mirror image for each batch."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from fdi.data.dataset import Transform
from fdi.data.inputs import Constant, Input


def image_augmentation(crop: int | None, flip: float | None) -> Transform | None:
    """`shift_and_mirror`, or None if nothing is asked for."""
    if not crop and not flip:
        return None
    return partial(shift_and_mirror, crop=crop or 0, flip=flip or 0.0)


def shift_and_mirror(
    images: Constant, rng: np.random.Generator, *, crop: int, flip: float
) -> Constant:
    """Each image [C, H, W] cut out of itself with a black border of `crop` pixels, at a place of
    its own, and mirrored left to right with probability `flip`, as torchvision's RandomCrop with
    padding and RandomHorizontalFlip.
    """
    values, n = images.values, len(images)
    height, width = images.shape[-2:]
    if crop:
        edge = [(0, 0)] * (values.ndim - 2) + [(crop, crop)] * 2
        padded = np.pad(values, edge)
        down, right = rng.integers(2 * crop + 1, size=(2, n))
        values = np.stack(
            [
                image[..., i : i + height, j : j + width]
                for image, i, j in zip(padded, down.tolist(), right.tolist())
            ]
        )
    if flip:
        mirrored = (rng.random(n) < flip).reshape(-1, *(1,) * (values.ndim - 1))
        values = np.where(mirrored, values[..., ::-1], values)
    return replace(images, values=values)


def then(first: Transform | None, second: Transform | None) -> Transform | None:
    """Both transforms, one after the other; either may be None."""
    if first is None or second is None:
        return first or second
    return partial(_both, first=first, second=second)


def _both(inputs: Input, rng: np.random.Generator, *, first: Transform, second: Transform) -> Input:
    return second(first(inputs, rng), rng)
