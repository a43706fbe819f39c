"""What fdi keeps to be faster the next time, where, and how it knows that files are as they were.

What it read of large files of data (`data`), compiled kernels (`kernels`) and networks that the
bounds primed (`primed`) are kept for each user alone, never beside results, since those travel; all
of it may be deleted at any time.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

CACHE_VARIABLE = "FDI_CACHE"  # the variable that names another folder for it
KERNELS, TABLES, PRIMED = "kernels", "data", "primed"


def cache_folder(name: str) -> Path:
    """A folder of the user alone, in that which FDI_CACHE names, else in the user's cache. Raises
    OSError where that cannot be written.
    """
    user: str | Path | None = os.environ.get("XDG_CACHE_HOME")
    if sys.platform == "darwin":
        user = Path.home() / "Library" / "Caches"
    home = Path(user or Path.home() / ".cache") / "fdi"
    if chosen := os.environ.get(CACHE_VARIABLE):
        home = Path(chosen).expanduser().absolute()
    try:
        home.mkdir(parents=True, exist_ok=True)
        make_private(home / name)
        with tempfile.TemporaryFile(dir=home / name):
            return home / name
    except OSError as error:
        raise OSError(
            f"{home}: nothing can be kept there ({error}); set {CACHE_VARIABLE} to a folder of "
            f"yours that nobody else can write to"
        ) from None


def make_private(folder: Path) -> None:
    """Make `folder` for its user alone: what is in there is executed, or believed. Raises OSError
    if it belongs to somebody else, or others could write to it.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    mine = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
    if not mine or status.st_mode & 0o022:
        raise OSError(f"{folder} must be a folder of yours that nobody else can write to")
    folder.chmod(0o700)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Others wait at this file until the block is left, however the process ends; without locks of
    the file system nobody waits.
    """
    with path.open("w") as file:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def code_in(files: Iterable[Path]) -> str:
    """A hash of the code in these files: what other code made is not believed."""
    return hashlib.blake2b(b"".join(file.read_bytes() for file in files)).hexdigest()


def delete_unused(folder: Path, seconds: float) -> None:
    """Delete what is in `folder` and was not used for so long."""
    for other in folder.iterdir():
        with suppress(OSError):  # another process was faster
            if time.time() - other.stat().st_mtime > seconds:
                shutil.rmtree(other) if other.is_dir() else other.unlink()


class Stamp(NamedTuple):
    """Name, bytes, times of the last change of content and of anything (ns), and inode of a file:
    equal ones mean the same content, even where somebody wrote in place and put its time back.
    """

    name: str
    size: int
    mtime: int
    ctime: int
    inode: int


def stamp(name: str) -> Stamp | None:
    """The stamp of a file, through links; None where there is none, or a link leads nowhere."""
    try:
        about = os.stat(name)
    except OSError:
        return None
    return Stamp(name, about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino)
