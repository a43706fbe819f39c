"""A run after training: its network with its weights, its config and its metrics."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import torch
from omegaconf import DictConfig, OmegaConf

from fdi import build
from fdi.layout import CHECKPOINT, CONFIG, METRICS, RECORD, RESULT
from fdi.snn.network import Network
from fdi.track.files import read_json


@dataclass(frozen=True)
class Trained:
    """What a run left behind.

    `network`: on the CPU, with the trained weights. `config`: as resolved when the run started.
    `metrics`: a row an epoch. `result`: the content of result.json, None while training goes on.
    """

    directory: Path
    network: Network
    config: DictConfig
    metrics: pd.DataFrame
    result: dict[str, Any] | None


def load(directory: Path, weights: str = "last", modules: Sequence[str | Path] = ()) -> Trained:
    """The run in `directory`, with its weights after the "last" epoch or the "best" validation
    epoch; nothing is written. `modules`: folders of your own that its model's code is in; those
    that the run names are not trusted. Raises ValueError for what is not a trained run.
    """
    if weights not in ("last", "best"):
        raise ValueError(f"weights = {weights!r} must be 'last' or 'best'")
    record = read_json(directory / RECORD)
    if not record or not (directory / CHECKPOINT).exists():
        raise ValueError(
            f"{directory} holds no trained run; give a folder results/runs/<dataset>/<model>/"
            f"<init>/seed=<n>-<id>"
        )
    config = DictConfig(OmegaConf.load(directory / CONFIG))
    given = {"device": "cpu", "paths": {"modules": [str(folder) for folder in modules]}}
    form: Any = SimpleNamespace(**record["run"]["data"])
    network = build.network(DictConfig(OmegaConf.merge(config, given)), form)
    network.load_weights(_weights(directory / CHECKPOINT, weights))
    return Trained(
        directory,
        network,
        config,
        pd.read_csv(directory / METRICS),
        read_json(directory / RESULT),
    )


def _weights(path: Path, which: str) -> dict[str, torch.Tensor]:
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
        last, best = state["weights"], state["progress"]["best_weights"]
    except (OSError, KeyError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"{path} cannot be read ({type(error).__name__}); run it again") from None
    if which == "best" and best is None:
        raise ValueError(f"{path}: no epoch of the task yet; use weights='last'")
    return last if which == "last" else best
