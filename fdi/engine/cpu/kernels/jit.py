"""Compiled functions, and where they are kept: one folder for each version of the engine's sources,
of Numba and llvmlite, and each kind of processor.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding
import numba
from numba.core import caching

from fdi.engine.cpu.kernels.compiler import PartCompiler
from fdi.engine.cpu.kernels.store import Entries, own

ENGINE = Path(__file__).parents[1]
UNUSED = 24 * 3600  # s, after which kernels of another version are deleted


@cache
def version() -> str:
    """Of all that decides what a kernel computes."""
    parts = [numba.__version__, llvmlite.__version__, llvmlite.binding.get_host_cpu_name()]
    parts.append(llvmlite.binding.get_host_cpu_features().flatten())
    digest = hashlib.sha256("\n".join(parts).encode())
    for file in sorted(ENGINE.rglob("*.py")):
        digest.update(file.relative_to(ENGINE).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


@cache
def folder() -> Path:
    """Where this version's kernels are: in NUMBA_CACHE_DIR if it is set, else in the user's cache,
    or in a temporary folder of the user alone where that cannot be written.
    """
    if chosen := vars(numba.config).get("CACHE_DIR"):
        roots = [Path(chosen)]
    else:
        user = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME")
        if sys.platform == "darwin":
            user = Path.home() / "Library" / "Caches"
        roots = [Path(user or Path.home() / ".cache"), _shared()]
    for root in roots:
        kept = root / "fdi-kernels" / version()
        with suppress(OSError):
            if root == _shared():
                own(root)
            kept.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=kept):
                os.utime(kept)
            return kept
    raise OSError(
        f"{roots[-1]}: kernels cannot be kept there, it must be a folder of yours that nobody else "
        f"can write to; set NUMBA_CACHE_DIR to another one"
    )


def _shared() -> Path:
    """The user's own in a folder where everybody can write."""
    who = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "")
    return Path(tempfile.gettempdir()) / f"fdi-{who}"


def clean() -> None:
    """Delete the kernels of versions that nobody used for a day."""
    for other in folder().parent.iterdir():
        with suppress(OSError):  # another process was faster
            if time.time() - other.stat().st_mtime > UNUSED:
                shutil.rmtree(other)


@cache
def announce() -> None:
    """Once in a process, when something is about to be compiled."""
    if sys.stderr.isatty():
        print("compiling kernels, once per version", file=sys.stderr, flush=True)
    clean()


class _Locator(caching._CacheLocator):
    def __init__(self, function) -> None:
        code = function.__code__
        name = Path(code.co_filename).relative_to(ENGINE).with_suffix("").as_posix()
        self._name = f"{name.replace('/', '.')}.{code.co_firstlineno}"

    def get_cache_path(self) -> str:
        return str(folder())

    def get_source_stamp(self) -> str:
        return version()

    def get_disambiguator(self) -> str:
        return self._name

    @classmethod
    def from_function(cls, function, file: str) -> _Locator:
        return cls(function)


class _Implementation(caching.CompileResultCacheImpl):
    _locator_classes: Any = [_Locator]


class _Cache(caching.FunctionCache):
    """Numba's own cache of a function, in our folder and files."""

    _impl_class = _Implementation

    def __init__(self, function) -> None:
        super().__init__(function)
        self._cache_file: Any = Entries(folder(), self._impl.filename_base)

    def load_overload(self, signature, target):
        compiled = super().load_overload(signature, target)
        if compiled is None:
            announce()
        return compiled

    def save_overload(self, signature, data) -> None:
        with suppress(OSError):  # it works without being kept: the disk is full, the folder is gone
            super().save_overload(signature, data)


OPTIONS: dict[str, Any] = dict(nogil=True, error_model="numpy", _nrt=False)
"""Kernels are sequential, run without the GIL, and do not count references to arrays."""

_njit: Any = numba.njit  # its stubs lack some options


def kernel(function):
    """What Python calls: compiled and kept, with all its parts."""
    compiled = _njit(**OPTIONS, no_cfunc_wrapper=True)(function)
    compiled._cache = _Cache(function)
    return compiled


jit = _njit(**OPTIONS, pipeline_class=PartCompiler)
"""A part of kernels."""

inlined = _njit(**OPTIONS, pipeline_class=PartCompiler, forceinline=True)
"""A part of kernels that stands in the code of its callers."""
