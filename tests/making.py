"""Folders of runs with known numbers, as fdi-run leaves them; and what is refused in a line."""

from __future__ import annotations

import copy
import csv
import io
import json
import wave
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fdi.track import plans, record
from fdi.track.files import METRICS, PROBE, RUN, directories
from fdi.track.plans import SweepPlan
from fdi.track.record import Run

CONFIG: dict[str, Any] = {
    "name": {"dataset": "randman", "model": "dense", "init": "fluct", "experiment": None},
    "dataset": {"_target_": "fdi.data.randman.randman", "classes": 10},
    "model": {"_target_": "fdi.snn.models.dense", "hidden": [128, 128], "depth": None},
    "neuron": {"_target_": "fdi.snn.neuron.lif", "tau_mem": 0.02},
    "init": {},
    "optimizer": {"_target_": "fdi.train.optimizers.SMORMS3", "lr": 0.005, "eps": 1e-16},
    "scheduler": None,
    "homeostasis": {"joint": False, "prime_epochs": 0, "upper": {"strength": 0}, "lower": {}},
    "trainer": {"epochs": 200},
    "engine": {"_target_": "fdi.engine.cpu.CpuEngine", "name": "cpu", "decides": []},
    "logger": {},
    "identity": {"exclude": ["name", "identity", "device", "paths", "logger"], "neutral": {}},
    "paths": {"results": "results", "data": "data", "modules": []},
    "device": "cpu",
}
INIT = {
    "fluct": {"_target_": "fdi.init.fluct.Fluct", "sigma_u": 1.0},
    "kaiming": {"_target_": "fdi.init.baselines.Kaiming", "gain": 1.0},
}
EVIDENCE = {"numerics": 2, "data": "generated", "code": {}, "split": "abcd", "files": None}
ORIGIN = {"command": "fdi-run", "threads": 1, "data": {}}


def write_run(
    results: Path,
    init: str = "fluct",
    seed: int = 0,
    accuracy: float | None = 0.9,
    *,
    dataset: str = "randman",
    model: str = "dense",
    config: Mapping[str, Any] | None = None,
    rates: Mapping[str, float] | None = None,
    curve: Sequence[float] = (),
    prime: int = 0,
    probe: Sequence[Mapping[str, Any]] = (),
    result: Mapping[str, Any] | None = None,
    **values: Any,
) -> Path:
    """Writes a run below `results`; `accuracy` None: one that is not done. `config`: dotted keys;
    `curve`: validation accuracies of the epochs of the task, after `prime` epochs at 0.1; `result`:
    more of it; `values`: others of the record.
    """
    whole = copy.deepcopy(CONFIG) | {"seed": seed}
    whole["name"] |= {"dataset": dataset, "model": model, "init": init}
    whole["dataset"]["_target_"] = f"fdi.data.{dataset}.{dataset}"
    whole["model"]["_target_"] = f"fdi.snn.models.{model}"
    whole["init"] = INIT.get(init, {"_target_": f"fdi.init.baselines.{init.capitalize()}"}).copy()
    whole["paths"]["results"] = str(results)
    for key, value in (config or {}).items():
        *path, last = key.split(".")
        node: dict[str, Any] = whole
        for part in path:
            node = node.setdefault(part, {})
        node[last] = value
    directory = record.place(whole)
    directory.mkdir(parents=True, exist_ok=True)
    epochs = prime + len(curve) or 20
    known: dict[str, Any] = {
        "evidence": EVIDENCE,
        "origin": ORIGIN,
        "epoch": epochs,
        "epochs": epochs,
    }
    run = Run(config=whole, **{"state": "running"} | known | values)
    names = list(rates or {"h1": 8.0, "h2": 6.0})
    if curve:
        (directory / METRICS).write_text(_metrics(curve, prime, names, seed))
    if probe:
        (directory / PROBE).write_text(json.dumps(list(probe)))
    if accuracy is None or "state" in values:
        run = replace(run, files=record.tables(directory, PROBE, METRICS) | run.files)
        record.write(directory, run)
        return directory
    numbers = {
        "test_accuracy_last": accuracy,
        "test_accuracy_best": min(1.0, accuracy + 0.01),
        "best_epoch": 18,
        "valid_accuracy_best": min(1.0, accuracy + 0.02),
        "valid_accuracy_last": accuracy,
        "seconds": 12.5,
        "rates": dict(rates or {"h1": 8.0, "h2": 6.0}),
        "silent": {name: 0.25 * (name == "h1") for name in names},
    }
    record.end(directory, run, "done", numbers | dict(result or {}))
    return directory


def write_decision(
    results: Path,
    name: str,
    common: float | None,
    each: Mapping[str, float],
    *,
    write: Callable[..., Path] | None = None,
    **more: Any,
) -> Path:
    """Writes what `experiment=best` leaves: for each initial state three runs (by `write`, with
    `more`) at 0.005, at a step in `common` if there is one, and at its own.
    """
    write, config, sides = write or partial(write_run, results), more.pop("config", {}), []
    for init, own in each.items():
        settings: dict[str, Any] = {}
        steps = {"common": 0.005, **({"shared": common} if common else {}), "best": own}
        for setting, lr in steps.items():
            made = more | {"config": config | {"optimizer.lr": lr}}
            runs = [write(init, seed, 0.25 + seed / 1000, **made) for seed in range(3)]
            places = [str(run.relative_to(results / "runs")) for run in runs]
            settings[setting] = {"values": {"optimizer.lr": lr}, "runs": places}
        known = {"state": "chosen", "why": "", "accuracy": 0.9, "seeds": 1, "trials": []}
        sides.append(known | {"init": init, "candidate": {}, "settings": settings})
    path = results / "choices" / name / "choice.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"sides": sides}))
    return path


def packed(version: int) -> bytes:
    """Spikes of two classes."""
    rng = np.random.default_rng(version)
    y = np.arange(40) % 2
    x = (rng.random((40, 12, 6)) < 0.2 + 0.2 * y[:, None, None]).astype(np.int64)
    file = io.BytesIO()
    np.savez(file, x=x, y=y)
    return file.getvalue()


def write_wave(path: Path, samples: np.ndarray, rate: int = 8000) -> None:
    """16 bits, [T] or [T, channels]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32767).round().astype("<i2").tobytes())


def write_shd(path: Path, spikes: Sequence[Any], labels: Sequence[int], *, keys: int = 0) -> Path:
    """Writes a file in the layout of SHD: `spikes` is a list of (times, units), one per sample."""
    import h5py

    with h5py.File(path, "w") as file:
        for name, column, kind in (("times", 0, np.float16), ("units", 1, np.uint16)):
            given = h5py.vlen_dtype(np.dtype(kind))
            data = file.create_dataset(f"spikes/{name}", (len(spikes),), dtype=given)
            for i, sample in enumerate(spikes):
                data[i] = np.asarray(sample[column], dtype=kind)
        file["labels"] = np.asarray(labels, dtype=np.int32)
        if keys:
            file["extra/keys"] = np.array([f"{k}".encode() for k in range(keys)])
    return path


@contextmanager
def one_line(words: str, kind: type[Exception] = ValueError) -> Iterator[None]:
    """What is done within is refused in one line with these words, a regular expression."""
    with pytest.raises(kind, match=words) as caught:
        yield
    assert len(str(caught.value).splitlines()) == 1


def write_plan(results: Path, experiment: str | None) -> None:
    """Writes the plan of a sweep that all runs below `results` belong to."""
    cells = {path.removeprefix(f"{results}/"): ["seed=0"] for path, *_ in directories(results)}
    plans.write_plan(results, SweepPlan(f"fdi-run -m experiment={experiment}", experiment, cells))


def _metrics(curve: Sequence[float], prime: int, names: Sequence[str], seed: int) -> str:
    rows = [("prime", 0.1)] * prime + [("task", value) for value in curve]
    head = ["epoch", "phase", "seconds", "train/accuracy", "valid/accuracy"]
    lines = [",".join([*head, *(f"rate/{name}" for name in names)])]
    for epoch, (phase, value) in enumerate(rows, 1):
        rates = [str(10.0 * i + seed) for i, _ in enumerate(names, 1)]
        lines.append(",".join([str(epoch), phase, "1.5", str(2 * value), str(value), *rates]))
    return "\n".join([*lines, ""])


SHD: dict[str, Any] = dict(
    train_file="*train*.h5", test_file="*test*.h5", duration=0.1, dt=0.002, valid=0.25
)
"""How two such files are read."""
SMALL: dict[str, Any] = {
    "dataset.classes": 2,
    "dataset.samples": 20,
    "dataset.steps": 40,
    "model.hidden": 8,
    "trainer.epochs": 2,
    "trainer.batch_size": 15,
    "threads": 1,
    "engine": "reference",
}
"""A run of a tenth of a second."""


def edit(directory: Path, key: str, value: Any) -> None:
    """Write another value at a dotted key into the record of a run, as an editor would."""
    content = json.loads((directory / RUN).read_text())
    *path, last = key.split(".")
    node = content
    for part in path:
        node = node[part]
    node[last] = value
    (directory / RUN).write_text(json.dumps(content))


ADDED = ("seconds", "operations", "confusion", "hits")
"""What of a result is no number of a golden run: times, and what is counted since then."""


def numbers(directory: Path) -> dict[str, Any]:
    """All numbers that a run wrote, without its times, and what follows from them."""
    with (directory / METRICS).open(newline="") as file:
        rows = [
            {key: text for key, text in row.items() if "seconds" not in key}
            for row in csv.DictReader(file)
        ]
    probe = directory / PROBE
    states = json.loads(probe.read_text()) if probe.exists() else None
    for state in states or []:
        state.pop("expected", None)  # a word
    result = record.whole(directory).result or {}
    return {
        "rows": rows,
        "probe": states,
        "result": {key: value for key, value in result.items() if key not in ADDED},
    }
