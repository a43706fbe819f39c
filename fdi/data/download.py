"""Gets the files of a data set: finds, unpacks or downloads them, checks them, and moves them into
place in one step.
"""

from __future__ import annotations

import gzip
import logging
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from fdi.data.inputs import DataError, MissingData, intact, log


@dataclass(frozen=True)
class Archive:
    """A file to download: what it unpacks to, relative to the root of its data set, and next to
    what it is put.

    `file`: its own name there, that of `content` if it stays packed; `url`: its address, or the
    PIP command that gets it; `sum`: of the archive, its sha256 where one is published, else md5;
    `files`: the md5 of those in it that are read.
    """

    file: str
    content: str
    url: str
    sum: str
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def algorithm(self) -> str:
        return "sha256" if len(self.sum) == 64 else "md5"


@dataclass(frozen=True)
class Listed:
    """One line of `fdi-data list`. `samples`: train / valid / test as published; `size`: of the
    download; `form`: `shape` of a step and `rate` of a unit, in Hz, nothing where they are not
    known; `module`: import it needs.
    """

    classes: str
    samples: str
    size: str
    licence: str
    archives: tuple[Archive, ...] = ()
    form: Mapping[str, Any] | None = None
    module: str | None = None


LISTED = yaml.safe_load(Path(__file__).with_name("sources.yaml").read_text(encoding="utf-8"))
SOURCES: dict[str, Listed] = {
    name: Listed(
        **source | {"archives": tuple(Archive(**each) for each in source.get("archives", ()))}
    )
    for name, source in LISTED.items()
}
PIP = "pip download --no-deps "
TIMEOUT = 30  # s without an answer
RETRIES = 2
CHUNK = 2**20  # bytes


def ensure(name: str, root: str | Path) -> Path:
    """The root folder of data set `name`, with all of its files in it.

    What is there is used as it is; an archive that was put there by hand is unpacked; the rest is
    downloaded. Raises DataError, in one line, if that is impossible. Nothing half-written is left.
    """
    root = Path(root).expanduser()
    for archive in SOURCES[name].archives:
        if not (root / archive.content).exists():
            _obtain(name, archive, root)
    return root


def present(name: str, root: Path) -> bool:
    """Whether all files of the data set are there, unpacked."""
    return all((root / archive.content).exists() for archive in SOURCES[name].archives)


def hex_digest(path: Path, algorithm: str = "md5") -> str:
    """The sum of a file by `algorithm`, in hex digits."""
    from pooch import file_hash  # only where a sum is asked for: it takes 0.15 s

    return file_hash(path, algorithm)


def _obtain(name: str, archive: Archive, root: Path) -> None:
    """Put `archive.content` into `root`, from the archive placed there by hand, or downloaded."""
    packed, place = root / archive.file, root / archive.content
    gz = place.with_name(f"{place.name}.gz")  # as the loaders of others have it
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(dir=place.parent, prefix=".partial-")
    except OSError as error:
        raise DataError(
            f"{name}: {place} cannot be written ({error.strerror}); set dataset.root="
        ) from error
    with scratch:
        folder = Path(scratch.name)
        if gz.is_file() and not packed.exists():
            source = gz  # which has a checksum of its own
        elif not packed.exists():
            source = _download(name, archive, packed, folder)
        elif not packed.is_file():
            raise DataError(f"{name}: {packed} is not a file; delete it and get it again")
        elif (digest := hex_digest(source := packed, archive.algorithm)) != archive.sum:
            raise DataError(
                f"{name}: {packed} has {archive.algorithm} {digest}, expected {archive.sum} "
                f"({packed.stat().st_size:,} bytes); delete it and get it again"
            )
        content = source if packed == place else _unpack(source, place.name, folder / "unpacked")
        with suppress(OSError) if place.exists() else nullcontext():  # another process was faster
            content.replace(place)


def _download(name: str, archive: Archive, packed: Path, folder: Path) -> Path:
    """The archive in `folder`, its sum checked; a bar is shown on a terminal."""
    from pooch import Pooch, get_logger

    get_logger().setLevel(logging.WARNING)  # a line of ours is enough
    log.warning("%s: downloading %s to %s", name, archive.url.removeprefix(PIP), packed.parent)
    sums, urls = {packed.name: f"{archive.algorithm}:{archive.sum}"}, {packed.name: archive.url}
    file = Pooch(folder, "", sums, urls, retry_if_failed=RETRIES)
    how = "run" if archive.url.startswith(PIP) else "get"
    try:
        return Path(file.fetch(packed.name, downloader=_pip if how == "run" else _http))
    except (OSError, ValueError) as error:
        cause: BaseException = error  # the first, without what pooch did about it
        while cause.__context__:
            cause = cause.__context__
        reason = " ".join(str(cause).partition(". Deleted")[0].split())
        del cause  # which holds on to its connection
    raise MissingData(
        f"{name}: {archive.content} is missing and cannot be downloaded ({reason}); nothing was "
        f"kept; {how} {archive.url} and put it at {packed} ({archive.algorithm} {archive.sum}), or "
        f"set dataset.root= to the folder that has {archive.content}"
    )


def _http(url: str, output: str, pooch: object) -> None:
    """The file at an address, as a downloader of pooch."""
    from pooch import HTTPDownloader

    headers = {"User-Agent": "fdi", "Accept-Encoding": "identity"}
    HTTPDownloader(sys.stderr.isatty(), CHUNK, headers=headers, timeout=TIMEOUT)(url, output, pooch)
    if not Path(output).stat().st_size:
        raise OSError("the answer was empty, which some servers send to all but browsers")


def _pip(command: str, output: str, pooch: object) -> None:
    """A wheel of a package index, whichever this machine's pip uses, as a downloader of pooch."""
    with tempfile.TemporaryDirectory(dir=Path(output).parent) as folder:
        options = ["--quiet", "--only-binary=:all:", "--ignore-requires-python", "--dest", folder]
        words = [sys.executable, "-m", *command.split(), *options]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError((done.stderr.strip().splitlines() or ["pip failed"])[-1])
        (wheel,) = Path(folder).iterdir()
        wheel.replace(output)


def _unpack(source: Path, content: str, folder: Path) -> Path:
    """The file or folder `content` of a .zip, .tar.gz or .gz, unpacked below `folder`."""
    folder.mkdir()
    with intact(source, "cannot be unpacked"):
        if source.suffixes[-2:] == [".tar", ".gz"]:
            with tarfile.open(source) as packed:
                packed.extractall(folder, filter="data")
        elif source.suffix == ".zip":
            shutil.unpack_archive(source, folder, "zip")
        else:
            with gzip.open(source) as packed, (folder / content).open("wb") as file:
                shutil.copyfileobj(packed, file, 1 << 20)
    if not (folder / content).exists() or (folder / content).is_symlink():
        raise DataError(f"{source}: holds no {content}")
    return folder / content
