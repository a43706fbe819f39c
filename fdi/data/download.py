"""Getting the files of a data set: found, unpacked or downloaded, checked, and moved into place in
one step.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.request import Request, urlopen

from fdi.data.errors import DataError
from fdi.data.sources import SOURCES, Archive

log = logging.getLogger("fdi.data")
TIMEOUT = 30  # s without an answer


def ensure(name: str, root: str | Path) -> Path:
    """The root folder of data set `name`, with all of its files in it.

    What is there is used as it is (a warning says so if it is known not to be the official file);
    an archive that was put there by hand is unpacked; the rest is downloaded. Raises DataError, in
    one line, if that is impossible. Nothing half-written is left.
    """
    root = Path(root).expanduser()
    for archive in SOURCES[name].archives:
        if not (root / archive.content).exists():
            _obtain(name, archive, root)
        elif archive.content_md5 and md5(root / archive.content) != archive.content_md5:
            log.warning(
                "%s: not the official file of %s, md5 is not %s",
                root / archive.content,
                name,
                archive.content_md5,
            )
    return root


def present(name: str, root: Path) -> bool:
    """Whether all files of the data set are there, unpacked."""
    return all((root / archive.content).exists() for archive in SOURCES[name].archives)


def md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _obtain(name: str, archive: Archive, root: Path) -> None:
    """Put `archive.content` into `root`, from the archive placed there by hand or from its
    address.
    """
    placed, target = root / archive.file, root / archive.content
    with (
        nullcontext() if placed.exists() else _opened(name, archive, placed) as response,
        _scratch(name, target) as folder,
    ):
        source = placed if response is None else folder / placed.name
        if response is not None:
            log.warning("%s: downloading %s to %s", name, archive.url, target.parent)
            _save(name, archive, response, source)
        found = md5(source)
        if found != archive.md5:
            remedy = (
                "delete it and get it again"
                if source == placed
                else f"nothing was kept; try again, or get {archive.url} by hand"
            )
            raise DataError(
                f"{name}: {placed} has md5 {found}, expected {archive.md5} "
                f"({source.stat().st_size:,} bytes); {remedy}"
            )
        content = _unpack(source, target.name, folder / "unpacked")
        with suppress(OSError) if target.exists() else nullcontext():  # another process was faster
            content.replace(target)


def _opened(name: str, archive: Archive, placed: Path) -> IO[bytes]:
    try:
        return urlopen(Request(archive.url, headers={"User-Agent": "fdi"}), timeout=TIMEOUT)
    except (OSError, HTTPException) as error:
        raise DataError(
            f"{name}: {archive.content} is missing and cannot be downloaded "
            f"({getattr(error, 'reason', error)}); get {archive.url} "
            f"and put it at {placed} (md5 {archive.md5}), or set dataset.root= to the folder that "
            f"has {archive.content}"
        ) from error


def _save(name: str, archive: Archive, response: IO[bytes], path: Path) -> None:
    try:
        with path.open("wb") as file:
            shutil.copyfileobj(response, file, 1 << 20)
    except (OSError, HTTPException) as error:
        raise DataError(
            f"{name}: the download of {archive.url} broke off ({error}); nothing was kept, try "
            f"again"
        ) from error


@contextmanager
def _scratch(name: str, target: Path) -> Iterator[Path]:
    """A folder next to `target` that is gone afterwards."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(dir=target.parent, prefix=".partial-")
    except OSError as error:
        raise DataError(
            f"{name}: {target} cannot be written ({error.strerror}); set dataset.root="
        ) from error
    with scratch as folder:
        yield Path(folder)


def _unpack(source: Path, content: str, folder: Path) -> Path:
    """The file or folder `content` of a .zip, .tar.gz or .gz, unpacked below `folder`."""
    folder.mkdir()
    try:
        if source.suffixes[-2:] == [".tar", ".gz"]:
            with tarfile.open(source) as packed:
                packed.extractall(folder, filter="data")
        elif source.suffix == ".zip":
            shutil.unpack_archive(source, folder, "zip")
        else:
            with gzip.open(source) as packed, (folder / content).open("wb") as file:
                shutil.copyfileobj(packed, file, 1 << 20)
    except (OSError, EOFError, shutil.ReadError, tarfile.TarError) as error:
        raise DataError(f"{source}: cannot be unpacked ({error})") from error
    if not (folder / content).exists():
        raise DataError(f"{source}: holds no {content}")
    return folder / content
