"""Folders of runs with known numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

WriteRun = Callable[..., Path]


@pytest.fixture
def write_run(tmp_path: Path) -> WriteRun:
    """Writes a run below tmp_path as fdi-run does; `accuracy` None: a run that is not done;
    `record`: its record.json.
    """

    def write(
        init: str = "fluct",
        seed: int = 0,
        accuracy: float | None = 0.9,
        *,
        dataset: str = "randman",
        model: str = "dense",
        identity: str = "0123abcd",
        config: Mapping[str, Any] | None = None,
        status: Mapping[str, Any] | None = None,
        rates: Mapping[str, float] | None = None,
        curve: Sequence[float] = (),
        samples: int | None = None,
        record: Mapping[str, Any] | None = None,
    ) -> Path:
        directory = tmp_path / "runs" / dataset / model / init / f"seed={seed}-{identity}"
        (directory / ".hydra").mkdir(parents=True)
        whole = {
            "name": {"dataset": "${hydra:runtime.choices.dataset}"},
            "dataset": {"_target_": f"fdi.data.{dataset}", "classes": 10},
            "model": {
                "_target_": f"fdi.snn.models.{model}",
                "hidden": [128, 128],
                "tau_mem": 0.02,
                "depth": None,
            },
            "init": {"_target_": f"fdi.init.{init}"}
            | ({"sigma_u": 1.0} if init == "fluct" else {"gain": 1.0}),
            "trainer": {"epochs": 200},
            "identity": {"exclude": ["name", "identity", "device", "paths", "dataset.root"]},
            "paths": {"results": "results"},
            "seed": seed,
            "device": "cpu",
        }
        for key, value in (config or {}).items():
            *path, last = key.split(".")
            node: dict[str, Any] = whole
            for part in path:
                node = node.setdefault(part, {})
            node[last] = value
        (directory / ".hydra" / "config.yaml").write_text(yaml.safe_dump(whole, sort_keys=False))
        epochs = len(curve) or 20
        (directory / "status.json").write_text(
            json.dumps(
                status or {"state": "done", "epoch": epochs, "epochs": epochs, "error": None}
            )
        )
        (directory / "record.json").write_text(json.dumps(record or {"run": {}}))
        if accuracy is not None:
            result = {
                "test_accuracy_last": accuracy,
                "test_accuracy_best": min(1.0, accuracy + 0.01),
                "best_epoch": 18,
                "valid_accuracy_best": accuracy + 0.02,
                "valid_accuracy_last": accuracy,
                "seconds": 12.5,
                "rates": rates or {"h1": 8.0, "h2": 6.0},
                "silent": {"h1": 0.25, "h2": 0.0},
            }
            if samples is not None:
                result |= {"classes": 10, "test_samples": samples}
            (directory / "result.json").write_text(json.dumps(result, indent=1))
        if curve:
            rows = [f"{i},task,1.5,{value},{value / 2},8.0" for i, value in enumerate(curve, 1)]
            header = "epoch,phase,seconds,train/accuracy,valid/accuracy,rate/h1"
            (directory / "metrics.csv").write_text("\n".join([header, *rows, ""]))
        return directory

    return write
