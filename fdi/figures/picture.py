"""One picture of a data set: a few samples as the network sees them, the rate over time, the
histogram of rates over units.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path

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
        _draw_images(shown, images, labels)
        _draw_currents(left, right, images)
    elif isinstance(inputs, Frames) and inputs.currents:
        for panel, values, label in zip(shown, inputs.values, labels):
            _draw_series(panel, values.reshape(len(values), -1), dataset, label)
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
    return np.array(
        [
            np.flatnonzero(labels == label)[0]
            for label in np.arange(min(SAMPLES, classes)) * max(1, classes // SAMPLES)
        ]
    )


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
    for b, (panel, label) in enumerate(zip(axes, labels)):
        chosen = samples == b
        if len(dataset.shape) == 3:
            image = np.bincount(units[chosen], counts[chosen], minlength=prod(dataset.shape))
            _draw_image(panel, (image / max(1, image.max())).reshape(dataset.shape), label)
            continue
        panel.plot(1e3 * dataset.dt * steps[chosen], units[chosen], ",", color=INK, alpha=0.6)
        if prod(dataset.shape) <= 100:
            panel.lines[0].set(marker="|", markersize=4, alpha=1)
        panel.set(
            title=f"class {label}",
            xlabel="time (ms)",
            xlim=(0, 1e3 * dataset.dt * dataset.steps),
            ylim=(-1, prod(dataset.shape)),
        )
        panel.title.set_fontsize(9)
    axes[0].set_ylabel("" if len(dataset.shape) == 3 else "input unit")
    if len(dataset.shape) == 3 and dataset.shape[0] == 2:
        figure = axes[0].figure
        figure.supxlabel(f"spikes of the whole trial; {POLARITIES}", fontsize=8, color="0.3")


def _draw_rates(left: Axes, right: Axes, dataset: Dataset, spikes: Spikes, n: int) -> None:
    _, steps, units, counts = spikes
    size = prod(dataset.shape)
    over_time = np.bincount(steps, counts, minlength=dataset.steps) / (n * size * dataset.dt)
    left.step(
        1e3 * dataset.dt * np.arange(dataset.steps), over_time, where="post", color=INK, linewidth=1
    )
    left.set(
        xlabel="time (ms)", ylabel="rate (Hz per unit)", xlim=(0, 1e3 * dataset.dt * dataset.steps)
    )
    left.set_ylim(0, 1.1 * over_time.max() + 1e-9)
    per_unit = np.bincount(units, counts, minlength=size) / (n * dataset.steps * dataset.dt)
    right.hist(per_unit, bins=40, color=INK)
    if dataset.nu is not None:
        right.axvline(dataset.nu, color=MARK, label=f"mean nu {dataset.nu:.3g} Hz")
    right.set(xlabel=f"mean rate of a unit over {n} samples (Hz)", ylabel="units")
    right.legend(frameon=False, loc="upper right")


def _draw_images(axes: Sequence[Axes], images: np.ndarray, labels: np.ndarray) -> None:
    low, high = images.min(), images.max()
    for panel, image, label in zip(axes, images, labels):
        _draw_image(panel, (image - low) / (high - low), label)


def _draw_series(panel: Axes, values_TN: np.ndarray, dataset: Dataset, label: int) -> None:
    time = 1e3 * dataset.dt * np.arange(dataset.steps)
    panel.plot(time, values_TN, linewidth=0.8)
    panel.set(xlabel="time (ms)", xlim=(0, 1e3 * dataset.dt * dataset.steps))
    panel.set_title(f"class {label}", size=9)


def _draw_currents(left: Axes, right: Axes, images: np.ndarray) -> None:
    left.hist(images.ravel(), bins=60, color=INK)
    left.set(xlabel="input current of a unit", ylabel="units and steps")
    right.hist(np.mean(images**2, axis=tuple(range(1, images.ndim))), bins=40, color=INK)
    right.axvline(np.mean(images**2), color=MARK, label=f"mean {np.mean(images**2):.3g}")
    right.set(xlabel="mean square of a sample", ylabel="samples")
    right.legend(frameon=False, loc="upper right")


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
