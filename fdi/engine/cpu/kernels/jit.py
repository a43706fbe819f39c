"""Compiled functions, and where they are kept: one folder for each version of the engine's sources,
of Numba and llvmlite, and each kind of processor.

Machine code lies on disk in one file for each signature of a kernel: processes that write at the
same time share no index, and a file that is damaged or half written counts as none.
"""

from __future__ import annotations

import fcntl
import gc
import hashlib
import os
import pickle
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, Any, TypeAlias

import llvmlite
import llvmlite.binding
import numba
from numba.core import caching
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler, CompileResult, Flags
from numba.core.registry import CPUDispatcher
from numba.core.serialize import dumps
from numba.extending import overload

from fdi.config.cache import KERNELS, cache_folder, delete_unused


class _Flags(Flags):
    """Numba asks at each operator whether flags are equal, and compares all values then."""

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, _Flags) and self._values == other._values)

    __hash__ = Flags.__hash__


@contextmanager
def _garbage_kept() -> Iterator[None]:
    """Numba makes millions of objects that live until it is done; looking for garbage among them
    takes a tenth of the time.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


class KernelCompiler(Compiler):
    """Numba's own compiler, in less time."""

    def _compile_core(self) -> Any:
        self.state.flags = _Flags(self.state.flags)
        with _garbage_kept():
            return super()._compile_core()


class _Library(JITCodeLibrary):
    """The code of a part with that of its own parts, as it is."""

    def _optimize_final_module(self) -> None:
        return

    def _finalize_final_module(self) -> None:
        self._finalized = True


class PartCompiler(KernelCompiler):
    """Numba's own compiler optimizes every function and makes machine code of it, again in each
    function that calls it, and of its wrapper for Python.
    """

    def define_pipelines(self) -> list:
        state = self.state
        state.library = _Library(state.targetctx.codegen(), state.func_id.func_qualname)
        flags = state.flags
        flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
        return super().define_pipelines()

    def _compile_core(self) -> CompileResult:
        compiled = super()._compile_core()
        entry = object().__reduce_ex__  # like no other, and a TypeError where Python calls it
        self.state.targetctx.insert_user_function(entry, compiled.fndesc, [compiled.library])
        return compiled._replace(entry_point=entry)


CHECKSUM = 32  # bytes, in front of each entry
PATIENCE = 300.0  # s, several times what the largest kernel takes


class Entries:
    """The compiled signatures of one function, for Numba's cache of it."""

    def __init__(self, folder: Path, function: str) -> None:
        self.folder, self.function = folder, function

    def load(self, key: Any) -> Any:
        """What was saved under `key`; None if nothing was, or its file is not what was written."""
        try:
            content = self._path(key).read_bytes()
        except OSError:
            return None
        entry = content[CHECKSUM:]
        if content[:CHECKSUM] != _checksum(entry):
            return None
        known, data = pickle.loads(entry)
        return data if known == key else None

    def save(self, key: Any, data: Any) -> None:
        """Keep `data` under `key`, whole or not at all. Raises OSError where that cannot be."""
        entry = dumps((key, data))
        with tempfile.NamedTemporaryFile(dir=self.folder, delete=False) as file:
            try:
                file.write(_checksum(entry) + entry)
                file.flush()
                os.fsync(file.fileno())
                file.close()
                os.replace(file.name, self._path(key))
            except BaseException:
                os.unlink(file.name)
                raise

    def wait(self, key: Any) -> IO[bytes] | None:
        """Wait until no other process is about to save under `key`, at most PATIENCE seconds. From
        then on this one is, until it closes the file; None where the file system has no locks.
        """
        end = time.monotonic() + PATIENCE
        try:
            file = self._path(key).with_suffix(".lock").open("wb")
        except OSError:
            return None
        while time.monotonic() < end:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return file
            except BlockingIOError:
                time.sleep(0.05)
            except OSError:
                break
        file.close()
        return None

    def _path(self, key: Any) -> Path:
        return self.folder / f"{self.function}.{_checksum(repr(key).encode()).hex()[:32]}.code"


def _checksum(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=CHECKSUM).digest()


ENGINE = Path(__file__).parents[2]
UNUSED = 24 * 3600  # s, after which kernels of another version are deleted


@cache
def version() -> str:
    """Of all that decides what a kernel computes."""
    parts = [numba.__version__, llvmlite.__version__, llvmlite.binding.get_host_cpu_name()]
    parts.append(llvmlite.binding.get_host_cpu_features().flatten())
    digest = hashlib.sha256("\n".join(parts).encode())
    for file in sorted([*ENGINE.glob("*.py"), *(ENGINE / "cpu").rglob("*.py")]):
        digest.update(file.relative_to(ENGINE).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


@cache
def folder() -> Path:
    """Where this version's kernels are: in NUMBA_CACHE_DIR if it is set, else where fdi keeps
    things. Raises OSError where they cannot be.
    """
    chosen = vars(numba.config).get("CACHE_DIR")
    kept = (Path(chosen) / "fdi-kernels" if chosen else cache_folder(KERNELS)) / version()
    kept.mkdir(parents=True, exist_ok=True)
    os.utime(kept)
    return kept


def clean() -> None:
    """Delete the kernels of versions that nobody used for a day."""
    delete_unused(folder().parent, UNUSED)


@cache
def announce() -> None:
    """Once in a process, when something is about to be compiled."""
    if sys.stderr.isatty():
        print("compiling kernels, once per version", file=sys.stderr, flush=True)
    clean()


class _Locator(caching.UserProvidedCacheLocator):
    def __init__(self, function: Callable) -> None:
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
    def from_function(cls, function: Callable, file: str) -> _Locator:
        return cls(function)


class _Implementation(caching.CompileResultCacheImpl):
    _locator_classes: Any = [_Locator]


class _Cache(caching.FunctionCache):
    """Numba's own cache of a function, in our folder and files."""

    _impl_class = _Implementation

    def __init__(self, function: Callable) -> None:
        super().__init__(function)
        self._cache_file: Any = Entries(folder(), self._impl.filename_base)
        self._held: IO[bytes] | None = None

    def load_overload(self, signature: Any, target: Any) -> Any:
        """None where this process is to compile it: of several that want the same, one does."""
        compiled = self._load(signature, target)
        if compiled is None:
            self._held = self._cache_file.wait(self._index_key(signature, target.codegen()))
            compiled = self._load(signature, target)
            if compiled is None:
                announce()
            else:
                self.release()
        return compiled

    def _load(self, signature: Any, target: Any) -> Any:
        """Numba's own first readies `target` for compiling, which takes longer than to load."""
        data = self._cache_file.load(self._index_key(signature, target.codegen()))
        return data if data is None else self._impl.rebuild(target, data)

    def save_overload(self, signature: Any, data: Any) -> None:
        with suppress(OSError):  # it works without being kept: the disk is full, the folder is gone
            super().save_overload(signature, data)
        self.release()

    def release(self) -> None:
        """Let others compile what this process has, or has failed to."""
        if self._held:
            self._held.close()
        self._held = None


Record: TypeAlias = Any
"""A row of a structured array, whose fields kernels know."""

OPTIONS: dict[str, Any] = dict(nogil=True, error_model="numpy", _nrt=False)
"""Kernels are sequential, run without the GIL, and do not count references to arrays."""


class _Kernel(CPUDispatcher):
    """A function that keeps what is compiled of it in our folder."""

    def enable_caching(self) -> None:
        self._cache = _Cache(self.py_func)

    def compile(self, sig: Any) -> Any:
        try:
            return super().compile(sig)
        except BaseException:
            self._cache.release()
            raise


def kernel(function: Callable) -> Any:
    """What Python calls: compiled and kept, with all its parts."""
    options = dict(OPTIONS, nopython=True, boundscheck=None, no_cfunc_wrapper=True)
    compiled = _Kernel(function, targetoptions=options, pipeline_class=KernelCompiler)
    compiled.enable_caching()
    return compiled


_njit: Any = numba.njit  # its stubs lack some options

# said where it is not, too: a part takes over what is not said from the first that calls it
jit = _njit(**OPTIONS, pipeline_class=PartCompiler, forceinline=False)
"""A part of kernels."""

inlined = _njit(**OPTIONS, pipeline_class=PartCompiler, forceinline=True)
"""A part of kernels that stands in the code of its callers."""


_INLINED: Any = {**OPTIONS, "pipeline_class": PartCompiler, "forceinline": True}


def by_type(stub: Callable, otherwise: Callable | None = None) -> Callable[[type], Callable]:
    """A decorator with which functions register for a class; kernels call the `stub`, which is
    `otherwise` for all other classes.
    """
    functions: dict[type | None, Callable | None] = {}

    @overload(stub, jit_options=_INLINED, strict=False)
    def choose(first: Any, *rest: Any) -> Callable | None:
        return functions.get(getattr(first, "instance_class", None), otherwise)

    def register(kind: type) -> Callable:
        def add(function: Callable) -> Callable:
            functions[kind] = function
            return function

        return add

    return register
