"""Vectors of numbers, and functions of vectors."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils

from fdi.engine.cpu.kernels.simd.vector import Vector, call_llvm, everywhere, intrinsic


@intrinsic
def fill(typing_context, number):
    """The vector that holds `number` everywhere."""
    kind = Vector(number)

    def codegen(context, builder, signature, args):
        return everywhere(context, builder, kind, args[0])

    return kind(number), codegen


@intrinsic(prefer_literal=True)
def fill_many(typing_context, number, count):
    """The same for a literal number of vectors, as one."""
    kind = Vector(number, count.literal_value)

    def codegen(context, builder, signature, args):
        return everywhere(context, builder, kind, args[0])

    return kind(number, count), codegen


@intrinsic(prefer_literal=True)
def like(typing_context, a, number):
    """The vector of the kind of `a` that holds a literal number everywhere."""
    if not isinstance(number, types.Literal):
        return None
    value = float(number.literal_value)

    def codegen(context, builder, signature, args):
        return ir.Constant(context.get_value_type(a), [value] * a.lanes)

    return a(a, number), codegen


@intrinsic
def select(typing_context, mask, a, b):
    """a where the mask is true, else b."""

    def codegen(context, builder, signature, args):
        return builder.select(*args)

    return a(mask, a, b), codegen


@intrinsic
def times(typing_context, a, b):
    """a b, rounded even where a sum follows."""

    def codegen(context, builder, signature, args):
        return builder.fmul(*args)

    return a(a, b), codegen


@intrinsic
def fused(typing_context, a, b, c):
    """a b + c, rounded once."""

    def codegen(context, builder, signature, args):
        return call_llvm(context, builder, "fma", a, args)

    return a(a, b, c), codegen


@intrinsic
def bits(typing_context, mask):
    """The mask as a number, its first lane in the lowest bit."""

    def codegen(context, builder, signature, args):
        word = builder.bitcast(args[0], ir.IntType(mask.lanes))
        return builder.zext(word, ir.IntType(64))

    return types.uint64(mask), codegen


@intrinsic
def leading(typing_context, mask, count):
    """What is true among the first `count` lanes of the mask; a negative count is none."""

    def codegen(context, builder, signature, args):
        number, lanes = ir.IntType(64), range(mask.lanes)
        kind = ir.VectorType(number, mask.lanes)
        undefined = ir.Constant(kind, ir.Undefined)
        counts = builder.insert_element(undefined, args[1], ir.IntType(32)(0))
        first = ir.Constant(ir.VectorType(ir.IntType(32), mask.lanes), [0] * mask.lanes)
        counts = builder.shuffle_vector(counts, undefined, first)
        within = builder.icmp_signed("<", ir.Constant(kind, list(lanes)), counts)
        return builder.and_(args[0], within)

    return mask(mask, types.int64), codegen


@intrinsic
def absolute(typing_context, a):
    """|a|."""

    def codegen(context, builder, signature, args):
        return call_llvm(context, builder, "fabs", a, args)

    return a(a), codegen


@intrinsic
def exp(typing_context, a):
    """e^a."""

    def codegen(context, builder, signature, args):
        number = context.get_value_type(a.dtype)
        name = f"llvm.exp.f{a.dtype.bitwidth}"
        scalar = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(number, [number]), name
        )
        result = args[0]
        for lane in range(a.lanes):
            place = ir.IntType(32)(lane)
            x = builder.call(scalar, [builder.extract_element(args[0], place)])
            result = builder.insert_element(result, x, place)
        return result

    return a(a), codegen
