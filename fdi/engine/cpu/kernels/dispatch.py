"""Functions of kernels that are chosen, when a kernel is compiled, by the type of their first
argument: a named tuple that says which neuron, reset or surrogate is meant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba.extending import overload

from fdi.engine.cpu.kernels.compiler import PartCompiler
from fdi.engine.cpu.kernels.jit import OPTIONS

_INLINED: Any = {**OPTIONS, "pipeline_class": PartCompiler, "forceinline": True}


def by_type(stub: Callable, otherwise: Callable | None = None) -> Callable[[type], Callable]:
    """A decorator with which functions register for a class; kernels call the `stub`, which is
    `otherwise` for all other classes.
    """
    functions: dict[type | None, Callable | None] = {}

    @overload(stub, jit_options=_INLINED, strict=False)
    def choose(first, *rest):
        return functions.get(getattr(first, "instance_class", None), otherwise)

    def register(kind: type) -> Callable:
        def add(function: Callable) -> Callable:
            functions[kind] = function
            return function

        return add

    return register
