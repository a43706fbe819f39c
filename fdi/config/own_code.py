"""A hash of the user's own code behind a `_target_`, by which a run knows it again."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import re
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from fdi.config import Mistake
from fdi.config.parts import ours

INSTALLED = ("site-packages", "dist-packages")
LONGEST = 200  # characters of a text that may name a module or a file
NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


class Source(NamedTuple):
    """A file of the user's own, and the outermost package that it is in."""

    file: Path
    package: Path | None


def sources(target: str, folders: Sequence[Path]) -> dict[str, Source]:
    """The user's own modules that `target` needs, by name: the one it is in, and what is imported
    or named in a text there and in those, from `folders` or anywhere else but where packages are
    installed. Raises ValueError for one that cannot be read.
    """
    waiting, known = [target.rpartition(".")[0]], {}
    while waiting:
        module = waiting.pop()
        if module in known or ours(module):
            continue
        source = _find(module, folders)
        if source is None:
            continue
        known[module] = source
        tree = parsed(source.file)
        waiting += imports(tree, _package_of(module, source.file))
        waiting += [text for text in texts(tree) if NAME.fullmatch(text)]
        parents = module.split(".")[:-1]
        waiting += [".".join(parents[: i + 1]) for i in range(len(parents))]
    return known


def files(module: str, folders: Sequence[Path]) -> list[Path]:
    """The files of the user's own in `folders` that `module` may be in."""
    path = Path(*module.split("."))
    return [
        file
        for folder in folders
        for file in (folder / path.with_suffix(".py"), folder / path / "__init__.py")
        if file.is_file()
    ]


def unreadable(file: Path, error: SyntaxError | ValueError) -> str:
    """What a complaint says about a file that is no Python."""
    line = f", line {error.lineno}: {error.msg}" if isinstance(error, SyntaxError) else f": {error}"
    return f"cannot be read: {file}{line}"


def texts(tree: ast.Module) -> list[str]:
    """Those in a module that may name something, each once."""
    return sorted(
        {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and len(node.value) <= LONGEST
            and node.value.isprintable()
        }
    )


def imports(tree: ast.Module, package: str) -> Iterator[str]:
    """What may be the names of modules imported anywhere in a module of `package`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.rsplit(".", node.level - 1)[0] if node.level else ""
            base = f"{above}.{node.module or ''}".strip(".")
            yield from (base, *(f"{base}.{alias.name}".strip(".") for alias in node.names))


def parsed(file: Path) -> ast.Module:
    """Raises ValueError for a file that is no Python."""
    return _parsed(file, *version(file))


def version(file: Path) -> tuple[int, int, int]:
    """Size and times: a file that was read with the same ones need not be read again."""
    about = file.stat()
    return about.st_size, about.st_mtime_ns, about.st_ctime_ns


@lru_cache(maxsize=1024)
def _parsed(file: Path, *version: int) -> ast.Module:
    try:
        return ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError) as error:
        raise Mistake(unreadable(file, error)) from None


def _package_of(module: str, file: Path) -> str:
    return module if file.stem == "__init__" else module.rpartition(".")[0]


def _find(module: str, folders: Sequence[Path]) -> Source | None:
    names = module.split(".")
    elsewhere = _elsewhere(names[0])
    for folder in [*folders, *([elsewhere] if elsewhere else [])]:
        for file in files(module, [folder])[:1]:
            places = (folder.joinpath(*names[: i + 1]) for i in range(len(names)))
            inside = (place for place in places if (place / "__init__.py").is_file())
            return Source(file, next((p for p in inside if file.is_relative_to(p)), None))
    return None


@lru_cache
def _elsewhere(top: str) -> Path | None:
    """The folder that the package or module `top` is in, found by PYTHONPATH or an editable
    installation; None for what is installed, part of Python, or there for some processes only.
    """
    try:
        spec = importlib.util.find_spec(top) if top.isidentifier() else None
    except (ImportError, ValueError, AttributeError):
        return None
    inside = [*(spec.submodule_search_locations or [])] if spec else []
    path = Path(inside[0] if inside else (spec and spec.origin) or "built-in")
    python = [Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")]
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if (
        not path.is_absolute()
        or set(path.parts) & set(INSTALLED)
        or any(path.resolve().is_relative_to(folder) for folder in python)
        or (path.parent == Path.cwd() and path.parent not in map(Path.absolute, map(Path, named)))
    ):
        return None
    return path.parent


WAY = "2-"  # of hashing, in front of each hash; the first way had none
SKIPPED = ("*.pyc", "*.pyo", "*~", ".*", "__pycache__")


def code(target: str, folders: Sequence[Path]) -> str | None:
    """A hash over the user's own code that `target` needs, without comments; None for what is not
    the user's. Raises ValueError for a module that cannot be read.

    It covers the modules of `fdi.config.own_code.sources`, the whole of the packages that these
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


_imported: dict[Path, tuple[object, str]] = {}  # by file: the spec of its module, and its hash


def edited(target: str, folders: Sequence[Path]) -> list[Path]:
    """The modules that `target` needs that were edited after this process had imported them, as far
    as this function was asked about them then: what runs is the code of before.
    """
    found = []
    for module, each in sources(target, folders).items():
        spec = getattr(sys.modules.get(module), "__spec__", None)
        if spec is None:  # not imported so far
            continue
        digest = _digest(each.file)
        known, before = _imported.get(each.file, (None, digest))
        if known is not spec:
            _imported[each.file] = spec, digest
        elif before != digest:
            found.append(each.file)
    return found


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
        if module in modules or ours(module):
            continue
        for file in files(module, folders)[:1]:
            tree = parsed(file)
            modules[module] = ast.unparse(tree)
            package = module if file.stem == "__init__" else module.rpartition(".")[0]
            waiting += imports(tree, package)
    text = "\0".join(f"{module}\0{modules[module]}" for module in sorted(modules))
    return _hash(text.encode()) if modules else None
