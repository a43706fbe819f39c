"""One picture of a data set: a few samples as the network sees them, the rate over time, the
histogram of rates over units.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fdi.data.dataset import Dataset, stream
from fdi.data.inputs import Constant, Events, Frames, coordinates
from fdi.track.files import atomic

SAMPLES, STATISTICS = 4, 256  # training samples drawn, and counted
INK, MARK = "#1f4e79", "#c0504d"
POLARITIES = "red: more events of getting brighter, blue: of getting darker"

Spikes = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Sample, step and flat unit of spikes, and how many each of them stands for."""


@style.context("default")
def draw(dataset: Dataset, path: Path) -> None:
    """Write the picture of the training split to `path` (PNG)."""
    chosen = _one_of_each(dataset.train.labels, dataset.classes)
    others = np.setdiff1d(
        np.linspace(0, len(dataset.train) - 1, STATISTICS).astype(np.int64), chosen
    )
    inputs, labels = dataset.train.batch(np.concatenate([chosen, others]), stream(0, "noise"))
    figure = Figure(figsize=(11, 5.2), layout="constrained")
    top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.15, 1))[:, 0]
    shown = top.subplots(1, SAMPLES, squeeze=False)[0]
    left, right = bottom.subplots(1, 2)
    if isinstance(inputs, Constant):
        images = inputs.image(np.float64)
        scaled = (images - images.min()) / np.ptp(images)
        for panel, image, label in zip(shown, scaled, labels):
            _draw_image(panel, image, label)
        _draw_currents(left, right, images)
    elif isinstance(inputs, Frames) and inputs.currents:
        for panel, values, label in zip(shown, inputs.values, labels):
            time = _over_time(panel, dataset)
            panel.plot(time, values.reshape(len(values), -1), linewidth=0.8)
            panel.set_title(f"class {label}", size=9)
        shown[0].set_ylabel("input current")
        _draw_currents(left, right, inputs.values)
    else:
        spikes = _spikes(inputs)
        _draw_samples(shown, dataset, spikes, labels)
        _draw_rates(left, right, dataset, spikes, len(labels))
    figure.suptitle(title(dataset), fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130)


def title(dataset: Dataset) -> str:
    """The data set in one line: samples, shape, mean rate or current."""
    sizes = " / ".join(f"{len(split):,}" for split in dataset.splits.values())
    shape = " x ".join(map(str, dataset.shape))
    text = (
        f"{dataset.name}: {sizes} samples, {dataset.classes} classes, input {shape}, "
        f"{dataset.steps} steps of {1e3 * dataset.dt:g} ms"
    )
    if dataset.nu is None:
        return f"{text}, mean square {dataset.mean_square:.3g}"
    paper = "" if dataset.nu_paper is None else f" (paper {dataset.nu_paper:g})"
    return f"{text}, nu {dataset.nu:.3g} Hz{paper}"


def _one_of_each(labels: np.ndarray, classes: int) -> np.ndarray:
    """The first sample of each of the classes drawn, which are spread over all."""
    drawn = np.arange(min(SAMPLES, classes)) * max(1, classes // SAMPLES)
    return np.array([np.flatnonzero(labels == label)[0] for label in drawn])


def _spikes(inputs: Events | Frames) -> Spikes:
    if isinstance(inputs, Events):
        samples, steps, units = coordinates(inputs)
        return samples, steps, units, np.ones(len(units))
    values = inputs.values.reshape(len(inputs), inputs.steps, -1)
    samples, steps, units = np.nonzero(values)
    return samples, steps, units, values[samples, steps, units].astype(np.float64)


def _draw_samples(
    axes: Sequence[Axes], dataset: Dataset, spikes: Spikes, labels: np.ndarray
) -> None:
    """Rasters; or, for pixels, the spike counts of the whole trial as an image."""
    samples, steps, units, counts = spikes
    size, pixels = prod(dataset.shape), len(dataset.shape) == 3
    for b, (panel, label) in enumerate(zip(axes, labels)):
        chosen = samples == b
        if pixels:
            image = np.bincount(units[chosen], counts[chosen], minlength=size)
            _draw_image(panel, (image / max(1, image.max())).reshape(dataset.shape), label)
            continue
        look: dict[str, Any] = (
            {"marker": "|", "markersize": 4} if size <= 100 else {"marker": ",", "alpha": 0.6}
        )
        panel.plot(1e3 * dataset.dt * steps[chosen], units[chosen], color=INK, ls="", **look)
        _over_time(panel, dataset)
        panel.set_ylim(-1, size)
        panel.set_title(f"class {label}", size=9)
    axes[0].set_ylabel("" if pixels else "input unit")
    if pixels and dataset.shape[0] == 2:
        figure = axes[0].figure
        figure.supxlabel(f"spikes of the whole trial; {POLARITIES}", fontsize=8, color="0.3")


def _over_time(panel: Axes, dataset: Dataset) -> np.ndarray:
    """The horizontal axis; the steps in ms."""
    panel.set(xlabel="time (ms)", xlim=(0, 1e3 * dataset.dt * dataset.steps))
    return 1e3 * dataset.dt * np.arange(dataset.steps)


def _draw_rates(left: Axes, right: Axes, dataset: Dataset, spikes: Spikes, n: int) -> None:
    _, steps, units, counts = spikes
    size = prod(dataset.shape)
    over_time = np.bincount(steps, counts, minlength=dataset.steps) / (n * size * dataset.dt)
    left.step(_over_time(left, dataset), over_time, where="post", color=INK, linewidth=1)
    left.set(ylabel="rate (Hz per unit)", ylim=(0, 1.1 * over_time.max() + 1e-9))
    per_unit = np.bincount(units, counts, minlength=size) / (n * dataset.steps * dataset.dt)
    mean = {} if dataset.nu is None else {f"mean nu {dataset.nu:.3g} Hz": dataset.nu}
    _histogram(right, per_unit, mean)
    right.set(xlabel=f"mean rate of a unit over {n} samples (Hz)", ylabel="units")


def _draw_currents(left: Axes, right: Axes, images: np.ndarray) -> None:
    left.hist(images.ravel(), bins=60, color=INK)
    left.set(xlabel="input current of a unit", ylabel="units and steps")
    squares = np.mean(images**2, axis=tuple(range(1, images.ndim)))
    _histogram(right, squares, {f"mean {np.mean(images**2):.3g}": np.mean(images**2)})
    right.set(xlabel="mean square of a sample", ylabel="samples")


def _histogram(panel: Axes, values: np.ndarray, means: dict[str, float]) -> None:
    panel.hist(values, bins=40, color=INK)
    for label, mean in means.items():
        panel.axvline(mean, color=MARK, label=label)
        panel.legend(frameon=False, loc="upper right")


def _draw_image(panel: Axes, image: np.ndarray, label: int) -> None:
    """`image` [C, H, W] in 0..1: grey, colour, or for two channels (polarities) their
    difference.
    """
    if len(image) == 3:
        panel.imshow(image.transpose(1, 2, 0))
    elif len(image) == 2:
        difference = image[1] - image[0]
        most = np.abs(difference).max()
        panel.imshow(difference, cmap="RdBu_r", vmin=-most, vmax=most)
    else:
        panel.imshow(image.mean(axis=0), cmap="gray")
    panel.set_title(f"class {label}", size=9)
    panel.set_axis_off()
