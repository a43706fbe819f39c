"""A hash of the user's own code behind a `_target_`, by which a run knows it again."""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from fdi.config.own_modules import OURS, files, imports, parsed, sources, texts, version

WAY = "2-"  # of hashing, in front of each hash; the first way had none
SKIPPED = ("*.pyc", "*.pyo", "*~", ".*", "__pycache__")


def code(target: str, folders: Sequence[Path]) -> str | None:
    """A hash over the user's own code that `target` needs, without comments; None for what is not
    the user's. Raises ValueError for a module that cannot be read.

    It covers the modules of `fdi.config.own_modules.sources`, the whole of the packages that these
    are in, with their data, and files beside a module that a text in it names.
    """
    modules = sources(target, folders)
    if not modules:
        return None
    lines = [f"{module}\0{_digest(each.file)}" for module, each in modules.items()]
    tops = [each.package or each.file for each in modules.values()]
    beside = {file for each in modules.values() for file in _named(each.file)}
    for package in {each.package for each in modules.values() if each.package}:
        beside |= set(_below(package, folders))
    lines += [f"{_place(file, tops)}\0{_digest(file)}" for file in beside]
    return WAY + _hash("\0".join(sorted(lines)).encode())


def same(known: str, target: str, folders: Sequence[Path]) -> bool:
    """Whether `known`, in whichever way it was hashed, is the hash of the code at hand; code that
    is not the user's always is.
    """
    now = code(target, folders) if known.startswith(WAY) else _first_way(target, folders)
    return now in (None, known)


def _below(package: Path, folders: Sequence[Path]) -> Iterator[Path]:
    """All files of a package; `folders` in it are configurations, or of other modules."""
    for path, inside, names in os.walk(package):
        here = Path(path)
        inside[:] = [
            name for name in inside if not _skipped(here / name) and here / name not in folders
        ]
        yield from (here / name for name in names if not _skipped(here / name))


def _skipped(path: Path) -> bool:
    return any(path.match(pattern) for pattern in SKIPPED)


def _named(file: Path) -> Iterator[Path]:
    """Files that a text in the module names, as seen from its folder, or from one in there that
    another text names.
    """
    words = [text for text in texts(parsed(file)) if text.strip("./\\ ")]
    folders = (file.parent / word for word in words)
    for place in [file.parent, *(folder for folder in folders if os.path.isdir(folder))]:
        for word in words:
            path = os.path.normpath(place / word)
            if "." in word and os.path.isfile(path):
                yield Path(path)


def _digest(file: Path) -> str:
    """Of what Python reads of a module, of all bytes of another file."""
    return _digested(file, *version(file))


@lru_cache(maxsize=4096)
def _digested(file: Path, *version: int) -> str:
    if file.suffix == ".py":
        try:
            return _hash(ast.unparse(parsed(file)).encode())
        except ValueError:  # of a package, and never imported
            pass
    digest = hashlib.blake2b(digest_size=8)
    with file.open("rb") as content:
        while block := content.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _place(file: Path, tops: Sequence[Path]) -> str:
    """The name of a file as seen from the package or module that it belongs to, wherever that
    is.
    """
    for top in tops:
        if file.is_relative_to(top.parent):
            return file.relative_to(top.parent).as_posix()
    return file.name


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _first_way(target: str, folders: Sequence[Path]) -> str | None:
    """The hash of runs made before there was a `WAY`: over the module and those that it imports
    from `folders`.
    """
    waiting, modules = [target.rpartition(".")[0]], {}
    while waiting:
        module = waiting.pop()
        if module in modules or module.partition(".")[0] in OURS:
            continue
        for file in files(module, folders)[:1]:
            tree = parsed(file)
            modules[module] = ast.unparse(tree)
            package = module if file.stem == "__init__" else module.rpartition(".")[0]
            waiting += imports(tree, package)
    text = "\0".join(f"{module}\0{modules[module]}" for module in sorted(modules))
    return _hash(text.encode()) if modules else None
