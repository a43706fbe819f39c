"""One picture of a data set: a few samples as the network sees them, and their means over time and
over units.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fdi.data.dataset import Dataset, stream
from fdi.data.targets import strata
from fdi.track.files import atomic

DRAWN, STATISTICS = 4, 64  # training samples drawn, and averaged
INK, MARK = "#1f4e79", "#c0504d"


@style.context("default")
def draw_dataset(dataset: Dataset, path: Path) -> None:
    """Write the picture of the training split to `path` (PNG)."""
    classes = strata(dataset.train.labels)
    _, firsts = np.unique(classes, return_index=True)
    chosen = firsts[:: max(1, len(firsts) // DRAWN)][:DRAWN]
    others = np.linspace(0, len(classes) - 1, STATISTICS).astype(np.int64)
    inputs, _ = dataset.train.batch(np.concatenate([chosen, others]), stream(0, "noise"))
    values = inputs.dense(np.float32)
    time = 1e3 * dataset.dt * np.arange(dataset.steps)
    figure = Figure(figsize=(11, 5.2), layout="constrained")
    top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.15, 1))[:, 0]
    for b, panel in enumerate(top.subplots(1, len(chosen), squeeze=False)[0]):
        _draw_sample(panel, values[:, b], time, spikes=dataset.nu is not None)
        panel.set_title(f"class {classes[chosen[b]]}" * (not dataset.numbers), size=9)
    left, right = bottom.subplots(1, 2)
    means, what = values[:, len(chosen) :], "input"
    if dataset.nu is not None:
        means, what = means / dataset.dt, "rate (Hz)"
        right.axvline(dataset.nu, color=MARK, label=f"mean nu {dataset.nu:.3g} Hz")
        right.legend(frameon=False, loc="upper right")
    left.step(time, means.mean(tuple(range(1, means.ndim))), where="post", color=INK)
    left.set(xlabel="time (ms)", ylabel=f"mean {what} of all units")
    right.hist(means.mean((0, 1)).ravel(), bins=40, color=INK)
    right.set(xlabel=f"mean {what} of a unit", ylabel="units")
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


def _draw_sample(panel: Axes, values: np.ndarray, time: np.ndarray, spikes: bool) -> None:
    """`values` [T, *shape]: of pixels the mean over a trial, else spikes or currents over time."""
    flat = values.reshape(len(values), -1)
    if values.ndim == 4:
        image = values.mean(0) - values.mean(0).min()
        image /= max(image.max(), np.finfo(np.float32).tiny)
        panel.imshow(image.transpose(1, 2, 0) if len(image) == 3 else image.mean(0), cmap="gray")
        panel.set_axis_off()
        return
    if spikes:
        steps, units = np.nonzero(flat)
        few: dict[str, Any] = {"marker": "|", "markersize": 4}
        look = few if flat.shape[1] <= 100 else {"marker": ",", "alpha": 0.6}
        panel.plot(time[steps], units, color=INK, linestyle="", **look)
        panel.set(xlim=(-1, time[-1] + 1), ylim=(-1, flat.shape[1]))
        panel.locator_params(axis="y", integer=True)
    else:
        panel.plot(time, flat, linewidth=0.8)
    panel.set(xlabel="time (ms)", ylabel="input unit" if spikes else "input current")
