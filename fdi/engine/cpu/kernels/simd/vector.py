"""The types of vectors and masks in Numba code, their operators, and the code that loads, stores
and fills them. A product and a following sum may be fused.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils, typing
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import lower_builtin, models, register_model

# what numba's stubs say otherwise: callers give no typing context; named tuples know their fields
intrinsic: Any = extending.intrinsic
NamedTuple: Any = types.BaseNamedTuple
BYTES = 64
_FLAGS = ("contract",)


class Vector(types.Type):
    """As many numbers of `dtype` as fill 64 bytes, or `count` times as many."""

    def __init__(self, dtype: types.Float, count: int = 1) -> None:
        self.dtype, self.lanes = dtype, count * BYTES * 8 // dtype.bitwidth
        super().__init__(name=f"Vector({dtype}, {self.lanes})")


class Mask(types.Type):
    """A truth value for each of `lanes` numbers."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        super().__init__(name=f"Mask({lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, kind: Vector) -> None:
        real = ir.FloatType() if kind.dtype == types.float32 else ir.DoubleType()
        super().__init__(manager, kind, ir.VectorType(real, kind.lanes))


@register_model(Mask)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager, kind: Mask) -> None:
        super().__init__(manager, kind, ir.VectorType(ir.IntType(1), kind.lanes))


def _operator(symbol, operands, build, result=None) -> None:
    """Teach Numba `symbol` between vectors, or between masks."""

    class Template(AbstractTemplate):
        def generic(self, args, kws):
            if len(args) <= 2 and all(isinstance(a, operands) and a == args[0] for a in args):
                return typing.signature(result(args[0]) if result else args[0], *args)
            return None

    infer_global(symbol)(Template)

    def lower(context, builder, signature, args):
        return build(builder, *args)

    lower_builtin(symbol, *[operands] * (build.__code__.co_argcount - 1))(lower)


def _mask(vector: Vector) -> Mask:
    return Mask(vector.lanes)


_operator(operator.add, Vector, lambda builder, a, b: builder.fadd(a, b, flags=_FLAGS))
_operator(operator.sub, Vector, lambda builder, a, b: builder.fsub(a, b, flags=_FLAGS))
_operator(operator.mul, Vector, lambda builder, a, b: builder.fmul(a, b, flags=_FLAGS))
_operator(operator.truediv, Vector, lambda builder, a, b: builder.fdiv(a, b))
_operator(operator.gt, Vector, lambda builder, a, b: builder.fcmp_ordered(">", a, b), _mask)
_operator(operator.eq, Vector, lambda builder, a, b: builder.fcmp_ordered("==", a, b), _mask)
_operator(operator.and_, Mask, lambda builder, a, b: builder.and_(a, b))
_operator(operator.or_, Mask, lambda builder, a, b: builder.or_(a, b))
_operator(operator.invert, Mask, lambda builder, a: builder.not_(a))


def pointer_to(context, builder, array_type, array, indices, pointee):
    """Address of array[indices] as a pointer to `pointee`; indices are not checked, the last axis
    must be contiguous.
    """
    view = context.make_array(array_type)(context, builder, array)
    offset = builder.mul(
        indices[-1], context.get_constant(types.intp, array_type.dtype.bitwidth // 8)
    )
    for axis, index in enumerate(indices[:-1]):
        offset = builder.add(offset, builder.mul(index, builder.extract_value(view.strides, axis)))
    start = builder.gep(builder.bitcast(view.data, ir.IntType(8).as_pointer()), [offset])
    return builder.bitcast(start, pointee.as_pointer())


def everywhere(context, builder, kind, number):
    undefined = ir.Constant(context.get_value_type(kind), ir.Undefined)
    first = builder.insert_element(undefined, number, ir.IntType(32)(0))
    return builder.shuffle_vector(
        first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), kind.lanes), [0] * kind.lanes)
    )


def call_llvm(context, builder, name, kind, args):
    """A function of LLVM, of vectors of one kind."""
    vector = context.get_value_type(kind)
    name = f"llvm.{name}.v{kind.lanes}f{kind.dtype.bitwidth}"
    function = ir.FunctionType(vector, [vector] * len(args))
    return builder.call(cgutils.get_or_insert_function(builder.module, function, name), args)


def load_at(context, builder, array_type, array, indices, kind):
    """The code that loads a vector from array[indices]."""
    vector = context.get_value_type(kind)
    value = builder.load(pointer_to(context, builder, array_type, array, indices, vector))
    value.align = array_type.dtype.bitwidth // 8
    return value


def store_at(context, builder, array_type, array, indices, value):
    """The code that stores a vector at array[indices]."""
    pointer = pointer_to(context, builder, array_type, array, indices, value.type)
    builder.store(value, pointer).align = array_type.dtype.bitwidth // 8
