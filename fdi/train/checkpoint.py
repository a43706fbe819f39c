"""The state of a training between two epochs, on disk."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from fdi.snn.network import Network
from fdi.track.files import atomic, open_file
from fdi.train.trainer import Progress, Schedule


def save_checkpoint(
    path: Path,
    network: Network,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    data_checksum: str,
    schedule: Schedule | None = None,
) -> None:
    """Write weights and time constants by name, the optimizer, the schedule, the progress and the
    checksum of the data, for any device. A kill or a power cut leaves either the old file or the
    new one.
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


def load_checkpoint(
    path: Path,
    network: Network,
    optimizer: torch.optim.Optimizer,
    schedule: Schedule | None = None,
) -> tuple[Progress, str | None]:
    """Read what `save_checkpoint` wrote into `network`, `optimizer` and `schedule`; returns the progress and
    the checksum of the data. Raises ValueError for a damaged file, which stays as it is.
    """
    with refusing_damage(path):
        state = read_checkpoint(path)
        progress = Progress(**state["progress"])
        network.load_time_constants(state.get("time_constants", {}))
        network.load_weights(state["weights"])
        if schedule is not None:
            schedule.load_state_dict(optimizer, state["schedule"])
        optimizer.load_state_dict(state["optimizer"])
        return progress, state.get("data_checksum")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """All that `save_checkpoint` wrote, after checking that each entry has the right checksum and each weight
    is a number. Raises whatever torch and zipfile raise, and ValueError.
    """
    with open_file(path) as file:
        with zipfile.ZipFile(file) as archive:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise ValueError("compressed")
            if entry := archive.testzip():
                raise ValueError(f"the checksum of {entry} is wrong")
        file.seek(0)
        state = torch.load(file, map_location="cpu", weights_only=True)
    progress = Progress(**state["progress"])
    counts = (progress.epoch, progress.phase, progress.phase_epoch, progress.best_epoch)
    if not all(isinstance(count, int) and 0 <= count < 2**31 for count in counts):
        raise ValueError(f"epochs {counts}")
    for weights in (state["weights"], progress.best_weights or {}):
        for name, weight in weights.items():
            if not weight.isfinite().all():
                raise ValueError(f"weights of {name} are not finite")
    return state


@contextmanager
def refusing_damage(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong with a checkpoint in the block into a ValueError, one line that
    names the file; the file stays as it is.
    """
    try:
        yield
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        reason = reason.removeprefix(f"{path}: ")
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
