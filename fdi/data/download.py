"""Gets the files of a data set: finds, unpacks or downloads them, checks them, and moves them into
place in one step.
"""

from __future__ import annotations

import gzip
import logging
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from fdi.data.errors import DataError
from fdi.data.sources import SOURCES, Archive

log = logging.getLogger("fdi.data")
MIRROR = "FDI_MIRROR"  # the environment variable with the address of a mirror
TIMEOUT = 30  # s without an answer
RETRIES = 2
CHUNK = 2**20  # bytes


def ensure(name: str, root: str | Path) -> Path:
    """The root folder of data set `name`, with all of its files in it.

    What is there is used as it is (a warning says so if it is known not to be the official file);
    an archive that was put there by hand is unpacked; what `elsewhere` finds gets a link there; the
    rest is downloaded. Raises DataError, in one line, if that is impossible. Nothing half-written
    is left.
    """
    root = Path(root).expanduser()
    for archive in SOURCES[name].archives:
        if not (root / archive.content).exists() and not _linked(name, archive, root):
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


def elsewhere(archive: Archive, root: Path) -> Path | None:
    """What the archive unpacks to, where other libraries leave it: in the folder above `root`, as
    torchvision and tonic do, or in a snapshot in the cache of the Hugging Face hub.
    """
    above = root.absolute().parent
    cache = os.environ.get("HF_HUB_CACHE") or Path(
        os.environ.get("HF_HOME", "~/.cache/huggingface"), "hub"
    )
    snapshots = sorted(Path(cache).expanduser().glob("datasets--*/snapshots/*"))
    places = [above, above / root.name.upper(), *snapshots]
    copies = (place / archive.content for place in places)
    return next((path for path in copies if path.exists()), None)


def _linked(name: str, archive: Archive, root: Path) -> bool:
    """Whether it was found elsewhere, and `root` has a link to it now."""
    place, copy = root / archive.content, elsewhere(archive, root)
    if copy is None or (root / archive.file).exists():
        return False
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(copy)
    except OSError:  # a file system without links, or another process was faster
        return place.exists()
    log.warning("%s: %s is a link to %s", name, place, copy)
    return True


def md5(path: Path) -> str:
    """The MD5 sum of a file, in hex digits."""
    from pooch import file_hash  # only where a sum is asked for: it takes 0.15 s

    return file_hash(path, "md5")


def _obtain(name: str, archive: Archive, root: Path) -> None:
    """Put `archive.content` into `root`, from the archive placed there by hand or from one of its
    addresses.
    """
    packed, place = root / archive.file, root / archive.content
    with _scratch(name, place) as folder:
        if not packed.exists():
            source = _download(name, archive, packed, folder)
        elif (digest := md5(source := packed)) != archive.md5:
            raise DataError(
                f"{name}: {packed} has md5 {digest}, expected {archive.md5} "
                f"({packed.stat().st_size:,} bytes); delete it and get it again"
            )
        content = _unpack(source, place.name, folder / "unpacked")
        with suppress(OSError) if place.exists() else nullcontext():  # another process was faster
            content.replace(place)


def addresses(name: str, archive: Archive) -> list[str]:
    """Where the archive is looked for, in this order: the mirror, laid out as a folder of data sets
    is, and its official address.
    """
    mirror = os.environ.get(MIRROR)
    return [*([f"{mirror.rstrip('/')}/{name}/{archive.file}"] if mirror else []), archive.url]


def _download(name: str, archive: Archive, packed: Path, folder: Path) -> Path:
    """The archive in `folder`, its md5 checked; a bar is shown on a terminal."""
    from pooch import HTTPDownloader, Pooch, get_logger

    get_logger().setLevel(logging.WARNING)  # a line of ours is enough
    downloader = HTTPDownloader(
        sys.stderr.isatty(),
        CHUNK,
        headers={"User-Agent": "fdi", "Accept-Encoding": "identity"},
        timeout=TIMEOUT,
    )
    reasons = []
    for address in addresses(name, archive):
        log.warning("%s: downloading %s to %s", name, address, packed.parent)
        file = Pooch(
            folder,
            "",
            {packed.name: f"md5:{archive.md5}"},
            {packed.name: address},
            retry_if_failed=RETRIES,
        )
        try:
            return Path(file.fetch(packed.name, downloader=downloader))
        except (OSError, ValueError) as error:
            reasons.append(f"{address}: {_reason(error)}")
    raise DataError(
        f"{name}: {archive.content} is missing and cannot be downloaded ({'; '.join(reasons)}); "
        f"nothing was kept; get {archive.url} and put it at {packed} (md5 {archive.md5}), set "
        f"dataset.root= to the folder that has {archive.content}, or {MIRROR} to a mirror"
    )


def _reason(error: BaseException) -> str:
    """The first cause of an error, without what pooch did about it."""
    while error.__context__:
        error = error.__context__
    return " ".join(str(error).partition(". Deleted")[0].split())


@contextmanager
def _scratch(name: str, place: Path) -> Iterator[Path]:
    """A folder next to `place` that is gone afterwards, as are empty folders made for it."""
    new = [folder for folder in place.parents if not folder.exists()]
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(dir=place.parent, prefix=".partial-")
    except OSError as error:
        raise DataError(
            f"{name}: {place} cannot be written ({error.strerror}); set dataset.root="
        ) from error
    try:
        with scratch as folder:
            yield Path(folder)
    finally:
        for made in new:
            with suppress(OSError):
                made.rmdir()


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
