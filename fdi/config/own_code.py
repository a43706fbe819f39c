"""The user's own code behind a `_target_`: modules beside the folder of --config-dir and installed
packages, where they are found, and a hash by which a run knows them again.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache, partial
from importlib.machinery import PathFinder
from importlib.metadata import entry_points
from modulefinder import ModuleFinder
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from fdi.config import Mistake

OURS = ("fdi", "torch")  # packages whose modules are never the user's own


def ours(target: str) -> bool:
    """Whether the dotted name is one of fdi or torch."""
    return target.partition(".")[0] in OURS


GROUP = "fdi.parts"
"""Of entry points, such as `mine = "my_package"`: its modules hold what a `_target_` names, as in
`my_package.data.load`, and its folder `conf` their YAML files, as fdi's own does.
"""


class Package(NamedTuple):
    """What was installed."""

    name: str
    version: str
    folder: Path

    def evidence(self) -> str:
        """Its name, its version, and a hash over its files."""
        digest = hashlib.blake2b(digest_size=8)
        for file in sorted(self.folder.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                content = file.read_bytes()
                digest.update(f"{file.relative_to(self.folder).as_posix()}\0".encode())
                digest.update(f"{len(content)}\0".encode() + content)
        return f"{self.name} {self.version} {digest.hexdigest()}"


@cache
def _installed(path: tuple[str, ...]) -> dict[str, Package]:
    """Packages by what their targets begin with."""
    packages = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        module = entry.module.partition(".")[0]
        spec = importlib.util.find_spec(module)
        if spec and spec.submodule_search_locations and entry.dist:
            folder = Path(next(iter(spec.submodule_search_locations)))
            packages[module] = Package(entry.dist.name, entry.dist.version, folder)
    return packages


def package_of(target: str) -> Package | None:
    """The package that the dotted name `target` is in."""
    return _installed(tuple(sys.path)).get(target.partition(".")[0])


def package_folders() -> list[Path]:
    """Their folders with YAML files."""
    folders = (package.folder / "conf" for package in _installed(tuple(sys.path)).values())
    return [folder for folder in folders if folder.is_dir()]


def of_packages(group: str) -> dict[str, Package]:
    """The options of a group that packages bring, and the package of each."""
    packages = _installed(tuple(sys.path)).values()
    return {
        file.stem: package
        for package in packages
        for file in sorted((package.folder / "conf" / group).glob("*.yaml"))
    }


def own_part(module: str, name: str, folders: Sequence[Path]) -> Callable[..., Any]:
    """What a `module` of the user's own, imported from `folders`, has under this name. Raises
    ValueError without the name of the key.
    """
    beside = "the folder of --config-dir or beside it"
    if not module:
        raise Mistake(f"is not a module and a name; write module.name, the module in {beside}")
    where = f"the installed {module}" if package_of(module) else _file_of(module, folders, beside)
    try:
        loaded = importlib.import_module(module)
    except SyntaxError as error:
        raise Mistake(_unreadable(error)) from None
    except (Exception, SystemExit) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise Mistake(f"cannot be imported: {where}: {reason}") from None
    part = defined(loaded, name)
    if part is None:
        raise Mistake(f"does not exist: {where} defines no function or class {name}")
    return part


def _file_of(module: str, folders: Sequence[Path], beside: str) -> str:
    """The file that Python will import, now that it looks into `folders`, too."""
    path = module.replace(".", "/")
    places = [folder / f"{path}{end}" for folder in folders for end in (".py", "/__init__.py")]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        raise Mistake(f"is not of fdi, and there is no {path}.py; put it into {beside}")
    inside = [str(folder.resolve()) for folder in folders]
    sys.path.extend(folder for folder in inside if folder not in sys.path)
    importlib.invalidate_caches()
    top = module.partition(".")[0]
    spec = importlib.util.find_spec(top)
    found = [*(spec.submodule_search_locations or []), spec.origin or ""] if spec else [""]
    if not any(str(Path(place).parent.resolve()) in inside for place in found):
        raise Mistake(f"is hidden by another module of that name ({found[-1]}); rename {top}")
    return str(file)


def defined(module: ModuleType, name: str) -> Any:
    """What `module` defines under this name: a function or class of its own, not one that it
    imports, an object of such a class, or a partial.
    """
    part = vars(module).get(name)
    own = isinstance(part, partial) or getattr(part, "__module__", None) == module.__name__
    return part if callable(part) and own else None


def _unreadable(error: SyntaxError | ValueError) -> str:
    """What is said of a module that is no Python."""
    if isinstance(error, SyntaxError):
        return f"cannot be read: {error.filename}, line {error.lineno}: {error.msg}"
    return f"cannot be read: {error}"


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


def code_hash(target: str, folders: Sequence[Path], listed: Sequence[Path] = ()) -> str | None:
    """A hash over the bytes of the module of `target`, of all modules that it imports, and those
    import, from `folders` or from where no packages are installed, and of the files that are
    `listed` or in a folder that is; of an installed package its evidence; None for what is not the
    user's. Raises ValueError for a module that cannot be read.
    """
    if ours(target):
        return None
    if package := package_of(target):
        return package.evidence()
    importlib.invalidate_caches()
    finder = _Finder([*map(str, folders), *_places()])
    try:
        finder.import_hook(target.rpartition(".")[0])
    except ImportError:
        return None
    except (SyntaxError, ValueError) as error:
        raise Mistake(f"{target} {_unreadable(error)}") from None
    modules: dict[str, Any] = finder.modules
    files = {name: Path(module.__file__) for name, module in modules.items() if module.__file__}
    named = [(name, file) for place in listed for name, file in _files_below(place)]
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


def _files_below(place: Path) -> Iterator[tuple[str, Path]]:
    for file in [place] if place.is_file() else place.rglob("*"):
        name = file.relative_to(place.parent)
        if file.is_file() and not any(part.startswith((".", "__pycache__")) for part in name.parts):
            yield name.as_posix(), file


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()
