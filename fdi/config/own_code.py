"""A hash of the user's own code behind a `_target_`, by which a run knows it again."""

from __future__ import annotations

import hashlib
import os
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import invalidate_caches
from importlib.machinery import PathFinder
from modulefinder import ModuleFinder
from pathlib import Path
from typing import Any

from fdi.config import Mistake
from fdi.config.parts import OURS, ours, package_of, unreadable

INSTALLED = {"site-packages", "dist-packages"}
SOURCE, EXTENSION, FOLDER = 1, 3, 5  # what modulefinder calls the kinds of modules


class _Finder(ModuleFinder):
    """Finds what Python does in the folders of its path, those without `__init__.py`, too, and
    nothing else.
    """

    def find_module(self, name: str, path: Any, parent: Any = None) -> Any:
        spec = PathFinder.find_spec(name, self.path if path is None else path)
        if spec is None or (parent is None and name in OURS):
            raise ImportError(name)
        if spec.submodule_search_locations:
            return None, list(spec.submodule_search_locations), ("", "", FOLDER)
        if str(spec.origin).endswith(".py"):
            return open(str(spec.origin), "rb"), spec.origin, (".py", "rb", SOURCE)
        return None, spec.origin, ("", "", EXTENSION)

    def load_package(self, fqname: str, pathname: Any) -> Any:
        package: Any = self.add_module(fqname)
        package.__path__ = pathname
        with suppress(ImportError):
            file, path, kind = self.find_module("__init__", pathname)
            with file:
                self.load_module(fqname, file, path, kind)
        return package


def code(target: str, folders: Sequence[Path], listed: Sequence[Path] = ()) -> str | None:
    """A hash over the bytes of the module of `target`, of all modules that it imports, and those
    import, from `folders` or from where no packages are installed, and of the files that are
    `listed` or in a folder that is; of an installed package its evidence; None for what is not the
    user's. Raises ValueError for a module
    that cannot be read.
    """
    if ours(target):
        return None
    if package := package_of(target):
        return package.evidence()
    invalidate_caches()
    finder = _Finder([*map(str, folders), *_places()])
    try:
        finder.import_hook(target.rpartition(".")[0])
    except ImportError:
        return None
    except (SyntaxError, ValueError) as error:
        raise Mistake(f"{target} {unreadable(error)}") from None
    modules: dict[str, Any] = finder.modules
    files = {name: Path(module.__file__) for name, module in modules.items() if module.__file__}
    named = [(name, file) for place in listed for name, file in _below(place)]
    lines = [f"{name}\0{_hash(file.read_bytes())}" for name, file in [*files.items(), *named]]
    return _hash("\0".join(sorted(lines)).encode())


def _places() -> Iterator[str]:
    """Folders of PYTHONPATH and of editable installations; the folder in which a command is started
    is one for some processes only.
    """
    python = [Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")]
    named = [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
    for place in [*named, *sys.path]:
        path = Path(place).resolve()
        inside = INSTALLED & set(path.parts) or any(path.is_relative_to(p) for p in python)
        if not inside and (place in named or path != Path.cwd().resolve()):
            yield str(path)


def _below(place: Path) -> Iterator[tuple[str, Path]]:
    for file in [place] if place.is_file() else place.rglob("*"):
        name = file.relative_to(place.parent)
        if file.is_file() and not any(part.startswith((".", "__pycache__")) for part in name.parts):
            yield name.as_posix(), file


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()
