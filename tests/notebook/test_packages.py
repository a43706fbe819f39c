"""An installed package offers parts: they run, and the record says where they are from."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
from making import one_line

import fdi
from fdi.track import evidence
from fdi.track.record import look

PARTS = '''
from dataclasses import dataclass
from functools import partial

import numpy as np

from fdi.data.dataset import Dataset, Split
from fdi.data.inputs import Events, Frames
from fdi.snn.neuron import Neuron


def noise(*, samples: int, rate: float, seed: int) -> Dataset:
    """Two classes of noise, the second twice as dense."""
    rng = np.random.default_rng(seed)
    labels = np.arange(samples) % 2
    x = rng.random((samples, 30, 6)) < rate * 2e-3 * (1 + labels[:, None, None])
    split = Split(Frames(x.astype(np.uint8)), labels)
    return Dataset("noise", split, split, split, 2, (6,), 30, 2e-3)


loud = partial(noise, rate=80.0)


@dataclass(frozen=True)
class Leaky(Neuron):
    pull: float = PULL

    def step(self, u, s, current, state, c):
        return self.after(u, s, c.gain * (current + self.pull * u), c), state
'''
CONF = {
    "dataset/noise.yaml": "_target_: toy_parts.made.noise\nsamples: 20\nrate: 50.0\n",
    "dataset/loud.yaml": "_target_: toy_parts.made.loud\nsamples: 20\n",
    "neuron/leaky.yaml": "_target_: toy_parts.made.Leaky\n",
}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a version of a package with a data set and a neuron, in place of the one before."""

    def installed(version: str, pull: float) -> None:
        site = tmp_path / f"site-{version}"
        about = site / f"toy_parts-{version}.dist-info"
        files = {f"toy_parts/conf/{name}": text for name, text in CONF.items()} | {
            "toy_parts/__init__.py": "",
            "toy_parts/made.py": PARTS.replace("PULL", str(pull)),
            f"{about.name}/METADATA": f"Name: toy-parts\nVersion: {version}\n",
            f"{about.name}/entry_points.txt": "[fdi.parts]\ntoys = toy_parts\n",
        }
        for name, text in files.items():
            (site / name).parent.mkdir(parents=True, exist_ok=True)
            (site / name).write_text(text)
        monkeypatch.setattr(sys, "path", [str(site), *BEFORE])
        for name in [name for name in sys.modules if name.startswith("toy_parts")]:
            del sys.modules[name]
        importlib.invalidate_caches()

    monkeypatch.chdir(tmp_path)
    yield installed
    for name in [name for name in sys.modules if name.startswith("toy_parts")]:
        del sys.modules[name]


BEFORE = [*sys.path]
CHOSEN: dict[str, Any] = {
    "dataset": "noise",
    "neuron": "leaky",
    "model.hidden": 8,
    "trainer.epochs": 1,
}


def test_parts_of_a_package_run_and_its_version_is_in_the_record(install):
    install("1.0", 0.1)
    run = fdi.run(**CHOSEN)
    assert run.config.neuron.pull == 0.1
    first = look(Path(run.directory)).evidence
    assert first is not None
    assert {key: value.rpartition(" ")[0] for key, value in first["code"].items()} == {
        "dataset": "toy-parts 1.0",
        "neuron": "toy-parts 1.0",
    }
    table = fdi.probe(**{**CHOSEN, "dataset": "loud"})
    assert table["free_sigma"].iloc[0] > 0
    fdi.run(**CHOSEN)  # nothing has changed: the same run
    install("1.1", 0.1)
    with one_line(r"toy_parts.made.noise, of toy-parts 1\.0 .* then, toy-p"):
        fdi.run(**CHOSEN)
    second = look(Path(fdi.run(results="other", **CHOSEN).directory)).evidence
    assert second is not None
    assert evidence.same(first, second | {"code": first["code"]})
    assert not evidence.same(first, second)
    install("1.1", 0.2)  # other files of the same version
    third = look(Path(fdi.run(results="third", **CHOSEN).directory)).evidence
    assert not evidence.same(second, third)


def test_what_a_package_lacks_is_said(install):
    install("1.0", 0.1)
    words = {**CHOSEN, "neuron._target_": "toy_parts.made.Quadratic"}
    with one_line(r"installed toy_parts\.made defines no function or"):
        fdi.run(**words)
    with one_line(r"installed toy_parts\.made defines no function or"):
        fdi.run(**{**CHOSEN, "neuron._target_": "toy_parts.made.Neuron"})
    with one_line("dataset = nois does not exist; did you mean noise"):
        fdi.run(dataset="nois")
