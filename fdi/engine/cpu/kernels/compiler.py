"""How parts of kernels are compiled: their code is optimized, and turned into that of the machine,
in the kernels that call them only.
"""

from __future__ import annotations

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler, CompileResult


class _Library(JITCodeLibrary):
    """The code of a part with that of its own parts, as it is."""

    def finalize(self) -> None:
        for part in dict.fromkeys(self._linking_libraries):
            self._final_module.link_in(part._get_module_for_linking(), preserve=True)
        self._finalized = True


class PartCompiler(Compiler):
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
