"""Vectors from arrays and back."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils

from fdi.engine.cpu.kernels.simd.vector import (
    Vector,
    everywhere,
    intrinsic,
    load_at,
    pointer_to,
    store_at,
)


def _load(array, indices, kind):
    """What an intrinsic of `array` and the tuple `indices` returns that loads such a vector."""

    def codegen(context, builder, signature, args):
        places = cgutils.unpack_tuple(builder, args[1])
        return load_at(context, builder, array, args[0], places, kind)

    return types.UniTuple(types.intp, len(indices)), codegen


@intrinsic
def lanes(typing_context, array):
    """How many numbers of an array are a vector: known when a kernel is compiled, as the array's
    itemsize is not.
    """
    count = Vector(array.dtype).lanes

    def codegen(context, builder, signature, args):
        return context.get_constant(types.intp, count)

    return types.intp(array), codegen


@intrinsic
def load(typing_context, array, indices):
    """The vector that starts at array[indices]; `indices` is a tuple."""
    kind = Vector(array.dtype)
    places, codegen = _load(array, indices, kind)
    return kind(array, places), codegen


@intrinsic(prefer_literal=True)
def load_many(typing_context, array, indices, count):
    """A literal number of vectors from array[indices] on, as one."""
    kind = Vector(array.dtype, count.literal_value)
    places, codegen = _load(array, indices, kind)
    return kind(array, places, count), codegen


@intrinsic
def load_as(typing_context, vector, array, indices):
    """As many numbers from array[indices] on as `vector` has."""
    places, codegen = _load(array, indices, vector)

    def loaded(context, builder, signature, args):
        return codegen(context, builder, signature, args[1:])

    return vector(vector, array, places), loaded


@intrinsic
def store(typing_context, array, indices, vector):
    """array[indices ...] = vector."""

    def codegen(context, builder, signature, args):
        places = cgutils.unpack_tuple(builder, args[1])
        store_at(context, builder, array, args[0], places, args[2])
        return context.get_dummy_value()

    return types.void(array, types.UniTuple(types.intp, len(indices)), vector), codegen


@intrinsic
def prefetch(typing_context, array, indices):
    """Have the vector at array[indices] brought near, to be read or written soon."""

    def codegen(context, builder, signature, args):
        places = cgutils.unpack_tuple(builder, args[1])
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        at = pointer_to(context, builder, array, args[0], places, ir.IntType(8))
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        call = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(call, [at, number(0), number(2), number(1)])

    return types.void(array, types.UniTuple(types.intp, len(indices))), codegen


@intrinsic
def spread(typing_context, vector, array, indices):
    """array[indices] as many times as `vector` has numbers."""

    def codegen(context, builder, signature, args):
        places = cgutils.unpack_tuple(builder, args[2])
        number = context.get_value_type(array.dtype)
        at = pointer_to(context, builder, array, args[1], places, number)
        return everywhere(context, builder, vector, builder.load(at))

    return vector(vector, array, types.UniTuple(types.intp, len(indices))), codegen


@intrinsic
def entry(typing_context, array, index):
    """array[index], which is not negative, so that nobody need look."""

    def codegen(context, builder, signature, args):
        number = context.get_value_type(array.dtype)
        return builder.load(pointer_to(context, builder, array, args[0], [args[1]], number))

    return array.dtype(array, types.intp), codegen


@intrinsic
def store_true(typing_context, array, index, first, mask):
    """array[index ...] = first + lane for each lane where the mask is true, one after another; the
    rest of a vector behind them is lost. Returns how many they are.
    """
    lanes = mask.lanes

    def codegen(context, builder, signature, args):
        kind = ir.VectorType(ir.IntType(32), lanes)
        undefined = ir.Constant(kind, ir.Undefined)
        start = builder.trunc(args[2], ir.IntType(32))
        start = builder.insert_element(undefined, start, ir.IntType(32)(0))
        start = builder.shuffle_vector(start, undefined, ir.Constant(kind, [0] * lanes))
        numbers = builder.add(start, ir.Constant(kind, list(range(lanes))))
        compress = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(kind, [kind, args[3].type, kind]),
            f"llvm.experimental.vector.compress.v{lanes}i32",
        )
        compressed = builder.call(compress, [numbers, args[3], undefined])
        pointer = pointer_to(context, builder, array, args[0], [args[1]], kind)
        builder.store(compressed, pointer).align = 4
        word = builder.bitcast(args[3], ir.IntType(lanes))
        return builder.zext(builder.ctpop(word), ir.IntType(64))

    return types.int64(array, types.intp, types.int64, mask), codegen
