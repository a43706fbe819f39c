"""Runs of fdi on the pretended GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from compared import as_events
from rich.console import Console

from fdi.cli.cells import compose_cells
from fdi.cli.run import parse
from fdi.cli.terminal import Terminal
from fdi.data.dataset import Dataset, Split
from fdi.data.inputs import Constant, Frames
from fdi.runner import build
from fdi.runner.story import execute

STEPS, CLASSES, DT = 12, 2, 8e-3
SMALL = {
    "dense": ("model.hidden=[6,5]",),
    "recurrent": ("model.hidden=[6,5]",),
    "conv": ("model.filters=[3,4]", "model.pool=[2,1]"),
    "conv_recurrent": ("model.filters=[3,4]", "model.pool=[2,1]", "model.recurrent_kernel=3"),
    "dale": ("model.excitatory=6", "model.inhibitory=3"),
    "dale_conv": (
        "model.excitatory=[4,4]",
        "model.inhibitory=[2,2]",
        "model.pool=[2,1]",
        "model.recurrent_kernel=3",
    ),
}


def data(kind: str) -> Dataset:
    """Three small splits of (2, 6, 6) inputs of one kind."""
    rng = np.random.default_rng(0)

    def split(samples: int) -> Split:
        labels = np.arange(samples) % CLASSES
        if kind == "constant":
            images = rng.random((samples, 2, 6, 6)) + labels[:, None, None, None]
            return Split(Constant(images.astype(np.float32), STEPS, 2.0, -0.5), labels)
        counts = rng.poisson(0.3, (samples, STEPS, 2, 6, 6)).astype(np.uint8)
        if kind == "frames":
            return Split(Frames(counts), labels)
        return Split(as_events(counts), labels)

    return Dataset(kind, split(9), split(4), split(4), CLASSES, (2, 6, 6), STEPS, DT)


@pytest.fixture
def start(tmp_path, monkeypatch) -> Iterator[Callable[..., tuple[dict[str, Any], Path]]]:
    """Runs a cell on "cpu" or "pretended", with the engine that belongs there."""
    import pretend  # the tests of a torch without it need no GPU

    def begin(where: str, model: str, kind: str, *overrides: str, name: str = ""):
        folder = tmp_path / (name or where)
        given = [
            f"model={model}",
            *SMALL[model],
            "trainer.epochs=1",
            "trainer.batch_size=5",
            *overrides,
            f"paths.results={folder}",
            "threads=1",
            f"device={'cuda' if where == 'pretended' else where}",
        ]
        (cell,) = compose_cells(parse(given))
        monkeypatch.setattr(build, "dataset", lambda config: data(kind))
        if where == "cpu":
            return execute(cell.values, cell.directory, Terminal(Console())), cell.directory
        monkeypatch.setattr(build, "device", lambda config: pretend.device())
        with pretend.Pretend():
            return execute(cell.values, cell.directory, Terminal(Console())), cell.directory

    yield begin
    torch.use_deterministic_algorithms(False)
