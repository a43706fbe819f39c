"""Machine code on disk, one file for each signature of a kernel: processes that write at the same
time share no index, and a file that is damaged or half written counts as none.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import stat
import tempfile
from pathlib import Path
from typing import Any

from numba.core.serialize import dumps

CHECKSUM = 32  # bytes, in front of each entry


class Entries:
    """The compiled signatures of one function, for Numba's cache of it."""

    def __init__(self, folder: Path, function: str) -> None:
        self.folder, self.function = folder, function

    def load(self, key: Any) -> Any:
        """What was saved under `key`; None if nothing was, or its file is not what was written."""
        try:
            content = self._path(key).read_bytes()
        except OSError:
            return None
        entry = content[CHECKSUM:]
        if content[:CHECKSUM] != _checksum(entry):
            return None
        known, data = pickle.loads(entry)
        return data if known == key else None

    def save(self, key: Any, data: Any) -> None:
        """Keep `data` under `key`, whole or not at all. Raises OSError where that cannot be."""
        entry = dumps((key, data))
        with tempfile.NamedTemporaryFile(dir=self.folder, delete=False) as file:
            try:
                file.write(_checksum(entry) + entry)
                file.flush()
                os.fsync(file.fileno())
                file.close()
                os.replace(file.name, self._path(key))
            except BaseException:
                os.unlink(file.name)
                raise

    def _path(self, key: Any) -> Path:
        return self.folder / f"{self.function}.{_checksum(repr(key).encode()).hex()[:32]}.code"


def own(folder: Path) -> None:
    """Make `folder` for its user alone: loading machine code executes what is in there. Raises
    OSError if it belongs to somebody else, or others could write to it.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if hasattr(os, "getuid") and (
        not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022
    ):
        raise OSError(f"{folder} must be a folder of yours that nobody else can write to")
    folder.chmod(0o700)


def _checksum(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=CHECKSUM).digest()
