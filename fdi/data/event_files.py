"""Reading recordings of event cameras with tonic, one by one, so that a damaged one is named."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from fdi.data.errors import DataError, needs
from fdi.data.kept import keep

log = logging.getLogger("fdi.data")


@keep
def recordings(name: str, root: Path, train: bool) -> Any:
    """tonic's data set `name` ("NMNIST" or "DVSGesture") as it lies in `root`, complete or not; its
    files in order of their paths.
    """
    with needs("tonic"):
        import tonic.datasets
    official = getattr(tonic.datasets, name)
    try:
        files = type(name, (official,), {"_check_exists": lambda self: True})(
            str(root), train=train
        )
    except ValueError as error:
        raise DataError(f"{root / name}: not laid out as tonic expects ({error})") from error
    folder = Path(files.location_on_system) / files.folder_name
    if not files.data:
        raw = any(folder.rglob("*.aedat"))
        hint = ", only .aedat files; fdi reads the .npy files that tonic cut from them"
        raise DataError(f"{folder}: no recordings{hint * raw}")
    order = np.argsort(files.data)
    files.data, files.targets = [files.data[i] for i in order], [files.targets[i] for i in order]
    return files


def warn_unless_complete(files: Any, official: int) -> None:
    """A warning unless there are as many training recordings as `official` ones."""
    if len(files.data) != official:
        log.warning(
            "%s: not the official files, %d of %d training recordings",
            files.location_on_system,
            len(files.data),
            official,
        )


def read(
    files: Any, index: int, sensor: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Times in seconds from the first event, x, y and polarity (0, 1) of a recording; `sensor`:
    polarities, height and width.

    Raises DataError for a file that is empty or cut short, and for events outside the sensor.
    """
    path = Path(files.data[index])
    if path.suffix == ".bin" and (path.stat().st_size == 0 or path.stat().st_size % 5):
        raise DataError(
            f"{path}: {path.stat().st_size} bytes are not a whole number of 5-byte events; the "
            f"file is cut short"
        )
    try:
        events, _ = files[index]
    except (OSError, EOFError, ValueError, IndexError, TypeError) as error:
        raise DataError(f"{path}: cut short or not a recording ({error})") from error
    if not len(events):
        raise DataError(f"{path}: no events")
    times, x, y, polarity = (
        np.asarray(events[key]).astype(np.int64) for key in ("t", "x", "y", "p")
    )
    for axis, values, size in (
        ("polarity", polarity, sensor[0]),
        ("y", y, sensor[1]),
        ("x", x, sensor[2]),
    ):
        if values.min() < 0 or values.max() >= size:
            raise DataError(
                f"{path}: {axis} = {values.max() if values.max() >= size else values.min()} is "
                f"outside 0..{size - 1}"
            )
    return (times - times.min()) * 1e-6, x, y, polarity
