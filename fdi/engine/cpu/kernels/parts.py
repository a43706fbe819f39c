"""Arrays in flat arrays: a kernel with few large arguments compiles much faster than one with many
small ones.
"""

from __future__ import annotations

from numba import types
from numba.core import cgutils
from numba.np.arrayobj import populate_array

from fdi.engine.cpu.kernels.simd import intrinsic


@intrinsic
def part(typing_context, array, start, shape):
    """The numbers from array[start] on as an array of that shape, a tuple; nothing is checked."""
    result = types.Array(array.dtype, len(shape), "C")

    def codegen(context, builder, signature, args):
        view = context.make_array(array)(context, builder, args[0])
        edges = cgutils.unpack_tuple(builder, args[2])
        itemsize = context.get_constant(types.intp, array.dtype.bitwidth // 8)
        strides = [itemsize]
        for edge in edges[:0:-1]:
            strides.insert(0, builder.mul(strides[0], edge))
        made = context.make_array(result)(context, builder)
        data = builder.gep(view.data, [args[1]])
        populate_array(made, data, edges, strides, itemsize, meminfo=None)
        return made._getvalue()

    return result(array, types.intp, types.UniTuple(types.intp, len(shape))), codegen
