"""The state of a training between two epochs, on disk."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from fdi.snn.network import Network
from fdi.track.files import atomic
from fdi.train.fit import Progress


def save(
    path: Path, network: Network, optimizer: torch.optim.Optimizer, progress: Progress
) -> None:
    """Write weights by name, optimizer and progress, for any device; a kill at any moment leaves
    the old file or the new one.
    """
    state = _on_cpu(
        {
            "weights": network.weights(),
            "optimizer": optimizer.state_dict(),
            "progress": asdict(progress),
        }
    )
    with atomic(path) as temporary:
        torch.save(state, temporary)


def load(path: Path, network: Network, optimizer: torch.optim.Optimizer) -> Progress:
    """Read what `save` wrote into `network` and `optimizer`; returns the progress."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    network.load_weights(state["weights"])
    optimizer.load_state_dict(state["optimizer"])
    return Progress(**state["progress"])


def _on_cpu(value: Any) -> Any:
    """Nested dicts and lists with their tensors on the CPU."""
    if isinstance(value, dict):
        return {key: _on_cpu(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_on_cpu(item) for item in value]
    return value.cpu() if isinstance(value, torch.Tensor) else value
