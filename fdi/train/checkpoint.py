"""The state of a training between two epochs, on disk."""

from __future__ import annotations

import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from fdi.snn.network import Network
from fdi.track.files import atomic
from fdi.train.fit import Progress
from fdi.train.schedule import Schedule


def save(
    path: Path,
    network: Network,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    data_checksum: str,
    schedule: Schedule | None = None,
) -> None:
    """Write weights and time constants by name, optimizer, schedule, progress and what data they
    come from, for any device; a kill or a power cut leaves the old file or the new one.
    """
    state: dict[str, Any] = {
        "weights": network.weights(),
        "time_constants": network.time_constants(),
        "optimizer": optimizer.state_dict(),
        "progress": asdict(progress),
        "data_checksum": data_checksum,
    }
    if schedule is not None:
        state["schedule"] = schedule.state_dict()
    content = io.BytesIO()  # torch does not say what a full disk says
    torch.save(_on_cpu(state), content)
    with atomic(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def load(
    path: Path,
    network: Network,
    optimizer: torch.optim.Optimizer,
    schedule: Schedule | None = None,
) -> tuple[Progress, str | None]:
    """Read what `save` wrote into `network`, `optimizer` and `schedule`; returns the progress and
    the checksum of the data. Raises ValueError for a damaged file, which stays as it is.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        progress = Progress(**state["progress"])
        counts = (progress.epoch, progress.phase, progress.phase_epoch, progress.best_epoch)
        if not all(isinstance(count, int) and 0 <= count < 2**31 for count in counts):
            raise ValueError(f"epochs {counts}")
        network.load_time_constants(state.get("time_constants", {}))
        network.load_weights(state["weights"])
        if schedule is not None:
            schedule.load_state_dict(optimizer, state["schedule"])
        optimizer.load_state_dict(state["optimizer"])
        return progress, state.get("data_checksum")
    except Exception as error:  # whatever torch makes of it
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ValueError(
            f"{path} is damaged ({reason}); delete it to start the run again"
        ) from error


def _on_cpu(value: Any) -> Any:
    """Nested dicts and lists with their tensors on the CPU."""
    if isinstance(value, dict):
        return {key: _on_cpu(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_on_cpu(item) for item in value]
    return value.cpu() if isinstance(value, torch.Tensor) else value
