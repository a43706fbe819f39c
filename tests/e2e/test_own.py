"""A data set, a model and an initialization of one's own, from outside the package."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fdi.data import from_torch
from fdi.data.errors import DataError

OWN = Path(__file__).parents[2] / "examples" / "own"


def call(module: str, *words: str, cwd: Path) -> subprocess.CompletedProcess:
    code = f"import sys; from fdi.cli.{module} import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *words], cwd=cwd, capture_output=True, text=True
    )


@pytest.mark.parametrize("launcher", ["basic", "local"])
def test_the_example_runs_from_another_folder(tmp_path: Path, launcher: str):
    shutil.copytree(OWN, tmp_path / "a, b" / "own")
    (tmp_path / "else").mkdir()
    chosen = ["dataset=stripes", "model=hourglass", "init=sparse", "seed=1", "engine=reference"]
    small = ["dataset.samples=40", "dataset.steps=10", "trainer.epochs=1", "trainer.batch_size=40"]
    folder = ["-m", "--config-dir", "../a, b/own/conf", f"hydra/launcher={launcher}"]
    found = call("run", *folder, *chosen, *small, cwd=tmp_path / "else")
    assert found.returncode == 0, found.stderr
    (run,) = tmp_path.glob("else/results/runs/stripes/hourglass/sparse/seed=1-*")
    assert (run / "result.json").exists()
    if launcher == "basic":
        snapshot_needs_to_be_told_where_the_code_is(tmp_path / "else", run)


def snapshot_needs_to_be_told_where_the_code_is(folder: Path, run: Path):
    words = ["snapshot", "--run", str(run), "--out", "."]
    refused = call("figures", *words, cwd=folder)
    assert len(refused.stderr.splitlines()) == 1
    assert "own_parts" in refused.stderr
    drawn = call("figures", *words, "--modules", "../a, b/own", cwd=folder)
    assert drawn.returncode == 0, drawn.stderr
    assert list(folder.glob("snapshot*.png"))


def test_show_draws_it(tmp_path: Path):
    folder = ["--config-dir", str(OWN / "conf"), "--out", "own.png"]
    found = call("data", "show", "stripes", *folder, "samples=40", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("stripes: 72 / 8 / 20 samples, 2 classes, input 1 x 8 x 8, ")
    assert (tmp_path / "own.png").read_bytes().startswith(b"\x89PNG")


VIEW = dict(steps=5, dt=1e-3, classes=2, valid=0.25)


def test_events_of_tonic():
    kind = np.dtype([("t", "i8"), ("x", "i2"), ("y", "i2"), ("p", "?")])
    samples = [(np.array([(1000, 2, 1, 1), (9000, 0, 0, 0)], dtype=kind), i % 2) for i in range(8)]
    data = from_torch("mine", samples, samples, kind="events", sensor=(3, 2, 2), **VIEW)
    assert data.shape == (2, 2, 3)
    assert np.argwhere(data.test.inputs.dense()[:, 0]).tolist() == [[1, 1, 1, 2]]
    with pytest.raises(DataError, match=r"mine: an event outside of the sensor \(2, 1, 2\)"):
        from_torch("mine", samples, samples, kind="events", sensor=(2, 1, 2), **VIEW)


def test_what_does_not_fit_is_refused():
    frames = [(np.zeros((4, 3)), i % 2) for i in range(8)]
    with pytest.raises(DataError, match="mine: frames of 4 steps, not steps = 5"):
        from_torch("mine", frames, frames, kind="frames", **VIEW)
    images = [(np.full((1, 2, 2), np.nan), i % 2) for i in range(8)]
    with pytest.raises(DataError, match="mine: nan or infinite values in the train split"):
        from_torch("mine", images, images, kind="constant", **VIEW)
    other = [(np.zeros((1, 3, 3)), i % 2) for i in range(8)]
    with pytest.raises(DataError, match="mine: samples of different shapes in the splits"):
        from_torch("mine", other, [(np.zeros((1, 2, 2)), i % 2) for i in range(8)],
                   kind="constant", **VIEW)  # fmt: skip
    halves = [(np.zeros(3), 0.5) for _ in range(8)]
    with pytest.raises(DataError, match="mine: each label must be one integer, they are float64"):
        from_torch("mine", halves, halves, kind="constant", **VIEW)
    same = [(np.zeros(3), 0) for _ in range(8)]
    with pytest.raises(DataError, match="mine: 1 class; there is nothing to tell apart"):
        from_torch("mine", same, same, kind="constant", **VIEW | dict(classes=1))
