"""Finished runs with known learning curves."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest


@pytest.fixture
def write_run(tmp_path: Path) -> Callable[..., Path]:
    """Writes a run below tmp_path with validation accuracies `curve`, training accuracies twice that, after `prime` epochs at 0.1."""

    def write(
        init: str,
        seed: int,
        curve: Sequence[float],
        *,
        model: str = "dense",
        hidden: int = 128,
        sigma_u: float = 1.0,
        populations: Sequence[str] = ("h1",),
        prime: int = 0,
        done: bool = True,
    ) -> Path:
        identity = f"{hidden:04x}{int(100 * sigma_u):04x}"
        directory = tmp_path / "runs" / "randman" / model / init / f"seed={seed}-{identity}"
        (directory / ".hydra").mkdir(parents=True)
        key = "sigma_u" if init == "fluct" else "gain"
        config = f"model:\n  hidden: {hidden}\ninit:\n  _target_: fdi.init.{init}\n  {key}: {sigma_u}\nseed: {seed}\n"
        (directory / ".hydra" / "config.yaml").write_text(config)
        state = "done" if done else "running"
        (directory / "status.json").write_text(json.dumps({"state": state, "epoch": len(curve), "epochs": len(curve)}))
        if done:
            result = {"test_accuracy_last": curve[-1], "test_accuracy_best": max(curve), "rates": dict.fromkeys(populations, 8.0)}
            (directory / "result.json").write_text(json.dumps(result))
        rows = [("prime", 0.1)] * prime + [("task", value) for value in curve]
        lines = [",".join(["epoch", "phase", "train/accuracy", "valid/accuracy", *(f"rate/{name}" for name in populations)])]
        for epoch, (phase, value) in enumerate(rows, 1):
            rates = [str(10.0 * i + seed) for i in range(1, len(populations) + 1)]
            lines.append(",".join([str(epoch), phase, str(2 * value), str(value), *rates]))
        (directory / "metrics.csv").write_text("\n".join([*lines, ""]))
        return directory

    return write
